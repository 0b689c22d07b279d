"""The ledger in small: what each hour or day came to, by whatever calls are labelled with.

Every figure of a cell adds up, over cells and over time, so that whoever watches for change needs no other question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, select

from tuppence.errors import LedgerError
from tuppence.prices import PicoUSD
from tuppence.spend.comparing import ANSWER, APART, Part, doubtful, looked_at, plain_part
from tuppence.spend.hours import summed_up
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.rows import TAG_COLUMNS
from tuppence.spend.ledger.sums_kept import floored
from tuppence.spend.ledger.tables import days
from tuppence.spend.selection import Selection
from tuppence.spend.sums import Adding, summed, tokens_in, tokens_out, total

Every = Literal["hour", "day"]
WIDTHS_US: Mapping[Every, int] = {"hour": 3_600_000_000, "day": 86_400_000_000}
KEYS = ("tier", "model", "cause", "outcome", "mode", *TAG_COLUMNS)
"""What cells can be kept apart by."""


@dataclass(slots=True)
class Cell:
    """What happened in one hour or day (in UTC) under one key."""

    start_us: int
    """Unix microseconds."""
    key: tuple[str | None, ...]
    calls: int = 0
    """Logical calls, each in the cell of its first attempt."""
    attempts: int = 0
    """Tries to get an answer, cache hits left out."""
    hits: int = 0
    failures: int = 0
    retries: int = 0
    """Attempts that repeat one: the policy's own retries, and a framework's further tries of a call."""
    input_tokens: int = 0
    cached_tokens: int = 0
    """Those of them that were read from the provider's prompt cache."""
    cache_write_5m: int = 0
    """Those of them that were put into it for five minutes."""
    cache_write_1h: int = 0
    output_tokens: int = 0
    discounted_fresh: int = 0
    """Input tokens in a discounted lane (`levers.DISCOUNTED`) that the prompt cache did not hold; of days whose rows
    were rolled up, none are known.
    """
    discounted_cached: int = 0
    discounted_output: int = 0
    pico_usd: PicoUSD = 0
    unpriced: int = 0
    """Attempts of unknown price: they are missing from the cost."""
    compared: int = 0
    """Calls answered here that a saving is known for."""
    baseline_pico: PicoUSD = 0
    """What the baseline would have cost for them."""
    compared_pico: PicoUSD = 0
    """Cost of the attempts here that belong to calls with a known saving, wherever these were answered."""
    latency_ms: float = 0.0
    """Summed over attempts."""


RETRIES = ("retry", "validation_retry")


def cells(
    place: str | Path,
    *,
    by: Sequence[str] = ("tier",),
    every: Every = "hour",
    since: datetime | None = None,
    until: datetime | None = None,
    where: Mapping[str, str] | None = None,
) -> list[Cell]:
    """Return the cells in which anything happened, by start and key.

    Days whose rows were rolled up are among the days, and not among the hours, which nobody knows any more; nor where
    sessions or tags without a column are asked for, which were not kept.
    Raises `LedgerError` for an unknown key or a place that is not a ledger.
    """
    unknown = [name for name in by if name not in KEYS]
    if unknown:
        raise LedgerError(f"cells cannot be kept apart by {unknown}: they can by {list(KEYS)}")
    with reading(place) as connection:
        return cells_of(connection, Selection(since, until, where or {}), by=by, every=every)


def cells_of(connection: Connection, selection: Selection, *, by: Sequence[str], every: Every) -> list[Cell]:
    """Do the same in a snapshot that is open already."""
    found: dict[tuple[Any, ...], Cell] = {}
    width, keys = WIDTHS_US[every], len(by)

    def of(start: int, key: Sequence[str | None]) -> Cell:
        return found.setdefault((start, *key), Cell(start * width, tuple(key)))

    for start, *row in summed_up(
        connection, selection, lambda rows, adding: _everything(rows, by, width, adding), by=by
    ):
        _add(of(start, row[:keys]), *row[keys:])
    doubted = looked_at(selection, doubtful(connection, selection))
    for start, *row in summed(connection, lambda adding: _looked_at(doubted, by, width, adding)):
        _mend(of(start, row[:keys]), *row[keys:])
    if every == "day" and selection.in_days(by):
        for start, *row in summed(connection, lambda adding: _rolled_up(selection, by, adding)):
            _add_day(of(start, row[:keys]), *row[keys:])
    return sorted(found.values(), key=lambda cell: (cell.start_us, tuple(value or "" for value in cell.key)))


