"""The ledger keeps every attempt, once, exactly, whoever writes it and whatever it holds."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuppence.attempts import Attempt, Decision, Levers, Result, new_call_id
from tuppence.errors import LedgerError
from tuppence.request import Reply
from tuppence.spend import SqliteLedger, default_place
from tuppence.usage import Usage

SECRET = "the patient's name is Ann Example"


def attempt(**changes: Any) -> Attempt:
    fields: dict[str, Any] = {
        "tier": "small", "model": "gpt-4o-mini", "cause": "draft", "outcome": "accepted",
        "usage": Usage(input=7, output=3), "pico_usd": 2_850_000, "status": "exact", "price_version": "2025-11-01",
        "started_at": time.time(), "latency_ms": 812.5,
    }  # fmt: skip
    return Attempt(**(fields | changes))


def call(*attempts: Attempt, call_id: str | None = None, tags: Mapping[str, str] | None = None) -> Result:
    decision = Decision("optimise", policy_version="p1")
    return Result(call_id or new_call_id(), Reply(SECRET), list(attempts or [attempt()]), decision, tags or {})


def stored(path: Path, table: str = "attempts") -> list[dict[str, Any]]:
    """Read the file as any other program would."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY id")]


def kept(path: Path, *results: Result) -> list[dict[str, Any]]:
    """Write, flush, read back."""
    ledger = SqliteLedger(path)
    for result in results:
        ledger.write(result)
    ledger.flush()
    ledger.close()
    return stored(path)


def run(script: str, *arguments: object) -> str:
    """Run `script` with this module's names in a process of its own; return what it printed."""
    return subprocess.run(
        [sys.executable, "-c", f"import runpy; globals().update(runpy.run_path({__file__!r}))\n{script}",
         *map(str, arguments)],
        check=True, capture_output=True, text=True, timeout=120,
    ).stdout  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.sqlite"


def test_every_attempt_becomes_a_row_that_says_all(path: Path) -> None:
    """A draft that was rejected and the answer that was accepted: two rows, with each figure where it
    belongs.
    """
    usage = Usage(
        input=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, audio_input=5, audio_cache_read=6, output=7,
        audio_output=8, reasoning=9, calls=(("web_search", 2),), processing="batch", geo="eu", gpu_ms=11,
        media=(("image_input", 12), ("image_output", 13)),
    )  # fmt: skip
    draft = attempt(outcome="rejected", score=0.25, started_at=1_700_000_000.25)
    answer = attempt(
        tier="large", model="gpt-4o", cause="escalation", usage=usage, pico_usd=9, status="estimated", error="E: x",
        baseline_pico=10, latency_ms=1.5,
    )  # fmt: skip
    labels = {"user": "ann", "endpoint": "/chat", "task": "t", "tenant": "acme", "session": "s", "workflow": "w"}

    first, second = kept(path, call(draft, answer, call_id="c1", tags={**labels, "ab": "b"}))

    assert (first["call_id"], first["n"], first["started_us"]) == ("c1", 1, 1_700_000_000_250_000)
    assert (first["outcome"], first["score"], first["baseline_pico"]) == ("rejected", 0.25, None)
    assert (first["tier"], first["model"], first["latency_ms"]) == ("small", "gpt-4o-mini", 812.5)
    expected = {
        "call_id": "c1", "n": 2, "tier": "large", "model": "gpt-4o", "cause": "escalation", "outcome": "accepted",
        "status": "estimated", "pico_usd": 9, "price_version": "2025-11-01", "latency_ms": 1.5, "input": 1,
        "cache_read": 2, "cache_write_5m": 3, "cache_write_1h": 4, "audio_input": 5, "audio_cache_read": 6,
        "media_input": 12, "output": 7, "audio_output": 8, "media_output": 13, "reasoning": 9, "processing": "batch",
        "score": None, "error": "E: x", "baseline_pico": 10, "mode": "optimise", "policy_version": "p1",
    } | labels  # fmt: skip
    assert {name: second[name] for name in expected} == expected
    assert json.loads(second["tags"]) == {"ab": "b"}
    assert json.loads(second["extra"]) == {
        "calls": {"web_search": 2},
        "media": {"image_input": 12, "image_output": 13},
        "geo": "eu",
        "gpu_ms": 11,
    }


