"""Open what a user named in one word: a cache, a ledger, a recorder. Shared by every integration, so that a word
means the same everywhere.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tuppence.cache import (
    ExactCache,
    MemorySimilarStore,
    RedisSimilarStore,
    SemanticCache,
    SimilarStore,
    SqliteAudits,
    SqliteSimilarStore,
)
from tuppence.cache.calibration import AuditLog, MemoryAudits
from tuppence.cache.prefix import PrefixPlanner
from tuppence.cache.stores.opening import MEMORY, Place, exact_store, is_address
from tuppence.cache.stores.redis_audits import RedisAudits
from tuppence.effects import Record, Recorder, Shaper
from tuppence.embed.minilm import MiniLM
from tuppence.errors import ConfigError, LedgerError
from tuppence.prune.output import OutputLimits
from tuppence.recording import Recorder as FileRecorder
from tuppence.spend import Ledger, SqliteLedger
from tuppence.spend.ledger import PostgresLedger, default_place, places
from tuppence.spend.ledger.several import Ledgers
from tuppence.spend.output_lengths import past_outputs

if TYPE_CHECKING:
    from tuppence.spend.budgets import Budget, Budgets

BudgetsOption: TypeAlias = "Budgets | Budget | Sequence[Budget] | None"
CacheOption = ExactCache | str | Path | bool | None
LedgerOption = Ledger | str | Path | Sequence[Ledger | str | Path] | bool | None
LimitsOption = OutputLimits | bool | None
PrefixOption = PrefixPlanner | bool | None
RecordOption = Recorder | str | Path | Literal[False] | Sequence[Recorder | str | Path] | None

SEMANTIC = "semantic"

log = logging.getLogger("tuppence")

_ledgers: dict[Path | str, Ledger] = {}
_recorders: dict[Path, FileRecorder] = {}
_lock = threading.Lock()


def open_cache(option: CacheOption) -> ExactCache | None:
    """Open a cache: True or "memory" in this process, a path for a SQLite file, an address such as
    `redis://host:6379/0` or `redis+cluster://host:6379` for a Redis, False or None for none. "semantic", or
    "semantic:" before a path or an address, opens a semantic cache with the local model there.
    """
    if option is None or option is False:
        return None
    if isinstance(option, ExactCache):
        return option
    if option is True:
        return ExactCache(exact_store(MEMORY))
    if isinstance(option, str) and (place := semantic_place(option)) is not None:
        return SemanticCache(MiniLM(), similar=similar_store(place), store=exact_store(place))
    if isinstance(option, str | Path):
        return ExactCache(exact_store(option))
    raise ConfigError(
        f"cache is {option!r}: give True, 'memory', a file path, a redis:// URL, one of these words after 'semantic:', "
        "a cache, or None"
    )


def semantic_place(word: str) -> str | None:
    """Return where a word such as "semantic:answers.sqlite" puts a semantic cache; None for another word."""
    kind, _, place = word.partition(":")
    return (place or MEMORY) if kind == SEMANTIC else None


def similar_store(place: Place, **room: Any) -> SimilarStore:
    """Open the store of a semantic cache's entries; in a file or a Redis it stands beside that of exact repeats."""
    if place == MEMORY:
        return MemorySimilarStore(**room)
    return RedisSimilarStore(str(place), **room) if is_address(place) else SqliteSimilarStore(place, **room)


def audit_log(place: Place, *, examples: bool) -> AuditLog:
    """Open the log of a semantic cache's audits beside its entries; `examples` keeps the questions, too."""
    if place == MEMORY:
        return MemoryAudits()
    return RedisAudits(str(place), examples=examples) if is_address(place) else SqliteAudits(place, examples=examples)


def open_planner(option: PrefixOption) -> PrefixPlanner | None:
    """Open a planner of providers' prompt caches: True is a new one, False or None leaves prompts as they come."""
    if option is None or isinstance(option, bool):
        return PrefixPlanner() if option else None
    if isinstance(option, PrefixPlanner):
        return option
    raise ConfigError(f"prompt_cache is {option!r}: give True, a PrefixPlanner that models share, or None")


def open_shape(option: Sequence[Shaper]) -> tuple[Shaper, ...]:
    """Take the shapers of a policy, in their order."""
    if isinstance(option, list | tuple):
        return tuple(option)
    raise ConfigError(f"shape is {option!r}: give a list of shapers, such as [TidyPrompt(), HistoryShaper()]")


def open_limits(option: LimitsOption, ledger: Ledger | None) -> OutputLimits | None:
    """Open limits on the length of answers: True learns them from the ledger's calls and goes on as calls are made,
    False or None sets none. A ledger that cannot be read teaches nothing.
    """
    if option is None or option is False:
        return None
    if isinstance(option, OutputLimits):
        return option
    if option is not True:
        raise ConfigError(f"limits is {option!r}: give True, an OutputLimits that models share, or None")
    rows = databases(ledger)
    if not rows:
        return OutputLimits()
    try:
        return OutputLimits(past_outputs(rows[0].place))
    except LedgerError as error:
        log.warning("limits are learned from new calls only: %s", error)
        return OutputLimits()


