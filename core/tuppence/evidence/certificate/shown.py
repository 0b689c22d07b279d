"""A verdict as a table for people and as JSON for programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tuppence.evidence.certificate.verdicts import Certified, NoSaving, NotCertifiable, Span, Trial, Verdict
from tuppence.spend.figures import dollars

if TYPE_CHECKING:
    from rich.table import Table

# A screenful: neighbours differ little, and the JSON has them all.
_ROWS = 14
_SPELT = {Certified: "certified", NotCertifiable: "not certifiable", NoSaving: "no saving"}


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Describe a verdict in plain JSON; money is exact decimal text, what has no limit is null."""
    told: dict[str, Any] = {
        "outcome": _SPELT[type(verdict)], "verdict": verdict.words, "target": verdict.target, "delta": verdict.delta,
        "labels": {"train": verdict.labels.train, "certify": verdict.labels.certify},
        "trials": [_trial(one) for one in verdict.trials],
    }  # fmt: skip
    if isinstance(verdict, Certified):
        told |= _certified(verdict)
    elif isinstance(verdict, NotCertifiable):
        told |= {
            "more_labels": verdict.more_labels, "threshold": _finite(verdict.threshold), "saved": verdict.saved,
            "quality_ratio": verdict.quality_ratio,
        }  # fmt: skip
    else:
        told |= {
            "strongest_usd_per_call": f"{verdict.strongest_per_call:f}",
            "cheapest_usd_per_call": f"{verdict.cheapest_per_call:f}",
        }
    return told


def as_table(verdict: Verdict) -> Table:
    """Lay out the thresholds that were tested, strictest first, and mark the one that is taken."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    waits = any(one.latency is not None for one in verdict.trials)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    names = ["threshold", "quality", "of strongest", "USD a call", "saved", "wealth", *(["p95, ms"] if waits else [])]
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("")
    for one in _worth_showing(verdict):
        table.add_row(*(Text(cell) for cell in _cells(one, verdict, waits)))
    return table


def notes(verdict: Verdict) -> list[str]:
    """Say what a reader must know beside the table."""
    if not verdict.trials:
        return []
    untested = sum(not one.tested for one in verdict.trials)
    said = [f"a threshold is certified where its wealth reaches {1.0 / verdict.delta:g}; the first that fails ends it"]
    if untested:
        said.append(f"{untested} looser thresholds were not tested")
    return said


def _worth_showing(verdict: Verdict) -> list[Trial]:
    """Keep the ends of what was tested, what was taken, and some between them."""
    tested = [one for one in verdict.trials if one.tested]
    step = max(1, math.ceil(len(tested) / _ROWS))
    last_certified = sum(one.certified for one in tested) - 1
    return [
        one
        for place, one in enumerate(tested)
        if place % step == 0 or place in (last_certified, len(tested) - 1) or _is_taken(one, verdict)
    ]


def _is_taken(one: Trial, verdict: Verdict) -> bool:
    return isinstance(verdict, Certified) and one.threshold == verdict.threshold


def _cells(one: Trial, verdict: Verdict, waits: bool) -> list[str]:
    state = "taken" if _is_taken(one, verdict) else "certified" if one.certified else "failed"
    p95 = [] if not waits else ["" if one.latency is None else f"{one.latency.p95_ms:,.0f}"]
    return [
        _setting(one), f"{one.quality:.1%}", f"{one.quality_ratio:.1%}", dollars(one.usd_per_call),
        f"{one.saved:.1%}", _wealth(one.log_wealth), *p95, state,
    ]  # fmt: skip


def _setting(one: Trial) -> str:
    keeps_none = one.saved == 0.0 and one.quality_ratio == 1.0
    return "strongest only" if keeps_none else f"{one.threshold:.4g}"


def _wealth(log_wealth: float | None) -> str:
    if log_wealth is None:
        return ""
    # Beyond a million nobody compares any more, and far beyond it the number would overflow.
    return f"{math.exp(log_wealth):.3g}" if log_wealth < math.log(1e6) else "> 1,000,000"


def _certified(verdict: Certified) -> dict[str, Any]:
    saving = verdict.saving
    return {
        "threshold": _finite(verdict.threshold), "quality_ratio": _span(verdict.quality_ratio),
        "saving": {
            "usd_per_call": f"{saving.per_call:f}", "usd_per_call_low": f"{saving.low:f}",
            "usd_per_call_high": f"{saving.high:f}", "usd_per_1000_calls": f"{saving.per_1000:f}",
            "share": _span(saving.share), "strongest_usd_per_call": f"{saving.strongest_per_call:f}",
        },
        "latency_ms": _latency(verdict), "log_wealth": verdict.log_wealth,
    }  # fmt: skip


def _trial(one: Trial) -> dict[str, Any]:
    return {
        "threshold": _finite(one.threshold), "tested": one.tested, "certified": one.certified,
        "log_wealth": one.log_wealth, "quality": one.quality, "quality_ratio": one.quality_ratio,
        "usd_per_call": f"{one.usd_per_call:f}", "saved": one.saved, "latency_ms": _latency(one),
    }  # fmt: skip


def _latency(one: Trial | Certified) -> dict[str, float] | None:
    return None if one.latency is None else {"mean": one.latency.mean_ms, "p95": one.latency.p95_ms}


def _span(span: Span) -> dict[str, float | None]:
    return {"value": _finite(span.value), "low": _finite(span.low), "high": _finite(span.high)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