def test_what_was_said_is_nowhere_in_the_file(path: Path) -> None:
    """Rows hold numbers and labels; neither an answer's text nor the tail of a long error gets in."""
    kept(path, call(attempt(error="BadRequestError: " + "x" * 200 + SECRET)))
    files = list(path.parent.iterdir())
    assert files
    assert not any(SECRET.encode() in file.read_bytes() for file in files)


def test_an_unknown_price_is_null_and_never_zero(path: Path) -> None:
    free, unpriced = kept(path, call(attempt(pico_usd=0)), call(attempt(pico_usd=None, status="unpriced")))
    assert free["pico_usd"] == 0
    assert unpriced["pico_usd"] is None


def test_the_largest_amount_of_a_column_is_an_amount(path: Path) -> None:
    (row,) = kept(path, call(attempt(pico_usd=2**63 - 1, baseline_pico=2**63 - 1)))
    assert (row["pico_usd"], row["baseline_pico"], row["extra"]) == (2**63 - 1, 2**63 - 1, None)


@pytest.mark.parametrize("pico", [2**63, 10**25])
def test_an_amount_that_no_column_can_hold_is_not_priced_and_kept_to_the_last_digit(path: Path, pico: int) -> None:
    """int64 ends at 9.2 million dollars an attempt: from there the column is empty, and the digits are beside it."""
    (row,) = kept(path, call(attempt(pico_usd=pico, baseline_pico=pico + 1)))
    assert (row["pico_usd"], row["baseline_pico"]) == (None, None)
    assert json.loads(row["extra"]) == {"misfits": {"pico_usd": str(pico), "baseline_pico": str(pico + 1)}}


def test_what_each_lever_saved_and_a_further_try_are_in_the_row(path: Path) -> None:
    """On the row that answered; NULL where there was no lever, which is not the same as one that saved nothing."""
    decision = Decision("optimise", again=True)
    made = [attempt(outcome="rejected"), attempt(levers=Levers(prune=1, output=2, batch=0, self_host=4))]
    draft, answer = kept(path, Result("c", None, made, decision, {}))
    levers = ("prune_pico", "output_pico", "batch_pico", "self_host_pico")
    assert [draft[name] for name in levers] == [None] * 4
    assert [answer[name] for name in levers] == [1, 2, 0, 4]
    assert (draft["again"], answer["again"]) == (1, 1)
    (first,) = (row for row in kept(path, call(call_id="d")) if row["call_id"] == "d")
    assert first["again"] == 0


ODD_TEXT = [
    "",
    "a\0b",
    "🦉",
    "\ud800 lone",
    "'; DROP TABLE attempts; --",
    "two\nlines",
    '{"json": "\\ud83d"}',
    "ﷺ" * 5000,
]


@pytest.mark.parametrize("text", ODD_TEXT)
def test_no_text_is_too_odd(path: Path, text: str) -> None:
    """In a label with a column, in one without, in its name, and in the model's name; also beside ordinary
    rows.
    """
    odd = call(attempt(model=text), call_id=f"odd{text}", tags={"user": text, "other": text, f"tag{text}": "x"})
    rows = kept(path, call(tags={"user": "before"}), odd, call(tags={"user": "after"}))
    expected = text.encode("utf-8", "backslashreplace").decode()
    assert [row["user"] for row in rows] == ["before", expected, "after"]
    assert (rows[1]["model"], rows[1]["call_id"]) == (expected, f"odd{expected}")
    assert json.loads(rows[1]["tags"]) == {"other": expected, f"tag{expected}": "x"}


@pytest.mark.parametrize(
    ("change", "column", "value", "misfit"),
    [
        ({"latency_ms": float("nan")}, "latency_ms", None, None),
        ({"score": "high"}, "score", None, "'high'"),
        ({"started_at": float("nan")}, "started_us", 0, None),
        ({"started_at": 1e300}, "started_us", 0, None),
        ({"usage": Usage(input=10**30)}, "input", 0, str(10**30)),
        ({"usage": Usage(input="12")}, "input", 12, None),
        ({"usage": Usage(input=None)}, "input", 0, None),
        ({"model": None}, "model", "", None),
        ({"tier": ("a", "b")}, "tier", "('a', 'b')", None),
        ({"pico_usd": 2.5}, "pico_usd", 2, None),
        ({"pico_usd": float("nan")}, "pico_usd", None, None),
    ],
)
def test_a_value_that_does_not_fit_does_not_cost_the_row(
    path: Path, change: dict[str, Any], column: str, value: object, misfit: str | None
) -> None:
    """Nonsense from a provider or a plug-in: the row and its neighbours stay, what did not fit is in `extra`."""
    rows = kept(path, call(call_id="before"), call(attempt(**change), call_id="odd"), call(call_id="after"))
    assert [row["call_id"] for row in rows] == ["before", "odd", "after"]
    assert rows[1][column] == value
    assert json.loads(rows[1]["extra"] or "{}") == ({"misfits": {column: misfit}} if misfit else {})


