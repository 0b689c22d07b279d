"""The ledger of many machines: whatever the server does, no call waits for it, and no row is lost or there twice."""

import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, make_url

from tuppence.attempts import Attempt, Decision, Levers, Result
from tuppence.errors import LedgerError
from tuppence.spend.cells import cells
from tuppence.spend.ledger import PostgresLedger, SqliteLedger, reading
from tuppence.spend.ledger.opening import Opened
from tuppence.spend.ledger.parquet import export
from tuppence.spend.ledger.retention import roll_up
from tuppence.spend.ledger.tables import attempts, days, feedback
from tuppence.usage import Usage

pytestmark = pytest.mark.services


def call(call_id: str, tags: dict[str, str] | None = None, again: bool = False, **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "tier": "small", "model": "m", "cause": "draft", "outcome": "accepted", "usage": Usage(input=7, output=3),
        "pico_usd": 5, "status": "exact", "price_version": "v", "started_at": time.time(), "latency_ms": 1.0,
    }  # fmt: skip
    return Result(call_id, None, [Attempt(**(fields | changes))], Decision("optimise", again=again), tags or {})


def stored(address: str) -> list[dict[str, Any]]:
    with reading(address) as connection:
        return [dict(row) for row in connection.execute(attempts.select().order_by(attempts.c.id)).mappings()]


def ids(address: str) -> list[str]:
    return [row["call_id"] for row in stored(address)]


