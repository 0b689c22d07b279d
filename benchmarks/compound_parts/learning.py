"""What the learning half teaches: a check of cheap answers, and how many of them may be kept.

Each model answers calls of the learning month alone, after pruning, so that labels are of the prompts and the prices
that the cascade will see. One call a graded question: several that borrow the same outcomes would be one label counted
several times. Nothing of the judged half is read here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compound_parts.playing import Played, played
from compound_parts.stack import Learned, Setting, alone
from compound_parts.traffic import Asked
from tuppence.evidence.certificate import Certified
from tuppence.evidence.learning.calibrating import calibrate_labelled
from tuppence.evidence.learning.climbing import expected_ladder, scores, thresholds
from tuppence.evidence.learning.labelled import Labelled, labelled
from tuppence.evidence.learning.training import train
from tuppence.evidence.outcomes import Outcome, Outcomes


def learned(month: Sequence[Asked], setting: Setting, *, target: float, delta: float) -> Learned:
    """Certify a cascade that keeps `target` of the strongest tier's quality; where that cannot be proved, take the
    cheapest threshold that is expected to, and say that it is not certified.
    """
    labels = _labels(month, setting)
    calibration = calibrate_labelled(labels, target=target, delta=delta)
    if calibration.model is not None and isinstance(calibration.verdict, Certified):
        return Learned(calibration.model, calibration.verdict.threshold, True)
    return _expected(labels, target)


def _expected(labels: Labelled, target: float) -> Learned:
    model = train(labels)
    tried = thresholds(scores(model, labels))
    found = expected_ladder(model, labels, tried)
    good = found.quality.mean(axis=1) >= target * labels.quality[:, -1].mean()
    at = int(np.argmin(np.where(good, found.cost.mean(axis=1), np.inf)))
    return Learned(model, min(1.0, float(tried[at])), False)


def _labels(month: Sequence[Asked], setting: Setting) -> Labelled:
    calls = {one.graded.id: one for one in month if one.graded is not None}.values()
    asked = (*setting.tiers, *(() if setting.helper is None else (setting.helper,)))
    by_model = {model: played(list(calls), alone(model, setting)) for model in asked}
    rows = [
        Outcomes(call.id, call.request.question, {model: _outcome(found[at]) for model, found in by_model.items()},
                 tags=call.request.tags)
        for at, call in enumerate(calls)
    ]  # fmt: skip
    return labelled(rows, tiers=setting.tiers, helper=setting.helper)


def _outcome(one: Played) -> Outcome:
    reply, attempt = one.result.reply, one.result.attempts[-1]
    assert reply is not None
    usage = attempt.usage
    return Outcome(
        one.quality, reply.text, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens,
        pico_usd=attempt.pico_usd,
    )  # fmt: skip
