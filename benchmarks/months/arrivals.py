"""One day's calls before anybody answers them: who asks, when, in which session, and how long a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from months.faults import Change
from months.world import World

HOUR_S = 3600.0
_RUN_CALLS = 3000
"""Most calls that one run may make: somebody would have stopped it."""
_PROMPT_TOKENS = 110_000


@dataclass(slots=True)
class Calls:
    """Calls of one day, a row each; times are seconds from the month's beginning."""

    at: np.ndarray
    endpoint: np.ndarray
    user: np.ndarray
    session: np.ndarray
    turn: np.ndarray
    prompt: np.ndarray
    """Tokens that are sent, the prefix included."""
    answer: np.ndarray
    prefix: np.ndarray
    """Tokens that a warm provider cache would hold."""
    pruned: np.ndarray
    """Tokens that were left out of the prompt."""
    spared: np.ndarray
    """Tokens that a limit spared the answer."""

    def __len__(self) -> int:
        return len(self.at)

    def only(self, these: np.ndarray) -> Calls:
        return Calls(*(getattr(self, name)[these] for name in self.__slots__))


def arrived(world: World, changes: Sequence[Change], expected: np.ndarray, day: int) -> Calls:
    """Draw the sessions that begin on a day, and their calls, which may run into the next."""
    rng = np.random.default_rng([world.seed, 2, day])
    hours = slice(day * 24, day * 24 + 24)
    mean = expected[:, hours]
    sessions = rng.poisson(mean * rng.gamma(world.dispersion, 1 / world.dispersion, mean.shape))
    endpoint = np.repeat(np.repeat(np.arange(len(mean)), 24), sessions.ravel())
    hour = np.repeat(np.tile(np.arange(24) + day * 24, len(mean)), sessions.ravel())
    start = (hour + rng.random(len(hour))) * HOUR_S
    user = _users(world, changes, rng, day, start)
    calls = _lengths(world, changes, rng, endpoint, hour)
    return _calls(world, changes, rng, day, endpoint, start, user, *calls)


