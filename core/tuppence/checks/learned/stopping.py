"""When to stop, when to ask somebody else first, and when to go straight to the strongest tier. Arithmetic; no I/O.

To keep an answer is a loss where the strongest tier is the more probably right. If a right answer is worth so many
dollars, each way to go on has a price: what it costs and what is lost then. The cheapest is taken, as by J. Dekoninck
et al., "A Unified Approach to Routing and Cascading for LLMs" (ICML 2025, arXiv:2410.10347); and to ask somebody else
first is worth what it may spare (R. Howard, "Information Value Theory", IEEE Transactions on Systems Science and
Cybernetics 2, 1966). One threshold for all answers stands for one worth of a right one: among all ways to lose so much
quality this one saves most (a fractional knapsack).
"""

from __future__ import annotations

from typing import NamedTuple


class Prospect(NamedTuple):
    """What asking somebody else first would bring. A loss is below 0 where the answer is the better one."""

    usd: float
    """Its price, above 0."""
    alike: float
    """The probability that it says the same."""
    loss_if_alike: float
    """What is lost by then keeping an answer."""
    loss_if_not: float

    @property
    def loss(self) -> float:
        """What is lost by keeping an answer whatever comes."""
        return self.alike * self.loss_if_alike + (1.0 - self.alike) * self.loss_if_not


class Limits(NamedTuple):
    """Scores in [0, 1], in this order; the same where asking somebody else first is never the best."""

    keep: float
    """Up to this threshold the answer in hand is kept."""
    alone: float
    """What it would score if nobody else could be asked."""
    straight: float
    """Above this threshold it is not kept, and nobody else is worth asking first."""


def score(loss: float, *, onward_usd: float, unit_usd: float) -> float:
    """Score an answer in (0, 1]: 1 / (1 + loss x unit / onward), or 1 for a loss below 0.

    `loss` is how much more probably the strongest tier is right than this answer; `onward` what it costs not to keep
    it; `unit` what the strongest tier costs on average. A threshold t keeps the answers that lose no more than
    (1 - t) / t of an answer for each average answer of the strongest tier that is saved.
    """
    return _score(loss / onward_usd, unit_usd)


def limits(loss: float, prospect: Prospect, *, onward_usd: float, unit_usd: float) -> Limits:
    """Say at which thresholds to keep an answer, and at which to go straight on; between them somebody else is asked.

    Who is asked may be heeded in three ways: keep an answer whatever comes, keep one if both are alike, or keep one if
    they are not. Each loses something, and pays `onward` in the other cases. The answer in hand is kept where that
    loses less per dollar than any of the three would spare; going straight on is best where each of them would lose
    more per dollar than it saves. A better answer than the strongest tier's is not looked for where it costs more.
    """
    usd, alike, loss_if_alike, loss_if_not = prospect
    agreed, differed = alike * loss_if_alike, (1.0 - alike) * loss_if_not
    keep = straight = alone = loss / onward_usd
    for lost, kept in ((agreed + differed, 1.0), (agreed, alike), (differed, 1.0 - alike)):
        keep = max(keep, (loss - lost) / (usd + (1.0 - kept) * onward_usd))
        if kept * onward_usd > usd:
            straight = min(straight, lost / (kept * onward_usd - usd))
    return Limits(_score(keep, unit_usd), _score(alone, unit_usd), _score(straight, unit_usd))


def _score(loss_per_usd: float, unit_usd: float) -> float:
    return 1.0 / (1.0 + max(0.0, loss_per_usd) * unit_usd)
