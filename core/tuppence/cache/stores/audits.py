"""Audits in a SQLite file: a restart begins with what was learned, and `tuppence cache audit` can read them.

Audits are few and come from a thread of their own, so each is committed before `add` returns. The two questions of an
audit are kept only where somebody asked for examples.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from pathlib import Path

from tuppence.cache.calibration import Audit
from tuppence.cache.stores.sqlite_file import SharedConnection, create, has_table

# The version is in the name, so that another version, or the cache itself, may live in the same file.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS audits_v1 (
    id INTEGER PRIMARY KEY, domain TEXT NOT NULL, probability REAL NOT NULL, same INTEGER NOT NULL, at REAL NOT NULL,
    question TEXT NOT NULL, served TEXT NOT NULL
);
"""
_ADD = "INSERT INTO audits_v1 (domain, probability, same, at, question, served) VALUES (?, ?, ?, ?, ?, ?)"
_READ = "SELECT domain, probability, same, at, question, served FROM audits_v1 ORDER BY id LIMIT -1 OFFSET ?"


class SqliteAudits:
    """An `AuditLog` in one file, which may be the cache's own.

    `examples` keeps the questions too, so that a report can show them. Raises `CacheError` where the file cannot be
    opened, and `sqlite3.Error` for what fails later.
    """

    def __init__(self, path: str | os.PathLike[str], *, examples: bool = False) -> None:
        self._examples = examples
        file = Path(path).absolute()
        create(file, _SCHEMA)
        self._rows = SharedConnection(file)
        # Also at the interpreter's exit, for programs that never close.
        self._close = weakref.finalize(self, self._rows.close)

    def add(self, audit: Audit) -> None:
        texts = (audit.question, audit.served) if self._examples else ("", "")
        row = (audit.domain, audit.probability, int(audit.same), audit.at, *texts)
        self._rows.run(lambda rows: rows.execute(_ADD, row))

    def read(self, after: int = 0) -> Sequence[Audit]:
        found = self._rows.run(lambda rows: rows.execute(_READ, (after,)).fetchall())
        return [Audit(domain, p, bool(same), at, asked, served) for domain, p, same, at, asked, served in found]

    def close(self) -> None:
        self._close()


def has_audits(path: Path) -> bool:
    """Say whether a file is a cache's in which audits may lie; never makes one."""
    return has_table(path, "audits_v1")
