"""Judgements in a SQLite file that the processes of a machine share and `tuppence judge report` reads.

They are few and come from a thread of their own, so each is committed before `add` returns, and another process's lock
is waited for. Text is kept only where somebody asked for examples.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tuppence.cache.stores.sqlite_file import SharedConnection, create
from tuppence.errors import CacheError, ConfigError
from tuppence.evidence.judging.judgements import Judgement

Redact = Callable[[str], str]

_TYPES = {
    "call_id": "TEXT NOT NULL", "at": "REAL NOT NULL", "tier": "TEXT NOT NULL", "policy_version": "TEXT NOT NULL",
    "tenant": "TEXT", "mode": "TEXT NOT NULL", "judge": "TEXT NOT NULL", "instructions": "TEXT NOT NULL",
    "status": "TEXT NOT NULL", "accuracy": "INTEGER", "fluency": "INTEGER", "preference": "REAL",
    "leaning": "TEXT NOT NULL", "pico_usd": "INTEGER", "count": "INTEGER NOT NULL", "question": "TEXT NOT NULL",
    "answer": "TEXT NOT NULL", "reason": "TEXT NOT NULL",
}  # fmt: skip
_NO_TEXTS = {"question": "", "answer": "", "reason": ""}
# The version is in the name, so that another version may live in the same file.
_TABLE = "judgements_v1"
_COLUMNS = ", ".join(f'"{name}"' for name in _TYPES)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS {_TABLE} (
    id INTEGER PRIMARY KEY, {", ".join(f'"{name}" {kind}' for name, kind in _TYPES.items())}
);
"""
_ADD = f"INSERT INTO {_TABLE} ({_COLUMNS}) VALUES ({', '.join('?' * len(_TYPES))})"
_READ = f"SELECT {_COLUMNS} FROM {_TABLE} ORDER BY id"
# Other processes add one short row each: this is long, and nobody's call waits for it.
_BUSY_MS = 5_000

assert list(_TYPES) == [field.name for field in fields(Judgement)]


class SqliteJudgements:
    """A `JudgementLog` in one file; `examples` keeps questions, answers and reasons too, as `redact` leaves them.

    Where `redact` raises, the judgement is kept without text. Raises `ConfigError` where the file cannot be opened, and
    `sqlite3.Error` for what fails later.
    """

    def __init__(self, path: str | os.PathLike[str], *, examples: bool = False, redact: Redact | None = None) -> None:
        self._given = (path, examples, redact)
        self._examples = examples
        self._redact = redact
        file = Path(path).absolute()
        try:
            create(file, _SCHEMA)
        except CacheError as error:
            raise ConfigError(
                f"judgements cannot be kept in {file} ({error.__cause__ or error}): name a writable SQLite file on a "
                "local disk, or a new one"
            ) from error
        self._rows = SharedConnection(file)

    def add(self, judgement: Judgement) -> None:
        texts = self._texts(judgement)
        row = [_storable(texts.get(name, getattr(judgement, name))) for name in _TYPES]

        def insert(rows: sqlite3.Connection) -> None:
            rows.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            rows.execute(_ADD, row)

        self._rows.run(insert)

    def _texts(self, judgement: Judgement) -> Mapping[str, str]:
        """Return what may be stored of the judgement's texts."""
        if not self._examples:
            return _NO_TEXTS
        texts = {name: getattr(judgement, name) for name in _NO_TEXTS}
        if self._redact is None:
            return texts
        try:
            return {name: self._redact(text) for name, text in texts.items()}
        except Exception:  # noqa: BLE001 - redaction is foreign code; what it cannot read must not be kept
            return _NO_TEXTS

    def read(self) -> Sequence[Judgement]:
        found = self._rows.run(lambda rows: rows.execute(_READ).fetchall())
        return [Judgement(**dict(zip(_TYPES, row, strict=True))) for row in found]

    def close(self) -> None:
        self._rows.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, self._given


def _rebuilt(path: str | os.PathLike[str], examples: bool, redact: Redact | None) -> SqliteJudgements:
    return SqliteJudgements(path, examples=examples, redact=redact)


def open_judgements(path: str | os.PathLike[str]) -> SqliteJudgements:
    """Open a file that holds judgements already, and never make one; raises `ConfigError` for any other."""
    file = Path(path).absolute()
    if not _has_judgements(file):
        raise ConfigError(
            f"{path} holds no judgements: give a Judge judgements={str(path)!r}, attach it to a model, and let it see "
            "some traffic"
        )
    return SqliteJudgements(file)


def _has_judgements(file: Path) -> bool:
    if not file.is_file():
        return False
    try:
        rows = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
        try:
            return rows.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_TABLE,)).fetchone() is not None
        finally:
            rows.close()
    except sqlite3.Error:
        return False


def _storable(value: object) -> object:
    # SQLite holds UTF-8, in which a lone surrogate of a broken answer has no place.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
