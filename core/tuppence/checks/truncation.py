"""Did the answer end where it should? Believes the provider's finish reason, and looks at the text only without one."""

from __future__ import annotations

from dataclasses import dataclass

from tuppence.attempts import Verdict
from tuppence.checks.compose import Composable
from tuppence.request import Reply, Request
from tuppence.signals import cut_off

_WHOLE = Verdict(1.0, "the answer came to its end")
_LENGTH = Verdict(0.0, "the answer stops at its token limit: raise max_tokens, or ask for a shorter answer")
_FILTERED = Verdict(0.0, "the provider's content filter cut the answer off")


@dataclass(frozen=True, slots=True)
class NotTruncated(Composable):
    """Scores 0 for an answer that stops before its end. Its last token is needed, so it never opens a stream."""

    def __call__(self, _request: Request, reply: Reply) -> Verdict:
        if reply.finish == "length":
            return _LENGTH
        if reply.finish == "content_filter":
            return _FILTERED
        if reply.finish is not None or reply.tool_calls:
            return _WHOLE
        sign = cut_off(reply.text)
        return _WHOLE if sign is None else Verdict(0.0, f"the answer seems cut off: {sign}")


def not_truncated() -> NotTruncated:
    """Reject answers that were cut off: by the token limit, by a content filter, or by every sign of the text."""
    return NotTruncated()
