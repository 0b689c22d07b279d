"""What a user thought of a call, as one line of JSON. It may stand beside recorded traffic, in the same file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tuppence.recording.errors import RecordingError

KEY = "tuppence.feedback"
"""First key of every line, with the version of its form."""
VERSION = 1


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody thought of one call."""

    call_id: str
    """The call that it is about: of exported scores, the run, observation or trace."""
    score: float
    """From 0 (bad) to 1 (good)."""
    at: float
    """Unix seconds."""
    comment: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise RecordingError(
                f"feedback on call {self.call_id!r} is {self.score!r}: give a number from 0 (bad) to 1 (good)"
            )

    def line(self) -> bytes:
        """Return it as one line of JSON."""
        told: dict[str, Any] = {KEY: VERSION, "call_id": self.call_id, "score": self.score, "at": self.at}
        if self.comment:
            told["comment"] = self.comment
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"
