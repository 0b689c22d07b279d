"""From how sure a trained model is to when it may be believed: a threshold whose promise holds on the user's own rows.

The rows are a split of their own: neither learned from nor tested on. The promise is the certificate's, the teacher's
answers count as right, and where the rows do not prove it no threshold is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuppence.distill.errors import DistillError
from tuppence.distill.evaluation import Answer, HeldOut, same_text
from tuppence.distill.evaluation.comparing import Score
from tuppence.prices import Rate
from tuppence.usage import Usage

if TYPE_CHECKING:
    from tuppence.evidence.certificate import Verdict

_STEPS = 120
_FINEST = 6.0
"""The grid goes from a confidence of 0 to 1 - 10^-6: trained models are sure of almost everything, and what tells
their answers apart lies close to 1."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """When the trained model's answer is kept."""

    threshold: float | None
    """Lowest confidence that is believed; None where nothing could be promised."""
    kept_share: float
    """Of the calibration rows, at that threshold."""
    accuracy: float | None
    """Mean score of what is kept there; None where nothing is."""
    verdict: Verdict

    @property
    def words(self) -> str:
        """The finding as sentences."""
        if self.threshold is None:
            return self.verdict.words
        return (
            f"{self.verdict.words}. It answers {self.kept_share:.1%} itself, and {self.accuracy or 0.0:.1%} of that as "
            "the teacher would"
        )


def calibrate(
    rows: Sequence[HeldOut], answers: Sequence[Answer], *, small: Rate, teacher: Rate, target: float = 0.95,
    delta: float = 0.1, score: Score = same_text, seed: int = 0,
) -> Calibration:  # fmt: skip
    """Find the lowest threshold at which, with probability 1 - `delta`, the cascade gives at least `target` of the
    answers that the teacher would.

    `answers` are the trained model's to `rows`, with confidences. The rates price them; the teacher is charged for the
    same tokens, and for as many as the trained model wrote. `seed` orders the rows: choose it before looking. Raises
    `DistillError` where an answer has no confidence or no price.
    """
    import numpy as np

    from tuppence.evidence.certificate import Certified, Ladder, certify

    order = np.random.default_rng(seed).permutation(len(rows))
    sure = np.array([_confidence(answers[at]) for at in order])
    right = np.array([score(rows[at].expected, answers[at].text) for at in order])
    small_usd, teacher_usd = (np.array([_usd(rate, answers[at]) for at in order]) for rate in (small, teacher))
    tried = 1.0 - 10.0 ** -np.linspace(_FINEST, 0.0, _STEPS)
    kept = sure[None, :] >= tried[:, None]
    found = Ladder(
        thresholds=tried, quality=np.where(kept, right, 1.0), cost=small_usd + np.where(kept, 0.0, teacher_usd),
        strongest_quality=np.ones(len(order)), strongest_cost=teacher_usd,
    )  # fmt: skip
    nothing = Ladder(tried, found.quality[:, :0], found.cost[:, :0], right[:0], teacher_usd[:0])
    verdict = certify(nothing, found, target=target, delta=delta)
    threshold = verdict.threshold if isinstance(verdict, Certified) else None
    believed = sure >= threshold if threshold is not None else np.zeros(len(order), dtype=bool)
    accuracy = float(right[believed].mean()) if believed.any() else None
    return Calibration(threshold, float(believed.mean()), accuracy, verdict)


def _confidence(answer: Answer) -> float:
    if answer.confidence is None:
        raise DistillError(
            f"the answer {answer.text[:40]!r} came without log-probabilities: the server must give them, or the "
            "contender a confidence"
        )
    return answer.confidence


def _usd(rate: Rate, answer: Answer) -> float:
    pico = rate.cost(Usage(input=answer.input_tokens, output=answer.output_tokens))
    if pico is None:
        raise DistillError(f"an answer has no price by {rate.version}: give a rate by tokens to calibrate with")
    return pico / 1e12
