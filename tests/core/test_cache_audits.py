"""Logs of audits on one machine, and the command line over a file of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tuppence.cache import SqliteAudits, SqliteStore
from tuppence.cache.calibration import MemoryAudits

pytest.register_assert_rewrite(f"{__package__}.audit_suite")

# After pytest knows that it holds assertions.
from .audit_suite import KeptLogSuite, LogSuite, OpenLog, cli  # noqa: E402


class TestMemory(LogSuite):
    """One process: there is one log."""

    @pytest.fixture
    def open_log(self) -> OpenLog:
        log = MemoryAudits()
        return lambda **_options: log


class TestSqlite(KeptLogSuite):
    """A file that processes share."""

    @pytest.fixture
    def where(self, tmp_path: Path) -> str:
        return str(tmp_path / "audits.sqlite")

    @pytest.fixture
    def opening(self, where: str) -> str:
        return f"log = SqliteAudits({where!r})"

    @pytest.fixture
    def open_log(self, where: str) -> Iterator[OpenLog]:
        opened: list[SqliteAudits] = []

        def open_one(**options: bool) -> SqliteAudits:
            opened.append(SqliteAudits(where, **options))
            return opened[-1]

        yield open_one
        for log in opened:
            log.close()


@pytest.mark.parametrize("kind", ["a cache without audits", "text"])
def test_a_file_of_something_else_holds_no_audits(tmp_path: Path, kind: str) -> None:
    """It is left as it is."""
    file = tmp_path / "other"
    if kind == "text":
        file.write_text("not a database, but long enough to be taken for one" * 20)
    else:
        SqliteStore(file).close()
    before = file.read_bytes()
    shown = cli("cache", "audit", file)
    assert shown.exit_code == 1
    assert "holds no audits" in " ".join(shown.output.split())
    assert file.read_bytes() == before