def until(met: Callable[[], bool]) -> None:
    """Wait for what other threads do; a test that hangs here has failed."""
    deadline = time.monotonic() + 300
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Wire:
    """A line to the server that can be cut and frozen."""

    def __init__(self, address: str) -> None:
        url = make_url(address)
        self._server = (url.host or "127.0.0.1", url.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.address = url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        self._open = True
        self.frozen = False
        self.broken = False
        self.breaks_after: int | None = None
        """Bytes to the server, from now on, after which the line breaks."""
        self.breaks_on = b""
        """What the server still gets before the line breaks."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        ends: dict[socket.socket, socket.socket] = {}
        while self._open:
            watched = [] if self.frozen else [self._listener, *ends]
            ready, _, _ = select.select(watched, [], [], 0.005)
            if self.broken:
                self._hang_up(ends, *ends)
            for end in ready:
                if end is self._listener:
                    self._accept(ends)
                elif end in ends and not self._forward(end, ends):
                    self._hang_up(ends, end, ends[end])
        self._hang_up(ends, *ends)

    def _accept(self, ends: dict[socket.socket, socket.socket]) -> None:
        near, _ = self._listener.accept()
        if self.broken:
            near.close()
            return
        far = socket.create_connection(self._server)
        ends[near], ends[far] = far, near

    def _forward(self, end: socket.socket, ends: dict[socket.socket, socket.socket]) -> bool:
        try:
            data = end.recv(65536)
        except OSError:
            return False
        to_server = end.getsockname()[1] == self._listener.getsockname()[1]
        if to_server and self.breaks_after is not None:
            self.breaks_after -= len(data)
            if self.breaks_after < 0:
                self.broken, self.breaks_after = True, None
                return False
        if data:
            ends[end].sendall(data)
        if to_server and self.breaks_on and self.breaks_on in data:
            self.broken, self.breaks_on = True, b""
        return bool(data) and not self.broken

    @staticmethod
    def _hang_up(ends: dict[socket.socket, socket.socket], *gone: socket.socket) -> None:
        for end in gone:
            end.close()
            del ends[end]


@pytest.fixture
def wire(postgres_address: str) -> Iterator[Wire]:
    with closing(Wire(postgres_address)) as line:
        yield line


@pytest.fixture(autouse=True)
def _folders_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


def spilled(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob("**/*spill*.jsonl"))


def test_a_call_and_its_feedback_are_stored_once(postgres_address: str) -> None:
    """Every column as in SQLite, JSON as JSON; the same result again adds nothing."""
    told = call("c", {"user": "ann", "ab": "b"}, again=True, levers=Levers(1, 2, 0, 4), baseline_pico=9)
    for _ in range(2):
        ledger = PostgresLedger(postgres_address)
        ledger.write(told)
        ledger.write(told)
        ledger.close()
    ledger.feedback("c", 0.5)
    ledger.close()
    (row,) = stored(postgres_address)
    expected = {
        "call_id": "c", "n": 1, "again": 1, "tier": "small", "input": 7, "output": 3, "pico_usd": 5, "latency_ms": 1.0,
        "baseline_pico": 9, "prune_pico": 1, "output_pico": 2, "batch_pico": 0, "self_host_pico": 4, "user": "ann",
        "tags": {"ab": "b"}, "extra": None, "score": None,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    with reading(postgres_address) as connection:
        assert connection.execute(feedback.select()).one()[1:] == (
            "c",
            connection.execute(feedback.select()).one()[2],
            0.5,
        )


texts = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(["\0", "\ud800", "\\u0000", "a\\", '"', "{}"])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts, money=st.none() | st.integers(-(2**70), 2**70), ms=st.floats() | st.just(3))
def test_no_value_costs_a_row(postgres_address: str, text: str, money: int | None, ms: float) -> None:
    """NUL and lone surrogates are spelt out, what is no number is left out, an amount that is too big kept in words."""
    ledger = PostgresLedger(postgres_address)
    call_id = os.urandom(8).hex()
    odd = call(call_id, {"user": text, text or "x": text}, model=text, pico_usd=money, latency_ms=ms)
    for result in (call(f"{call_id}-before"), odd, call(f"{call_id}-after")):
        ledger.write(result)
    ledger.close()
    rows = [row for row in stored(postgres_address) if row["call_id"].startswith(call_id)]
    assert len(rows) == 3
    row = rows[1]
    spelt = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    assert (row["model"], row["user"], row["tags"]) == (spelt, spelt, {spelt or "x": spelt})
    fits = money is None or abs(money) < 2**63
    assert row["pico_usd"] == (money if fits else None)
    assert fits or row["extra"]["misfits"]["pico_usd"] == str(money)
    assert row["latency_ms"] is None or abs(row["latency_ms"]) < float("inf")


def test_a_long_backlog_arrives_whole_and_in_order(postgres_address: str) -> None:
    ledger = PostgresLedger(postgres_address, window_s=60)
    for k in range(5000):
        ledger.write(call(f"c{k}", pico_usd=None if k % 3 else k, score=k / 5000 if k % 2 else None))
    ledger.close()
    rows = stored(postgres_address)
    assert [row["call_id"] for row in rows] == [f"c{k}" for k in range(5000)]
    assert [row["pico_usd"] for row in rows] == [None if k % 3 else k for k in range(5000)]


def test_a_line_that_breaks_before_the_answer_to_a_commit_doubles_nothing(wire: Wire) -> None:
    """The server has stored the rows, and nobody was told."""
    ledger = PostgresLedger(wire.address, window_s=60)
    ledger.write(call("first"))
    ledger.flush()
    ledger.write(call("second"))
    wire.breaks_on = b"COMMIT"
    with pytest.raises(LedgerError, match="1 calls and rows are kept in memory"):
        ledger.flush()
    wire.broken = False
    until(lambda: ids(wire.address) == ["first", "second"])
    ledger.flush()
    assert ids(wire.address) == ["first", "second"]
    ledger.close()


CREATING = """
import sys
from tuppence.spend.ledger import PostgresLedger
sys.stdin.readline()
ledger = PostgresLedger(sys.argv[1])
ledger.feedback(sys.argv[2], 1)
ledger.flush()
"""


def test_programs_that_start_together_make_the_tables_once(postgres_address: str) -> None:
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", CREATING, postgres_address, str(k)],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for k in range(4)
    ]  # fmt: skip
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    for program in programs:
        _, errors = program.communicate(timeout=120)
        assert (program.returncode, errors) == (0, "")
    with reading(postgres_address) as connection:
        assert sorted(row.call_id for row in connection.execute(feedback.select())) == list("0123")


def test_a_server_that_is_away_at_the_start_is_waited_for(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """Opening raises nothing, calls go on, and all is there once the server is."""
    wire.broken = True
    ledger = PostgresLedger(wire.address, window_s=0.01)
    assert "cannot be reached" in caplog.text
    ledger.write(call("early"))
    with pytest.raises(LedgerError, match="1 calls and rows are kept in memory"):
        ledger.flush()
    wire.broken = False
    ledger.flush()
    assert ids(wire.address) == ["early"]
    ledger.close()


@pytest.mark.parametrize("sent", [10, 150, 300, 1_000, 3_000])
def test_a_server_that_goes_while_tables_are_made_is_waited_for(wire: Wire, sent: int) -> None:
    wire.breaks_after = sent
    ledger = PostgresLedger(wire.address, window_s=60)
    ledger.write(call("early"))
    wire.broken, wire.breaks_after = False, None
    until(lambda: _flushed(ledger))
    assert ids(wire.address) == ["early"]
    ledger.close()


def test_a_server_that_goes_in_between_is_waited_for(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    ledger = PostgresLedger(wire.address, window_s=0.01)
    ledger.write(call("before"))
    ledger.flush()
    wire.broken = True
    began = time.thread_time()
    for k in range(1000):
        ledger.write(call(f"during-{k}"))
    assert time.thread_time() - began < 1
    until(lambda: "kept in memory and tried again" in caplog.text)
    wire.broken = False
    until(lambda: "nothing was lost" in caplog.text)
    ledger.flush()
    assert ids(wire.address) == ["before", *(f"during-{k}" for k in range(1000))]
    ledger.close()


@pytest.mark.parametrize("sent", [0, 100, 5_000, 100_000, 200_000])
def test_a_line_that_breaks_in_a_batch_doubles_nothing(wire: Wire, sent: int) -> None:
    """Wherever it breaks, and whether or not the server had stored the batch: each row is there once."""
    ledger = PostgresLedger(wire.address, window_s=60)
    ledger.write(call("first"))
    ledger.flush()
    for k in range(2000):
        ledger.write(call(f"c{k}"))
    wire.breaks_after = sent
    with pytest.raises(LedgerError, match="kept in memory"):
        ledger.flush()
    wire.broken = False
    ledger.flush()
    assert ids(wire.address) == ["first", *(f"c{k}" for k in range(2000))]
    ledger.close()


def test_a_restarted_server_ends_a_transaction_and_no_row(postgres_address: str) -> None:
    """As a restart does: every connection of the ledger is ended by the server."""
    ledger = PostgresLedger(postgres_address, window_s=0.001)
    plain = make_url(postgres_address).set(query={}).render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as admin:
        for k in range(500):
            ledger.write(call(f"c{k}"))
            if k % 100 == 50:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'tuppence' AND pid <> pg_backend_pid()"
                )
    until(lambda: _flushed(ledger))
    assert ids(postgres_address) == [f"c{k}" for k in range(500)]
    ledger.close()


def _flushed(ledger: PostgresLedger) -> bool:
    try:
        ledger.flush()
    except LedgerError:
        return False
    return True


def test_a_frozen_server_holds_nobody_for_ever(wire: Wire) -> None:
    """It took the line and says nothing: flush gives up, closing spills, and the next program takes the rows in."""
    ledger = PostgresLedger(wire.address, window_s=60)
    ledger.write(call("before"))
    ledger.flush()
    ledger.write(call("kept"))
    wire.frozen = True
    with pytest.raises(LedgerError, match=r"does not answer.*kept in memory"):
        ledger.flush(timeout_s=1)
    ledger.close()
    wire.frozen = False
    assert ids(wire.address) == ["before"]
    PostgresLedger(wire.address).close()
    assert ids(wire.address) == ["before", "kept"]


def test_a_long_outage_fills_files_and_not_the_memory(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond a number of rows they go to files, which the same program takes in when the server is back."""
    monkeypatch.setattr("tuppence.spend.ledger.writer.KEPT_ROWS", 100)
    ledger = PostgresLedger(wire.address, window_s=0.001)
    wire.broken = True
    for k in range(1000):
        ledger.write(call(f"c{k}"))
        if k % 200 == 0:
            until(lambda: not ledger._writer._queue)
    until(lambda: ledger._writer.waiting <= 100)
    assert spilled(tmp_path)
    wire.broken = False
    until(lambda: _flushed(ledger) and not spilled(tmp_path))
    assert sorted(ids(wire.address)) == sorted(f"c{k}" for k in range(1000))
    ledger.close()


def test_rows_of_a_program_that_ended_without_its_server_are_taken_in(
    wire: Wire, tmp_path: Path, postgres_address: str
) -> None:
    """They lie beside the user's default ledger; a ledger at another address leaves them alone."""
    ledger = PostgresLedger(wire.address)
    wire.broken = True
    ledger.write(call("orphan", {"user": "\0"}))
    ledger.close()
    (path,) = spilled(tmp_path)
    assert path.parent == tmp_path / "data" / "tuppence"
    PostgresLedger(postgres_address).close()
    assert path.exists()
    wire.broken = False
    PostgresLedger(wire.address).close()
    assert not path.exists()
    assert ids(wire.address) == ["orphan"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_gets_a_connection_of_its_own(postgres_address: str) -> None:
    ledger = PostgresLedger(postgres_address, window_s=60)
    ledger.write(call("flushed"))
    ledger.flush()
    ledger.write(call("waiting"))
    child = os.fork()
    if child == 0:
        ledger.write(call("child"))
        ledger.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    ledger.write(call("parent"))
    ledger.flush()
    assert ids(postgres_address) == ["flushed", "child", "waiting", "parent"]
    ledger.close()


def test_reading_is_of_one_moment_and_changes_nothing(postgres_address: str) -> None:
    ledger = PostgresLedger(postgres_address)
    ledger.write(call("one"))
    ledger.flush()
    with reading(postgres_address) as connection:
        before = connection.execute(attempts.select()).all()
        ledger.write(call("two"))
        ledger.flush()
        assert connection.execute(attempts.select()).all() == before
    with pytest.raises(LedgerError, match="read-only"), reading(postgres_address) as connection:
        connection.execute(attempts.delete())
    assert ids(postgres_address) == ["one", "two"]
    ledger.close()


def test_what_is_not_a_ledger_is_left_alone(postgres_address: str) -> None:
    with pytest.raises(LedgerError, match="there is no ledger"), reading(postgres_address):
        pass
    with psycopg.connect(postgres_address, autocommit=True) as owner:
        owner.execute("CREATE TABLE attempts (what TEXT)")
        with pytest.raises(LedgerError, match=r"\['attempts'\] that are no ledger's"):
            PostgresLedger(postgres_address)
        owner.execute("DROP TABLE attempts")
        PostgresLedger(postgres_address).close()
        owner.execute("UPDATE ledger_version SET version_num = '99'")
    with pytest.raises(LedgerError, match=r"schema 99.*upgrade tuppence"):
        PostgresLedger(postgres_address)
    with pytest.raises(LedgerError, match=r"schema 99.*upgrade tuppence"), reading(postgres_address):
        pass


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgresql://ann:s3cret@127.0.0.1:1/test", "postgresql://ann@127.0.0.1:1/test cannot be reached"),
        ("postgresql://ann:s3cret@host:port/test", "%40 for an @"),
        ("postgresql://nobody-here:s3cret@127.0.0.1:5432/test?password=s3cret", "cannot be reached"),
    ],
)
def test_a_message_shows_no_password(address: str, told: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LedgerError) as raised, reading(address):
        pass
    assert told in str(raised.value)
    with contextlib.suppress(LedgerError):
        PostgresLedger(address).close()
    assert "s3cret" not in str(raised.value) + caplog.text


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"pip install 'tuppence\[postgres\]'"):
        PostgresLedger("postgresql://127.0.0.1/test")


