"""Is there money to save at all? What thresholds cost, which tiers are not worth asking, and when to give up at once.

Estimates with their standard errors. Nothing here promises quality: that is for `testing`.

Two rules, both one-sided at 2.5 standard errors (0.6% of the errors of a normal mean):

- A threshold saves where the saving's mean less 2.5 standard errors is above 0.
- A tier is dominated where another one is clearly cheaper, and clearly better or never worse. Clearly: the mean
  difference on the same questions is 2.5 standard errors from 0. Never worse: on no question out of at least 299, which
  bounds the share of questions on which it is worse to 1% with probability 95% (the rule of three, exactly).
  Equal means are not enough: a tier that is right where the other is wrong has its use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuppence.errors import ConfigError
from tuppence.evidence.certificate.ladder import FloatArray, Ladder
from tuppence.evidence.certificate.verdicts import Labels, NoSaving, amount
from tuppence.spend.figures import dollars

CLEAR = 2.5
"""Standard errors that make a difference clear."""
_SURELY_SAVES = 3.3
"""Standard errors of a saving that is promised: there is none once in two thousand times. At 2.5, of 342 pairs of
models tried a hundred times each, seven policies cost more on other questions than the strongest tier alone.
"""
_NEVER = 299
"""Questions without exception that leave at most 1%: .99^299 < .05."""


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """What each threshold costs and saves over all labels; arrays of (G,)."""

    usd: FloatArray
    """Mean cost a call."""
    saved_usd: FloatArray
    """Mean saving a call against the strongest tier alone, every call counted."""
    error_usd: FloatArray
    """Its standard error."""
    strongest_usd: float
    mean_ms: FloatArray | None
    p95_ms: FloatArray | None

    @property
    def saves(self) -> npt.NDArray[np.bool_]:
        """Say of each threshold whether it clearly saves money."""
        return np.asarray(self.saved_usd - _SURELY_SAVES * self.error_usd > 0.0)


def figures(*parts: Ladder) -> Figures:
    """Estimate costs and latencies from labelled questions of one policy, those it learned from too."""
    cost = np.concatenate([part.cost for part in parts], axis=1)
    strongest = np.concatenate([part.strongest_cost for part in parts])
    saved = strongest - cost
    waits = [part.latency_ms for part in parts if part.latency_ms is not None]
    latency = np.concatenate(waits, axis=1) if len(waits) == len(parts) else None
    return Figures(
        cost.mean(axis=1), saved.mean(axis=1), _error(saved), float(strongest.mean()),
        None if latency is None else latency.mean(axis=1),
        None if latency is None else np.asarray(np.percentile(latency, 95.0, axis=1)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dominated:
    """A tier that is not worth asking, neither for its answer nor for its opinion."""

    tier: str
    by: str
    """The cheaper one that does as well."""
    reason: str


def dominated(tiers: Sequence[str], quality: FloatArray, usd: FloatArray) -> list[Dominated]:
    """Find the tiers that a clearly cheaper one beats or equals everywhere; arrays of (questions, tiers).

    Give questions that the policy may learn from, not those that certify: which tiers a policy has is part of it.
    Where no difference is clear, a tier stays. Each is named with the cheapest that dominates it. The last tier may be
    among them; it stays what savings are measured against. Raises `ConfigError` for arrays that do not fit.
    """
    shape = (len(quality), len(tiers))
    if np.shape(quality) != shape or np.shape(usd) != shape:
        raise ConfigError(f"quality is {np.shape(quality)} and usd {np.shape(usd)}: both are (questions, {len(tiers)})")
    found = []
    for one in range(len(tiers)):
        for other in np.argsort(usd.mean(axis=0), kind="stable"):
            reason = _why_dominated(quality[:, one], quality[:, other], usd[:, one] - usd[:, other])
            if other != one and reason is not None:
                found.append(Dominated(tiers[one], tiers[other], f"{tiers[other]} is cheaper and {reason}"))
                break
    return found


def hopeless(tiers: Sequence[str], usd: FloatArray, *, target: float, delta: float) -> NoSaving | None:
    """Refuse at once where no tier below the last is clearly cheaper, even if every answer of it were kept.

    `usd` is (questions, tiers), strongest last. A helper does not count: where its opinion does not pay, it is not
    asked. Returns None where there may be something to save.
    """
    drafts = usd[:, :-1]
    saved = (usd[:, -1:] - drafts).T
    if (saved.mean(axis=1) + CLEAR * _error(saved) > 0.0).any():
        return None
    strongest = float(usd[:, -1].mean())
    costs = drafts.mean(axis=0)
    # A ladder of one tier has no draft at all.
    cheapest = int(np.argmin(costs)) if len(costs) else None
    if cheapest is None:
        reason = f"no tier beside {tiers[-1]} is worth asking"
    else:
        reason = (
            f"{tiers[cheapest]} costs ${dollars(amount(float(costs[cheapest])))} a call, {tiers[-1]} alone "
            f"${dollars(amount(strongest))}: even if every cheap answer were kept, nothing would be saved"
        )
    least = strongest if cheapest is None else float(costs[cheapest])
    return NoSaving(target, delta, Labels(len(usd), 0), reason, amount(strongest), amount(least))


def _why_dominated(quality: FloatArray, other: FloatArray, dearer: FloatArray) -> str | None:
    if not dearer.mean() - CLEAR * _error(dearer) > 0.0:
        return None
    better = other - quality
    if better.mean() - CLEAR * _error(better) > 0.0:
        return f"better: {other.mean():.1%} against {quality.mean():.1%}"
    if len(better) >= _NEVER and (better >= 0.0).all():
        return f"on none of {len(better):,} questions worse"
    return None


def _error(values: FloatArray) -> FloatArray:
    """Return the standard error of the mean along the last axis; infinite for a single value, which tells nothing."""
    count = values.shape[-1]
    if count < 2:
        return np.full(values.shape[:-1], math.inf)
    return np.asarray(values.std(axis=-1, ddof=1) / math.sqrt(count))
