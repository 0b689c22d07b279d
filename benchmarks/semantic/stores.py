"""How long a lookup takes where vectors are known, and how fast entries come in: stores as they are shipped."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from semantic.data import Row, like
from tuppence.cache import MemorySimilarStore, RedisSimilarStore, SimilarStore, SqliteSimilarStore
from tuppence.cache.semantic import NEIGHBOURS
from tuppence.effects import Entry
from tuppence.embed import Vectors
from tuppence.errors import CacheError
from tuppence.testing.redis_server import MISSING, running

LOOKUPS = 500
SIZES = {"memory": (10_000, 100_000), "sqlite": (10_000,), "redis": (10_000,)}
ANSWER = b'{"text":"' + b"The invoice is due thirty days after the end of the month. " * 8 + b'"}'
_SCOPE = "scope"


def store_figures(questions: Vectors) -> Row:
    """Fill each store with `questions` and vectors like them, and look up the last of them, which are not stored."""
    asked, stored = questions[-LOOKUPS:], questions[:-LOOKUPS]
    found: dict[str, Row] = {"lookup_ms_p50": {}, "inserts_per_s": {}}
    for name, sizes in SIZES.items():
        if name == "redis" and MISSING:
            found["lookup_ms_p50"][name] = found["inserts_per_s"][name] = f"not installed: {', '.join(MISSING)}"
            continue
        try:
            with tempfile.TemporaryDirectory() as folder, _opened(name, Path(folder)) as store:
                inserts, lookups = _measured(store, like(stored, max(sizes)), asked, sizes)
        except CacheError as error:
            # A machine that is busy with other things may be slower than a store waits.
            found["lookup_ms_p50"][name] = found["inserts_per_s"][name] = f"failed: {error}"
            continue
        found["inserts_per_s"][name] = inserts
        found["lookup_ms_p50"][name] = lookups
    return found


@contextmanager
def _opened(name: str, folder: Path) -> Iterator[SimilarStore]:
    with ExitStack() as stack:
        if name == "redis":
            store: SimilarStore = RedisSimilarStore(stack.enter_context(running(folder)).url)
        else:
            store = MemorySimilarStore() if name == "memory" else SqliteSimilarStore(folder / "similar.sqlite")
        stack.callback(store.close)
        yield store


def _measured(store: SimilarStore, vectors: Vectors, asked: Vectors, sizes: Sequence[int]) -> tuple[int, Row]:
    """Return inserts a second up to the first size, until all are written, and lookup p50 at each size in ms."""
    rates, lookups = [], {}
    for begin, end in zip((0, *sizes), sizes, strict=False):
        rates.append((end - begin) / _seconds(partial(_fill, store, vectors, begin, end)))
        _await_graphs()
        times = [_seconds(partial(store.nearest, _SCOPE, vector, NEIGHBOURS)) for vector in asked]
        lookups[str(end)] = statistics.median(times) * 1000
    return round(rates[0]), lookups


def _fill(store: SimilarStore, vectors: Vectors, begin: int, end: int) -> None:
    for n in range(begin, end):
        store.add(Entry(f"{n:x}", _SCOPE, f"Question number {n}?", vectors[n], ANSWER, answer=f"{n:x}", pico_usd=10**9))
    store.flush()


def _await_graphs() -> None:
    """Wait until no index is being built beside the calls: what is timed is the store at rest."""
    for thread in threading.enumerate():
        if thread.name == "tuppence-graph":
            thread.join()


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
