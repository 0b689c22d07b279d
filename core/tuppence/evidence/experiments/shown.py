"""A verdict as a table for people and as JSON for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tuppence.evidence.experiments import words
from tuppence.evidence.experiments.measures import Finding
from tuppence.evidence.experiments.reading import ArmSeen
from tuppence.evidence.experiments.verdict import Verdict
from tuppence.prices import usd
from tuppence.spend.figures import dollars, label

if TYPE_CHECKING:
    from rich.table import Table

_SPELT = {
    "passed": "within its margin", "harmed": "past its margin", "futile": "too small", "open": "open",
    "unknown": "too few units",
}  # fmt: skip


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Describe a verdict in plain JSON; money is exact decimal text, means of unit means are numbers."""
    seen = verdict.seen
    return {
        "experiment": seen.experiment,
        "action": verdict.action,
        "verdict": verdict.words,
        "arms": {"treatment": _arm(seen.treatment), "control": _arm(seen.control)},
        "measures": {one.name: _finding(one) for one in verdict.findings},
        "alpha": verdict.plan.alpha,
        "p_split": verdict.p_split,
        "moved_units": seen.moved,
        "shares": [
            {"share": share, "treatment": treated, "control": kept} for share, treated, kept in seen.shares
        ],
        "since": _moment(seen.first),
        "last_new_unit": _moment(seen.last),
    }  # fmt: skip


def as_table(verdict: Verdict) -> Table:
    """Lay the two arms side by side, with the change and what it means."""
    from rich import box
    from rich.table import Table

    seen = verdict.seen
    table = Table(
        title=f"experiment {label(seen.experiment)}", title_justify="left", box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0), pad_edge=False,
    )  # fmt: skip
    table.add_column("")
    for name in ("treatment", "control"):
        table.add_column(name, justify="right")
    for name in ("change", "p", ""):
        table.add_column(name)
    arms = (seen.treatment, seen.control)
    table.add_row("units", *(f"{arm.exposed:,}" for arm in arms), "", "", "")
    table.add_row("calls", *(f"{arm.calls:,}" for arm in arms), "", "", "")
    table.add_row("graded calls", *(f"{arm.scored:,}" for arm in arms), "", "", "")
    table.add_row("cost, USD", *(dollars(usd(arm.pico_usd)) for arm in arms), "", "", "")
    for one in verdict.findings:
        p = "" if one.p is None else words.p_value(one.p)
        figures = (_figure(one.name, one.treatment), _figure(one.name, one.control))
        table.add_row(_title(one), *figures, words.change(one), p, _SPELT[one.state])
    return table


def notes(verdict: Verdict) -> list[str]:
    """Say what a reader must know beside the figures."""
    seen, said = verdict.seen, []
    unpriced = sum(arm.calls - arm.priced for arm in (seen.treatment, seen.control))
    if unpriced:
        said.append(f"{unpriced:,} calls have no known price and are missing from the cost")
    if len(seen.shares) > 1:
        spans = ", then ".join(f"{share:.0%}" for share, _, _ in seen.shares)
        said.append(f"the share was changed ({spans}): the arms' units are of different times; compare with care")
    if seen.moved:
        said.append(f"{seen.moved:,} units were moved to the other arm: only what they did in their first counts")
    return said


def _title(one: Finding) -> str:
    units = {"quality": "quality", "errors": "failed calls", "latency": "latency, ms", "cost": "cost a call, USD"}
    return units[one.name]


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name == "cost":
        return dollars(usd(round(value)))
    if name == "latency":
        return f"{value:,.0f}"
    return f"{value:.1%}"


def _arm(arm: ArmSeen) -> dict[str, Any]:
    return {
        "units": arm.exposed, "calls": arm.calls, "graded_calls": arm.scored, "priced_calls": arm.priced,
        "cost_usd": f"{usd(arm.pico_usd):f}",
    }  # fmt: skip


def _finding(one: Finding) -> dict[str, Any]:
    treatment, control = one.treatment, one.control
    if one.name == "cost":
        treatment, control = (None if mean is None else mean / 1e12 for mean in (treatment, control))
    return {
        "treatment": treatment, "control": control, "change": one.change, "low": one.low, "high": one.high,
        "p": one.p, "p_harm": one.p_harm, "margin": one.margin, "state": one.state, "units_needed": one.needed,
    }  # fmt: skip


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
