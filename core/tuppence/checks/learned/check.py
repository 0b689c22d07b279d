"""Is this answer good enough? Learned from answers that were labelled: how much quality is lost by keeping this one,
for the money that it saves?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from tuppence.attempts import Verdict
from tuppence.checks.compose import Composable
from tuppence.checks.learned.model import Ahead, LearnedModel, Outlook, Stage, read_model
from tuppence.checks.learned.stopping import Limits, Prospect, limits, score
from tuppence.checks.learned.traits import Traits, agreement_traits, traits_of
from tuppence.effects import Consult, Plan, Undecided
from tuppence.request import Reply, Request

_SHOWN_TRAITS = 2


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
        if before is not None and self.model.stage(reply.tier, before.tier) is None:
            before = None
        other = None if before is None else before.tier
        return self._verdict(reply.tier, other, traits_of(request, reply, before))

    def _with_opinion(self, request: Request, reply: Reply, helper: str) -> Plan[Verdict]:
        traits, alone = traits_of(request, reply, None), self.model.stage(reply.tier, None)
        if alone is not None and alone.ahead is not None:
            found = self._limits(alone, alone.ahead, traits)
            if not (yield from Undecided(found.keep, found.straight)):
                return Verdict(found.alone, f"{_said(alone, traits)}, no opinion asked")
        other = yield from Consult(helper, request, "agreement")
        if not isinstance(other, Reply):
            return Verdict(0.0, f"no second opinion from {helper}")
        return self._verdict(reply.tier, helper, {**traits, **agreement_traits(reply, other)})

    def _verdict(self, tier: str, other: str | None, traits: Traits) -> Verdict:
        stage = self.model.stage(tier, other)
        if stage is None:
            beside = "" if other is None else f" beside {other}'s"
            return Verdict(0.0, f"nothing was learned of {tier}'s answers{beside}")
        if stage.ahead is not None:
            found = self._limits(stage, stage.ahead, traits)
            return Verdict(found.keep, _said(stage, traits), straight_above=found.straight)
        onward = math.exp(stage.onward_usd(traits))
        return Verdict(
            score(_loss(stage, traits), onward_usd=onward, unit_usd=self.model.unit_usd), _said(stage, traits)
        )  # fmt: skip

    def _limits(self, stage: Stage, ahead: Ahead, traits: Traits) -> Limits:
        prospect = Prospect(
            math.exp(ahead.usd(traits)), ahead.alike.probability(traits), _loss(ahead.if_alike, traits),
            _loss(ahead.if_not, traits),
        )  # fmt: skip
        # With a helper the answer that is kept then is this one, and one estimate of its loss must not belie another.
        loss = _loss(stage, traits) if self.model.helper is None else prospect.loss
        onward = math.exp(stage.onward_usd(traits))
        return limits(loss, prospect, onward_usd=onward, unit_usd=self.model.unit_usd)


def learned(model: LearnedModel | str | Path) -> Learned:
    """Score answers by a learned model, or the file that `tuppence calibrate` wrote it to.

    The threshold belongs to it: use the one that was certified. Raises `ConfigError` for a file that cannot be read.
    """
    return Learned(model if isinstance(model, LearnedModel) else read_model(model))


def _loss(told: Stage | Outlook, traits: Traits) -> float:
    return told.strongest_right.probability(traits) - told.right.probability(traits)


def _said(stage: Stage, traits: Traits) -> str:
    """Say how probable what is, and name the traits that spoke loudest, and for what."""
    weights = stage.right.weights
    spoke = sorted(((weights[name] * value, name) for name, value in traits.items() if name in weights), key=_loudness)
    loudest = ", ".join(f"{name} {one:+.1f}" for one, name in spoke[:_SHOWN_TRAITS])
    right, strongest = stage.right.probability(traits), stage.strongest_right.probability(traits)
    return f"right with {right:.2f}, the strongest tier with {strongest:.2f}: {loudest}"


def _loudness(spoke: tuple[float, str]) -> tuple[float, str]:
    return -abs(spoke[0]), spoke[1]
