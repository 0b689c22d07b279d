"""Reports over rows of an SQLite file that no writer of today would write."""

from __future__ import annotations

from pathlib import Path

import pytest

from .ledger_rows import Store, sqlite_store

pytest.register_assert_rewrite(f"{__package__}.cells_suite", f"{__package__}.report_suite")

from .report_suite import ReportSuite  # noqa: E402


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return sqlite_store(tmp_path)


class TestReport(ReportSuite):
    """The same suite as for PostgreSQL."""
