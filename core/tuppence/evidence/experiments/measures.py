"""What an experiment is judged by: quality, errors, latency and cost, each with what it must show and what harm is.

Every measure is turned so that more is better, and tested at any time by `sequential`. It says what the numbers allow
to be said; what is to be done about it is `verdict`'s to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from tuppence.errors import ConfigError
from tuppence.evidence.experiments import sequential
from tuppence.evidence.experiments.moments import Moments, drop_in_logs, drop_in_points, gain_in_points
from tuppence.evidence.experiments.reading import ArmSeen, Seen
from tuppence.evidence.experiments.sequential import Estimate

Name = Literal["quality", "errors", "latency", "cost"]
State = Literal["passed", "harmed", "futile", "open", "unknown"]
"""`futile`: no harm, but it is certain by now that the least saving asked for is not there."""

SMALLEST_EFFECT = 0.01
"""Prior width where no margin is allowed: one point, or one percent."""
COST_EFFECT = 0.1
"""A saving of a tenth is one that matters; larger ones are found all the sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is decided before the data: how much worse the treatment may be, and how sure to be."""

    alpha: float = 0.05
    """Probability of shipping what must not be shipped, and of stopping for harm where there is none, at most."""
    quality: float = 0.02
    """Points that the mean score may fall: 0.02 is two in a hundred."""
    errors: float | None = 0.01
    """Points that the share of failed calls may rise; None leaves it out."""
    latency: float | None = 0.25
    """Part by which the mean latency may rise; None leaves it out."""
    saving: float = 0.0
    """Part of the cost that the treatment must save; a negative one allows it to cost more."""
    max_units: int | None = None
    """Units, of both arms, after which the experiment is given up."""

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 0.5:
            raise ConfigError(f"alpha is {self.alpha}: give a probability between 0 and 0.5, such as 0.05")
        for name in ("quality", "errors", "latency"):
            margin = getattr(self, name)
            if margin is not None and not 0.0 <= margin < 1.0:
                raise ConfigError(f"the margin of {name} is {margin}: give a part between 0 and 1, such as 0.02")
        if not -10.0 < self.saving < 1.0:
            raise ConfigError(f"saving is {self.saving}: give a part of the cost below 1, such as 0.2")
        if self.max_units is not None and self.max_units < 1:
            raise ConfigError(f"max_units is {self.max_units}: give a number of units, or None")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one measure."""

    name: Name
    treatment: float | None
    """Mean of the arm's units, in the measure's own unit: a score, a share, milliseconds, pico-USD a call."""
    control: float | None
    change: float | None
    """Treatment against control: points for quality and errors, a part of control's mean for latency and cost."""
    low: float | None
    high: float | None
    """An interval for `change` that holds at all looks together, with probability 1 - alpha."""
    p: float | None
    """Always-valid p-value that it is within its margin; small is good news."""
    p_harm: float | None
    """Always-valid p-value that it is past it; small is bad news."""
    margin: float
    """What the plan allows, in the units of `change`; for cost, the saving that it asks for."""
    state: State
    needed: int | None = None
    """Units of both arms, about, until it passes if the change is what it looks like; None where it would not."""


@dataclass(frozen=True, slots=True)
class _Measure:
    name: Name
    of: Callable[[ArmSeen], Moments]
    compare: Callable[[Moments, Moments], Estimate | None]
    """The treatment's improvement over control: more is better."""
    shown: Callable[[float], float]
    """From an improvement to the change that people speak of."""
    margin: float
    null: float
    """The improvement that must be beaten, negative where some loss is allowed."""
    harm: float
    """The improvement below which the treatment does harm."""
    effect: float


def findings(seen: Seen, plan: Plan) -> tuple[Finding, ...]:
    """Test every measure of the plan on what was seen."""
    measures = _measures(plan)
    # All must pass to ship, so each may use the whole alpha (R. L. Berger, Technometrics 24 (1982) 295); any of them
    # stops for harm, so that they share it (Bonferroni).
    return tuple(_finding(measure, seen, plan.alpha, plan.alpha / len(measures)) for measure in measures)


def _measures(plan: Plan) -> list[_Measure]:
    made = [_in_points("quality", lambda arm: arm.quality, gain_in_points, plan.quality, sign=1.0)]
    if plan.errors is not None:
        made.append(_in_points("errors", lambda arm: arm.errors, drop_in_points, plan.errors, sign=-1.0))
    if plan.latency is not None:
        null = -math.log1p(plan.latency)
        effect = max(-null, SMALLEST_EFFECT)
        made.append(
            _Measure("latency", lambda arm: arm.latency_ms, drop_in_logs, _rise, plan.latency, null, null, effect)
        )
    null = -math.log1p(-plan.saving)
    harm = min(null, 0.0)
    made.append(_Measure("cost", lambda arm: arm.cost, drop_in_logs, _rise, plan.saving, null, harm, COST_EFFECT))
    return made


def _in_points(
    name: Name, of: Callable[[ArmSeen], Moments], compare: Callable[[Moments, Moments], Estimate | None],
    margin: float, *, sign: float,
) -> _Measure:  # fmt: skip
    effect = max(margin, SMALLEST_EFFECT)
    return _Measure(name, of, compare, lambda gain: sign * gain, margin, -margin, -margin, effect)


def _rise(drop: float) -> float:
    """Return by what part something rose whose logarithm fell by `drop`."""
    return math.expm1(-drop)


def _finding(measure: _Measure, seen: Seen, alpha: float, alpha_harm: float) -> Finding:
    treatment, control = measure.of(seen.treatment), measure.of(seen.control)
    treated, kept = (moments.mean if moments.units else None for moments in (treatment, control))
    estimate = measure.compare(treatment, control)
    if estimate is None:
        return Finding(measure.name, treated, kept, None, None, None, None, None, measure.margin, "unknown")
    worse = replace(estimate, value=-estimate.value)
    p = sequential.p_value(estimate, measure.null, effect=measure.effect)
    p_harm = sequential.p_value(worse, -measure.harm, effect=measure.effect)
    state: State = "open"
    if p_harm <= alpha_harm:
        state = "harmed"
    elif p <= alpha:
        state = "passed"
    elif measure.null > measure.harm and sequential.p_value(worse, -measure.null, effect=measure.effect) <= alpha:
        state = "futile"
    low, high = sorted(map(measure.shown, sequential.interval(estimate, alpha=alpha, effect=measure.effect)))
    return Finding(
        measure.name, treated, kept, measure.shown(estimate.value), low, high, p, p_harm, measure.margin, state,
        _needed(measure, estimate, alpha, seen.treatment.exposed + seen.control.exposed),
    )  # fmt: skip


def _needed(measure: _Measure, estimate: Estimate, alpha: float, exposed: int) -> int | None:
    distance = estimate.value - measure.null
    if distance <= 0:
        return None
    information = sequential.information_needed(distance, alpha=alpha / estimate.roughness, effect=measure.effect)
    return math.ceil(exposed * max(1.0, information / estimate.information))
