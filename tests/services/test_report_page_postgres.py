"""The page of a PostgreSQL ledger says what that of an SQLite file with the same rows says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("psycopg")
from sqlalchemy import create_engine, insert, make_url

from tuppence.spend.ledger.schema import bring_up
from tuppence.spend.ledger.tables import attempts
from tuppence.spend.page import read_facts

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

from report_page_parts.traffic import COLUMNS, Traffic, write_ledger  # noqa: E402

START_US = 1_761_955_200_000_000  # 2025-11-01


def test_both_databases_say_the_same(postgres_address: str, tmp_path: Path) -> None:
    """Sums, percentiles by nearest rank, the dearest calls and the waterfall."""
    write_ledger(tmp_path / "made.db", 1_500, start_us=START_US, days=10, users=30)
    rows = Traffic(1, start_us=START_US, days=10, users=30).rows(1_500)
    engine = create_engine(make_url(postgres_address).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        bring_up(connection, 0)
        named = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        without_json = [{name: value for name, value in row.items() if name not in ("tags", "extra")} for row in named]
        connection.execute(insert(attempts), without_json)
    engine.dispose()
    here, there = read_facts(tmp_path / "made.db"), read_facts(postgres_address)
    assert replace(there, made_us=here.made_us, ledger=here.ledger) == here
