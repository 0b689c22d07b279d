"""The semantic store in a SQLite file: what every such store owes, and what holds among processes, kills and forks."""

import asyncio
import hashlib
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuppence.cache import SqliteStore
from tuppence.cache.entries import SimilarStore
from tuppence.cache.stores import similar_rows
from tuppence.cache.stores.similar_sqlite import SqliteSimilarStore
from tuppence.cache.stores.tags import hashed_tag
from tuppence.cache.stores.write_behind import MAX_PENDING, Batch
from tuppence.effects import Entry
from tuppence.errors import CacheError

pytest.register_assert_rewrite(f"{__package__}.similar_stores")

from .similar_stores import (  # noqa: E402 - after pytest knows that it asserts
    AXIS,
    HOUR,
    Clock,
    EvictionSuite,
    SimilarStoreSuite,
    apart,
    direction,
    entry,
    fields,
)


class TestSqlite(SimilarStoreSuite):
    """All that a store owes."""

    @pytest.fixture
    def store(self, tmp_path: Path, clock: Clock) -> Iterator[SimilarStore]:
        store = SqliteSimilarStore(tmp_path / "cache.sqlite", clock=clock)
        yield store
        store.close()


class TestSqliteEviction(EvictionSuite):
    """What goes when there is no room."""

    @pytest.fixture
    def open_store(self, tmp_path: Path, clock: Clock) -> Iterator[Callable[..., SimilarStore]]:
        opened: list[SqliteSimilarStore] = []

        def open_one(**bounds: int) -> SimilarStore:
            opened.append(SqliteSimilarStore(tmp_path / f"{len(opened)}.sqlite", clock=clock, **bounds))
            return opened[-1]

        yield open_one
        for store in opened:
            store.close()


HEAD = """
import hashlib, json, os, sys
import numpy as np
from tuppence.cache.stores.similar_sqlite import SqliteSimilarStore
from tuppence.effects import Entry

AXIS = np.eye(16, dtype=np.float32)[0]

def whole(id, **fields):
    text = hashlib.shake_128(id.encode()).hexdigest(10_000)
    vector = np.random.default_rng(int(id, 16)).standard_normal(16)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return Entry(id, "50", text, vector, json.dumps(text).encode(), **fields)

store = SqliteSimilarStore(sys.argv[1])
"""
WRITE_MANY = """
for n in range(int(sys.argv[3])):
    store.add(whole(f"{sys.argv[2]}{n:04x}"))
    store.nearest("50", AXIS, 4)
    if n % 10 == 9:
        store.flush()
        print(n, flush=True)
store.close()
"""
TOLD_TO = """
for line in sys.stdin:
    print(eval(line), flush=True)
"""


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Run `script` after `HEAD` in a process of its own that finds the same packages."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", HEAD + script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    """Return what the process printed; fail with what it complained of."""
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return output


def told(process: subprocess.Popen[str], expression: str) -> str:
    """Have a process that runs `TOLD_TO` evaluate something; return what it says."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(expression + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def is_whole(one: Entry) -> bool:
    """Every part of what the processes write follows from its id, so that half of one, or a mix of two, shows."""
    text = hashlib.shake_128(one.id.encode()).hexdigest(10_000)
    vector = np.random.default_rng(int(one.id, 16)).standard_normal(16)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return (one.question, one.value, one.vector.tobytes()) == (text, json.dumps(text).encode(), vector.tobytes())


def found(store: SqliteSimilarStore) -> list[str]:
    return sorted(one.entry.id for one in store.nearest("50", AXIS, 10_000))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.sqlite"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., SqliteSimilarStore]]:
    """Open stores of one file."""
    stores: list[SqliteSimilarStore] = []

    def open_one(**options: Any) -> SqliteSimilarStore:
        stores.append(SqliteSimilarStore(path, **options))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


Opened = Callable[..., SqliteSimilarStore]


def test_a_restart_keeps_everything(opened: Opened) -> None:
    """Entries, tags and hits are there for the next program."""
    store, clock = opened(), Clock()
    kept = [entry(f"a{n}", direction(n), tags=frozenset({f"t{n}"}), expires_at=clock.now + HOUR) for n in range(1, 4)]
    for one in kept:
        store.add(one)
    store.used("a2")
    store.close()
    again = opened()
    assert sorted((fields(one), hits) for one, hits in again.entries()) == [
        (fields(one), int(one.id == "a2")) for one in kept
    ]
    assert again.invalidate("t2") == 1
    assert found(again) == ["a1", "a3"]


def test_a_program_that_just_ends_keeps_everything(path: Path, opened: Opened) -> None:
    """Leaving the interpreter commits what is queued."""
    finished(python("store.add(whole('a1'))", path))
    assert found(opened()) == ["a1"]


def test_a_burst_loses_nothing(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries may be added faster than they are written: while a commit takes its time, all others wait their turn."""
    begun, go_on = threading.Event(), threading.Event()
    commit = similar_rows.SimilarRows.commit

    def slow(rows: similar_rows.SimilarRows, batch: Batch) -> None:
        begun.set()
        go_on.wait(600)
        commit(rows, batch)

    monkeypatch.setattr(similar_rows.SimilarRows, "commit", slow)
    store = opened()
    store.add(entry("ffff"))
    begun.wait(600)
    for n in range(2 * MAX_PENDING):
        store.add(entry(f"{n:x}", direction(n % 50)))
    go_on.set()
    store.close()
    assert len(found(opened())) == 2 * MAX_PENDING + 1