def _users(world: World, changes: Sequence[Change], rng: np.random.Generator, day: int, at: np.ndarray) -> np.ndarray:
    """Draw who it is: a few ask most; some users come only during the month, and a change may bring more."""
    own = np.random.default_rng([world.seed, 3])
    weight = 1.0 / np.arange(1, world.users + 1) ** world.zipf
    own.shuffle(weight)
    joins = np.where(own.random(world.users) < world.joining, own.random(world.users) * world.days, -1.0)
    present = np.where(joins <= day, weight, 0.0)
    if not present.sum():
        present = weight
    total = np.cumsum(present)
    user = np.searchsorted(total / total[-1], rng.random(len(at)))
    # Of its own, so that the rest of the day is drawn as it would be without.
    rng = np.random.default_rng([world.seed, 5, day])
    for change in changes:
        if change.kind == "more_users":
            new = rng.random(len(at)) < 1 - 1 / change.factor(at / HOUR_S)
            user = np.where(new, world.users + rng.integers(0, max(2, world.users // 2), len(at)), user)
    return user


def _lengths(
    world: World, changes: Sequence[Change], rng: np.random.Generator, endpoint: np.ndarray, hour: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw calls a session, and items a run (0 for what is no run)."""
    turns = np.array([one.turns for one in world.endpoints])[endpoint]
    is_run = np.array([one.kind == "run" for one in world.endpoints])[endpoint]
    is_chat = np.array([one.kind == "chat" for one in world.endpoints])[endpoint]
    power = np.ones(len(endpoint))
    for change in changes:
        here = np.full(len(endpoint), True) if change.endpoint is None else endpoint == change.endpoint
        if change.kind == "longer_chats":
            turns = np.where(here & is_chat, turns * change.factor(hour), turns)
        if change.kind == "superlinear":
            power = np.where(here, 1.0 + change.level(hour) * (change.size - 1.0), power)
    chat = rng.geometric(1 / np.maximum(1.0, turns))
    median = np.array([one.items for one in world.endpoints])[endpoint]
    items = np.maximum(1, np.round(median * np.exp(rng.normal(0, 0.7, len(endpoint)))))
    steps = np.where((power > 1.0) & (power <= 1.3), items * np.log2(items + 1), items**power)
    run = 1 + np.round(turns * steps * np.exp(rng.normal(0, 0.1, len(endpoint))))
    length = np.where(is_run, np.minimum(run, _RUN_CALLS), np.where(is_chat, chat, 1))
    return length.astype(np.int64), np.where(is_run, items, 0).astype(np.int64)


def _calls(
    world: World, changes: Sequence[Change], rng: np.random.Generator, day: int, endpoint: np.ndarray,
    start: np.ndarray, user: np.ndarray, length: np.ndarray, items: np.ndarray,
) -> Calls:  # fmt: skip
    sessions = np.arange(len(endpoint))
    of = np.repeat(sessions, length)
    turn = np.arange(len(of)) - np.repeat(np.cumsum(length) - length, length)
    is_run = items[of] > 0
    gap = np.where(is_run, 4.0, 90.0) * rng.exponential(1.0, len(of))
    gap[turn == 0] = 0.0
    gone = np.cumsum(gap)
    at = start[of] + gone - gone[np.flatnonzero(turn == 0)][of]
    prompt, answer, prefix = _sizes(world, rng, endpoint[of], turn, items[of])
    none = np.zeros(len(of), np.int64)
    calls = Calls(at, endpoint[of], user[of], day * 1_000_000 + of, turn, prompt, answer, prefix, none, none)
    _changed(calls, changes, world, np.random.default_rng([world.seed, 6, day]))
    calls.prompt = np.clip(np.round(calls.prompt), 8, _PROMPT_TOKENS).astype(np.int64)
    calls.answer = np.where(calls.answer > 0, np.clip(np.round(calls.answer), 1, 12_000), 0).astype(np.int64)
    calls.prefix = np.minimum(calls.prefix, calls.prompt - 4).astype(np.int64)
    _shorten(calls, world, rng)
    return calls.only(calls.at < world.days * 24 * HOUR_S)


def _sizes(
    world: World, rng: np.random.Generator, endpoint: np.ndarray, turn: np.ndarray, items: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw prompts and answers; a chat's prompt holds what was said before, a run's first one all of its input."""

    def of(name: str) -> np.ndarray:
        return np.array([getattr(one, name) for one in world.endpoints], dtype=float)[endpoint]

    noise = rng.normal(size=len(endpoint))
    question = of("prompt") * np.exp(of("prompt_sigma") * noise)
    answer = of("answer") * np.exp(of("answer_sigma") * (0.35 * noise + 0.94 * rng.normal(size=len(endpoint))))
    embeds = np.array([one.kind == "embed" for one in world.endpoints])[endpoint]
    said = np.where(items == 0, turn * (of("prompt") + of("answer")) * 1.1, 0.0)
    prompt = np.where((items > 0) & (turn == 0), of("prompt") * items, question + said) + of("prefix")
    prefix = of("prefix") + np.where(items == 0, 0.9 * said, 0.0)
    return prompt, np.where(embeds, 0.0, answer), np.where(embeds, 0.0, prefix)


def _changed(calls: Calls, changes: Sequence[Change], world: World, rng: np.random.Generator) -> None:
    hour = calls.at / HOUR_S
    for change in changes:
        here = np.full(len(calls), True) if change.endpoint is None else calls.endpoint == change.endpoint
        factor = np.where(here, change.factor(hour), 1.0)
        if change.kind == "prompt_growth":
            calls.prompt = calls.prompt * factor
        if change.kind == "longer_answers":
            calls.answer = calls.answer * factor
        if change.kind == "token_spike":
            _spike(calls, change, world, rng, hour)


def _shorten(calls: Calls, world: World, rng: np.random.Generator) -> None:
    """Leave out a part of some prompts, behind the prefix, and limit some answers."""
    endpoints = world.endpoints
    shortened = rng.random(len(calls)) < np.array([one.pruned for one in endpoints])[calls.endpoint]
    part = rng.beta(2, 4, len(calls)) * shortened
    calls.pruned = np.floor(part * (calls.prompt - calls.prefix)).astype(np.int64)
    calls.prompt = calls.prompt - calls.pruned
    limited = rng.random(len(calls)) < np.array([one.limited for one in endpoints])[calls.endpoint]
    spoken = calls.answer
    calls.answer = np.where(limited & (spoken > 0), np.ceil(spoken * rng.uniform(0.5, 1, len(calls))), spoken)
    calls.answer = calls.answer.astype(np.int64)
    calls.spared = spoken - calls.answer


def _spike(calls: Calls, change: Change, world: World, rng: np.random.Generator, hour: np.ndarray) -> None:
    """Let one user send so much that all tokens together grow by the change's size."""
    took = (change.level(hour) > 0) & (rng.random(len(calls)) < 0.05)
    if not took.any():
        return
    usual = calls.prompt[change.level(hour) > 0].sum()
    calls.user[took] = change.flavour % world.users
    calls.session[took] = calls.session[took] // 1_000_000 * 1_000_000 + 999_999
    calls.prompt[took] += change.size * usual / took.sum() * rng.gamma(4.0, 0.25, took.sum())
