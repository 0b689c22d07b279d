"""Which of the ledger's rows a question is about: a span of time and tags, as a condition in SQL.

The labels come from users: they reach the database as values, never as text of a statement.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, literal, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean

from tuppence.spend.ledger.rows import TAG_COLUMNS, clean
from tuppence.spend.ledger.tables import DAY_KEYS, days


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows that started in [since, until) and carry all the tags of `where`; times without a zone are UTC."""

    since: datetime | None = None
    until: datetime | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    last_id: int | None = None
    """Rows that were written later are left out."""

    def met_by(self, rows: FromClause) -> ColumnElement[bool]:
        """Spell the condition for rows with the columns of `attempts`."""
        return and_(self.timely(rows), *(_tagged(rows, name, clean(value)) for name, value in self.where.items()))

    def timely(self, rows: FromClause) -> ColumnElement[bool]:
        """Spell the part that rows of one call may differ in."""
        terms: list[ColumnElement[bool]] = [true()]
        if self.since is not None:
            terms.append(rows.c.started_us >= microseconds(self.since))
        if self.until is not None:
            terms.append(rows.c.started_us < microseconds(self.until))
        if self.last_id is not None:
            # A sum, so that SQLite does not take this for the way to the rows of an hour.
            terms.append(rows.c.id + 0 <= self.last_id)
        return and_(*terms)

    def in_days(self, by: Collection[str] = ()) -> bool:
        """Say whether days that were rolled up can still be asked this, kept apart by these columns."""
        return {*self.where, *by} <= {"day", *DAY_KEYS}

    def met_by_day(self) -> ColumnElement[bool]:
        """Spell the condition for rows of `days`; a day counts where it begins."""
        terms: list[ColumnElement[bool]] = [days.c[name] == clean(value) for name, value in self.where.items()]
        if self.since is not None:
            terms.append(days.c.day_us >= microseconds(self.since))
        if self.until is not None:
            terms.append(days.c.day_us < microseconds(self.until))
        return and_(true(), *terms)


def microseconds(moment: datetime) -> int:
    """Return Unix microseconds, exactly; a time without a zone is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    since_epoch = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000_000 + since_epoch.microseconds


class _OtherTag(FunctionElement[bool]):
    """Whether the JSON of a row's other tags says this of that name."""

    type = Boolean()
    inherit_cache = True


@compiles(_OtherTag, "sqlite")
def _in_text(element: _OtherTag, compiler: Any, **options: Any) -> str:
    tags, name, value = (compiler.process(clause, **options) for clause in element.clauses)
    # No path: a name may hold whatever a path would have to quote.
    return f"EXISTS (SELECT 1 FROM json_each({tags}) WHERE key = {name} AND value = {value})"


@compiles(_OtherTag, "postgresql")
def _in_jsonb(element: _OtherTag, compiler: Any, **options: Any) -> str:
    tags, name, value = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({tags} ->> {name} = {value})"


def _tagged(rows: FromClause, name: str, value: str) -> ColumnElement[bool]:
    if name in TAG_COLUMNS:
        return rows.c[name] == value
    return _OtherTag(rows.c.tags, literal(clean(name)), literal(value))