def test_trouble_is_told_once(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    ledger = PostgresLedger(wire.address, window_s=0.001)
    wire.broken = True
    with caplog.at_level(logging.WARNING, logger="tuppence.ledger"):
        for k in range(20):
            ledger.write(call(f"c{k}"))
            with pytest.raises(LedgerError):
                ledger.flush()
        until(lambda: bool(caplog.records))
    assert len(caplog.records) == 1
    wire.broken = False
    ledger.close()


def traffic(start: datetime) -> list[Result]:
    """Calls of three days: some over midnight, some unpriced, some with a baseline, some tried again."""
    results = []
    for k in range(60):
        at = (start + timedelta(days=k % 3, seconds=86_399.5)).timestamp()
        made = [
            call("", tier="small", outcome="rejected", started_at=at, pico_usd=None if k % 7 == 0 else k).attempts[0],
            call("", tier="large", started_at=at + k % 2, pico_usd=2**55 + k, baseline_pico=2**55 - k).attempts[0],
        ]
        decision = Decision("optimise", again=k >= 50)
        results.append(Result(f"c{k % 50}", None, made, decision, {"user": f"u{k % 2}"}))
    return results


def test_old_rows_become_the_same_sums_as_in_sqlite(postgres_address: str, tmp_path: Path) -> None:
    """Days are pruned as they are in a file, and what they come to is the same before and after."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    places: list[tuple[str, PostgresLedger | SqliteLedger]] = [
        (postgres_address, PostgresLedger(postgres_address)),
        (str(tmp_path / "ledger.sqlite"), SqliteLedger(tmp_path / "ledger.sqlite")),
    ]
    found = []
    for place, ledger in places:
        for result in traffic(start):
            ledger.write(result)
        ledger.close()
        before = cells(place, by=("tier", "user"), every="day")
        done = roll_up(place, before=start + timedelta(days=2))
        after = cells(place, by=("tier", "user"), every="day")
        assert after == before
        with reading(place) as connection:
            sums = connection.execute(days.select().with_only_columns(*days.columns[1:])).all()
        found.append((done, before, sorted(map(tuple, sums), key=repr)))
    assert found[0] == found[1]
    assert found[0][0].rows > 0


def test_work_on_a_ledger_makes_none(postgres_address: str) -> None:
    """A database that was mistyped gets no tables."""
    works: list[Callable[[], object]] = [
        lambda: roll_up(postgres_address, before=datetime(2026, 3, 1, tzinfo=UTC)),
        lambda: Opened(postgres_address),
    ]
    for work in works:
        with pytest.raises(LedgerError, match=r"there is no ledger at postgresql://.*: make a call with it first"):
            work()
    with psycopg.connect(postgres_address) as owner:
        found = owner.execute("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()").fetchone()
    assert found == (0,)


def test_programs_that_prune_together_count_nothing_twice(postgres_address: str) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    ledger = PostgresLedger(postgres_address)
    for k in range(2000):
        ledger.write(call(f"c{k}", started_at=(start + timedelta(days=k % 4)).timestamp()))
    ledger.close()
    code = (
        "import sys; from datetime import datetime; from tuppence.errors import LedgerError\n"
        "from tuppence.spend.ledger.retention import roll_up\nsys.stdin.readline()\n"
        "try: roll_up(sys.argv[1], before=datetime(2026, 3, 4))\n"
        "except LedgerError as error: assert 'serialize' in str(error), error\n"
    )
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", code, postgres_address], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    told = [program.communicate("go\n", timeout=120)[1] for program in programs]
    assert told == [""] * 3
    roll_up(postgres_address, before=start + timedelta(days=3))
    with reading(postgres_address) as connection:
        assert connection.execute(func.sum(days.c.pico_usd).select()).scalar_one() == 5 * 1500
        assert connection.execute(func.count(attempts.c.id).select()).scalar_one() == 500


def test_rows_are_exported_piece_by_piece(postgres_address: str, tmp_path: Path) -> None:
    """JSON as its text, money as integers, the sum the server's own."""
    ledger = PostgresLedger(postgres_address)
    for k in range(3000):
        ledger.write(call(f"c{k}", {"ab": "b"}, pico_usd=2**40 + k))
    ledger.close()
    assert export(postgres_address, tmp_path / "rows.parquet") == 3000
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
    assert pyarrow.compute.sum(table["pico_usd"]).as_py() == sum(2**40 + k for k in range(3000))
    assert json.loads(table["tags"][0].as_py()) == {"ab": "b"}
