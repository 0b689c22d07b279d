"""The index in memory once a scope is large: a graph built aside finds what comparing with each would find."""

import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from tuppence.cache.stores.entry_index import EntryIndex
from tuppence.cache.stores.graph import Graph
from tuppence.cache.stores.vectors import EXACT_UP_TO, ScopeVectors, cosines
from tuppence.effects import Entry
from tuppence.embed import Vector, Vectors
from tuppence.errors import ConfigError

DIMENSIONS = 64
LARGE = EXACT_UP_TO + 1_000


def paraphrases(of: Vectors, seed: int, away: float = 0.5) -> Vectors:
    """Unit vectors near the given ones, as questions in other words are: `away` is the length of what is added."""
    noise = np.random.default_rng(seed).standard_normal(of.shape) / np.sqrt(of.shape[1])
    near = of + away * noise
    return np.asarray(near / np.linalg.norm(near, axis=1, keepdims=True), dtype=np.float32)


TOPICS = paraphrases(np.zeros((200, DIMENSIONS), np.float32), seed=1)
"""Questions come in crowds around topics."""
QUESTIONS = paraphrases(TOPICS.repeat(LARGE // 200 + 1, axis=0)[:LARGE], seed=2, away=1.0)
ASKED = paraphrases(QUESTIONS[::25], seed=3)


def kept(number: int, vector: Vector, expires_at: float | None = None) -> Entry:
    return Entry(f"{number:x}", "50", f"question {number}", vector, b"{}", expires_at=expires_at)


def filled(count: int) -> EntryIndex:
    """An index of so many questions in one scope, its graph ready if it has one."""
    index = EntryIndex()
    with index.lock:
        for number in range(count):
            index.add(kept(number, QUESTIONS[number]))
    index.await_graphs()
    return index


def found_share(index: EntryIndex, there: Sequence[int]) -> float:
    """The share of lookups that find the nearest of all, where that is near enough to be of any use."""
    best = (ASKED @ QUESTIONS[there].T).max(axis=1)
    found = np.array([index.nearest("50", asked, 16)[0].similarity for asked in ASKED])
    return float(np.mean((found >= best - 1e-5)[best > 0.6]))


@pytest.fixture(scope="module")
def large() -> EntryIndex:
    return filled(LARGE)


def test_the_graph_finds_the_nearest(large: EntryIndex) -> None:
    """In 99 of 100 lookups at least, in order and with the true cosines."""
    assert found_share(large, range(LARGE)) >= 0.99
    for asked in ASKED[:20]:
        found = large.nearest("50", asked, 16)
        similarities = [one.similarity for one in found]
        assert len(found) == 16
        assert similarities == sorted(similarities, reverse=True)
        assert similarities == pytest.approx([float(one.entry.vector @ asked) for one in found], abs=1e-5)


def test_lookups_are_answered_while_a_graph_is_built() -> None:
    """Nobody waits for it, and nothing is missing meanwhile."""
    index = EntryIndex()
    for number in range(LARGE):
        index.add(kept(number, QUESTIONS[number]))
        if number >= EXACT_UP_TO - 10:
            assert index.nearest("50", QUESTIONS[number], 1)[0].entry.id == f"{number:x}"
    index.await_graphs()
    assert found_share(index, range(LARGE)) >= 0.99


def test_what_changes_while_a_graph_is_built_is_in_it() -> None:
    """Entries that come, go or are replaced meanwhile are found, not found, and found anew."""
    index = EntryIndex()
    with index.lock:
        for number in range(EXACT_UP_TO + 1):
            index.add(kept(number, QUESTIONS[number]))
    # The builder is at work and needs the lock for each step.
    for number in range(200):
        index.discard(f"{number:x}")
        index.add(kept(number + 200, QUESTIONS[-1 - number]))
    index.await_graphs()
    for number in range(200):
        assert index.nearest("50", QUESTIONS[number], 1)[0].entry.id != f"{number:x}"
        assert index.nearest("50", QUESTIONS[-1 - number], 1)[0].entry.id == f"{number + 200:x}"


def test_removed_replaced_and_expired_entries_leave_the_graph() -> None:
    """Every lookup finds a full number of those that are there, and none of those that are not."""
    index = filled(LARGE)
    for number in range(0, LARGE, 2):
        index.discard(f"{number:x}")
    for number in range(1, 400, 2):
        index.add(kept(number, QUESTIONS[number], expires_at=100.0))
    assert len(index.expire(100.0)) == 200
    index.await_graphs()
    left = range(401, LARGE, 2)
    assert found_share(index, left) >= 0.99
    for asked in ASKED:
        found = [int(one.entry.id, 16) for one in index.nearest("50", asked, 16)]
        assert len(found) == 16
        assert set(found) <= set(left)


def test_a_graph_that_is_worn_is_built_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """After everything has been replaced several times, lookups find as much as at first."""
    built: list[Graph] = []
    use = ScopeVectors.use
    monkeypatch.setattr(ScopeVectors, "use", lambda vectors, graph: (built.append(graph), use(vectors, graph)))
    index = filled(EXACT_UP_TO + 100)
    assert len(built) == 1
    order = np.random.default_rng(4)
    for _ in range(3):
        for number in order.permutation(EXACT_UP_TO + 100).tolist():
            index.add(kept(number, QUESTIONS[number]))
    index.await_graphs()
    assert len(built) >= 2
    assert found_share(index, range(EXACT_UP_TO + 100)) >= 0.99


def test_a_scope_that_shrinks_gives_its_memory_back() -> None:
    """What a crowd took is not kept for the few that are left."""
    tracemalloc.start()
    try:
        index = filled(LARGE)
        full, _ = tracemalloc.get_traced_memory()
        for number in range(10, LARGE):
            index.discard(f"{number:x}")
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Python's dictionaries keep their size; the vectors and the graph do not.
    assert left < full / 5
    assert len(index.nearest("50", ASKED[0], 16)) == 10


def test_equal_rows_give_equal_cosines_wherever_they_lie() -> None:
    """The order of equally near entries depends on nothing but their ids."""
    for rows in (1, 2, 3, 7, 16, 33):
        vectors = np.tile(QUESTIONS[0], (rows, 1))
        assert set(cosines(vectors, QUESTIONS[1]).tolist()) == {cosines(QUESTIONS[:1], QUESTIONS[1])[0]}


def test_none_of_the_equally_near_is_cut_off() -> None:
    """Of many paraphrases that embed alike, the first by id are found, however rows happen to lie."""
    index = EntryIndex()
    for number in reversed(range(100)):
        index.add(kept(number, QUESTIONS[0]))
        index.add(kept(1000 + number, QUESTIONS[1 + number]))
    expected = sorted(f"{number:x}" for number in range(100))[:5]
    assert [one.entry.id for one in index.nearest("50", QUESTIONS[0], 5)] == expected


def test_a_graph_that_is_given_up_is_not_used() -> None:
    """Clearing stops a build; what comes after is all that is found."""
    index = EntryIndex()
    for number in range(EXACT_UP_TO + 1):
        index.add(kept(number, QUESTIONS[number]))
    index.clear()
    index.add(kept(1, QUESTIONS[1]))
    for thread in threading.enumerate():
        if thread.name == "tuppence-graph":
            thread.join(600)
            assert not thread.is_alive()
    assert [one.entry.id for one in index.nearest("50", QUESTIONS[5], 16)] == ["1"]


FILL = """
import os, sys
import numpy as np
from tuppence.cache.stores.similar_memory import MemorySimilarStore
from tuppence.cache.stores.vectors import EXACT_UP_TO
from tuppence.effects import Entry
vectors = np.random.default_rng(0).standard_normal((EXACT_UP_TO + 2_000, 256)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
store = MemorySimilarStore()
for number, vector in enumerate(vectors):
    store.add(Entry(f"{number:x}", "50", "q", vector, b"{}"))
"""


def python(script: str) -> str:
    """Run `script` in a process of its own that finds the same packages; return what it printed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_program_that_ends_while_a_graph_is_built_just_ends() -> None:
    """Neither waiting for it nor crashing in it."""
    script = """
from tuppence.cache.stores.graph import Builder
Builder._hand_over = lambda *parts: print("built")
"""
    assert python(script + FILL + "print('end')") == "end\n"


def test_a_forked_child_finds_everything_while_its_parent_builds() -> None:
    """The thread that builds is not in the child: it compares with each, and builds its own when it adds."""
    script = """
pid = os.fork()
if pid == 0:
    assert store.nearest("50", vectors[-1], 1)[0].entry.id == f"{len(vectors) - 1:x}"
    store.add(Entry("fffff", "51", "q", vectors[0], b"{}"))
    store.add(Entry("ffffe", "50", "q", -vectors[0], b"{}"))
    assert store.nearest("50", -vectors[0], 1)[0].entry.id == "ffffe"
    store.close()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert store.nearest("50", vectors[-1], 1)[0].entry.id == f"{len(vectors) - 1:x}"
store.close()
print("both")
"""
    assert python(FILL + script) == "both\n"


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a store says what to install; `import tuppence` does without."""
    monkeypatch.setitem(sys.modules, "usearch", None)
    with pytest.raises(ConfigError, match=r"usearch.*pip install 'tuppence\[semantic\]'"):
        EntryIndex()


def test_the_stores_module_loads_no_numerical_library() -> None:
    """Naming a store costs nothing; opening one loads numpy, and the graph's library waits for a large scope."""
    script = """
import sys
from tuppence.cache.stores.similar_memory import MemorySimilarStore
from tuppence.cache.stores.similar_sqlite import SqliteSimilarStore
print("numpy" in sys.modules, "usearch" in sys.modules)
MemorySimilarStore()
print("numpy" in sys.modules, "usearch" in sys.modules)
"""
    assert python(script) == "False False\nTrue False\n"


def test_rows_stay_whole_as_others_are_dropped() -> None:
    """Rows move when one is taken out: each handle keeps its own vector."""
    vectors = ScopeVectors(DIMENSIONS, threading.RLock)
    for handle in range(100):
        vectors.put(handle, QUESTIONS[handle])
    for handle in (99, 0, 50, 7, 98):
        vectors.drop(handle)
    there, rows = vectors.copied(range(100))
    assert there == [handle for handle in range(100) if handle not in {99, 0, 50, 7, 98}]
    assert np.array_equal(rows, QUESTIONS[there])
