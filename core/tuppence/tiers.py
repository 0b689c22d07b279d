"""A tier: one model with its price, its abilities, its limits and its health.

The native model itself lives in the integration that brought it; here is only what decisions need. A tier may
also be a plain function that answers for nothing or declines.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tuppence.errors import ConfigError
from tuppence.prices import PriceBook, Rate, token_rate
from tuppence.request import NO_EDITS, Capability, Edits, Insert, Reply, Request

Answer = Callable[[Request], "str | Reply | None"]


class Health:
    """A circuit breaker: after `trip_after` failures in a row a tier rests for `rest_s`, then one call may try it."""

    __slots__ = ("_failures", "_lock", "_open_until", "rest_s", "trip_after")

    def __init__(self, *, trip_after: int = 5, rest_s: float = 30.0) -> None:
        self.trip_after = trip_after
        self.rest_s = rest_s
        self._failures = 0
        self._open_until = 0.0
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[..., Health], tuple[int, float]]:
        """Travel as settings: what has failed here says nothing of another process."""
        return _rested, (self.trip_after, self.rest_s)

    def allows(self, now: float) -> bool:
        """Say whether a call may try the tier at `now` (Unix seconds); a rested tier lets one through at a time."""
        if self._failures < self.trip_after:
            return True
        with self._lock:
            if now < self._open_until:
                return False
            self._open_until = now + self.rest_s
            return True

    def failed(self, now: float) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= self.trip_after:
                self._open_until = now + self.rest_s

    def succeeded(self) -> None:
        if self._failures:
            with self._lock:
                self._failures = 0


def _rested(trip_after: int, rest_s: float) -> Health:
    return Health(trip_after=trip_after, rest_s=rest_s)


class Admission(Protocol):
    """Knows how long the queue of a tier's own servers is."""

    def full(self) -> str | None:
        """Say why no further call should be sent now, or None; answers at once, from what was seen before."""


@dataclass(frozen=True, slots=True)
class Additions:
    """Prompt text that only this tier gets: a small model may need rules or examples that a large one does not."""

    system: str = ""
    """Added as a system message in front."""
    examples: tuple[tuple[str, str], ...] = ()
    """(user, assistant) turns, put after the system messages."""

    def edits(self, request: Request) -> Edits:
        """Say what to insert into `request` for this tier."""
        inserts: list[Insert] = []
        first = next((i for i, m in enumerate(request.messages) if m.role != "system"), len(request.messages))
        if self.system:
            inserts.append(Insert(first, "system", self.system))
        for user, assistant in self.examples:
            inserts += [Insert(first, "user", user), Insert(first, "assistant", assistant)]
        return Edits(tuple(inserts))


@dataclass(frozen=True, slots=True)
class Tier:
    """One rung of the ladder, cheapest first in a policy."""

    name: str
    model: str = ""
    """Name by which the provider bills it."""
    provider: str | None = None
    rate: Rate | None = None
    """None: every call of it is recorded as unpriced."""
    reference: Rate | None = None
    """For a model on one's own machines: what it costs at a provider that serves it by the token."""
    capabilities: frozenset[Capability] | None = None
    """What it can do; None where nothing is known, and everything is then tried."""
    context_tokens: int | None = None
    """Longest prompt it takes."""
    max_output_tokens: int | None = None
    """Longest answer that its own settings allow: a limit learned from past answers never raises it."""
    timeout_s: float | None = None
    """Longest wait for an answer, or for the next chunk of a stream."""
    self_hosted: bool = False
    """Text sent to it does not leave the user's own machines."""
    stands_in_for: str = ""
    """Name of the tier before it whose model it serves elsewhere: asked where that one fails, rests or is full, and
    never because its answer was not good enough."""
    admission: Admission | None = field(default=None, compare=False)
    """Says when its servers are full: calls then spill over to the next tier, if there is one."""
    prefix_marks: bool = True
    """Its requests may be told what the provider's prefix cache shall keep: False where the client cannot carry that,
    or where its own settings say it already."""
    additions: Additions | None = None
    answer: Answer | None = None
    """A plain function in place of a model: returns an answer, or None to decline."""
    health: Health = field(default_factory=Health, compare=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a tier has an empty name: give each tier a short name such as 'small'")
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise ConfigError(f"tier {self.name!r}: timeout_s is {self.timeout_s}: it must be above 0, or None to wait")

    @property
    def place(self) -> str:
        """Name its place on the ladder, which it shares with those that stand in for it."""
        return self.stands_in_for or self.name

    def lacks(self, request: Request) -> str | None:
        """Name what this tier cannot do for `request`, or None."""
        if self.answer is not None and (request.tools or request.schema is not None):
            return "tools or structured output"
        if self.capabilities is not None:
            missing = request.needs - self.capabilities
            if missing:
                return ", ".join(sorted(missing))
        return None

    @property
    def spills_over(self) -> bool:
        """Say whether to be turned away by it means that it is full: a server of one's own has nobody behind it that
        a second try would find.
        """
        return self.self_hosted or self.admission is not None

    def edits(self, request: Request) -> Edits:
        return NO_EDITS if self.additions is None else self.additions.edits(request)


def check_places(ladder: tuple[Tier, ...], routed: frozenset[str]) -> None:
    """Raise `ConfigError` for stand-ins that are not right behind the tier that they stand in for, or that are `routed`
    to by name.
    """
    place = ""
    for tier in ladder:
        if tier.stands_in_for and tier.stands_in_for != place:
            raise ConfigError(
                f"tier {tier.name!r} stands in for {tier.stands_in_for!r}: put it right behind that tier, which stands "
                "in for none itself"
            )
        if tier.stands_in_for and tier.name in routed:
            raise ConfigError(f"the route names {tier.name!r}, which stands in for {place!r}: name that tier")
        place = tier.place


def first_of_places(ladder: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """Leave out those that stand in for a tier of this ladder."""
    return tuple({tier.place: tier for tier in reversed(ladder)}.values())[::-1]


def with_stand_ins(chosen: tuple[Tier, ...], ladder: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """Put back, behind each chosen tier, those of the ladder that stand in for it."""
    return tuple(tier for first in chosen for tier in ladder if tier.place == first.place)


def function_tier(name: str, answer: Answer) -> Tier:
    """Make a tier of a plain function (rules, a lookup, a classical model): free, and it may decline with None."""
    return Tier(name, model=name, rate=token_rate(input="0", output="0"), answer=answer, self_hosted=True)


def reference_rate(given: Rate | str | None, book: PriceBook) -> Rate | None:
    """Find what a model costs at a provider that serves it by the token: a rate as it is, or a model on the price list.

    Raises `ConfigError` for a name that the list does not know.
    """
    if not isinstance(given, str):
        return given
    rate = book.rate(given)
    if rate is None:
        raise ConfigError(
            f"reference is {given!r}, for which no price is known: name a model of the list with its provider, such as "
            "'groq/llama-3.1-8b-instant', or give a rate, such as token_rate(input='0.05', output='0.08')"
        )
    return rate
