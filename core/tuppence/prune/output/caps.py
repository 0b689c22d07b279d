"""Which of the answers seen so far is long enough to be a limit, and whether the newest are still like the others.

Order statistics alone: nothing is assumed of how lengths are spread, so loops and other runaways change nothing. Both
questions rest on exchangeability: that calls come in no particular order. The second one tests that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

ENDLESS = math.inf
"""Length of an answer that was cut off: at least what was seen, so longer than any limit for all that is known."""

_ALARM = 0.005
"""How often one tail of a test may raise a false alarm; two tails speak against a cap, so one plan in a hundred."""
_RECENT_PART = 4
"""The newest fourth of the answers is compared with the three before."""


def calls_needed(cut_share: float) -> int:
    """Return the least number of past calls that a limit can be learned from: 99 for a share of 1%."""
    n = max(1, math.floor(1 / cut_share) - 2)
    while conformal_rank(n, cut_share) > n:
        n += 1
    return n


def conformal_rank(n: int, cut_share: float) -> int:
    """Return which of `n` lengths, counted from the shortest as 1, a further exchangeable call passes seldom enough.

    With probability of at most a = `cut_share`, on average over all that might have been seen: ceil((n + 1)(1 - a)),
    the conformal quantile (Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005; Lei et al., JASA
    113, 2018). Above `n` where too few were seen.
    """
    # A share such as 0.01 is no binary fraction: 100 * 0.99 must not be a hair above 99.
    return math.ceil(round((n + 1) * (1 - cut_share), 9))


def sure_rank(n: int, cut_share: float, confidence: float) -> int:
    """Return the rank, none below the conformal one, that with `confidence` over what was seen a share of at most
    `cut_share` of all further calls passes.

    The least k with P(Bin(n, a) <= n - k) <= 1 - confidence (Wilks, Ann. Math. Stat. 12, 1941). That takes 299 calls
    for 1% at 95%; with fewer the longest of all has to do.
    """
    return max(conformal_rank(n, cut_share), n - _beyond(n, cut_share, 1 - confidence))


def shifted(lengths: Sequence[float]) -> Literal["longer", "shorter"] | None:
    """Say whether the newest lengths are like the ones before; oldest first.

    Of the r answers above a quantile of all, the number that are recent is hypergeometric where order means nothing:
    Fisher's exact test, at the median and at the ninth decile. Ties lie below.
    """
    n = len(lengths)
    recent = lengths[n - n // _RECENT_PART :]
    ordered = sorted(lengths)
    for place in (n // 2, n * 9 // 10):
        level = ordered[place]
        above = sum(one > level for one in lengths)
        found = sum(one > level for one in recent)
        if _chance(n, above, len(recent), range(found, min(above, len(recent)) + 1)) < _ALARM:
            return "longer"
        if place == n // 2 and _chance(n, above, len(recent), range(found + 1)) < _ALARM:
            return "shorter"
    return None


def _beyond(n: int, share: float, risk: float) -> int:
    """Return how many lengths may lie above the limit: the largest m with P(Bin(n, share) <= m) <= risk, or 0."""
    below, m = math.exp(n * math.log1p(-share)), 0
    while m < n:
        below += math.exp(_log_ways(n, m + 1) + (m + 1) * math.log(share) + (n - m - 1) * math.log1p(-share))
        if below > risk:
            break
        m += 1
    return m


def _chance(n: int, above: int, drawn: int, counts: range) -> float:
    """Return the chance that so many of `drawn` out of `n`, `above` of them marked, are marked."""
    possible = range(max(counts.start, above + drawn - n, 0), min(counts.stop, above + 1, drawn + 1))
    all_ways = _log_ways(n, drawn)
    return sum(math.exp(_log_ways(above, k) + _log_ways(n - above, drawn - k) - all_ways) for k in possible)


def _log_ways(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