def test_processes_that_start_together_share_one_file(path: Path, opened: Opened) -> None:
    """Four processes create, fill and search the same file; nothing is lost."""
    writers = [python(WRITE_MANY, path, name, 30) for name in "abcd"]
    for writer in writers:
        finished(writer)
    store = opened()
    assert found(store) == sorted(f"{name}{n:04x}" for name in "abcd" for n in range(30))
    assert all(is_whole(one) for one, _ in store.entries())


def test_what_another_process_changes_is_seen_by_the_next_lookup(path: Path, opened: Opened) -> None:
    """Additions, replacements, removals, invalidations and hits, both ways, while both have the file open."""
    ids = "sorted(one.entry.id for one in store.nearest('50', AXIS, 99))"
    mine = opened()
    with python(TOLD_TO, path) as other:
        assert told(other, ids) == "[]"
        for one in (entry("a1", tags=frozenset({"t"})), entry("a2"), entry("a3")):
            mine.add(one)
        mine.flush()
        assert told(other, ids) == "['a1', 'a2', 'a3']"
        assert told(other, "store.invalidate('t'), store.remove(['a2']), store.flush()") == "(1, 1, None)"
        assert found(mine) == ["a3"]
        assert told(other, "store.add(whole('a4')), store.used('a3'), store.flush()") == "(None, None, None)"
        assert found(mine) == ["a3", "a4"]
        assert {one.id: hits for one, hits in mine.entries()} == {"a3": 1, "a4": 0}
        mine.add(entry("a3", apart(0.5), value=b'"new"'))
        mine.flush()
        assert told(other, "[one.entry.value for one in store.nearest('50', AXIS, 99)]").count("new") == 1
        mine.clear()
        assert told(other, ids) == "[]"


