"""When the disk, the file or the process fails: no call fails, no row is lost, and the log says where the rows are."""

import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tuppence.attempts import Attempt, Decision, Result
from tuppence.errors import LedgerError
from tuppence.spend import SqliteLedger, report
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import TOKEN_COLUMNS, attempts
from tuppence.usage import Usage

POSIX = pytest.mark.skipif(os.name == "nt", reason="needs POSIX limits and signals")


def call(call_id: str, **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "tier": "small", "model": "m", "cause": "draft", "outcome": "accepted", "usage": Usage(input=7, output=3),
        "pico_usd": 5, "status": "exact", "price_version": "v", "started_at": time.time(), "latency_ms": 1.0,
    }  # fmt: skip
    return Result(call_id, None, [Attempt(**(fields | changes))], Decision("optimise"), {"user": "ann"})


def stored(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [call_id for (call_id,) in connection.execute("SELECT call_id FROM attempts ORDER BY id")]


def program(script: str) -> list[str]:
    return [sys.executable, "-c", f"import runpy; globals().update(runpy.run_path({__file__!r}))\n{script}"]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have another process hold the ledger for writing."""
    script = "\n".join(
        (
            "import sqlite3, sys",
            "c = sqlite3.connect(sys.argv[1], isolation_level=None)",
            "c.execute('BEGIN EXCLUSIVE')",
            "print('held', flush=True)",
            "sys.stdin.readline()",
            "c.execute('COMMIT')",
        )
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("\n", timeout=600)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.sqlite"


@pytest.fixture(autouse=True)
def _temporary_folder_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))


def test_a_locked_ledger_holds_nobody_up_and_loses_nothing(path: Path) -> None:
    """Writing goes on at once, flush says that the rows are in memory, and all is there when the lock is gone."""
    ledger = SqliteLedger(path)
    ledger.write(call("before"))
    ledger.flush()
    with locked(path):
        began = time.thread_time()
        for k in range(1000):
            ledger.write(call(f"during-{k}"))
        assert time.thread_time() - began < 1
        with pytest.raises(LedgerError, match=r"locked.*1000 calls and rows are kept in memory"):
            ledger.flush(timeout_s=0.05)
        assert stored(path) == ["before"]
    ledger.flush()
    assert stored(path) == ["before", *(f"during-{k}" for k in range(1000))]
    ledger.close()


def test_flush_waits_for_another_processs_transaction(path: Path) -> None:
    """A short lock is normal with many processes: flush succeeds as soon as it is gone."""
    ledger = SqliteLedger(path)
    with locked(path):
        ledger.write(call("c"))
        flushing = threading.Thread(target=ledger.flush, args=(60,))
        flushing.start()
    flushing.join()
    assert stored(path) == ["c"]
    ledger.close()


def test_trouble_is_told_once_and_its_end_too(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log gets one warning however often the writer tries again."""
    ledger = SqliteLedger(path, window_s=0.001)
    aside = path.parent.with_name("aside")
    path.parent.rename(aside)
    path.parent.write_text("a file where the folder was")
    with caplog.at_level(logging.WARNING, logger="tuppence.ledger"):
        deadline = time.monotonic() + 300
        ledger.write(call("c"))
        while not caplog.records and time.monotonic() < deadline:
            os.sched_yield()
        for _ in range(20):
            with pytest.raises(LedgerError, match="kept in memory"):
                ledger.flush()
        path.parent.unlink()
        aside.rename(path.parent)
        while len(caplog.records) < 2 and time.monotonic() < deadline:
            os.sched_yield()
    first, last = caplog.messages
    assert "kept in memory and tried again" in first
    assert "nothing was lost" in last
    assert stored(path) == ["c"]
    ledger.close()


def test_a_long_lock_fills_files_and_not_the_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond a number of rows they go to files, which the same program takes in when the lock is gone."""
    monkeypatch.setattr("tuppence.spend.ledger.writer.KEPT_ROWS", 10)
    monkeypatch.setattr("tuppence.spend.ledger.writer.BUSY_WAIT_S", 0.01)
    ledger = SqliteLedger(path, window_s=0.001)
    deadline = time.monotonic() + 300
    with locked(path):
        for k in range(30):
            ledger.write(call(f"c{k}"))
        while not list(path.parent.glob("*.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert list(path.parent.glob("*.jsonl"))
    while list(path.parent.glob("*.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.01)
    ledger.flush()
    assert sorted(stored(path)) == sorted(f"c{k}" for k in range(30))
    assert "rows were put into" in caplog.text
    ledger.close()


# A file that may not grow is what a full disk looks like. A long call id takes more room in the ledger, where it is
# also in an index, than in a spill file: 30 rows of them pass the limit in the one and not in the other.
FULL_DISK = """
import resource
ledger = SqliteLedger(sys.argv[1], window_s=60)
ledger.write(call("first"))
ledger.flush()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
for k in range(30):
    ledger.write(call(f"c{k}" + "x" * 2000))
try:
    ledger.flush()
except LedgerError as error:
    print(error)
"""


@POSIX
def test_a_full_disk_keeps_rows_in_memory_until_there_is_room(path: Path) -> None:
    """Flush says where the rows are, and works once there is room again."""
    script = FULL_DISK + "resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))\nledger.flush()"
    done = subprocess.run([*program(script), str(path)], check=True, capture_output=True, text=True, timeout=120)
    assert "30 calls and rows are kept in memory" in done.stdout
    assert [call_id.rstrip("x") for call_id in stored(path)] == ["first", *(f"c{k}" for k in range(30))]


@POSIX
def test_rows_that_outlive_a_full_disk_are_spilled_and_read_in_later(path: Path) -> None:
    """The program ends before there is room: the log names the file, reports know of it, the next program reads it."""
    done = subprocess.run([*program(FULL_DISK), str(path)], check=True, capture_output=True, text=True, timeout=120)
    (spilled,) = path.parent.glob("*.jsonl")
    assert f"30 rows were put into {spilled}" in done.stderr
    assert stored(path) == ["first"]
    assert report(path).unread == (spilled,)

    SqliteLedger(path).close()

    assert [call_id.rstrip("x") for call_id in stored(path)] == ["first", *(f"c{k}" for k in range(30))]
    assert list(path.parent.glob("*spill*")) == []
    assert report(path).unread == ()


def test_without_its_folder_a_ledger_spills_into_the_temporary_one(path: Path, tmp_path: Path) -> None:
    """All kinds of rows, exactly, odd ones too; a ledger of another path does not take them."""
    ledger = SqliteLedger(path, window_s=60)
    aside = path.parent.with_name("aside")
    path.parent.rename(aside)
    path.parent.write_text("a file where the folder was")
    ledger.write(call("dear", pico_usd=2**63 - 1))
    ledger.write(call("odd", model="\ud800", pico_usd=None))
    ledger.feedback("dear", 0.5)
    ledger.close()
    (spilled,) = (tmp_path / "tmp").iterdir()
    path.parent.unlink()
    aside.rename(path.parent)

    SqliteLedger(tmp_path / "other" / "ledger.sqlite").close()
    assert spilled.exists()
    SqliteLedger(path).close()
    assert not spilled.exists()
    assert stored(path) == ["dear", "odd"]
    assert report(path).total.pico_usd == 2**63 - 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT call_id, score FROM feedback").fetchall() == [("dear", 0.5)]
        assert connection.execute("SELECT model FROM attempts WHERE call_id = 'odd'").fetchone() == ("\\ud800",)


def test_when_nothing_can_be_written_the_error_says_so(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder, no temporary folder: close raises, names both, and the rows are still there to be flushed."""
    ledger = SqliteLedger(path, window_s=60)
    aside = path.parent.with_name("aside")
    path.parent.rename(aside)
    path.parent.write_text("a file where the folder was")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    ledger.write(call("c"))
    with pytest.raises(LedgerError, match=r"1 rows.*data.*nowhere.*free disk space"):
        ledger.close()
    path.parent.unlink()
    aside.rename(path.parent)
    ledger.flush()
    assert stored(path) == ["c"]
    ledger.close()


def test_a_spill_file_read_twice_counts_once(path: Path) -> None:
    """Two processes may find the same file at the same time."""
    ledger = SqliteLedger(path, window_s=60)
    ledger.write(call("c"))
    ledger.flush()
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM attempts").fetchone())
    line = json.dumps({"table": "attempts", "row": row}) + "\n"
    path.with_name("ledger.sqlite.spill-1-a.jsonl").write_text(line * 3)
    SqliteLedger(path).close()
    assert stored(path) == ["c"]
    ledger.close()


def test_a_spill_file_of_the_first_schema_is_read_in(path: Path) -> None:
    """It knows nothing of further tries and levers, and spells great amounts in digits."""
    SqliteLedger(path).close()
    row = dict.fromkeys(("pico_usd", "tier", "model", "cause", "outcome", "status", "user"), "x") | {
        "call_id": "old", "n": 1, "started_us": 5, "latency_ms": 1.0, "pico_usd": str(2**70), "baseline_pico": 7,
        **dict.fromkeys(TOKEN_COLUMNS, 3),
    }  # fmt: skip
    spilled = path.with_name("ledger.sqlite.spill-1-a.jsonl")
    spilled.write_text(json.dumps({"table": "attempts", "row": row}) + "\n")
    SqliteLedger(path).close()
    assert not spilled.exists()
    with reading(path) as connection:
        (found,) = connection.execute(attempts.select()).mappings()
    assert (found["call_id"], found["again"], found["pico_usd"], found["baseline_pico"]) == ("old", 0, None, 7)
    assert (found["input"], found["prune_pico"]) == (3, None)
    assert found["extra"] == {"misfits": {"pico_usd": str(2**70)}}


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"table": "attempts"}', '{"table": "users", "row": {}}', '"text"', "\x00"]
)
def test_a_damaged_spill_file_is_left_where_it_is(path: Path, line: str, caplog: pytest.LogCaptureFixture) -> None:
    """It may hold money: the log names the line, the ledger opens, and nobody deletes the file."""
    path.parent.mkdir()
    damaged = path.with_name("ledger.sqlite.spill-1-a.jsonl")
    damaged.write_text(line + "\n")
    SqliteLedger(path).close()
    assert damaged.exists()
    assert f"{damaged}, line 1 is not a ledger row" in caplog.text


