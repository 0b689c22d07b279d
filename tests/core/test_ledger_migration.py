"""Ledgers of the first schema become ones of this, whole or not at all, whoever opens them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine
from typer.testing import CliRunner

from tuppence.attempts import Attempt, Decision, Result
from tuppence.cli.ledger import app
from tuppence.errors import LedgerError
from tuppence.spend.ledger import SCHEMA, SqliteLedger, migrations, reading
from tuppence.spend.ledger.tables import attempts, feedback, metadata
from tuppence.usage import Usage

POSIX = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")

TOKENS = (
    "input, cache_read, cache_write_5m, cache_write_1h, audio_input, audio_cache_read, media_input, output, "
    "audio_output, media_output, reasoning"
)
ROWS = f"""
WITH RECURSIVE k(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM k WHERE k + 1 < ?)
INSERT INTO attempts (
    call_id, n, started_us, latency_ms, tier, model, cause, outcome, status, pico_usd, {TOKENS}, user, extra
)
SELECT 'call-' || (k / 2), k % 2 + 1, 1000000 * k, 1.5, 'small', 'm', 'draft', 'accepted', 'exact', k,
    7, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 'user-' || (k % 500), NULL
FROM k
"""


def old_ledger(path: Path, rows: int) -> Path:
    """Make a file as the first version did: its tables, its number, and nothing of Alembic's."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.upgrade(config, "1")
        connection.exec_driver_sql("DROP TABLE ledger_version")
    engine.dispose()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute(ROWS, (rows,))
        raw.execute("PRAGMA user_version = 1")
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    with reading(path) as connection:
        return [dict(row) for row in connection.execute(attempts.select().order_by(attempts.c.id)).mappings()]


def tables(path: Path) -> dict[str, list[Any]]:
    """Describe all tables, columns and indexes."""
    with closing(sqlite3.connect(path)) as raw:
        names = [name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")]
        return {
            name: [
                raw.execute(f"PRAGMA table_info({name})").fetchall(),
                [index[1:] for index in raw.execute(f"PRAGMA index_list({name})")],
                raw.execute("SELECT strict FROM pragma_table_list WHERE name = ?", (name,)).fetchone(),
            ]
            for name in names
            if name != "ledger_version"
        }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_what_was_known_is_known_after(path: Path) -> None:
    """Every value stays, feedback too; new columns are empty, and what no integer holds stays in words."""
    old_ledger(path, 4)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO feedback (call_id, at_us, score) VALUES ('call-0', 5, 0.5)")
        raw.execute('UPDATE attempts SET tags = \'{"ab":"b"}\', extra = \'{"geo":"eu"}\' WHERE id = 1')
        raw.execute("UPDATE attempts SET pico_usd = '9223372036854775808', extra = '{\"geo\":\"eu\"}' WHERE id = 2")
        raw.execute("UPDATE attempts SET pico_usd = NULL, baseline_pico = '1' || '0000000000000000000' WHERE id = 3")
        raw.row_factory = sqlite3.Row
        before = [dict(row) for row in raw.execute("SELECT * FROM attempts ORDER BY id")]

    SqliteLedger(path).close()

    after = rows(path)
    changed = {"pico_usd", "baseline_pico", "would_pico", "extra", "tags"}
    for old, new in zip(before, after, strict=True):
        kept = old.keys() - changed
        assert {name: new[name] for name in kept} == {name: old[name] for name in kept}
        assert {name: new[name] for name in new.keys() - old.keys()} == {
            "again": 0, "prune_pico": None, "output_pico": None, "batch_pico": None, "self_host_pico": None,
        }  # fmt: skip
    assert [row["pico_usd"] for row in after] == [0, None, None, 3]
    assert [row["extra"] for row in after] == [
        {"geo": "eu"},
        {"geo": "eu", "misfits": {"pico_usd": "9223372036854775808"}},
        {"misfits": {"baseline_pico": "10000000000000000000"}},
        None,
    ]
    assert after[0]["tags"] == {"ab": "b"}
    with reading(path) as connection:
        assert connection.execute(feedback.select()).all() == [(1, "call-0", 5, 0.5)]


def test_further_tries_are_marked(path: Path) -> None:
    """A framework asked again under the same id: all rows from there on are of a further try."""
    old_ledger(path, 2)
    with closing(sqlite3.connect(path)) as raw, raw:
        for started, n in ((7, 1), (8, 1), (8, 2)):
            raw.execute(
                f"INSERT INTO attempts (call_id, n, started_us, tier, model, cause, outcome, status, {TOKENS}) "
                "VALUES ('call-0', ?, ?, 't', 'm', 'draft', 'failed', 'exact', 0,0,0,0,0,0,0,0,0,0,0)",
                (n, started),
            )
    SqliteLedger(path).close()
    assert [(row["n"], row["again"]) for row in rows(path)] == [(1, 0), (2, 0), (1, 1), (1, 1), (2, 1)]


def test_a_migrated_file_is_as_a_new_one(path: Path, tmp_path: Path) -> None:
    """The same tables, columns and indexes as those made whole, and as the code declares."""
    old_ledger(path, 3)
    SqliteLedger(path).close()
    SqliteLedger(tmp_path / "new.sqlite").close()
    assert tables(path) == tables(tmp_path / "new.sqlite")
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "ledger_version"})
        assert context.get_current_revision() == str(SCHEMA)
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (SCHEMA,)


