"""The report in words and in JSON, for a person and for a program."""

from __future__ import annotations

from typing import Any

from tuppence.evidence.judging.report import JudgeLine, JudgeReport, Series, WeekLine, shown

# Landis and Koch's names for ranges of kappa are common and arbitrary; none are given here.


def drift_words(series: Series, report: JudgeReport) -> str:
    """Say what the test of one series found, and how often it errs."""
    found, needed = series.drift, report.reference_weeks + 1
    if found.reference is None:
        return f"not tested yet: {len(series.weeks)} of {needed} full weeks"
    level = shown(found.reference, series.mode)
    if found.change is None or found.level is None or found.since is None or found.alarmed_in is None:
        return f"no change from {level:.2f} found (evidence {found.evidence:.2g}, an alarm needs {found.needed:.0f})"
    return (
        f"ALARM: {found.change} from {level:.2f} to {shown(found.level, series.mode):.2f}, likely since "
        f"{series.weeks[found.since]}, alarm in {series.weeks[found.alarmed_in]}; false with probability "
        f"{report.alpha:.3g} at most"
    )


def agreement_words(judge: JudgeLine) -> str:
    """Say how well a judge agrees with people."""
    found = judge.agreement
    if not found.labels:
        return "no human labels: nobody knows how far to trust it"
    if found.kappa is None:
        return f"kappa cannot be told: one side gave all of {found.labels} calls the same grade"
    if found.interval is None:
        return f"kappa {found.kappa:.2f} over {found.labels} labels; an interval needs {found.enough}"
    low, high = found.interval
    return f"kappa {found.kappa:.2f} (95 % interval {low:.2f} to {high:.2f}) over {found.labels} labels"


def bias_words(judge: JudgeLine) -> str:
    """Say how often the place decided, and which."""
    swayed = judge.first + judge.second
    return (
        f"position bias: the place won both times in {swayed} of {judge.compared} comparisons, the first in "
        f"{judge.first}, the second in {judge.second} (sign test p = {judge.bias_p:.2g})"
    )


def as_json(report: JudgeReport) -> dict[str, Any]:
    """Return the report as a JSON object; money is text, so that no reader rounds it."""
    return {
        "aspect": report.aspect,
        "alpha": report.alpha,
        "weeks": [_week(line) for line in report.lines],
        "drift": [
            {
                "tier": one.tier, "mode": one.mode, "judge": one.judge, "instructions": one.instructions,
                "change": one.drift.change, "evidence": one.drift.evidence, "needed": one.drift.needed,
                "weeks": len(one.weeks),
                "since": None if one.drift.since is None else one.weeks[one.drift.since],
                "alarmed_in": None if one.drift.alarmed_in is None else one.weeks[one.drift.alarmed_in],
                "words": drift_words(one, report),
            }
            for one in report.series
        ],
        "judges": [
            {
                "mode": one.mode, "judge": one.judge, "instructions": one.instructions, "labels": one.agreement.labels,
                "kappa": one.agreement.kappa, "kappa95": one.agreement.interval, "compared": one.compared,
                "first_place_won": one.first, "second_place_won": one.second,
                "bias_p": one.bias_p if one.compared else None,
            }
            for one in report.judges
        ],
    }  # fmt: skip


def _week(line: WeekLine) -> dict[str, Any]:
    return {
        "week": line.week, "tier": line.tier, "mode": line.mode, **line.counts, "means": line.means,
        "interval95": line.interval, "cost_usd": f"{line.cost_usd:f}", "unpriced": line.unpriced,
    }  # fmt: skip
