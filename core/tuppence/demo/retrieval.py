"""Retrieval for both frameworks' chains: the passages that fit a question best, by BM25.

It is SQLite's own full-text index, in memory: nothing to install, nothing to download, and both chains read the same
passages. No model and no embedding has a part in it.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterable

from tuppence.demo.documents import Passage
from tuppence.errors import ConfigError


class PassageIndex:
    """An index over passages; safe to share between threads."""

    def __init__(self, passages: Iterable[Passage]) -> None:
        self._passages = tuple(passages)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            self._connection.execute("CREATE VIRTUAL TABLE passages USING fts5 (text, tokenize='porter unicode61')")
        except sqlite3.OperationalError as error:
            raise ConfigError(
                f"this Python's SQLite ({sqlite3.sqlite_version}) has no full-text index ({error}): use a Python whose "
                "SQLite has FTS5, as python.org's and the distributions' have"
            ) from error
        rows = ((number, f"{p.heading}\n{p.text}") for number, p in enumerate(self._passages))
        self._connection.executemany("INSERT INTO passages (rowid, text) VALUES (?, ?)", rows)

    def __len__(self) -> int:
        return len(self._passages)

    def search(self, question: str, *, limit: int) -> list[Passage]:
        """Return up to `limit` passages that share words with `question`, best first."""
        words = dict.fromkeys(re.findall(r"\w+", question.lower()))
        if not words:
            return []
        asked = " OR ".join(f'"{word}"' for word in words)
        query = "SELECT rowid FROM passages WHERE passages MATCH ? ORDER BY bm25(passages), rowid LIMIT ?"
        with self._lock:
            found = self._connection.execute(query, (asked, limit)).fetchall()
        return [self._passages[number] for (number,) in found]
