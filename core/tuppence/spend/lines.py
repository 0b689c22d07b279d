"""A report's lines: what the attempts of each group came to, and what their total over distinct calls.

A line's calls are those with an attempt in it, so one call may be in several lines. Of a plain call the rows stand
together, and its first in a line is seen by its neighbours; of doubtful ones (`comparing`) the ids are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, exists, func, not_, or_, select

from tuppence.prices import PicoUSD
from tuppence.spend.comparing import (
    ANSWER,
    APART,
    WATCHED,
    answers,
    doubtful,
    looked_at,
    plain_part,
    stands_before,
    watched,
)
from tuppence.spend.hours import summed_up
from tuppence.spend.ledger.sums_kept import floored
from tuppence.spend.ledger.tables import attempts, days
from tuppence.spend.selection import Selection
from tuppence.spend.sums import Adding, summed, tokens_in, tokens_out, total

_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1).toordinal()
_ALIKE = frozenset({"user", "endpoint", "task", "tenant", "session", "workflow"})
"""Dimensions that all rows of a plain call have in common."""


@dataclass(slots=True)
class Sums:
    """The figures of a line while rows are added to it; see `report.Line` for what they mean."""

    calls: int = 0
    attempts: int = 0
    hits: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    estimated: int = 0
    unpriced: int = 0
    pico_usd: PicoUSD = 0
    compared: int = 0
    observed: int = 0
    would_save_pico: PicoUSD = 0
    saved_pico: PicoUSD = 0


@dataclass(slots=True)
class Lines:
    """All lines by their keys, and what is counted over all of them."""

    by_key: dict[tuple[str | None, ...], Sums] = field(default_factory=dict)
    calls: int = 0
    """Distinct calls."""

    def of(self, key: Sequence[Any]) -> Sums:
        return self.by_key.setdefault(tuple(key), Sums())


def lines_of(connection: Connection, selection: Selection, by: Sequence[str]) -> Lines:
    """Read the lines by these dimensions, whose names are known to be right."""
    lines, keys = Lines(), len(by)
    for row in summed_up(connection, selection, lambda rows, adding: _everything(rows, by, adding), by=by):
        _add(lines, _key(by, row), *row[keys:])
    if not _ALIKE.issuperset(by):
        for row in connection.execute(_later(selection, by)):
            sums = lines.of(_key(by, row))
            sums.calls += row[-1]
            sums.compared += row[-1]
    doubted = looked_at(selection, doubtful(connection, selection))
    for row in summed(connection, lambda adding: _looked_at(doubted, selection, by, adding)):
        _mend(lines, _key(by, row), *map(total, row[keys:]))
    if selection.in_days(by):
        for row in summed(connection, lambda adding: _rolled_up(selection, by, adding)):
            _add_days(lines, _key(by, row), *row[keys:])
    return lines


def _columns(rows: FromClause, by: Sequence[str]) -> list[ColumnElement[Any]]:
    started = next(rows.c[name] for name in ("started_us", "start_us", "day_us") if name in rows.c)
    day = floored(started, _DAY_US) // _DAY_US
    return [day if name == "day" else rows.c[name] for name in by]


def _key(by: Sequence[str], row: Sequence[Any]) -> tuple[str | None, ...]:
    return tuple(_spelt(value) if name == "day" else value for name, value in zip(by, row, strict=False))


def _spelt(day: int) -> str | None:
    """Return the date, None where a clock was so wrong that no calendar has it."""
    try:
        return date.fromordinal(_EPOCH + day).isoformat()
    except (ValueError, OverflowError):
        return None


def _everything(rows: FromClause, by: Sequence[str], adding: Adding) -> Select[Any]:
    """Spell all figures but distinct calls, by what decides which of them they are."""
    c = rows.c
    keys = [*_columns(rows, by), c.cause, c.outcome, c.status, c.first]
    figures = (
        c.attempts, c.unpriced, c.observed, c.observed_pico, c.would_pico, tokens_in(rows), tokens_out(rows),
        c.pico_usd, c.baseline_pico,
    )  # fmt: skip
    return select(*keys, *map(adding, figures)).group_by(*keys)


def _add(
    lines: Lines, key: tuple[str | None, ...], cause: str, outcome: str, status: str, first: int, *figures: Any
) -> None:
    """Add rows of one kind, as if their calls were all plain."""
    sums, part = lines.of(key), plain_part(cause, outcome)
    rows, unpriced, observed, paid, would, tokens, output, pico, baseline = map(total, figures)
    if first:
        lines.calls += rows
        sums.calls += rows
        sums.compared += rows if cause != WATCHED else 0
    sums.estimated += rows if status == "estimated" else 0
    sums.unpriced += unpriced
    sums.observed += observed
    sums.would_save_pico += paid - would
    _attempts(sums, outcome, rows, tokens, output, pico)
    sums.saved_pico += (baseline if part == ANSWER else 0) - (pico if part != APART else 0)


def _attempts(sums: Sums, outcome: str, rows: int, tokens: int, output: int, pico: PicoUSD) -> None:
    sums.pico_usd += pico
    if outcome == "hit":
        sums.hits += rows
        return
    sums.attempts += rows
    sums.errors += rows if outcome == "failed" else 0
    sums.input_tokens += tokens
    sums.output_tokens += output


def _is_first(rows: FromClause, selection: Selection, by: Sequence[str]) -> ColumnElement[bool]:
    """Say of a row with n > 1 that none of its call's before it, standing next to it, is in its line."""
    before = attempts.alias("before_it")
    alike = (
        mine.is_not_distinct_from(other) for mine, other in zip(_columns(rows, by), _columns(before, by), strict=True)
    )
    return not_(exists().where(stands_before(before, rows), selection.timely(before), *alike))


