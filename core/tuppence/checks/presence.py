"""Is there an answer at all? Never looks at what it says."""

from __future__ import annotations

from dataclasses import dataclass

from tuppence.attempts import Verdict
from tuppence.checks.compose import Composable
from tuppence.request import Reply, Request

_THERE = Verdict(1.0, "there is an answer")
_EMPTY = Verdict(0.0, "the answer is empty: no text and no tool call")


@dataclass(frozen=True, slots=True)
class NotEmpty(Composable):
    """Scores 1 for any text that is not blank, or any tool call."""

    def __call__(self, _request: Request, reply: Reply) -> Verdict:
        text = reply.text
        return _THERE if reply.tool_calls or (text and not text.isspace()) else _EMPTY

    def opens(self, _request: Request, text: str) -> bool:
        """Open with the first character that is not blank."""
        return bool(text) and not text.isspace()


def not_empty() -> NotEmpty:
    """Reject answers without any text or tool call."""
    return NotEmpty()
