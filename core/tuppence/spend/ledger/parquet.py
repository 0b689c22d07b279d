"""The ledger's rows as a Parquet file, for DuckDB, Spark and whatever else reads one.

It is written in pieces, so that a ledger of any size needs the same memory, and appears under its name when it is
whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, Column, Float, Integer, Select, Text, cast, select

from tuppence.errors import LedgerError
from tuppence.spend.ledger.reading import reading
from tuppence.spend.ledger.tables import attempts

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped]

PIECE_ROWS = 16_384
"""Rows in memory, and in one row group of the file."""


def export(place: str | Path, file: str | Path, *, since: datetime | None = None, until: datetime | None = None) -> int:
    """Write the attempts that started in [since, until) into the Parquet file, and return how many they are.

    Columns are those of the ledger, money as int64 pico-USD, but for `started_at`, a timestamp in UTC in place of
    `started_us`. Days that were rolled up have no attempts any more. Raises `LedgerError` where the ledger cannot be
    read or the file not written.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise LedgerError(f"Parquet needs pyarrow ({error}): pip install 'tuppence[parquet]'") from error
    path = Path(file).absolute()
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    rows = 0
    try:
        with parquet.ParquetWriter(part, _schema(), compression="zstd") as writer:
            for piece in _pieces(place, _chosen(since, until)):
                writer.write_batch(piece)
                rows += piece.num_rows
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        raise LedgerError(f"{path} cannot be written ({error}): name a file in a folder with room") from error
    finally:
        part.unlink(missing_ok=True)
    return rows


def _schema() -> pyarrow.Schema:
    import pyarrow

    return pyarrow.schema([
        pyarrow.field(_name(column), _kind(column), nullable=bool(column.nullable)) for column in attempts.columns
    ])  # fmt: skip


def _name(column: Column[Any]) -> str:
    return "started_at" if column.name == "started_us" else column.name


def _kind(column: Column[Any]) -> pyarrow.DataType:
    import pyarrow

    if column.name == "started_us":
        return pyarrow.timestamp("us", tz="UTC")
    if isinstance(column.type, JSON | Text):
        return pyarrow.string()
    if isinstance(column.type, Float):
        return pyarrow.float64()
    return pyarrow.int64() if isinstance(column.type, Integer) else pyarrow.null()


def _chosen(since: datetime | None, until: datetime | None) -> Select[Any]:
    columns = [cast(one, Text).label(one.name) if isinstance(one.type, JSON) else one for one in attempts.columns]
    chosen = select(*columns).order_by(attempts.c.id)
    if since is not None:
        chosen = chosen.where(attempts.c.started_us >= _microseconds(since))
    if until is not None:
        chosen = chosen.where(attempts.c.started_us < _microseconds(until))
    return chosen


def _microseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    since_epoch = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000_000 + since_epoch.microseconds


def _pieces(place: str | Path, chosen: Select[Any]) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow

    schema = _schema()
    with reading(place) as connection:
        found = connection.execution_options(yield_per=PIECE_ROWS).execute(chosen)
        for rows in found.partitions():
            values = zip(*rows, strict=True)
            arrays = [pyarrow.array(column, type=field.type) for column, field in zip(values, schema, strict=True)]
            yield pyarrow.RecordBatch.from_arrays(arrays, schema=schema)
