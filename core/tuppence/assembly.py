"""Open what a user named in one word: a cache, a ledger. Shared by every integration, so that a word means the
same everywhere.
"""

from __future__ import annotations

import threading
from pathlib import Path

from tuppence.cache import ExactCache, MemoryStore, SqliteStore
from tuppence.cache.stores.redis import RedisStore
from tuppence.errors import ConfigError
from tuppence.spend import Ledger, SqliteLedger, default_path

CacheOption = ExactCache | str | Path | bool | None
LedgerOption = Ledger | str | Path | bool | None

_ledgers: dict[Path, SqliteLedger] = {}
_lock = threading.Lock()


def open_cache(option: CacheOption) -> ExactCache | None:
    """Open an exact cache: True or "memory" in this process, a path for a SQLite file, an address such as
    `redis://host:6379/0` or `redis+cluster://host:6379` for a Redis, False or None for none.
    """
    if option is None or option is False:
        return None
    if isinstance(option, ExactCache):
        return option
    if option is True or option == "memory":
        return ExactCache(MemoryStore())
    if isinstance(option, str) and "://" in option:
        return ExactCache(RedisStore(option))
    if isinstance(option, str | Path):
        return ExactCache(SqliteStore(option))
    raise ConfigError(f"cache is {option!r}: give True, 'memory', a file path, a redis:// URL, an ExactCache, or None")


def open_ledger(option: LedgerOption) -> Ledger | None:
    """Open a ledger: True is this user's default file, a path another file, False or None keeps no ledger.

    One file is opened once a process, however many models write to it.
    """
    if option is None or option is False:
        return None
    if option is True:
        option = default_path()
    if isinstance(option, str | Path):
        path = Path(option).expanduser().resolve()
        with _lock:
            if path not in _ledgers:
                _ledgers[path] = SqliteLedger(path)
            return _ledgers[path]
    if callable(getattr(option, "write", None)):
        return option
    raise ConfigError(f"ledger is {option!r}: give True, a file path, a Ledger, or None")


def record_feedback(call_id: str, score: float, *, ledger: LedgerOption = True) -> None:
    """Write down what a person or a downstream check thought of a call, from 0 (bad) to 1 (good).

    `call_id` is what the answer's metadata says; `ledger` names the ledger as the model that answered does. Raises
    `LedgerError` for a score that is none, `ConfigError` where the ledger keeps no feedback.
    """
    opened = open_ledger(ledger)
    if not isinstance(opened, SqliteLedger):
        raise ConfigError(f"ledger is {ledger!r}, which keeps no feedback: give True, a file path, or a SqliteLedger")
    opened.feedback(call_id, score)
