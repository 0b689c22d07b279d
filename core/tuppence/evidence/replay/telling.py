"""A replay's report in words and rows, for a terminal, a page or a person: the same text everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tuppence.evidence.replay.bootstrap import Figure
from tuppence.evidence.replay.report import Arm, Control, Report

HEADINGS = ("", "quality", "USD / 1,000 calls", "saved", "over random", "latency p50 / p95", "escalated", "answered by")
"""`saved` is against the strongest model alone; `over random` is quality above a random mix of the same cost."""
NONE = "–"
_SINGLE = {"cheap_only": "cheapest model alone", "strong_only": "strongest model alone", "oracle": "oracle"}
_AT_COST = {"random": "random mix, same cost", "task_label": "task label only, same cost"}


def table(report: Report) -> list[tuple[str, ...]]:
    """Return one row for each policy, their difference and each control, in the columns of `HEADINGS`."""
    rows = [_arm(report.names[0], report.policy)]
    if report.against is not None:
        rows.append(_arm(report.names[1], report.against))
    if report.difference is not None:
        quality, cost = report.difference.quality, report.difference.usd_per_call
        rows.append(_padded("difference", points(quality), money(cost, signed=True)))
    for name, label in (_AT_COST | _SINGLE).items():
        control = report.controls.get(name)
        if control is not None and control.quality is not None:
            rows.append(_control(label, control))
    return rows


def sentences(report: Report) -> Iterator[str]:
    """Say what the figures rest on, and what they come to."""
    yield f"{report.rows:,} rows, {report.compared:,} compared, {report.complete:,} of them with all models graded."
    if report.policy.over_random is not None:
        yield _verdict(report.names[0], report.policy.over_random)
    if report.apgr is not None:
        yield f"Over all thresholds it recovers {report.apgr:.3f} of the gap (APGR, by cost); a random mix 0.5."
    arms = [report.policy] if report.against is None else [report.policy, report.against]
    for name, arm in zip(report.names, arms, strict=False):
        yield from _left_out(name, arm)
    if report.only_cached:
        yield f"{report.only_cached:,} recorded calls were answered by a cache: no model was asked, nothing to replay."
    yield "Intervals hold 95 %; that of the difference is paired."


def share(figure: Figure | None) -> str:
    """Spell a share with its interval."""
    return _spelt(figure, lambda value: f"{value * 100:.1f}", " %")


def points(figure: Figure | None) -> str:
    """Spell a difference of shares in percentage points."""
    return _spelt(figure, lambda value: f"{value * 100:+.1f}", " points")


def money(figure: Figure | None, *, signed: bool = False) -> str:
    """Spell a mean cost as USD for 1,000 calls."""
    sign = "+" if signed else ""
    if figure is None:
        return NONE
    digits = 4 if abs(figure.value) * 1_000 < 1 else 2
    return _spelt(figure, lambda value: f"{value * 1_000:{sign}.{digits}f}", "")


def _spelt(figure: Figure | None, spell: Callable[[float], str], unit: str) -> str:
    if figure is None:
        return NONE
    if figure.low is None or figure.high is None:
        return f"{spell(figure.value)}{unit}"
    return f"{spell(figure.value)}{unit} ({spell(figure.low)} to {spell(figure.high)})"


def _arm(name: str, arm: Arm) -> tuple[str, ...]:
    tiers = ", ".join(f"{tier} {part * 100:.0f} %" for tier, part in arm.tiers.items())
    timed = arm.latency_p50_ms is not None and arm.latency_p95_ms is not None
    latency = f"{_seconds(arm.latency_p50_ms)} / {_seconds(arm.latency_p95_ms)}" if timed else NONE
    return (
        name, share(arm.quality), money(arm.usd_per_call), share(arm.saved), points(arm.over_random), latency,
        f"{arm.escalated * 100:.1f} %", tiers or NONE,
    )  # fmt: skip


def _control(label: str, control: Control) -> tuple[str, ...]:
    return _padded(label, share(control.quality), money(control.usd_per_call), share(control.saved))


def _padded(*cells: str) -> tuple[str, ...]:
    return cells + (NONE,) * (len(HEADINGS) - len(cells))


def _seconds(milliseconds: float | None) -> str:
    assert milliseconds is not None
    return f"{milliseconds:.0f} ms" if milliseconds < 1_000 else f"{milliseconds / 1_000:.1f} s"


def _verdict(name: str, over: Figure) -> str:
    if over.low is None or over.high is None or over.low <= 0.0 <= over.high:
        return f"{name} is not shown to be better than a random mix of the same cost: {points(over)}."
    better = "better" if over.value > 0 else "worse"
    return f"{name} is {better} than a random mix of the same cost: {points(over)}."


def _left_out(name: str, arm: Arm) -> Iterator[str]:
    """Name what a policy could not be replayed on, and what its figures leave open."""
    lacking = sum(arm.missing.values())
    if lacking:
        what = ", ".join(f"{one} ({count:,})" for one, count in list(arm.missing.items())[:5])
        yield f"{name}: rows left out because of what they lack: {lacking:,}, by {what}."
    for count, said in (
        (arm.unpriced, "rows left out because a call in them has no price"),
        (arm.unanswered, "calls that ended without an answer and count with a score of 0"),
        (arm.ungraded, "answers that nobody graded and that count in the cost only"),
        (arm.textless, "calls with an answer whose text was not recorded, which checks took for empty"),
        (arm.estimated, "calls priced by an estimate of their tokens"),
    ):
        if count:
            yield f"{name}: {said}: {count:,}."
    if arm.fell_short:
        yield f"{name}: calls that ended with a draft which its check had rejected: {arm.fell_short * 100:.1f} %."
