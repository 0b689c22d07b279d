"""Sums of rows that are there: hours by label, days by user, and marks on the rows that sums cannot tell of.

They follow the rows, and say up to which row they have come: whoever asks adds what is younger, so that no answer
hangs on how far they are. Adding up takes longer than storing, so it must never stand between a row and the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Case,
    ColumnElement,
    Connection,
    Insert,
    Select,
    Table,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from tuppence.levers import DISCOUNTED
from tuppence.spend.ledger.tables import (
    HOUR_KEYS,
    HOUR_LABELS,
    LEVER_COLUMNS,
    TOKEN_COLUMNS,
    added_up,
    attempts,
    hours,
    marks,
    user_days,
)
from tuppence.spend.sums import tokens_in, tokens_out

WIDTHS_US: Mapping[Table, int] = {hours: 3_600_000_000, user_days: 86_400_000_000}
"""How much time a row of each table stands for, in microseconds."""
MAY_LACK = frozenset({*HOUR_LABELS, "user"})
"""Labels that are '' in these tables where an attempt has none."""
ANSWERS = ("accepted", "hit")

_FLOOR_US = 12_000_000 * 86_400_000_000
"""Whole days that are more than any clock's time before 1970: databases round down only what is above 0."""
_WIDE = 2**43
"""Amounts from here on (8.8 dollars) are not added up: a million below it stay within int64."""
_LONG = 600
"""Letters that all labels of a row may have together: PostgreSQL has an index over them of at most 2,700 bytes."""
CHUNK_ROWS = 5_000
"""Rows that are added up in one transaction, once so many have come together: a twentieth of a second."""

_C = attempts.c


def floored(moment: ColumnElement[int], width_us: int) -> ColumnElement[int]:
    """Spell the beginning of the stretch of time that a moment lies in; a whole number of days, hours."""
    return (moment + _FLOOR_US) // width_us * width_us - _FLOOR_US


def figures() -> dict[str, ColumnElement[Any]]:
    """Spell what one row adds to each sum."""
    unpriced, observed = _C.pico_usd.is_(None), and_(_C.would_pico.is_not(None), _C.pico_usd.is_not(None))
    amounts = ("pico_usd", "baseline_pico", *LEVER_COLUMNS)
    return {
        "attempts": literal(1),
        **{name: _C[name] for name in TOKEN_COLUMNS},
        **_discounted(),
        **{name: func.coalesce(_C[name], 0) for name in amounts},
        "unpriced": case((unpriced, 1), else_=0),
        "observed": case((observed, 1), else_=0),
        "would_pico": case((observed, _C.would_pico), else_=0),
        "observed_pico": case((observed, _C.pico_usd), else_=0),
        **_prefix(),
        "latency_ms": func.coalesce(_C.latency_ms, 0.0),
    }


def _discounted() -> dict[str, ColumnElement[int]]:
    cached = _C.cache_read + _C.audio_cache_read
    kinds = {"fresh": tokens_in(attempts) - cached, "cached": cached, "output": tokens_out(attempts)}
    lane = _C.processing.in_(DISCOUNTED)
    return {f"discounted_{kind}": case((lane, tokens), else_=0) for kind, tokens in kinds.items()}


def prefix_told(name: str) -> ColumnElement[int]:
    """Spell an amount of money that a row's `extra` tells of the prompt cache, NULL where it does not."""
    return cast(_C.extra[("prefix", name)].as_string(), BigInteger)


def _prefix() -> dict[str, ColumnElement[Any]]:
    used = _C.cache_read + _C.audio_cache_read + _C.cache_write_5m + _C.cache_write_1h > 0
    saved, extra = prefix_told("reads_saved_pico"), prefix_told("writes_extra_pico")
    # JSON is not looked into where there is none.
    told = and_(_C.extra.is_not(None), used)
    return {
        "prefix_used": case((used, 1), else_=0),
        "prefix_priced": case((and_(told, saved.is_not(None)), 1), else_=0),
        "reads_saved_pico": case((told, func.coalesce(saved, 0)), else_=0),
        "writes_extra_pico": case((told, func.coalesce(extra, 0)), else_=0),
    }


def first() -> Case[int]:
    return case((_C.n == 1, 1), else_=0)


def follow(connection: Connection, newest: int, rows: int) -> int:
    """Add so many rows to all sums, in the caller's transaction, none after `newest`; return up to which number the
    sums reach then. Fewer than that are left for the next time.
    """
    hold(connection)
    last = reached(connection)
    # Rows may have gone meanwhile, and SQLite gives their numbers to others.
    newest = min(newest, _newest(connection))
    if newest - last < rows:
        return last
    _add(connection, and_(_C.id > last, _C.id <= last + rows))
    connection.execute(update(added_up).values(last_id=last + rows))
    return last + rows


def hold(connection: Connection) -> None:
    """Wait for others who add up, and keep them waiting until the transaction ends; before anything is read in it."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE added_up IN EXCLUSIVE MODE")


def fill(connection: Connection) -> None:
    """Make all sums anew, in the caller's transaction, while nobody else writes."""
    for table in (*WIDTHS_US, marks):
        connection.execute(delete(table))
    _add(connection, true())
    connection.execute(update(added_up).values(last_id=_newest(connection)))


