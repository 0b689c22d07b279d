"""The ledger's tables, the same in every database: one row an attempt, one row a piece of feedback, the sums of rows
that are there, and the sums of days whose rows are gone.

Prompt and answer text must never reach a row. Money is int64 pico-USD, NULL where it is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import JSON, REAL, BigInteger, Column, Float, Index, Integer, MetaData, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles

from tuppence.spend.ledger.rows import TAG_COLUMNS


class _StrictJson(JSON):
    """JSON in a STRICT table of SQLite, which has no type of that name."""


@compiles(_StrictJson, "sqlite")
def _text(*_: Any, **__: Any) -> str:
    return "TEXT"


_Int = BigInteger().with_variant(Integer, "sqlite")
_Real = Float(53).with_variant(REAL, "sqlite")
_Json = _StrictJson().with_variant(JSONB, "postgresql")

metadata = MetaData()

TOKEN_COLUMNS = (
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "audio_cache_read", "media_input",
    "output", "audio_output", "media_output", "reasoning",
)  # fmt: skip
LEVER_COLUMNS = ("prune_pico", "output_pico", "batch_pico", "self_host_pico")
"""Savings beside those of cache and route, on the row that answered (`attempts.Levers`); NULL where there are none."""

UNIQUE: Mapping[str, tuple[str, ...]] = {
    "attempts": ("call_id", "started_us", "n", "latency_ms"),
    "feedback": ("call_id", "at_us", "score"),
}

attempts = Table(
    "attempts",
    metadata,
    # In the order of writing.
    Column("id", _Int, primary_key=True),
    Column("call_id", Text, nullable=False),
    Column("n", Integer, nullable=False),
    # 1 on all rows of a further try of a call: `n = 1 AND again = 0` is true of one row a logical call.
    Column("again", Integer, nullable=False, server_default="0"),
    Column("started_us", _Int, nullable=False),
    Column("latency_ms", _Real),
    Column("tier", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("pico_usd", _Int),
    Column("price_version", Text),
    *(Column(name, _Int, nullable=False) for name in TOKEN_COLUMNS),
    Column("processing", Text),
    Column("score", _Real),
    Column("error", Text),
    Column("baseline_pico", _Int),
    Column("would_pico", _Int),
    *(Column(name, _Int) for name in LEVER_COLUMNS),
    Column("mode", Text),
    *(Column(name, Text) for name in TAG_COLUMNS),
    Column("tags", _Json),
    Column("policy_version", Text),
    Column("baseline", Text),
    Column("extra", _Json),
    # The same result written or imported twice is stored once, while a framework's retry under the same call id is a
    # row of its own.
    UniqueConstraint(*UNIQUE["attempts"]),
    Index("attempts_started", "started_us"),
    sqlite_strict=True,
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", _Int, primary_key=True),
    Column("call_id", Text, nullable=False),
    Column("at_us", _Int, nullable=False),
    Column("score", _Real, nullable=False),
    UniqueConstraint(*UNIQUE["feedback"]),
    sqlite_strict=True,
)

DAY_KEYS = (
    "tier", "model", "cause", "outcome", "status", "mode", "user", "endpoint", "task", "tenant", "workflow",
    "policy_version", "baseline",
)  # fmt: skip
"""What rolled-up days can still be grouped by; all but NULLs are as in the rows."""
DAY_SUMS = (
    # Rows with n = 1 and again = 0; those with n = 1 and again = 1; all rows.
    "calls", "further_tries", "attempts",
    *TOKEN_COLUMNS,
    # Of the priced rows, and how many were not.
    "pico_usd", "unpriced",
    # Of calls that can be compared: answering rows, their baselines, levers and cost, and the cost of all their rows.
    "compared", "baseline_pico", *LEVER_COLUMNS, "answer_pico", "compared_pico",
    # Priced rows with an estimate of what observed calls would have cost, that estimate, and their cost.
    "observed", "would_pico", "observed_pico",
)  # fmt: skip

days = Table(
    "days",
    metadata,
    Column("id", _Int, primary_key=True),
    # The first microsecond of the day, in UTC. One day may have several rows of one key: they are to be added up.
    Column("day_us", _Int, nullable=False),
    *(Column(name, Text) for name in DAY_KEYS),
    *(Column(name, _Int, nullable=False) for name in DAY_SUMS),
    Column("latency_ms", _Real, nullable=False),
    Index("days_day", "day_us"),
    sqlite_strict=True,
)

HOUR_LABELS = ("mode", "endpoint", "task", "tenant", "workflow", "policy_version", "baseline")
"""Labels that an attempt may lack; in sums of rows, '' says that it does."""
HOUR_KEYS = ("tier", "model", "cause", "outcome", "status", *HOUR_LABELS, "first", "again")
"""What the hours of rows that are there can be grouped by; `first` is 1 where n is."""
HOUR_SUMS = (
    "attempts", *TOKEN_COLUMNS,
    # Those of discounted lanes (`levers.DISCOUNTED`): read fresh, from the prompt cache, and written.
    "discounted_fresh", "discounted_cached", "discounted_output",
    "pico_usd", "unpriced", "baseline_pico", *LEVER_COLUMNS,
    # As in `days`.
    "observed", "would_pico", "observed_pico",
    # Attempts that used the provider's prompt cache, those of them that have a price, and what it came to.
    "prefix_used", "prefix_priced", "reads_saved_pico", "writes_extra_pico",
)  # fmt: skip


def _sums(name: str, labels: tuple[str, ...], sums: tuple[str, ...], *others: Column[Any]) -> Table:
    """Spell a table of sums of rows that are there, by a stretch of time that begins at `start_us` and by labels."""
    return Table(
        name,
        metadata,
        Column("start_us", _Int, primary_key=True, autoincrement=False),
        *(Column(key, Integer if key in ("first", "again") else Text, primary_key=True) for key in labels),
        *(Column(one, _Int, nullable=False) for one in sums),
        *others,
        # Not strict as well: the lowest SQLAlchemy allowed leaves out the comma between the two.
        sqlite_with_rowid=False,
    )


hours = _sums("hours", HOUR_KEYS, HOUR_SUMS, Column("latency_ms", _Real, nullable=False))
user_days = _sums("user_days", ("tenant", "user"), ("attempts", "pico_usd", "unpriced"))

marks = Table(
    "marks",
    metadata,
    # Of the attempt.
    Column("id", _Int, primary_key=True, autoincrement=False),
    Column("start_us", _Int, nullable=False),
    Column("call_id", Text, nullable=False),
    # 1 where the row does not fit the picture of a plain call (`spend.comparing`).
    Column("doubtful", Integer, nullable=False),
    # 1 where the sums cannot hold the row: whoever reads them adds it.
    Column("astray", Integer, nullable=False),
    Index("marks_start", "start_us"),
    sqlite_strict=True,
)
"""Rows that the sums do not tell all of, each with the first microsecond of its hour."""

added_up = Table("added_up", metadata, Column("last_id", _Int, nullable=False), sqlite_strict=True)
"""One row: the number of the last attempt that the sums hold, and all before it."""

version = Table("ledger_version", metadata, Column("version_num", Text, primary_key=True), sqlite_strict=True)
"""One row: the last migration, as Alembic keeps it. SQLite says it in `PRAGMA user_version` too."""

TABLES: Mapping[str, Table] = {"attempts": attempts, "feedback": feedback}
"""Those that a writer fills."""


@cache
def columns(table: str) -> tuple[Column[Any], ...]:
    """Return the columns that a row has a value for, in its order: all but the number that the database gives it."""
    return tuple(column for column in TABLES[table].columns if column.name != "id")
