"""How probable was the answer to the model that wrote it? Needs log-probabilities, which cost no extra tokens."""

from __future__ import annotations

from dataclasses import dataclass

from tuppence.attempts import Verdict
from tuppence.checks.compose import Composable
from tuppence.request import Reply, Request
from tuppence.signals import sequence_probability as probability_of

_NONE = Verdict(0.0, "no log-probabilities came with the answer: ask for them (logprobs=True), or use another check")


@dataclass(frozen=True, slots=True)
class SequenceProbability(Composable):
    """Scores the geometric mean of the token probabilities; 0 where none came."""

    def __call__(self, _request: Request, reply: Reply) -> Verdict:
        if not reply.logprobs:
            return _NONE
        score = probability_of(reply.logprobs)
        return Verdict(score, f"mean token probability {score:.3f} over {len(reply.logprobs)} tokens")


def sequence_probability() -> SequenceProbability:
    """Score answers by the mean probability of their tokens (see `tuppence.signals.sequence_probability`)."""
    return SequenceProbability()
