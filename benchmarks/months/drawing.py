"""Drawing what goes wrong in a world, where it can be felt: a broken cache needs hits, a judge's drift a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from months.faults import CHANGES, FAULTS, KINDS, Change
from months.seasons import expected
from months.world import Endpoint, World

_RAMPED = ("prompt_growth", "tier_shift", "judge_drift", "superlinear")
_PASSING = ("retry_storm", "traffic_surge", "token_spike")
_EVERYWHERE = ("price_change", "cheaper_price", "more_users", "judge_drift", "token_spike")
_LEAST_SHARE = 0.1
"""Share of all calls that a place must have for something to be drawn there: nobody could see it elsewhere."""


def drawn(seed: int, kind: str, world: World, *, earliest_day: float = 14.0) -> Change:
    """Draw when, how much and where, the same for the same seed, kind and world.

    It begins in an hour with traffic, at the earliest after `earliest_day`, at the latest three days before the end.
    """
    low, high = {**FAULTS, **CHANGES}[kind]
    rng = np.random.default_rng([seed, 77, KINDS.index(kind)])
    here = rng.random() < 0.5 or kind == "superlinear"
    place = _place(rng, kind, world) if here and kind not in _EVERYWHERE else None
    latest = max(earliest_day + 1.0, world.days - 3.0)
    start = _busy(world, place, int(rng.uniform(earliest_day, latest) * 24))
    size = float(rng.uniform(low, high))
    ramp = int(rng.uniform(6, 72)) if kind in _RAMPED and rng.random() < 0.4 else 0
    lasts = int(rng.uniform(18, 96)) if kind in _PASSING and rng.random() < 0.5 else None
    return Change(
        kind, start, size, place, ramp_hours=ramp, until_hour=None if lasts is None else start + lasts,
        flavour=int(rng.integers(1 << 30)),
    )  # fmt: skip


def _calls_a_day(endpoint: Endpoint) -> float:
    calls = {"chat": endpoint.turns, "run": 1 + endpoint.turns * endpoint.items * 1.3}.get(endpoint.kind, 1.0)
    return endpoint.sessions_a_day * calls


def _place(rng: np.random.Generator, kind: str, world: World) -> int:
    """Draw an endpoint by its share of the calls, of those that this can happen to."""
    kinds = {"superlinear": ("run",), "longer_chats": ("chat",)}.get(kind, ("chat", "run"))
    calls = np.array([_calls_a_day(one) for one in world.endpoints])
    weight = np.where([one.kind in kinds for one in world.endpoints], calls, 0.0)
    large = np.where(calls >= _LEAST_SHARE * calls.sum(), weight, 0.0)
    weight = large if large.any() else weight if weight.any() else calls
    return int(rng.choice(len(weight), p=weight / weight.sum()))


def _busy(world: World, place: int | None, start: int) -> int:
    sessions = expected(world, ())
    mean = sessions.sum(axis=0) if place is None else sessions[place]
    return next((hour for hour in range(start, mean.size) if mean[hour] > 0.5 * mean.mean()), start)


def fitted(world: World, kinds: Sequence[str], changes: Sequence[Change]) -> World:
    """Give a world what its changes work on, where it lacks that; from its first hour, so that nothing else shows."""
    endpoints = list(world.endpoints)
    if "superlinear" in kinds and not any(one.kind == "run" for one in endpoints):
        largest = max(range(len(endpoints)), key=lambda place: _calls_a_day(endpoints[place]))
        old = endpoints[largest]
        made = replace(old, kind="run", turns=1.0, items=8.0)
        calls = _calls_a_day(old)
        endpoints[largest] = replace(made, sessions_a_day=calls / (_calls_a_day(made) / made.sessions_a_day))
    if "cache_broken" in kinds:
        endpoints = [replace(one, exact=max(one.exact, 0.12), warm=max(one.warm, 0.5)) for one in endpoints]
    for change in changes:
        if change.kind == "superlinear" and change.endpoint is not None:
            endpoints[change.endpoint] = replace(endpoints[change.endpoint], kind="run")
    judged = max(world.judged, 0.03) if "judge_drift" in kinds else world.judged
    return replace(world, endpoints=tuple(endpoints), judged=judged)