def test_reading_changes_no_old_file_and_says_what_to_do(path: Path) -> None:
    old_ledger(path, 3)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"schema 1.*tuppence ledger migrate --ledger"), reading(path):
        pass
    assert path.read_bytes() == before
    done = CliRunner().invoke(app, ["migrate", "--ledger", str(path)])
    assert done.exit_code == 0
    assert f"has schema {SCHEMA}" in done.stderr
    assert len(rows(path)) == 3


def test_a_migrated_ledger_is_written_on(path: Path) -> None:
    """Rows of before and of after stand beside each other, and a row that is known is known."""
    old_ledger(path, 2)
    ledger = SqliteLedger(path)
    known = Attempt("small", "m", "draft", "accepted", Usage(input=7, output=3), 0, "exact", "v", 0.0, 1.5)
    ledger.write(Result("call-0", None, [known], Decision("optimise"), {}))
    ledger.write(Result("new", None, [known], Decision("optimise"), {}))
    ledger.close()
    assert [row["call_id"] for row in rows(path)] == ["call-0", "call-0", "new"]


OPENING = "import sys; from tuppence.spend.ledger import SqliteLedger; SqliteLedger(sys.argv[1]).close()"


@POSIX
def test_killed_half_way_it_has_not_happened(path: Path) -> None:
    """The file is as it was, and the next program migrates it."""
    old_ledger(path, 200_000)
    log = path.with_name("ledger.sqlite-wal")
    with subprocess.Popen([sys.executable, "-c", OPENING, str(path)], stderr=subprocess.DEVNULL) as victim:
        deadline = time.monotonic() + 120
        while not log.exists() or log.stat().st_size < 2_000_000:
            assert victim.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        victim.send_signal(signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (1,)
        assert raw.execute("SELECT COUNT(*), SUM(pico_usd) FROM attempts").fetchone() == (200_000, 199_999 * 100_000)
    SqliteLedger(path).close()
    with reading(path) as connection:
        found = connection.exec_driver_sql("SELECT COUNT(*), SUM(pico_usd) FROM attempts").one()
    assert found == (200_000, 199_999 * 100_000)


def test_programs_that_open_it_together_migrate_it_once(path: Path) -> None:
    old_ledger(path, 2_000)
    programs = [
        subprocess.Popen([sys.executable, "-c", OPENING, str(path)], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]  # fmt: skip
    told = [program.communicate(timeout=300)[1] for program in programs]
    assert [program.returncode for program in programs] == [0, 0, 0], told
    assert sum("is migrated" in text for text in told) == 1
    assert len(rows(path)) == 2_000


MEASURED = """
import resource, sys
from tuppence.spend.ledger import SqliteLedger
SqliteLedger(sys.argv[1]).close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="maximal memory is counted in other units elsewhere")
def test_memory_does_not_grow_with_the_ledger(tmp_path: Path) -> None:
    """A hundred times the rows (40 MB of them) cost a few megabytes."""
    kilobytes = []
    for count in (2_000, 200_000):
        path = old_ledger(tmp_path / f"{count}.sqlite", count)
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, str(path)], check=True, capture_output=True, text=True, timeout=300
        )
        kilobytes.append(int(done.stdout))
    assert kilobytes[1] - kilobytes[0] < 16_000


def test_a_new_ledger_does_not_load_what_migrates(path: Path) -> None:
    """Alembic costs a tenth of a second, which only an old ledger pays."""
    script = f"{OPENING}; import json; print(json.dumps('alembic' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) is False


def test_where_the_ledger_is_can_be_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for place, shown in (
        (str(tmp_path / "mine.sqlite"), str(tmp_path / "mine.sqlite")),
        ("postgresql://ann:s3cret@host/db", "postgresql://ann@host/db"),
    ):
        monkeypatch.setenv("TUPPENCE_LEDGER", place)
        done = CliRunner().invoke(app, ["path"])
        assert (done.exit_code, done.stdout) == (0, f"{shown}\n")


def test_rows_are_pruned_from_the_command_line(path: Path) -> None:
    SqliteLedger(path).close()
    done = CliRunner().invoke(app, ["prune", "--older", "90d", "--ledger", str(path)])
    assert done.exit_code == 0
    assert "0 rows of 0 days" in done.stderr
    assert CliRunner().invoke(app, ["prune", "--older", "2999-01-01", "--ledger", str(path)]).exit_code == 2
    missing = CliRunner().invoke(app, ["prune", "--older", "90d", "--ledger", str(path.with_name("no"))])
    assert isinstance(missing.exception, LedgerError)
