"""What a month cost and how good its answers were, beside the same month on the strongest tier, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compound_parts.playing import Played
from compound_parts.traffic import KINDS
from tuppence.prices import usd
from tuppence.spend.waterfall import waterfall

_DRAWS = 2_000


def step(lever: str, found: Sequence[Played]) -> dict[str, Any]:
    """Say what a month came to, and which kind of call it went to."""
    return {
        "lever": lever,
        "usd": dollars(found),
        "quality": round(sum(one.quality for one in found) / len(found), 4),
        "usd_by_kind": {kind: dollars([one for one in found if one.asked.kind == kind]) for kind in KINDS},
        "answered_by": dict(Counter(str(one.result.tier) for one in found)),
        "attempts": sum(len(one.result.attempts) for one in found),
    }


def dollars(found: Sequence[Played]) -> float:
    return _rounded(sum(one.pico_usd for one in found))


def compared(before: Sequence[Played], after: Sequence[Played], *, seed: int = 0) -> dict[str, Any]:
    """Compare two runs of one month: `saved` and `quality_kept`, each with a 95% interval.

    Questions are drawn with replacement, and with each all calls that hang on the same graded question or the same
    conversation: they are no evidence of their own. `by_question` counts each of them once, however often it was asked:
    a few questions that everybody asks then weigh no more than the others.
    """
    sums = _by_cluster(before, after)
    drawn = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=_DRAWS)
    found: dict[str, Any] = {"clusters": len(sums)}
    for name, weighed in (("", sums), ("_by_question", sums / sums[:, 4:])):
        saved, kept = _ratios(drawn @ weighed)
        whole_saved, whole_kept = _ratios(weighed.sum(axis=0, keepdims=True))
        found |= {
            f"saved{name}": round(float(whole_saved[0]), 4), f"saved{name}_95": _interval(saved),
            f"quality_kept{name}": round(float(whole_kept[0]), 4), f"quality_kept{name}_95": _interval(kept),
        }  # fmt: skip
    return found


def hits(found: Sequence[Played]) -> dict[str, Any]:
    """Say what the caches served, as shares of all calls, and how much of it wrongly by the labels."""
    similar = [one for one in found if one.result.tier == "similar"]
    wrong = sum(one.result.reply.native.group != one.asked.group for one in similar if one.result.reply is not None)
    return {
        "exact": round(sum(one.result.tier == "cache" for one in found) / len(found), 4),
        "semantic": round(len(similar) / len(found), 4),
        "wrong_of_semantic": round(wrong / len(similar), 4) if similar else None,
    }


def read_back(ledger: Path) -> dict[str, Any]:
    """Read the waterfall of a ledger, which knows nothing of the runs without levers."""
    found = waterfall(ledger)
    return {
        "full_baseline_usd": _rounded(found.full_baseline),
        "steps_usd": {one.name: _rounded(one.pico_usd) for one in found.steps},
        "overhead_usd": {cause: _rounded(pico) for cause, pico in found.overhead.items()},
        "not_compared_usd": _rounded(found.not_compared),
        "paid_usd": _rounded(found.paid),
    }


def _rounded(pico: int) -> float:
    return round(float(usd(pico)), 6)


def _by_cluster(before: Sequence[Played], after: Sequence[Played]) -> Any:
    """Return costs and qualities, before and after, and calls, summed over what hangs together: (clusters, 5)."""
    found: dict[str, list[float]] = {}
    for one, other in zip(before, after, strict=True):
        asked = one.asked
        key = asked.graded.id if asked.graded is not None else asked.id.rpartition("/")[0]
        values = one.pico_usd / 1e12, other.pico_usd / 1e12, one.quality, other.quality, 1.0
        found[key] = [a + b for a, b in zip(found.get(key, [0.0] * 5), values, strict=True)]
    return np.array(list(found.values()))


def _ratios(sums: Any) -> tuple[Any, Any]:
    return 1 - sums[:, 1] / sums[:, 0], sums[:, 3] / sums[:, 2]


def _interval(values: Any) -> list[float]:
    return [round(float(one), 4) for one in np.percentile(values, (2.5, 97.5))]