@POSIX
def test_a_link_in_the_place_of_a_spill_file_is_not_followed(path: Path, tmp_path: Path) -> None:
    """The temporary folder is everybody's."""
    path.parent.mkdir()
    planted = tmp_path / "planted"
    planted.write_text(json.dumps({"table": "attempts", "row": {"call_id": "planted"}}))
    path.with_name("ledger.sqlite.spill-1-a.jsonl").symlink_to(planted)
    SqliteLedger(path).close()
    assert stored(path) == []


@POSIX
def test_rows_go_to_the_file_that_is_there_now(path: Path) -> None:
    """Somebody deletes the ledger under a running program: later calls are in the new file, not in one without name."""
    ledger = SqliteLedger(path)
    ledger.write(call("old"))
    ledger.flush()
    for file in path.parent.iterdir():
        file.unlink()
    ledger.write(call("new"))
    ledger.flush()
    assert stored(path) == ["new"]
    ledger.close()


KILLED = """
ledger = SqliteLedger(sys.argv[1], window_s=0.005)
for k in range(10**9):
    ledger.write(call(f"c{k}"))
    if k % 100 == 99:
        ledger.flush()
        print(k + 1, flush=True)
"""


@POSIX
def test_kill_9_takes_nothing_that_was_flushed(path: Path) -> None:
    """Three programs die in the middle of writing: what they acknowledged is there, whole, once and in order."""
    acknowledged = []
    for round_ in range(3):
        command = [*program(KILLED.replace('f"c{k}"', f'f"{round_}-{{k}}"')), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout is not None
            counts = [int(victim.stdout.readline()) for _ in range(5)]
            victim.send_signal(signal.SIGKILL)
            counts += [int(line) for line in victim.stdout.read().splitlines() if line.endswith("00")]
            assert victim.wait() == -signal.SIGKILL
        acknowledged.append(counts[-1])
    found = stored(path)
    assert len(found) == len(set(found))
    for round_, count in enumerate(acknowledged):
        of_round = [call_id for call_id in found if call_id.startswith(f"{round_}-")]
        assert of_round == [f"{round_}-{k}" for k in range(len(of_round))]
        assert len(of_round) >= count
    total = report(path).total
    assert (total.calls, total.pico_usd) == (len(found), 5 * len(found))
