"""How long answers were and how they ended, one line a call: what limits on the next answers are learned from.

Answers to callers only: hits and failures have no length of their own, a judge's grades are no answers. No text
is read, as the ledger holds none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tuppence.errors import LedgerError
from tuppence.spend.ledger.schema import read_only

_ANSWERS = """
    SELECT COALESCE(task, endpoint, ''), model, output, reasoning,
        CASE outcome WHEN 'abandoned' THEN 'abandoned' ELSE json_extract(extra, '$.finish') END
    FROM attempts
    WHERE output > 0 AND outcome IN ('accepted', 'rejected', 'abandoned', 'observed')
        AND started_us >= ?
    ORDER BY started_us, id
"""


class PastOutput(NamedTuple):
    """One answer."""

    task: str
    """The call's `task` tag, its `endpoint` where there is none, or nothing."""
    model: str
    output_tokens: int
    """Hidden reasoning included."""
    reasoning_tokens: int
    finish: str | None
    """`length` for an answer that a limit cut off, `abandoned` for one whose caller left; None where nobody said."""


def past_outputs(path: str | Path, *, since: float = 0.0) -> Iterator[PastOutput]:
    """Read the answers of the ledger at `path` from a moment on (Unix seconds), oldest first.

    Raises `LedgerError` for a file that is not a ledger.
    """
    path = Path(path).absolute()
    try:
        with closing(read_only(path)) as connection:
            for row in connection.execute(_ANSWERS, (int(since * 1e6),)):
                yield PastOutput(*row)
    except sqlite3.Error as error:
        raise LedgerError(f"the ledger {path} cannot be read ({error})") from error
