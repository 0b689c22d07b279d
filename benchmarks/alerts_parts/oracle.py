"""The most that anybody could find within a day: a test that is told what the fault is.

It knows when the fault begins, where it is, how it comes on, in which quantity it shows most, and by how much chance
moves that quantity; it need not tell it from anything else. It looks once, a day after the beginning, and is wrong
once in thirty such looks, which is once a month. What it misses is smaller than the noise, whoever looks.

Who is not told which kind of fault it is, and where, must look for each kind at every endpoint and over all of them
each day, and has the same one false alarm a month for all of it: `unknown_where`, with all else known as before.

The signal is the month beside its control: the same draws without the fault. For a surge of traffic the likelihood
ratio is written down, for in a month's level the noise of days, hours and calls is the generator's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist, pstdev

import numpy as np
from months import FAULTS, Change, Month
from months.columns import Day

from alerts_parts.reading import facts_of
from tuppence.spend.alerts.facts import Facts, Totals
from tuppence.spend.alerts.measures import measures
from tuppence.spend.alerts.rules import AlertRules

LOOKS_A_MONTH = 30
DAY = 24
FEWEST_DAYS = 7
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Oracle:
    """Chances of finding a month's fault within a day."""

    told: float
    unknown_where: float


def power(made: Month, facts: Facts) -> Oracle:
    """Return the chance that the oracle finds a month's fault, told what and where it is, or not."""
    (change,) = made.changes
    signal = _surge(made, change) if change.kind == "traffic_surge" else _shown(made, facts, change)
    places = len(made.world.endpoints) + 1
    return Oracle(_found(signal, LOOKS_A_MONTH), _found(signal, LOOKS_A_MONTH * len(FAULTS) * places))


def _found(signal: float, looks_a_month: int) -> float:
    """Return the chance that a signal of so many standard deviations passes the bar of one false alarm a month."""
    return NORMAL.cdf(signal - NORMAL.inv_cdf(1 - 1 / looks_a_month))


def _shown(made: Month, facts: Facts, change: Change) -> float:
    """Return by how many of its standard deviations the fault moves the quantity that it moves most."""
    start, end = change.start_hour, change.start_hour + DAY
    quiet = _without(made, facts, change)
    best = _runs_signal(facts, quiet, start) if change.kind == "superlinear" else 0.0
    pairs = zip(measures(facts, AlertRules(), end), measures(quiet, AlertRules(), end), strict=True)
    for shown, control in pairs:
        seen, usual = shown.value(start, end), control.value(start, end)
        days = [control.value(at - DAY, at) for at in range(start, DAY - 1, -DAY)]
        known = [value for value in days if value is not None]
        if seen is None or len(known) < FEWEST_DAYS:
            continue
        moved = (seen - (np.mean(known) if usual is None else usual)) * math.copysign(1.0, shown.rise)
        best = max(best, moved / max(pstdev(known), 1e-6))
    return best


def _without(made: Month, facts: Facts, change: Change) -> Facts:
    """Return the facts with the day of the fault as it would have been."""
    start = change.start_hour
    days = range(max(0, start // DAY - 1), min(made.world.days, start // DAY + 2))
    control = made.control
    added = facts_of(control, [Day(control.world, (), control.expected, number) for number in days])

    def spliced(old: Totals, new: Totals | None) -> Totals:
        hours = np.diff(old.before)
        hours[start : start + DAY] = 0 if new is None else np.diff(new.before)[start : start + DAY]
        return Totals(hours.tolist())

    sums = {
        key: tuple(
            spliced(old, added.sums[key][place] if key in added.sums else None) for place, old in enumerate(totals)
        ) for key, totals in facts.sums.items()
    }  # fmt: skip
    users = [*facts.users[:start], *added.users[start : start + DAY], *facts.users[start + DAY :]]
    runs = [run for run in facts.runs if run.hour < start] + [run for run in added.runs if run.hour >= start]
    scores = spliced(facts.scores[0], added.scores[0]), spliced(facts.scores[1], added.scores[1])
    return Facts(facts.first, sums, scores, users, runs)


def _runs_signal(facts: Facts, quiet: Facts, start: int) -> float:
    """Return the same for the calls that runs make with what they are given."""

    def ratios(of: Facts, workflow: str, first: int, last: int) -> list[float]:
        runs = (one for one in of.runs if one.workflow == workflow and first <= one.hour < last)
        return [math.log(one.calls / one.size) for one in runs]

    best = 0.0
    for workflow in {run.workflow for run in facts.runs}:
        past = ratios(quiet, workflow, 0, start)
        seen, usual = (ratios(of, workflow, start, start + DAY) for of in (facts, quiet))
        if seen and usual and len(past) > 1:
            error = max(pstdev(past), 1e-6) / math.sqrt(len(seen))
            best = max(best, (float(np.mean(seen)) - float(np.mean(usual))) / error)
    return best


def _surge(made: Month, change: Change) -> float:
    """Return the root of the log-likelihood ratio's mean for a surge: all hours of all endpoints, their noise known."""
    world, start = made.world, change.start_hour
    # Of the days before, two tell what kind of day it is; more add nothing to a memory of one day.
    hours = np.arange(max(0, start // DAY * DAY - 2 * DAY), min(start + DAY, world.days * DAY))
    mean = made.control.expected[:, hours]
    level = np.log(change.factor(hours))
    rows = []
    for place, expected in enumerate(mean):
        here = change.endpoint is None or change.endpoint == place
        busy = expected > 0
        rows += zip(hours[busy], expected[busy], level[busy] * here, strict=True)
    at, count, moved = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    own = 1 / np.maximum(1 / world.dispersion + 1 / count, 1e-12)
    day = (at // DAY).astype(int)
    days, which = np.unique(day, return_inverse=True)
    shared = world.day_noise**2 * world.day_memory ** np.abs(days[:, None] - days[None, :])
    # Woodbury's identity: the days' noise is of few dimensions.
    within = np.zeros((len(days), len(at)))
    within[which, np.arange(len(at))] = own
    inner = np.linalg.inv(shared) + np.diag(np.bincount(which, own, len(days)))
    lost = within @ moved
    return math.sqrt(max(0.0, float(moved @ (own * moved) - lost @ np.linalg.solve(inner, lost))))
