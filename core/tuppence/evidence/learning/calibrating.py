"""From labelled outcomes to a promise: learn a check on some of the labels, certify a threshold for it on the others.
No label does both, for the promise would not hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tuppence.checks.learned import LearnedModel
from tuppence.errors import ConfigError
from tuppence.evidence.certificate import (
    Certificate,
    Certified,
    Objective,
    Reference,
    Verdict,
    certify,
    dominated,
    hopeless,
    issue,
    reference,
)
from tuppence.evidence.certificate.using import check_path
from tuppence.evidence.learning.climbing import STRICTEST, asked, ladder, scores, thresholds
from tuppence.evidence.learning.labelled import FloatArray, Labelled, labelled, whole
from tuppence.evidence.learning.ordering import cheapest_order, margin_of
from tuppence.evidence.learning.scoring import scored
from tuppence.evidence.learning.training import train
from tuppence.evidence.outcomes import Outcomes
from tuppence.tiers import Tier

# Measured on cascades of two models with 1,000 labels: learning from more makes the check little better, and every
# label that does not certify makes the promise weaker.
_LEARNING_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Dropped:
    """A tier that is asked neither for its answer nor for its opinion."""

    tier: str
    reason: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """What came of the labels: a check, and what may be promised of it."""

    verdict: Verdict
    model: LearnedModel | None
    """None where there was nothing to learn it for."""
    reference: dict[str, Reference]
    """What the check's scores were like on the labels that certify, by tier."""
    tiers: tuple[str, ...] = ()
    """Those given, in the order given; the model may leave some out, and ask them in another."""
    dropped: tuple[Dropped, ...] = ()
    """Tiers and helpers that are not worth asking."""
    skipped: int = 0
    """Rows that were left out, because a tier was not asked, graded or priced on them."""

    def certificate(self, configured: Sequence[Tier] = ()) -> Certificate:
        """Make the certificate; raises `ConfigError` where nothing was certified.

        It is bound to what the outcomes call the tiers; of those among `configured`, by name or model, to their models
        and to what they add to prompts as well.
        """
        if self.model is None or not isinstance(self.verdict, Certified):
            raise ConfigError(f"there is no certificate to save: {self.verdict.words}")
        return issue(
            self.verdict, tiers=[_known(name, configured) for name in self.model.tiers],
            helpers=[_known(name, configured) for name in _named(self.model.helper)],
            learned_version=self.model.version, route_version=self.reordered, reference=self.reference,
        )  # fmt: skip

    @property
    def reordered(self) -> str:
        """Which tiers are asked, in their order; empty where they are those given."""
        return "" if self.model is None or self.model.tiers == self.tiers else " > ".join(self.model.tiers)

    def save(self, path: str | os.PathLike[str], *, configured: Sequence[Tier] = ()) -> Path:
        """Write the certificate, and the learned check beside it; return the check's path."""
        certificate, beside = self.certificate(configured), check_path(path)
        assert self.model is not None
        self.model.save(beside)
        certificate.save(path)
        return beside


def calibrate(
    rows: Iterable[Outcomes], *, tiers: Sequence[str], helper: str | None = None, target: float = 0.95,
    delta: float = 0.1, objective: Objective | None = None, seed: int = 0,
) -> Calibration:  # fmt: skip
    """Learn and certify a cascade of `tiers` (models or tier names as in the rows, cheapest first).

    The promise: with probability 1 - `delta` the cascade keeps at least `target` of the last tier's mean score, on
    questions drawn as the labelled ones were. `helper` is asked for its opinion only. Tiers and helpers that another
    one beats in both price and quality are left out. `seed` decides which labels teach and which certify: choose it
    before looking. Raises `ConfigError` where the rows cannot be used.
    """
    all_rows = list(rows)
    labels = labelled(all_rows, tiers=tiers, helper=helper)
    learning, _ = labels.split(_LEARNING_SHARE, seed=seed)
    dropped = _not_worth_asking(learning)
    if dropped:
        names = {one.tier for one in dropped}
        kept = [tier for tier in tiers if tier not in names]
        # The same questions: the split is the same, and no label changes sides.
        usable = whole(all_rows, (*tiers, *_named(helper)))
        if len(kept) < 2:
            return replace(_refused(labels, target, delta), dropped=dropped)
        labels = labelled(usable, tiers=kept, helper=None if helper in names else helper)
    found = calibrate_labelled(labels, target=target, delta=delta, objective=objective, seed=seed)
    dropped = (*dropped, *_passed_over(found))
    return replace(found, tiers=tuple(tiers), dropped=dropped, skipped=len(all_rows) - len(labels))


