"""What is read of a ledger in PostgreSQL: the suites of SQLite's, on the same rows."""

from __future__ import annotations

import pytest
from sqlalchemy import NullPool, create_engine, delete
from typer.testing import CliRunner

from tuppence.cli import app
from tuppence.spend.ledger import sums_kept
from tuppence.spend.ledger.places import address
from tuppence.spend.ledger.schema import bring_up
from tuppence.spend.ledger.tables import metadata

_CORE = f"{(__package__ or '').rpartition('.')[0]}.core"
pytest.register_assert_rewrite(*(f"{_CORE}.{name}_suite" for name in ("cells", "waterfall", "report", "sums")))

from ..core.cells_suite import CellsSuite  # noqa: E402, TID252
from ..core.ledger_rows import Row, Store, fill, numbered, row  # noqa: E402, TID252
from ..core.report_suite import ReportSuite  # noqa: E402, TID252
from ..core.sums_suite import SumsSuite  # noqa: E402, TID252
from ..core.waterfall_suite import WaterfallSuite  # noqa: E402, TID252


@pytest.fixture
def store(postgres_address: str) -> Store:
    """Fill one database anew for each ledger: a test has one at a time."""
    engine = create_engine(address(postgres_address), poolclass=NullPool)
    with engine.begin() as connection:
        bring_up(connection, 0)

    def store(rows: list[Row], rolled_up: tuple[Row, ...] = ()) -> str:
        with engine.begin() as connection:
            for table in (metadata.tables["attempts"], metadata.tables["days"]):
                connection.execute(delete(table))
            sums_kept.fill(connection)
        fill(engine, rows, rolled_up)
        return postgres_address

    return store


class TestSums(SumsSuite):
    """What is kept beside the rows."""


class TestCells(CellsSuite):
    """Hours and days."""


class TestWaterfall(WaterfallSuite):
    """Where the saving comes from."""


class TestReport(ReportSuite):
    """Lines, caches, certificates and past answers."""


def test_the_command_takes_an_address(store: Store) -> None:
    """And never shows the password that may stand in it."""
    place = store(numbered([row("a", baseline_pico=100)]))
    done = CliRunner().invoke(app, ["report", "--ledger", place])
    assert done.exit_code == 0, done.output
    assert "small" in done.stdout
    narrowed = CliRunner().invoke(
        app, ["report", "--ledger", place.replace("postgres@", "postgres:sesame@"), "--user", "x"]
    )
    assert "holds no call" in narrowed.output
    assert "sesame" not in narrowed.output