def test_a_process_that_missed_much_catches_up(path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the log of removals does not reach back, everything is read anew."""
    monkeypatch.setattr(similar_rows, "LOGGED", 5)
    slow, busy = opened(), opened()
    for n in range(30):
        busy.add(entry(f"{n:x}"))
    busy.flush()
    assert len(found(slow)) == 30
    slow.add(entry("ff"))
    busy.remove([f"{n:x}" for n in range(20)])
    busy.flush()
    busy.add(entry("fe"))
    busy.flush()
    slow.flush()
    assert found(slow) == sorted([f"{n:x}" for n in range(20, 30)] + ["fe", "ff"])


def test_an_invalidation_holds_for_what_is_on_its_way(path: Path, opened: Opened, clock: Clock) -> None:
    """An entry added before it by a process that could not write yet is refused when it does."""
    late, prompt = opened(clock=clock), opened(clock=clock)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        late.add(entry("a1", tags=frozenset({"t"})))
        late.add(entry("a2", apart(0.5), tags=frozenset({"u"})))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            late.flush()
        clock.now += 1
        # What `prompt.invalidate("t")` does, in the transaction that keeps the other from writing.
        other.execute("INSERT INTO similar_invalid_v1 VALUES (?, ?)", (hashed_tag("t"), clock.now))
        other.execute("COMMIT")
    other.close()
    late.flush()
    assert (found(late), found(prompt)) == (["a2"], ["a2"])
    with suppress(sqlite3.Error):
        late.add(entry("a1", tags=frozenset({"t"})))
    late.flush()
    assert found(prompt) == ["a1", "a2"]


@pytest.mark.parametrize("acknowledged", [1, 3, 6])
def test_a_killed_writer_leaves_whole_entries_and_all_it_had_flushed(
    path: Path, opened: Opened, acknowledged: int
) -> None:
    """kill -9 in the middle of writing: every flushed entry is there, and none is torn."""
    writer = python(WRITE_MANY, path, "a", 1_000_000)
    assert writer.stdout is not None
    flushed = [int(writer.stdout.readline()) for _ in range(acknowledged)][-1]
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    store = opened()
    assert {f"a{n:04x}" for n in range(flushed + 1)} <= set(found(store))
    with sqlite3.connect(path) as rows:
        (written,) = rows.execute("SELECT count(*) FROM similar_v1").fetchone()
    rows.close()
    listed = [one for one, _ in store.entries()]
    assert (len(listed), len(found(store))) == (written, written)
    assert all(is_whole(one) for one in listed)


TEAR = {
    "half a vector": "UPDATE similar_v1 SET vector = substr(vector, 1, 31) WHERE id = 'a1'",
    "a vector of fewer numbers": "UPDATE similar_v1 SET vector = substr(vector, 1, 32) WHERE id = 'a1'",
    "half a value": "UPDATE similar_v1 SET value = substr(value, 1, 5) WHERE id = 'a1'",
    "no JSON": "UPDATE similar_v1 SET about = '{' WHERE id = 'a1'",
    "another's text": "UPDATE similar_v1 SET about = (SELECT about FROM similar_v1 WHERE id = 'a2') WHERE id = 'a1'",
    "other types": "UPDATE similar_v1 SET about = 7, vector = 'x', value = NULL WHERE id = 'a1'",
    "a flipped bit": "UPDATE similar_v1 SET value = X'7A' || substr(value, 2) WHERE id = 'a1'",
}


@pytest.mark.parametrize("tear", TEAR.values(), ids=TEAR.keys())
def test_a_torn_row_is_dropped(path: Path, opened: Opened, tear: str) -> None:
    """Whatever became of a row, it is neither found nor listed; it leaves the file, and the others stay."""
    store = opened()
    for one in (entry("a1"), entry("a2", apart(0.5))):
        store.add(one)
    store.close()
    with sqlite3.connect(path) as rows:
        rows.execute("PRAGMA ignore_check_constraints = 1")
        rows.execute(tear.replace("NULL", "0"))
    rows.close()
    again = opened()
    assert found(again) == ["a2"]
    assert [one.id for one, _ in again.entries()] == ["a2"]
    with sqlite3.connect(path) as rows:
        assert rows.execute("SELECT id FROM similar_v1").fetchall() == [("a2",)]
    rows.close()


def test_a_locked_file_blocks_nobody(path: Path, opened: Opened) -> None:
    """While another program holds the write lock, entries are added, found and removed at once; then it is written."""
    store = opened()
    store.add(entry("a0"))
    store.flush()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    # Were one of these to wait for the lock, it would never get it: it is given up further down.
    with suppress(sqlite3.Error):
        store.add(entry("a1"))
    with suppress(sqlite3.Error):
        store.remove(["a0"])
    assert found(store) == ["a1"]
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        store.flush()
    other.execute("ROLLBACK")
    store.flush()
    assert other.execute("SELECT id FROM similar_v1").fetchall() == [("a1",)]
    other.close()


async def test_an_async_lookup_sees_what_others_changed(opened: Opened) -> None:
    """As a sync one does."""
    mine, theirs = opened(), opened()
    assert await mine.anearest("50", AXIS, 9) == []
    theirs.add(entry("a1"))
    theirs.flush()
    assert [one.entry.id for one in await mine.anearest("50", AXIS, 9)] == ["a1"]
    theirs.remove(["a1"])
    theirs.flush()
    assert await mine.anearest("50", AXIS, 9) == []


async def test_an_event_loop_never_waits_for_a_thread_that_reads(opened: Opened) -> None:
    """While another thread has the index, a lookup waits on a thread and the loop goes on."""
    store = opened()
    store.add(entry("a1"))
    taken, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with store._replica.lock:
            taken.set()
            let_go.wait(600)

    holder = threading.Thread(target=hold)
    holder.start()
    await asyncio.to_thread(taken.wait, 60)
    looked_up = asyncio.create_task(store.anearest("50", AXIS, 1))
    # Were the lookup to wait in the loop, nobody would come to let go of it.
    await asyncio.sleep(0)
    assert not looked_up.done()
    let_go.set()
    assert [one.entry.id for one in await looked_up] == ["a1"]
    holder.join()


def test_what_cannot_be_written_is_told_and_bounded(path: Path) -> None:
    """A full disk: adding raises the writer's error for the record, lookups go on; later it is written after all."""
    script = """
import contextlib, itertools, resource, sqlite3
store.add(whole("a0"))
store.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
for n in itertools.count():
    try:
        store.add(whole(f"b{n:x}"))
        store.flush()
    except sqlite3.Error as error:
        print(error)
        break
with contextlib.suppress(sqlite3.Error):
    store.add(whole("c0"))
print({"a0", f"b{n:x}", "c0"} <= {one.entry.id for one in store.nearest("50", AXIS, 99)})
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.flush()
print({"a0", f"b{n:x}", "c0"} <= {one.id for one, _ in store.entries()})
"""
    told_of, searched, kept = finished(python(script, path)).splitlines()
    assert "full" in told_of or "I/O" in told_of
    assert (searched, kept) == ("True", "True")


def test_a_forked_child_and_its_parent_go_on_with_the_same_file(path: Path) -> None:
    """Fork with entries queued and connections open: both sides add and find, nothing is torn or lost."""
    script = """
ids = lambda: {one.entry.id for one in store.nearest("50", AXIS, 999)}
store.add(whole("a0"))
store.flush()
ids()
store.add(whole("a1"))
pid = os.fork()
if pid == 0:
    # Where the system tells: SQLite's locks would be lost with a connection that came along.
    if os.path.isdir("/proc/self/fd"):
        held = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
        assert not any(sys.argv[1] in file for file in held), held
    assert ids() >= {"a0", "a1"}
    for n in range(50):
        store.add(whole(f"c{n:x}"))
    store.flush()
    assert ids() >= {f"c{n:x}" for n in range(50)}
    store.close()
    os._exit(0)
for n in range(50):
    store.add(whole(f"d{n:x}"))
store.flush()
assert os.waitpid(pid, 0)[1] == 0
everything = {"a0", "a1"} | {f"{side}{n:x}" for side in "cd" for n in range(50)}
assert ids() == everything
store.close()
assert {one.id for one, _ in SqliteSimilarStore(sys.argv[1]).entries()} == everything
"""
    finished(python(script, path))


def test_processes_share_one_bound(opened: Opened) -> None:
    """Whoever adds, the file and every process's index keep to it, and all know the same entries."""
    first, second = opened(max_entries=20), opened(max_entries=20)
    for n in range(60):
        store = (first, second)[n % 2]
        store.add(entry(f"{n:x}", direction(n), pico_usd=n * 10**6))
        store.flush()
    assert found(first) == found(second) == sorted(one.id for one, _ in first.entries())
    assert len(found(first)) == 20


def test_an_expired_entry_leaves_the_file(path: Path, opened: Opened, clock: Clock) -> None:
    """With the next thing written, whoever wrote it."""
    store = opened(clock=clock)
    store.add(entry("a1", expires_at=clock.now + 100))
    store.flush()
    clock.now += 100
    store.add(entry("a2"))
    store.flush()
    with sqlite3.connect(path) as rows:
        assert rows.execute("SELECT id FROM similar_v1").fetchall() == [("a2",)]
    rows.close()


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """Questions may be private: nobody else on the machine may read them."""
    store = SqliteSimilarStore(tmp_path / "deep" / "cache.sqlite")
    store.add(entry("a0"))
    store.flush()
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "deep").iterdir()}
    store.close()
    assert modes == {0o600}


def test_it_shares_a_file_with_the_exact_store(path: Path, opened: Opened) -> None:
    """One cache file may hold both tiers."""
    similar, exact = opened(), SqliteStore(path)
    similar.add(entry("a1"))
    exact.put("a1", b"exact", None)
    exact.close()
    similar.close()
    assert found(opened()) == ["a1"]
    again = SqliteStore(path)
    assert again.get("a1") is not None
    again.close()


def test_a_closed_store_says_so(opened: Opened) -> None:
    """Using a closed store raises a plain error instead of losing entries in silence."""
    store = opened()
    store.close()
    for use in (lambda: store.add(entry("a0")), lambda: store.nearest("50", AXIS, 1), lambda: store.remove(["a0"])):
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            use()


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """The message says which file, why, and what to do."""
    (tmp_path / "notes.txt").write_text("this is no database, and long enough to be looked at" * 20)
    with pytest.raises(CacheError, match=r"notes\.txt.*not a database.*name a writable"):
        SqliteSimilarStore(tmp_path / "notes.txt")
