"""Cells over a ledger in an SQLite file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuppence.errors import LedgerError
from tuppence.spend import SqliteLedger
from tuppence.spend.cells import cells

from .ledger_rows import Store, sqlite_store

pytest.register_assert_rewrite(f"{__package__}.cells_suite")

from .cells_suite import CellsSuite  # noqa: E402


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return sqlite_store(tmp_path)


class TestCells(CellsSuite):
    """The same suite as for PostgreSQL."""


def test_a_place_without_a_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger"):
        cells(tmp_path / "none.sqlite")


def test_what_was_just_written_is_there(tmp_path: Path) -> None:
    """An empty ledger of the writer's own."""
    SqliteLedger(tmp_path / "ledger.sqlite").close()
    assert list(tmp_path.iterdir()) == [] or cells(tmp_path / "ledger.sqlite") == []