def open_budgets(option: BudgetsOption) -> Budgets | None:
    """Open budgets: one or a list of them is counted in this process, `Budgets` where they say; None limits nothing."""
    if option is None:
        return None
    from tuppence.spend.budgets import Budget, Budgets

    if isinstance(option, Budgets):
        return option
    if isinstance(option, Budget):
        return Budgets(option)
    if isinstance(option, list | tuple) and all(isinstance(one, Budget) for one in option):
        return Budgets(*option) if option else None
    raise ConfigError(f"budgets is {option!r}: give a list such as [Budget(usd=20, per='day')], Budgets(...), or None")


def open_ledger(option: LedgerOption) -> Ledger | None:
    """Open a ledger: True or "default" is this user's default file, a path another file, a postgresql:// address a
    database, a list several of them and exporters beside each other, False or None keeps no ledger.

    One place is opened once a process, however many models write to it.
    """
    if option is None or option is False:
        return None
    if isinstance(option, list | tuple):
        return Ledgers(tuple(filter(None, map(open_ledger, option))))
    if option is True or option == "default":
        return _place_of_rows(default_place())
    if isinstance(option, str | Path):
        return _place_of_rows(option)
    if callable(getattr(option, "write", None)):
        return option  # type: ignore[return-value]
    raise ConfigError(
        f"ledger is {option!r}: give True, a file path, a postgresql:// address, a Ledger, a list of such, or None"
    )


def _place_of_rows(option: str | Path) -> Ledger:
    file = places.file_of(option)
    place = str(option) if file is None else file.resolve()
    with _lock:
        if place not in _ledgers:
            _ledgers[place] = PostgresLedger(place) if isinstance(place, str) else SqliteLedger(place)
        return _ledgers[place]


def databases(ledger: Ledger | None) -> list[SqliteLedger | PostgresLedger]:
    """List what of a ledger keeps rows that can be read again; an exporter keeps none."""
    if isinstance(ledger, Ledgers):
        return [found for one in ledger.ledgers for found in databases(one)]
    return [ledger] if isinstance(ledger, SqliteLedger | PostgresLedger) else []


def open_recorder(option: RecordOption) -> Recorder | None:
    """Open a recorder of calls with their texts: a path is a file of traffic, a list several of them or judges beside
    them, False or None keeps nobody's.

    One file is opened once a process, however many models record to it. Raises `RecordingError` where it cannot be
    written.
    """
    if option is None or option is False:
        return None
    if isinstance(option, str | Path):
        path = Path(option).expanduser().resolve()
        with _lock:
            if path not in _recorders:
                _recorders[path] = FileRecorder(path)
            return _recorders[path]
    if isinstance(option, list | tuple):
        return _Several(tuple(filter(None, map(open_recorder, option))))
    if callable(getattr(option, "record", None)):
        return option  # type: ignore[return-value]
    raise ConfigError(
        f"record is {option!r}: give a file path, a Recorder, a list of such, or None; texts are kept only "
        "where you say"
    )


@dataclass(frozen=True, slots=True)
class _Several:
    """Recorders side by side: one that fails keeps nothing from the others."""

    recorders: tuple[Recorder, ...]

    def record(self, call: Record, /) -> None:
        with ExitStack() as each:
            for one in self.recorders:
                each.callback(one.record, call)


def recorder_of_call(option: Any, usual: Recorder | None) -> Recorder | None:
    """Read what one call says of `record`: False leaves it out, True is the model's own recorder."""
    if option is None or option is False:
        return None
    if option is True and usual is not None:
        return usual
    raise ConfigError(f"record is {option!r} for this call: give False, or give the model itself a path or a Recorder")


def record_feedback(
    call_id: str, score: float, *, comment: str = "", ledger: LedgerOption = True, record: RecordOption = None
) -> None:
    """Write down what a person or a downstream check thought of a call, from 0 (bad) to 1 (good).

    `call_id` is what the answer's metadata says; `ledger` and `record` name the ledger and the recorded traffic as the
    model that answered does. `comment` is text, and so goes beside recorded traffic only. Raises `LedgerError` or
    `RecordingError` for a score that is none, `ConfigError` where neither keeps feedback.
    """
    traffic = open_recorder(record)
    if traffic is not None:
        if not isinstance(traffic, FileRecorder):
            raise ConfigError(f"record is {record!r}, which keeps no feedback: give a file path, or a Recorder")
        traffic.feedback(call_id, score, comment=comment)
    opened = open_ledger(ledger)
    if opened is None and traffic is not None:
        return
    rows = databases(opened)
    if not rows:
        raise ConfigError(
            f"ledger is {ledger!r}, which keeps no feedback: give True, a file path, or a postgresql:// address"
        )
    for one in rows:
        one.feedback(call_id, score)
