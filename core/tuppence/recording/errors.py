"""What is raised where traffic cannot be recorded."""

from __future__ import annotations

from tuppence.errors import TuppenceError


class RecordingError(TuppenceError, ValueError):
    """A call or feedback that is not recorded, or a file that cannot be written. No user's call fails by it."""
