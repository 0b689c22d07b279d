"""The rule about workflows whose calls grow faster than their input."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from tuppence.spend.alerts.facts import Facts, Run
from tuppence.spend.alerts.finding import Finding
from tuppence.spend.alerts.growth import excess, grown, steep
from tuppence.spend.alerts.rules import AlertRules

RUN_DAYS = 3
HISTORY_DAYS = 14
"""Days of runs that are read."""
_MOST_RUNS = 150
# A run that began in the last hour may not have ended.
_UNDER_WAY = 1
# A few dozen runs with an outlier or two: a normal's deviations mean less than they say.
_DEVIATIONS = 4.0
_FEWEST_RUNS = 2
_DAY = 24
_WINDOWS = (6, 12, 24)


def growth_findings(facts: Facts, rules: AlertRules, now: int) -> Iterator[Finding]:
    """Yield the workflows whose runs of the last day, or the last three, grow with a power above 1 for certain."""
    if rules.growth is None:
        return
    recent: dict[str, list[Run]] = {}
    for run in _between(facts.runs, now - RUN_DAYS * 24, now - _UNDER_WAY):
        recent.setdefault(run.workflow, []).append(run)
    # What asks once or twice, as most do, has nothing to grow.
    recent = {name: runs for name, runs in recent.items() if sum(run.calls for run in runs) > 3 * len(runs)}
    for workflow, runs in recent.items():
        for hours in (24, RUN_DAYS * 24):
            these = [run for run in runs if run.hour >= now - hours][-_MOST_RUNS:]
            if not steep(these, deviations=_DEVIATIONS):
                continue
            before = _before(facts, workflow, now - hours)
            found = grown(before, these, by=rules.growth, deviations=_DEVIATIONS)
            if found is not None and found.certain:
                usual = 1.0 if found.before is None else found.before
                yield Finding("growth", workflow, workflow, hours, found.exponent, usual, tuple(facts.sums), math.inf)
                break


def excess_findings(facts: Facts, rules: AlertRules, now: int) -> Iterator[Finding]:
    """Yield the workflows whose runs of the last day make more calls than runs of their size did."""
    if rules.run_calls is None:
        return
    recent: dict[str, list[Run]] = {}
    for run in _between(facts.runs, now - _DAY, now - _UNDER_WAY):
        recent.setdefault(run.workflow, []).append(run)
    for workflow, runs in recent.items():
        before = _before(facts, workflow, now - _DAY)
        for hours in _WINDOWS:
            these = [run for run in runs if run.hour >= now - hours]
            if len(these) < _FEWEST_RUNS or not _worth_a_fit(before, these, 1.0 + rules.run_calls / 2):
                continue
            found = excess(before, these[-_MOST_RUNS:])
            if found is None or found.runs < _FEWEST_RUNS or found.log_ratio <= math.log1p(rules.run_calls):
                continue
            if found.log_ratio > _DEVIATIONS * found.error:
                value = math.exp(found.log_ratio)
                yield Finding("run_calls", workflow, workflow, hours, value, 1.0, tuple(facts.sums), math.inf)
                break


def _worth_a_fit(before: Sequence[Run], runs: Sequence[Run], rise: float) -> bool:
    """Tell the few days on which runs may have grown: by the run, or by what they were given."""
    calls, past = sum(run.calls for run in runs), sum(run.calls for run in before)
    size, past_size = sum(run.size for run in runs), sum(run.size for run in before)
    return calls * len(before) > rise * past * len(runs) or calls * past_size > rise * past * size


def _before(facts: Facts, workflow: str, end: int) -> list[Run]:
    earlier = _between(facts.runs, end - HISTORY_DAYS * 24, end)
    return [run for run in earlier if run.workflow == workflow][-_MOST_RUNS:]


def _between(runs: Sequence[Run], start: int, end: int) -> Sequence[Run]:
    """Return the runs that began in these hours; they are sorted by hour."""
    begin, stop = (bisect_left(runs, hour, key=lambda run: run.hour) for hour in (start, end))
    return runs[begin:stop]
