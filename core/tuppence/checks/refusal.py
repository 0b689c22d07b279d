"""Did the model refuse? Told from the answer's opening alone, so that streams need not be held to their end."""

from __future__ import annotations

from dataclasses import dataclass

from tuppence.attempts import Verdict
from tuppence.checks.compose import Composable
from tuppence.request import Reply, Request
from tuppence.signals import REFUSAL_OPENING_CHARS, refusal

_ANSWERED = Verdict(1.0, "no refusal in the answer's opening")
_FILTERED = Verdict(0.0, "the provider's content filter stopped the answer at its beginning")


@dataclass(frozen=True, slots=True)
class NotRefused(Composable):
    """Scores 0 where the opening holds a refusal in one of fifteen languages, or a content filter cut it off."""

    def __call__(self, _request: Request, reply: Reply) -> Verdict:
        if reply.tool_calls:
            return _ANSWERED
        # Further on a filter leaves half an answer, which `not_truncated` is about: a stream may already be open.
        if reply.finish == "content_filter" and len(reply.text) < REFUSAL_OPENING_CHARS:
            return _FILTERED
        found = refusal(reply.text)
        return _ANSWERED if found is None else Verdict(0.0, f"the answer opens with a refusal: {found!r}")

    def opens(self, _request: Request, text: str) -> bool:
        """Open once the whole opening has come and holds no refusal."""
        return len(text) >= REFUSAL_OPENING_CHARS and refusal(text) is None


def not_refused() -> NotRefused:
    """Reject refusals: "I'm sorry, but I can't assist with that", "Dabei kann ich leider nicht helfen" ...

    Looks at the first `REFUSAL_OPENING_CHARS` characters. A translation *of* a refusal is taken for one, and costs an
    escalation. Saying that the context does not hold the answer is no refusal.
    """
    return NotRefused()