def _add(connection: Connection, chosen: ColumnElement[bool]) -> None:
    connection.execute(insert(marks).from_select([column.name for column in marks.columns], _marked(chosen)))
    for table in WIDTHS_US:
        connection.execute(_adding(connection, table, chosen))


def reached(connection: Connection) -> int:
    """Return the number of the last attempt that the sums hold."""
    return int(connection.execute(select(added_up.c.last_id)).scalar_one())


def forget(connection: Connection, calls: Select[tuple[str]]) -> None:
    """Take the marks of calls away, before their rows are."""
    connection.execute(delete(marks).where(marks.c.call_id.in_(calls)))


def sum_anew(connection: Connection, until_us: int) -> None:
    """Make the sums before a moment, the beginning of a day, of those rows that are left."""
    last = min(reached(connection), _newest(connection))
    connection.execute(update(added_up).values(last_id=last))
    left = and_(_C.started_us < until_us, _C.id <= last)
    for table in WIDTHS_US:
        connection.execute(delete(table).where(table.c.start_us < until_us))
        connection.execute(_adding(connection, table, left))


def _newest(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(_C.id), 0))).scalar_one())


def _adding(connection: Connection, table: Table, chosen: ColumnElement[bool]) -> Insert:
    """Spell the addition of rows, whose marks are there."""
    made = {"first": first(), **figures(), "start_us": floored(_C.started_us, WIDTHS_US[table])}
    keys = [column.name for column in table.primary_key]
    sums = [column.name for column in table.columns if column.name not in keys]
    by = [made[key] if key in made else _label(key) for key in keys]
    astray = exists().where(marks.c.id == _C.id, marks.c.astray == 1)
    rows = select(*by, *(func.sum(made[name]) for name in sums)).where(chosen, not_(astray)).group_by(*by)
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    adding = dialect.insert(table).from_select([*keys, *sums], rows)
    summed = {name: table.c[name] + adding.excluded[name] for name in sums}
    upserted: Insert = adding.on_conflict_do_update(index_elements=keys, set_=summed)
    return upserted


def _label(name: str) -> ColumnElement[Any]:
    return func.coalesce(_C[name], "") if name in MAY_LACK else _C[name]


def _astray() -> ColumnElement[bool]:
    """Say that the sums cannot hold a row: amounts too wide, labels too long, or a label that they take for none."""
    amounts = ("pico_usd", "baseline_pico", "would_pico", *LEVER_COLUMNS)
    tokens: ColumnElement[int] = _C.input
    for name in TOKEN_COLUMNS[1:]:
        tokens = tokens.bitwise_or(_C[name])
    labels = [name for name in (*HOUR_KEYS, "user") if name not in ("first", "again")]
    letters = [func.length(_label(name)) for name in labels]
    prefix = _prefix()
    return or_(
        # All bits of them together: below 0 where one is, and wide where one is.
        not_(tokens.between(0, _WIDE)),
        *(not_(_C[name].between(-_WIDE, _WIDE)) for name in amounts),
        *(not_(prefix[name].between(-_WIDE, _WIDE)) for name in ("reads_saved_pico", "writes_extra_pico")),
        sum(letters[1:], letters[0]) > _LONG,
        *(_C[name] == "" for name in sorted(MAY_LACK)),
    )


def _marked(written: ColumnElement[bool]) -> Select[Any]:
    """Spell the marks of rows. Rows of a call that lie in two hours are doubtful: to a report of one of them, the call
    is another than to a report of both.
    """
    doubtful = case((_is_doubtful(), 1), else_=0)
    astray = case((_astray(), 1), else_=0)
    rows = select(
        _C.id, floored(_C.started_us, WIDTHS_US[hours]).label("start_us"), _C.call_id, doubtful.label("doubtful"),
        astray.label("astray"),
    ).where(written).subquery()  # fmt: skip
    return select(rows).where(or_(rows.c.doubtful == 1, rows.c.astray == 1))


def _is_doubtful() -> ColumnElement[bool]:
    before, after = attempts.alias("before"), attempts.alias("after")
    hour = floored(_C.started_us, WIDTHS_US[hours])

    def beside(other: Any, step: int) -> ColumnElement[bool]:
        near = (other.c.id == _C.id + step, other.c.n == _C.n + step, other.c.call_id == _C.call_id)
        return and_(*near, other.c.again == _C.again, floored(other.c.started_us, WIDTHS_US[hours]) == hour)

    goes_on = exists().where(beside(after, 1))
    followed = exists().where(beside(before, -1), before.c.outcome.not_in(ANSWERS))
    marks_of_one = or_(
        _C.pico_usd.is_(None),
        _C.again != 0,
        case((_C.outcome.in_(ANSWERS), _C.baseline_pico.is_(None)), else_=not_(goes_on)),
        and_(_C.n != 1, not_(followed)),
    )
    return and_(_C.cause != "observed", marks_of_one)