def _everything(rows: FromClause, by: Sequence[str], width: int, adding: Adding) -> Select[Any]:
    """Spell all figures, by what decides which of them they are: a comparison in SQL costs more than a group."""
    c = rows.c
    keys = [floored(c.start_us, width) // width, *(c[name] for name in by), c.cause, c.outcome, c.first, c.again]
    figures = (
        c.attempts, c.unpriced, c.pico_usd, c.baseline_pico, *_tokens(rows),
        c.discounted_fresh, c.discounted_cached, c.discounted_output,
    )  # fmt: skip
    return select(*keys, func.sum(c.latency_ms), *map(adding, figures)).group_by(*keys)


def _add(
    cell: Cell, cause: str, outcome: str, first: int, again: int, latency_ms: float, *sums: Any
) -> None:  # fmt: skip
    """Add rows of one kind, as if their calls were all plain (see `comparing`)."""
    rows, unpriced, pico, baseline, *tokens = map(total, sums)
    cell.calls += rows if first and not again else 0
    cell.retries += rows if cause in RETRIES or (first and again and cause != "judge") else 0
    cell.unpriced += unpriced
    cell.pico_usd += pico
    if outcome == "hit":
        cell.hits += rows
    else:
        cell.attempts += rows
        cell.failures += rows if outcome == "failed" else 0
        cell.latency_ms += latency_ms
        _add_tokens(cell, *tokens)
    _compare(cell, plain_part(cause, outcome), rows, baseline, pico)


def _tokens(rows: FromClause) -> tuple[ColumnElement[int], ...]:
    c = rows.c
    return tokens_in(rows), c.cache_read + c.audio_cache_read, c.cache_write_5m, c.cache_write_1h, tokens_out(rows)


def _add_tokens(
    cell: Cell, read: int, cached: int, write_5m: int, write_1h: int, written: int, *discounted: int
) -> None:  # fmt: skip
    cell.input_tokens += read
    cell.cached_tokens += cached
    cell.cache_write_5m += write_5m
    cell.cache_write_1h += write_1h
    cell.output_tokens += written
    if discounted:
        cell.discounted_fresh += discounted[0]
        cell.discounted_cached += discounted[1]
        cell.discounted_output += discounted[2]


def _compare(cell: Cell, part: Part, rows: int, baseline: PicoUSD, pico: PicoUSD) -> None:
    """Add rows to what is compared; as many less than none take them away again."""
    if part == ANSWER:
        cell.compared += rows
        cell.baseline_pico += baseline
    if part != APART:
        cell.compared_pico += pico


def _looked_at(rows: FromClause, by: Sequence[str], width: int, adding: Adding) -> Select[Any]:
    c = rows.c
    keys = [floored(c.started_us, width) // width, *(c[name] for name in by), c.cause, c.outcome, c.part]
    figures = (func.count(), adding(rows.c.baseline_pico), adding(rows.c.pico_usd))
    return select(*keys, *figures).group_by(*keys)


def _mend(cell: Cell, cause: str, outcome: str, part: Part, rows: int, *sums: Any) -> None:
    """Take doubtful calls for what they are, and no more for plain ones."""
    baseline, pico = map(total, sums)
    _compare(cell, plain_part(cause, outcome), -rows, -baseline, -pico)
    _compare(cell, part, rows, baseline, pico)


def _rolled_up(selection: Selection, by: Sequence[str], adding: Adding) -> Select[Any]:
    c = days.c
    keys = [c.day_us // WIDTHS_US["day"], *(c[name] for name in by), c.cause, c.outcome]
    sums = [
        c.calls, c.further_tries, c.attempts, c.unpriced, c.pico_usd, c.compared, c.baseline_pico, c.compared_pico,
        *_tokens(days),
    ]  # fmt: skip
    chosen = select(*keys, func.sum(c.latency_ms), *map(adding, sums)).where(selection.met_by_day())
    return chosen.group_by(*keys)


def _add_day(cell: Cell, cause: str, outcome: str, latency_ms: float, *sums: Any) -> None:
    calls, further_tries, rows, unpriced, pico, compared, baseline, cost, *tokens = map(total, sums)
    cell.calls += calls
    cell.unpriced += unpriced
    cell.pico_usd += pico
    cell.retries += rows if cause in RETRIES else further_tries if cause != "judge" else 0
    if outcome == "hit":
        cell.hits += rows
    else:
        cell.attempts += rows
        cell.failures += rows if outcome == "failed" else 0
        cell.latency_ms += latency_ms
        _add_tokens(cell, *tokens)
    cell.compared += compared
    cell.baseline_pico += baseline
    cell.compared_pico += cost
