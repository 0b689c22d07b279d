"""What can be wrong with a server of one's own; the message says the cause, the value and the fix."""

from __future__ import annotations

from tuppence.errors import TuppenceError


class SelfHostError(TuppenceError):
    """A server that cannot be started, reached or told what it was asked to do."""