def test_a_result_that_is_none_does_not_take_others_along(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A bug in a plug-in: the log says what is missing, and the calls of the same moment are there."""
    broken = call(call_id="broken")
    broken.attempts = [None]  # type: ignore[list-item]
    rows = kept(path, call(call_id="before"), broken, call(call_id="after"))
    assert [row["call_id"] for row in rows] == ["before", "after"]
    assert "cannot be written into the ledger" in caplog.text


def test_writing_a_result_again_changes_nothing(path: Path) -> None:
    """In the same process, in a later one, and in one batch."""
    result = call(attempt(), attempt(cause="escalation"))
    first = kept(path, result, result)
    assert len(first) == 2
    assert kept(path, result) == first


def test_a_retry_under_the_same_call_id_is_kept_beside_the_first_try(path: Path) -> None:
    """A framework that asks again under one logical call pays again; also when both begin in the same
    microsecond.
    """
    now = time.time()
    rows = kept(
        path,
        call(attempt(started_at=now, latency_ms=10.0), call_id="c"),
        call(attempt(started_at=now, latency_ms=11.0), call_id="c"),
        call(attempt(started_at=now + 1), call_id="c"),
    )
    assert [row["n"] for row in rows] == [1, 1, 1]


@settings(max_examples=25)
@given(counts=st.lists(st.integers(1, 200), min_size=1, max_size=4), mixed=st.booleans())
def test_batches_of_any_size_and_mixture_arrive_whole_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], mixed: bool
) -> None:
    """Columns whose values are alike in a batch are written in another way than those that differ: nobody may
    tell.
    """
    path = tmp_path_factory.mktemp("batches") / "ledger.sqlite"
    ledger = SqliteLedger(path)
    expected: list[tuple[Any, ...]] = []
    for count in counts:
        for k in range(count):
            odd = mixed and k % 3 == 0
            made = attempt(
                pico_usd=None if odd else k, model=f"m{k % 2}" if mixed else "m", score=k / 200 if odd else None
            )
            ledger.write(call(made, call_id=f"c{len(expected)}"))
            expected.append((f"c{len(expected)}", made.pico_usd, made.model, made.score))
        ledger.flush()
    ledger.close()
    assert [(r["call_id"], r["pico_usd"], r["model"], r["score"]) for r in stored(path)] == expected


def test_a_row_reaches_the_disk_without_a_flush(path: Path) -> None:
    """The writer commits by itself: what a kill can take is the last window, no more."""
    ledger = SqliteLedger(path, window_s=0.01)
    ledger.write(call(call_id="c"))
    deadline = time.monotonic() + 300
    while not stored(path) and time.monotonic() < deadline:
        os.sched_yield()
    assert [row["call_id"] for row in stored(path)] == ["c"]
    ledger.close()


def test_a_stream_that_ends_while_the_writer_is_woken_is_written(path: Path) -> None:
    """The garbage collector comes when it likes, in the same thread: a lock held by that thread stops nobody."""
    ledger = SqliteLedger(path)

    def write_amid() -> None:
        with ledger._writer._starting:
            ledger.write(call(call_id="c"))

    thread = threading.Thread(target=write_amid, daemon=True)
    thread.start()
    thread.join(300)
    assert not thread.is_alive()
    ledger.close()
    assert [row["call_id"] for row in stored(path)] == ["c"]


def test_threads_share_a_ledger(path: Path) -> None:
    """Eight threads write and two of them flush all the time; each row is there once."""
    ledger = SqliteLedger(path, window_s=0.001)

    def work(name: int) -> None:
        for k in range(200):
            ledger.write(call(call_id=f"{name}-{k}"))
            if name < 2:
                ledger.flush()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.flush()
    assert sorted(r["call_id"] for r in stored(path)) == sorted(f"{n}-{k}" for n in range(8) for k in range(200))
    ledger.close()


WORKER = """
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.stdin.readline()
ledger = SqliteLedger(path, window_s=0.002)
for k in range(count):
    ledger.write(call(call_id=f"{name}-{k}"))
    if k % 50 == 0:
        ledger.flush(60)
"""


def test_processes_share_a_file(path: Path) -> None:
    """Four processes create and fill one ledger at once, and end without closing it: no row is lost or
    doubled.
    """
    script = f"import runpy; globals().update(runpy.run_path({__file__!r}))\n{WORKER}"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), str(k), "500"],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for k in range(4)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert (worker.returncode, errors) == (0, "")
    assert sorted(r["call_id"] for r in stored(path)) == sorted(f"{n}-{k}" for n in range(4) for k in range(500))


def test_a_program_that_just_ends_loses_nothing(path: Path) -> None:
    """No flush, no close, a window that never ends: the end of the interpreter writes the rows."""
    run("ledger = SqliteLedger(sys.argv[1], window_s=60)\nfor k in range(3): ledger.write(call())", path)
    assert len(stored(path)) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_gets_a_ledger_of_its_own(path: Path) -> None:
    """Rows that waited in the parent are written by it alone; the child's thread and connection are new."""
    script = """
ledger = SqliteLedger(sys.argv[1], window_s=60)
ledger.write(call(call_id="flushed"))
ledger.flush()
ledger.write(call(call_id="waiting"))
child = os.fork()
if child == 0:
    ledger.write(call(call_id="child"))
    ledger.flush()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
ledger.write(call(call_id="parent"))
ledger.flush()
"""
    run(script, path)
    assert [row["call_id"] for row in stored(path)] == ["flushed", "child", "waiting", "parent"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_multiprocessing_worker_loses_nothing_at_its_end(path: Path) -> None:
    """Forked workers end without running exit functions."""
    script = """
import multiprocessing
ledger = SqliteLedger(sys.argv[1], window_s=60)
ledger.write(call(call_id="parent"))
worker = multiprocessing.get_context("fork").Process(target=lambda: ledger.write(call(call_id="worker")))
worker.start()
worker.join()
assert worker.exitcode == 0
"""
    run(script, path)
    assert {row["call_id"] for row in stored(path)} == {"parent", "worker"}


def test_a_closed_ledger_still_takes_rows(path: Path) -> None:
    """A late callback must not fail nor lose its call."""
    ledger = SqliteLedger(path, window_s=60)
    ledger.write(call(call_id="early"))
    ledger.close()
    ledger.write(call(call_id="late"))
    ledger.close()
    assert [row["call_id"] for row in stored(path)] == ["early", "late"]


def test_feedback_is_kept_for_known_and_unknown_calls(path: Path) -> None:
    ledger = SqliteLedger(path)
    for call_id, score in (("known", 0), ("never seen", 1.0), ("known", 0.5)):
        ledger.feedback(call_id, score)
    ledger.flush()
    assert [(r["call_id"], r["score"]) for r in stored(path, "feedback")] == [
        ("known", 0.0),
        ("never seen", 1.0),
        ("known", 0.5),
    ]
    ledger.close()


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan"), float("inf")])
def test_feedback_outside_its_scale_is_refused(path: Path, score: float) -> None:
    ledger = SqliteLedger(path)
    with pytest.raises(LedgerError, match=r"from 0 .bad. to 1 .good."):
        ledger.feedback("c", score)
    ledger.close()


@pytest.mark.parametrize("window_s", [0, -1, 61, float("nan")])
def test_a_window_must_be_a_short_time(path: Path, window_s: float) -> None:
    with pytest.raises(LedgerError, match="window_s"):
        SqliteLedger(path, window_s=window_s)


def test_a_newer_ledger_is_left_alone(path: Path) -> None:
    """What this version does not understand it must not write; the message says what to do."""
    kept(path, call())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match=r"schema 99.*upgrade tuppence"):
        SqliteLedger(path)


def test_somebody_elses_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    with pytest.raises(LedgerError, match="not a ledger"):
        SqliteLedger(path)


def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("dear diary, " * 100)
    with pytest.raises(LedgerError, match="cannot be opened"):
        SqliteLedger(path)
    assert path.read_text().startswith("dear diary")


def test_the_default_place_is_the_users_own_or_the_one_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TUPPENCE_LEDGER", raising=False)
    assert default_place().parts[-2:] == ("tuppence", "ledger.sqlite")
    monkeypatch.setenv("TUPPENCE_LEDGER", str(tmp_path / "mine.sqlite"))
    assert default_place() == tmp_path / "mine.sqlite"
