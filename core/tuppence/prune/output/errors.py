"""What is wrong with an answer that was asked for in a short form."""

from __future__ import annotations

from tuppence.errors import TuppenceError


class AnswerError(TuppenceError, ValueError):
    """An answer that does not keep to the form it was asked for: ask again, with this message."""
