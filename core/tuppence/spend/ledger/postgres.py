"""The ledger of many machines: a PostgreSQL database that any number of programs write and read at the same time.

A server that is away, slow or frozen must never hold a call up, nor a program's end for long: every wait has an end
that the client sees to itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Dialect, Float, create_engine, event, func, inspect, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tuppence.errors import LedgerError
from tuppence.spend.ledger.places import address, named_for, shown
from tuppence.spend.ledger.repairs import repaired, without_nul
from tuppence.spend.ledger.rows import SCHEMA, TABLES, Row
from tuppence.spend.ledger.schema import bring_up, refuse_newer
from tuppence.spend.ledger.store import cause
from tuppence.spend.ledger.tables import UNIQUE, attempts, columns, version

if TYPE_CHECKING:
    from tuppence.spend.ledger.patience import PatientConnection

CONNECT_S = 3
"""Seconds until a server that does not answer counts as away."""
STATEMENT_S = 5.0
"""Least time that a transaction gets: a thousand rows are 0.4 MB, a quarter of a second over a slow line."""
GRACE_S = 1.0
"""Seconds beyond the server's own time-out after which it is taken for frozen."""
_LOCK = 0x7475_7070_656E_6365
"""Key of the advisory lock under which tables are made and migrated."""

_MANNERS: Mapping[str, Any] = {
    "connect_timeout": CONNECT_S,
    "application_name": "tuppence",
    # A pooler in between may not know what was prepared.
    "prepare_threshold": None,
}
"""How the server is spoken to, unless the address says otherwise."""


class LedgerAway(LedgerError):
    """The server cannot be reached now: what is written waits."""


class PostgresDatabase:
    """One database, opened for writing or reading."""

    transaction_rows = 1024

    def __init__(self, place: str) -> None:
        self._url = address(place)
        self._engine = create_engine(
            self._url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={name: value for name, value in _MANNERS.items() if name not in self._url.query},
        )
        event.listen(self._engine, "do_connect", _connected)

    @property
    def name(self) -> str:
        return f"the ledger at {shown(self._url)}"

    @property
    def spilled(self) -> Path:
        return named_for(self._url)

    def connect(self, wait_s: float) -> Connection:
        connection = self._reached(self._engine)
        try:
            if self._version(connection) != SCHEMA:
                with connection.begin():
                    # A migration takes as long as it takes.
                    self.claim(connection, math.inf)
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                    # Another program may have been quicker.
                    found = self._version(connection)
                    if found != SCHEMA:
                        bring_up(connection, found)
        except SQLAlchemyError as error:
            connection.invalidate()
            connection.close()
            kind = LedgerAway if isinstance(error, OperationalError) else LedgerError
            raise kind(f"{self.name} cannot be opened ({cause(error)})") from error
        except BaseException:
            connection.close()
            raise
        return connection

    def connect_to_read(self) -> Connection:
        """Open one read-only snapshot, whose queries may take their time; raise `LedgerError` where there is no ledger
        of this version.
        """
        engine = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        connection = self._reached(engine)
        try:
            found = self._version(connection)
        except BaseException:
            connection.close()
            raise
        if found == SCHEMA:
            _driver(connection).deadline = math.inf
            return connection
        connection.close()
        if found:
            raise LedgerError(
                f"{self.name} has schema {found}, of an older tuppence: run `tuppence ledger migrate --ledger ...`, or "
                "make a call with it"
            )
        raise self._none()

    def must_exist(self) -> None:
        """Raise `LedgerError` where there is no ledger of any version: a name that was mistyped gets no tables."""
        with closing(self._reached(self._engine)) as connection:
            if not self._version(connection):
                raise self._none()

    def has_gone(self) -> bool:
        return False

    def claim(self, connection: Connection, wait_s: float) -> None:
        patience_s = max(wait_s, STATEMENT_S)
        _driver(connection).deadline = time.monotonic() + patience_s + GRACE_S
        milliseconds = 0 if math.isinf(patience_s) else int(patience_s * 1000)
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")

    def insert(self, connection: Connection, table: str, rows: Sequence[Row]) -> None:
        values = []
        for column, of_column in zip(columns(table), zip(*rows, strict=True), strict=True):
            values.append(_finite(of_column) if isinstance(column.type, Float) else list(of_column))
        connection.exec_driver_sql(_statement(table), tuple(values))

    def settled(self, connection: Connection, wait_s: float) -> int:
        with connection.begin():
            self.claim(connection, wait_s)
            # Numbers are given out before they are seen: this waits until all that were given out are. Not for long,
            # as whoever writes next waits behind it.
            connection.exec_driver_sql("SET LOCAL lock_timeout = 100")
            connection.exec_driver_sql("LOCK TABLE attempts IN SHARE MODE")
            return int(connection.execute(select(func.coalesce(func.max(attempts.c.id), 0))).scalar_one())

    def repaired(self, table: str, row: Row) -> Row:
        return repaired(table, row, without_nul)

    def is_busy(self, error: BaseException) -> bool:
        return False

    def _reached(self, engine: Any) -> Connection:
        try:
            connection: Connection = engine.connect()
        except DBAPIError as error:
            raise LedgerAway(
                f"{self.name} cannot be reached ({cause(error)}): check the address, that it is up, and that it "
                "lets this user in"
            ) from error
        return connection

    def _none(self) -> LedgerError:
        return LedgerError(f"there is no ledger at {shown(self._url)}: make a call with it first")

    def _version(self, connection: Connection) -> int:
        """Return the ledger's schema, 0 where there is none; raise `LedgerError` where it is not ours to write."""
        with connection.begin_nested() if connection.in_transaction() else connection.begin():
            names = set(inspect(connection).get_table_names())
            if version.name not in names:
                if names.isdisjoint(TABLES):
                    return 0
                raise LedgerError(
                    f"{shown(self._url)} has tables named {sorted(names.intersection(TABLES))} that are no ledger's: "
                    "name another database, or a schema of it by ?options=-csearch_path%3Dname"
                )
            found = int(connection.execute(select(version.c.version_num)).scalar_one())
        refuse_newer(found, self.name, "name another database")
        return found


def _connected(_: Any, __: Any, args: Sequence[Any], options: dict[str, Any]) -> PatientConnection:
    from tuppence.spend.ledger.patience import PatientConnection

    connection = PatientConnection.connect(*args, **options)
    connection.deadline = time.monotonic() + STATEMENT_S
    return connection


def _driver(connection: Connection) -> PatientConnection:
    return cast("PatientConnection", connection.connection.dbapi_connection)


def _finite(values: Sequence[Any]) -> list[float | None]:
    """Return them as floats; what is no number is left out, for PostgreSQL would keep it and spoil every sum."""
    return [None if value is None or not math.isfinite(value) else float(value) for value in values]


@lru_cache
def _statement(table: str) -> str:
    """Spell the insertion of any number of rows, handed over column by column: one statement, planned once."""
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    kinds = {column.name: column.type.compile(dialect) for column in columns(table)}
    arrays = ", ".join(f"%s::{'TEXT' if kind == 'JSONB' else kind}[]" for kind in kinds.values())
    listed = ", ".join(f'"{name}"' for name in kinds)
    values = ", ".join(f'"{name}"::JSONB' if kind == "JSONB" else f'"{name}"' for name, kind in kinds.items())
    return (
        f"INSERT INTO {table} ({listed}) SELECT {values} FROM unnest({arrays}) AS given ({listed}) "
        f"ON CONFLICT ({', '.join(UNIQUE[table])}) DO NOTHING"
    )
