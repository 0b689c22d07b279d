"""Is this answer good enough? Learned from answers that were labelled: how much quality is lost by keeping this one,
for the money that it saves?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from tuppence.attempts import Verdict
from tuppence.checks.compose import Composable
from tuppence.checks.learned.model import LEAST_AGREEMENT, LearnedModel, Opinion, Stage, read_model
from tuppence.checks.learned.traits import Traits, agreement_traits, traits_of
from tuppence.effects import Consult, Plan
from tuppence.request import Reply, Request

_SHOWN_TRAITS = 2


def score(loss: float, *, onward_usd: float, unit_usd: float) -> float:
    """Score an answer in (0, 1]: 1 / (1 + loss x unit / onward).

    `loss` is how much more probably the strongest tier is right than this answer, at least 0; `onward` what the next
    tier would cost; `unit` what the strongest costs on average. Among all ways to lose so much quality, keeping the
    answers with the lowest loss *per dollar saved* saves most (a fractional knapsack): a threshold t keeps those that
    lose no more than (1 - t) / t of an answer for each average answer of the strongest tier that is saved. The rule is
    that of J. Dekoninck et al., "A Unified Approach to Routing and Cascading for LLMs" (ICML 2025, arXiv:2410.10347),
    quality against cost at one price for both.
    """
    return 1.0 / (1.0 + max(0.0, loss) * unit_usd / onward_usd)


@dataclass(frozen=True, slots=True)
class Learned(Composable):
    """Scores an answer by what was learned from labelled ones."""

    model: LearnedModel

    @property
    def version(self) -> str:
        """A hash of what was learned: a certificate is about one version."""
        return self.model.version

    @property
    def names(self) -> frozenset[str]:
        return frozenset() if self.model.helper is None else frozenset({self.model.helper})

    def __call__(self, request: Request, reply: Reply) -> Verdict | Plan[Verdict]:
        if self.model.helper is not None:
            return self._with_opinion(request, reply, self.model.helper)
        before = next((draft for draft in reversed(reply.earlier) if draft.tier != reply.tier), None)
        if before is None or self.model.stage(reply.tier, before.tier) is None:
            return self._verdict(reply.tier, None, traits_of(request, reply, None))
        return self._verdict(reply.tier, before.tier, traits_of(request, reply, before))

    def _with_opinion(self, request: Request, reply: Reply, helper: str) -> Plan[Verdict]:
        traits, alone = traits_of(request, reply, None), self.model.stage(reply.tier, None)
        if alone is not None and alone.opinion is not None and not _worth_asking(alone, alone.opinion, traits):
            return self._judged(alone, traits)
        other = yield from Consult(helper, request, "agreement")
        if not isinstance(other, Reply):
            return Verdict(0.0, f"no second opinion from {helper}")
        return self._verdict(reply.tier, helper, {**traits, **agreement_traits(reply, other)})

    def _verdict(self, tier: str, other: str | None, traits: Traits) -> Verdict:
        stage = self.model.stage(tier, other)
        if stage is None:
            beside = "" if other is None else f" beside {other}'s"
            return Verdict(0.0, f"nothing was learned of {tier}'s answers{beside}")
        return self._judged(stage, traits)

    def _judged(self, stage: Stage, traits: Traits) -> Verdict:
        right, strongest = stage.right.probability(traits), stage.strongest_right.probability(traits)
        unasked = "" if stage.opinion is None else ", no opinion asked"
        return Verdict(
            score(strongest - right, onward_usd=math.exp(stage.onward_usd(traits)), unit_usd=self.model.unit_usd),
            f"right with {right:.2f}, the strongest tier with {strongest:.2f}{unasked}: {_speaks(stage, traits)}",
        )


def learned(model: LearnedModel | str | Path) -> Learned:
    """Score answers by a learned model, or the file that `tuppence calibrate` wrote it to.

    The threshold belongs to it: use the one that was certified. Raises `ConfigError` for a file that cannot be read.
    """
    return Learned(model if isinstance(model, LearnedModel) else read_model(model))


def _worth_asking(alone: Stage, opinion: Opinion, traits: Traits) -> bool:
    """Say whether a helper's opinion may save more than it costs.

    What it can save is the next tier's price, and only where it agrees. So at any threshold, and even if agreement
    removed all doubt, it is worth no more than that price times the probability that it agrees.
    """
    agrees = max(LEAST_AGREEMENT, opinion.agrees.probability(traits))
    return agrees * math.exp(alone.onward_usd(traits)) > math.exp(opinion.usd(traits))


def _speaks(stage: Stage, traits: Traits) -> str:
    """Name the traits that spoke loudest, and for what."""
    weights = stage.right.weights
    said = sorted(((weights[name] * value, name) for name, value in traits.items() if name in weights), key=_loudness)
    return ", ".join(f"{name} {spoke:+.1f}" for spoke, name in said[:_SHOWN_TRAITS])


def _loudness(said: tuple[float, str]) -> tuple[float, str]:
    return -abs(said[0]), said[1]
