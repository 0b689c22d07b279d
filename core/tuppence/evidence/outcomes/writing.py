"""Outcomes into a file, so that what was imported or graded once need not be again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from tuppence.evidence.outcomes.native import row_of
from tuppence.evidence.outcomes.rows import Outcomes
from tuppence.recording.files import append_line

__all__ = ["append_line", "write_outcomes"]


def write_outcomes(path: str | os.PathLike[str], outcomes: Iterable[Outcomes]) -> int:
    """Append questions to a JSONL file that `read_outcomes` reads the same; return how many.

    Raises `OSError` where the file cannot be written.
    """
    written = 0
    with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
        for one in outcomes:
            file.write(json.dumps(row_of(one), ensure_ascii=False, separators=(",", ":")) + "\n")
            written += 1
    return written
