"""Send some users one way and the others another, always the same user the same way, so that the two can be compared.

Who is where is a hash of the experiment's name and the unit's id: nothing is stored to know it, and nobody can be moved
by a restart. This room never judges an experiment: it hands what it saw to a `Watch`, and never waits for one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Literal, Protocol

from tuppence.attempts import Result
from tuppence.effects import Choice, Route
from tuppence.errors import ConfigError
from tuppence.prices import PicoUSD
from tuppence.request import Request
from tuppence.routes.compose import Composable, is_guard, names_of, teach
from tuppence.tiers import Tier

Arm = Literal["treatment", "control"]

_POINT_BYTES = 8
_POINTS = 1 << (8 * _POINT_BYTES)


@dataclass(frozen=True, slots=True)
class Observation:
    """What one logical call of one unit came to in an experiment."""

    experiment: str
    unit: str
    """Hex digits that stand for the user, session or whatever is assigned: no id of a person."""
    arm: Arm
    share: float
    """Part of the units that was to get the treatment at that time."""
    call_id: str
    at: float
    """When its first attempt began, Unix seconds."""
    pico_usd: PicoUSD | None
    """Sum of its attempts; None where a price is unknown."""
    latency_ms: float | None
    """Time spent in its attempts; None where the caller left before the end."""
    failed: bool | None
    """Nothing answered; None where the caller left before that could be known."""


class Watch(Protocol):
    """Takes observations in. Called from the flow: it must neither wait nor raise."""

    def observe(self, seen: Observation, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Experiment(Composable):
    """`treatment` for a `share` of the units, `control` for the rest: `Experiment("mini", treatment=start_at("mini"))`.

    A unit is what the tag `by` names: a user, a session; within its tenant, where the request has one. Requests without
    that tag go to `control` and are not counted. A share that grows moves nobody out of the treatment; experiments of
    different names assign independently. An arm without a route, or whose route has nothing to say, takes the ladder as
    it is. Raises `ConfigError` for a share outside (0, 1), and for a guard in an arm.
    """

    name: str
    _: KW_ONLY
    treatment: Route
    control: Route | None = None
    share: float = 0.1
    by: str = "user"
    watch: Watch | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.name or not self.by:
            raise ConfigError(
                f"the experiment has the name {self.name!r} and goes by {self.by!r}: give it a name such as "
                "'mini-first', and the tag that names its units, such as 'user'"
            )
        if not 0.0 < self.share < 1.0:
            raise ConfigError(
                f"experiment {self.name!r}: share is {self.share}: give a part between 0 and 1, such as 0.1"
            )
        for route in filter(None, (self.treatment, self.control)):
            if is_guard(route):
                raise ConfigError(
                    f"experiment {self.name!r} would apply the guard {route!r} to some requests only: put a guard that "
                    "protects text before the experiment, `guard >> Experiment(...)`; to leave tiers out of an arm, "
                    "use among('small', 'large')"
                )

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice:
        unit = self.unit(request.tags)
        arm = self._arm(unit)
        route = self._route(arm)
        choice = (None if route is None else route(request, ladder)) or Choice(ladder, "the ladder as it is")
        why = (
            self._said(arm) if unit is not None else f"experiment {self.name!r}: no {self.by}, so control, not counted"
        )
        return replace(choice, reason=f"{why}; {choice.reason}")

    @property
    def names(self) -> frozenset[str]:
        return names_of(self.treatment) | (frozenset() if self.control is None else names_of(self.control))

    def unit(self, tags: Mapping[str, str]) -> str | None:
        """Return the hex digits that stand for the unit of these tags; None where it is not named."""
        value = tags.get(self.by)
        return None if not value else unit_digest(self.name, tags.get("tenant", ""), value)

    def arm(self, tags: Mapping[str, str]) -> Arm:
        """Say where a request with these tags goes."""
        return self._arm(self.unit(tags))

    def learn(self, request: Request, result: Result) -> None:
        """Teach the arm that acted, and hand the call to the watch where this experiment decided it."""
        unit = self.unit(request.tags)
        arm = self._arm(unit)
        route = self._route(arm)
        if route is not None:
            teach((route,), request, result)
        # The kill switch and observe mode pass the arms by: then nothing in the decision names one.
        if self.watch is None or unit is None or self._said(arm) not in result.decision.route:
            return
        # A cached answer is of whichever arm asked first.
        if not any(attempt.outcome == "hit" for attempt in result.attempts):
            self.watch.observe(_observation(self, unit, arm, result))

    def apart(self) -> Experiment:
        """Return this route unwatched, for a replay."""
        return replace(self, watch=None)

    def _arm(self, unit: str | None) -> Arm:
        if unit is None:
            return "control"
        point = int(unit[: 2 * _POINT_BYTES], 16)
        return "treatment" if point < self.share * _POINTS else "control"

    def _route(self, arm: Arm) -> Route | None:
        return self.treatment if arm == "treatment" else self.control

    def _said(self, arm: Arm) -> str:
        return f"experiment {self.name!r}: {arm}"


def unit_digest(experiment: str, tenant: str, unit: str) -> str:
    """Hash a unit's id for one experiment to 32 hex digits (BLAKE2b, 128 bits); the first 16 say which arm it is in."""
    # With their lengths, so that no two triples are spelt alike.
    spelt = "".join(f"{len(part)}:{part}" for part in (experiment, tenant, unit))
    return hashlib.blake2b(spelt.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _observation(experiment: Experiment, unit: str, arm: Arm, result: Result) -> Observation:
    # A caller who leaves (cancelled, Ctrl-C) is no failure of the arm, and how long he stayed no latency of it.
    left = result.error is not None and not isinstance(result.error, Exception)
    return Observation(
        experiment.name, unit, arm, experiment.share, result.call_id, result.attempts[0].started_at,
        None if result.unpriced else result.pico_usd,
        None if left else sum(attempt.latency_ms for attempt in result.attempts),
        None if left else result.reply is None,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Among(Composable):
    """Only the named tiers, in the ladder's order; nothing to say where none of them is offered."""

    wanted: tuple[str, ...]

    def __call__(self, _request: Request, ladder: tuple[Tier, ...]) -> Choice | None:
        kept = tuple(tier for tier in ladder if tier.name in self.wanted)
        return Choice(kept, f"among {', '.join(tier.name for tier in kept)}") if kept else None

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.wanted)


def among(*names: str) -> Among:
    """Leave the other tiers out: an arm's own ladder. No guard: a route that breaks is gone round; see `only`."""
    if not names:
        raise ConfigError("among() names no tier: name at least one, among('small', 'large')")
    return Among(names)