def calibrate_labelled(
    labels: Labelled, *, target: float, delta: float, objective: Objective | None = None, seed: int = 0
) -> Calibration:
    """Do as `calibrate` does with outcomes that were read already, and with all their tiers."""
    nothing = hopeless(labels.tiers, labels.cost_usd, target=target, delta=delta)
    if nothing is not None:
        return Calibration(nothing, None, {}, labels.tiers)
    learning, certifying = labels.split(_LEARNING_SHARE, seed=seed)
    if len(labels.tiers) > 2:
        order = cheapest_order(learning, target=target, margin=margin_of(len(certifying), delta))
        learning, certifying = learning.climbing(order), certifying.climbing(order)
    model = train(learning)
    tried = thresholds(scores(model, learning))
    verdict = certify(
        ladder(model, learning, tried), ladder(model, certifying, tried), target=target, delta=delta,
        objective=objective or Objective(),
    )  # fmt: skip
    threshold = verdict.threshold if isinstance(verdict, Certified) else STRICTEST
    return Calibration(verdict, model, _references(model, certifying, float(threshold)), labels.tiers)


def _references(model: LearnedModel, labels: Labelled, threshold: float) -> dict[str, Reference]:
    """Describe each tier's scores on the questions that come to it: live, a higher tier sees what the lower failed."""
    found, coming = scored(model, labels), asked(model, labels, np.array([threshold]))[0]
    shown = found.kept_up_to if labels.helper is None else found.told("scores", np.array(threshold))
    known = {}
    for column, tier in enumerate(model.tiers[:-1]):
        if coming[:, column].any():
            known[f"score.{tier}"] = reference(shown[coming[:, column], column])
    return known


def _passed_over(found: Calibration) -> list[Dropped]:
    asked = found.tiers if found.model is None else found.model.tiers
    reason = "to ask it as well is not expected to save anything"
    return [Dropped(tier, reason) for tier in found.tiers if tier not in asked]


def _not_worth_asking(labels: Labelled) -> tuple[Dropped, ...]:
    """Find dominated tiers and helpers. The last tier stays: it is what savings are measured against."""
    names = (*labels.tiers, *_named(labels.helper))
    quality, usd = _beside(labels.quality, labels.helper_quality), _beside(labels.cost_usd, labels.helper_usd)
    found = dominated(names, quality[:, : len(names)], usd[:, : len(names)])
    return tuple(Dropped(one.tier, one.reason) for one in found if one.tier != labels.tiers[-1])


def _beside(tiers: FloatArray, helper: FloatArray) -> FloatArray:
    return np.column_stack((tiers, helper))


def _refused(labels: Labelled, target: float, delta: float) -> Calibration:
    """Refuse a ladder of which only the strongest tier is left."""
    alone = hopeless(labels.tiers[-1:], labels.cost_usd[:, -1:], target=target, delta=delta)
    assert alone is not None
    return Calibration(alone, None, {})


def _known(name: str, configured: Sequence[Tier]) -> Tier | str:
    """Find the tier that the outcomes call so; it keeps that name, by which its scores were learned."""
    named = [tier for tier in configured if tier.name == name] or [tier for tier in configured if tier.model == name]
    return replace(named[0], name=name) if named else name


def _named(helper: str | None) -> tuple[str, ...]:
    return () if helper is None else (helper,)
