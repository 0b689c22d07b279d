"""What the program tells its parent: events as JSON lines, and why it refuses. Nothing else may reach that pipe."""

from __future__ import annotations

import json
import os
from typing import Any, TextIO


class Refused(Exception):
    """Why the training cannot be done: a kind that the parent knows, and what was found."""

    def __init__(self, kind: str, found: str) -> None:
        super().__init__(found)
        self.kind = kind


def _apart() -> TextIO:
    """Keep standard output for events: whatever libraries print goes to standard error, which is the log."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


_events = _apart()


def say(**event: Any) -> None:
    """Tell the parent."""
    _events.write(json.dumps(event) + "\n")
    _events.flush()