def _later(selection: Selection, by: Sequence[str]) -> Select[Any]:
    keys = _columns(attempts, by)
    chosen = (selection.met_by(attempts), attempts.c.n != 1, not_(watched(attempts)))
    return select(*keys, func.count()).where(*chosen, _is_first(attempts, selection, by)).group_by(*keys)


def _looked_at(rows: FromClause, selection: Selection, by: Sequence[str], adding: Adding) -> Select[Any]:
    """Spell what doubtful calls are, and what they were taken for."""
    keys = _columns(rows, by)
    taken, real = not_(watched(rows)), rows.c.part != APART
    first = rows.c.n == 1
    if not _ALIKE.issuperset(by):
        first = or_(first, and_(taken, _is_first(rows, selection, by)))
    calls = func.count(rows.c.call_id.distinct())
    figures = (
        func.count().filter(rows.c.n == 1), func.count().filter(rows.c.id == rows.c.first),
        func.count().filter(first), calls, func.count().filter(first, taken), calls.filter(real),
        adding(rows.c.baseline_pico, and_(taken, answers(rows))), adding(rows.c.pico_usd, taken),
        adding(rows.c.baseline_pico, rows.c.part == ANSWER), adding(rows.c.pico_usd, real),
    )  # fmt: skip
    return select(*keys, *figures).group_by(*keys)


def _mend(
    lines: Lines, key: tuple[str | None, ...], all_taken: int, all_real: int, taken: int, real: int,
    compared_taken: int, compared_real: int, baseline_taken: int, cost_taken: int, baseline: int, cost: int,
) -> None:  # fmt: skip
    sums = lines.of(key)
    lines.calls += all_real - all_taken
    sums.calls += real - taken
    sums.compared += compared_real - compared_taken
    sums.saved_pico += (baseline - cost) - (baseline_taken - cost_taken)


def _rolled_up(selection: Selection, by: Sequence[str], adding: Adding) -> Select[Any]:
    keys, c = [*_columns(days, by), days.c.outcome, days.c.status], days.c
    sums = (
        c.calls, c.attempts, c.unpriced, c.compared, c.baseline_pico, c.compared_pico, c.observed, c.would_pico,
        c.observed_pico, tokens_in(days), tokens_out(days), c.pico_usd,
    )  # fmt: skip
    return select(*keys, *map(adding, sums)).where(selection.met_by_day()).group_by(*keys)


def _add_days(lines: Lines, key: tuple[str | None, ...], outcome: str, status: str, *figures: Any) -> None:
    sums = lines.of(key)
    calls, rows, unpriced, compared, baseline, cost, observed, would, paid, *rest = map(total, figures)
    lines.calls += calls
    sums.calls += calls
    sums.unpriced += unpriced
    sums.compared += compared
    sums.estimated += rows if status == "estimated" else 0
    sums.saved_pico += baseline - cost
    sums.observed += observed
    sums.would_save_pico += paid - would
    _attempts(sums, outcome, rows, *rest)
