"""One vector index on given vectors: lookup, growth, memory, removal; `vector_index.py` runs it where it is installed.

    python contender.py NAME VECTORS.npy

The first rows of the file are looked up, the others are stored. It must need nothing but the standard library, numpy
and the index. One thread does everything: a cache's program needs the other cores. Times are this process's own on the
processor, so that what else runs on the machine counts little. The last line of output is one JSON object.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Keys = npt.NDArray[np.int64]

LOOKUPS = 500
NEIGHBOURS = 20
AT_ONCE = 1_000
"""Vectors that are added in one go."""
CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 128, 96
"""Of every graph, so that they are comparable."""
EXPIRED_SHARE = 0.1


class Index(Protocol):
    """Vectors of length 1 by key."""

    def add(self, keys: Keys, vectors: Vectors) -> None: ...

    def nearest(self, vector: Vectors, k: int) -> Sequence[int]:
        """Return the keys of about the `k` nearest."""
        ...

    def remove(self, keys: Keys) -> None:
        """Have `keys` found no more; raises where the library cannot."""
        ...


class Numpy:
    """Compare with each: no index at all."""

    def __init__(self, dimensions: int, _: int) -> None:
        self._rows = np.empty((1_024, dimensions), np.float32)
        self._keys = np.empty(1_024, np.int64)
        self._n = 0

    def add(self, keys: Keys, vectors: Vectors) -> None:
        end = self._n + len(keys)
        if end > len(self._keys):
            room = max(end, self._n + self._n // 2)
            self._rows.resize((room, vectors.shape[1]), refcheck=False)
            self._keys.resize(room, refcheck=False)
        self._rows[self._n : end], self._keys[self._n : end], self._n = vectors, keys, end

    def nearest(self, vector: Vectors, k: int) -> Sequence[int]:
        near = self._rows[: self._n] @ vector
        found: list[int] = self._keys[np.argpartition(near, -k)[-k:]].tolist()
        return found

    def remove(self, keys: Keys) -> None:
        for slot in np.flatnonzero(np.isin(self._keys[: self._n], keys))[::-1]:
            self._n -= 1
            self._rows[slot], self._keys[slot] = self._rows[self._n], self._keys[self._n]


class Usearch:
    """A graph; vectors as they are, or at 8 bits a number."""

    def __init__(self, dimensions: int, _: int, dtype: str = "f32") -> None:
        from usearch.index import Index

        self._index = Index(
            ndim=dimensions, metric="cos", dtype=dtype, connectivity=CONNECTIVITY, expansion_add=EXPANSION_ADD,
            expansion_search=EXPANSION_SEARCH,
        )  # fmt: skip

    def add(self, keys: Keys, vectors: Vectors) -> None:
        self._index.add(keys.astype(np.uint64), vectors, threads=1)

    def nearest(self, vector: Vectors, k: int) -> Sequence[int]:
        found: list[int] = self._index.search(vector, k, threads=1).keys.tolist()
        return found

    def remove(self, keys: Keys) -> None:
        self._index.remove(keys.astype(np.uint64), threads=1)


class Faiss:
    """faiss, flat or a graph."""

    def __init__(self, dimensions: int, _: int, kind: str = "Flat") -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        index = faiss.index_factory(dimensions, kind, faiss.METRIC_INNER_PRODUCT)
        if kind.startswith("HNSW"):
            index.hnsw.efConstruction, index.hnsw.efSearch = EXPANSION_ADD, EXPANSION_SEARCH
        self._index = faiss.IndexIDMap(index)

    def add(self, keys: Keys, vectors: Vectors) -> None:
        self._index.add_with_ids(vectors, keys)

    def nearest(self, vector: Vectors, k: int) -> Sequence[int]:
        found: list[int] = self._index.search(vector[None], k)[1][0].tolist()
        return found

    def remove(self, keys: Keys) -> None:
        self._index.remove_ids(keys)


class Hnswlib:
    """The reference graph; removal hides a key and keeps its memory, and room is made beforehand."""

    def __init__(self, dimensions: int, most: int) -> None:
        import hnswlib

        self._index = hnswlib.Index(space="ip", dim=dimensions)
        self._index.init_index(max_elements=most, ef_construction=EXPANSION_ADD, M=CONNECTIVITY)
        self._index.set_ef(EXPANSION_SEARCH)

    def add(self, keys: Keys, vectors: Vectors) -> None:
        self._index.add_items(vectors, keys, num_threads=1)

    def nearest(self, vector: Vectors, k: int) -> Sequence[int]:
        found: list[int] = self._index.knn_query(vector, k=k, num_threads=1)[0][0].tolist()
        return found

    def remove(self, keys: Keys) -> None:
        for key in keys.tolist():
            self._index.mark_deleted(key)


INDEXES: dict[str, Callable[[int, int], Index]] = {
    "numpy": Numpy,
    "usearch-f32": Usearch,
    "usearch-i8": lambda dimensions, most: Usearch(dimensions, most, "i8"),
    "faiss-flat": Faiss,
    "faiss-hnsw": lambda dimensions, most: Faiss(dimensions, most, f"HNSW{CONNECTIVITY}"),
    "hnswlib": Hnswlib,
}


def figures(make: Callable[[int, int], Index], vectors: Vectors) -> dict[str, Any]:
    """Measure one index."""
    asked, stored = np.array(vectors[:LOOKUPS]), vectors[LOOKUPS:]
    keys = np.arange(len(stored), dtype=np.int64)
    before = _memory_mib()
    index = make(vectors.shape[1], len(stored))
    begun = time.process_time()
    for begin in range(0, len(stored), AT_ONCE):
        index.add(keys[begin : begin + AT_ONCE], np.array(stored[begin : begin + AT_ONCE]))
    rate = len(stored) / (time.process_time() - begun)
    memory = _memory_mib() - before
    times, recall = _looked_up(index, asked, stored, keys)
    return {
        "lookup_ms_p50": round(statistics.median(times) * 1000, 3),
        "recall": round(recall, 4),
        "inserts_per_s": round(rate),
        "memory_mib": round(memory),
        **_expired(index, asked, stored, keys),
    }


def _looked_up(index: Index, asked: Vectors, stored: Vectors, keys: Keys) -> tuple[list[float], float]:
    """Return CPU seconds of each lookup, and the share of the true nearest that was found."""
    times, found = [], []
    for vector in asked:
        begun = time.process_time()
        found.append(index.nearest(vector, NEIGHBOURS))
        times.append(time.process_time() - begun)
    right = 0
    for vector, near in zip(asked, found, strict=True):
        cosines = stored @ vector
        right += len({*near} & {*keys[np.argpartition(cosines, -NEIGHBOURS)[-NEIGHBOURS:]].tolist()})
    return times, right / (len(asked) * NEIGHBOURS)


def _expired(index: Index, asked: Vectors, stored: Vectors, keys: Keys) -> dict[str, Any]:
    """Remove a tenth, then look up again: nothing that is gone may be found, what is left must be."""
    gone = np.random.default_rng(0).permutation(keys)[: int(len(keys) * EXPIRED_SHARE)]
    begun = time.process_time()
    try:
        index.remove(gone)
    except RuntimeError as error:
        return {"remove": f"cannot: {str(error).strip().splitlines()[-1][-80:]}"}
    took = time.process_time() - begun
    left = np.setdiff1d(keys, gone)
    _, recall = _looked_up(index, asked, np.array(stored[left]), left)
    hidden = {*gone.tolist()}
    ghosts = sum(len(hidden & {*index.nearest(vector, NEIGHBOURS)}) for vector in asked)
    return {"remove_us": round(took / len(gone) * 1e6, 1), "recall_after": round(recall, 4), "ghosts": ghosts}


def _memory_mib() -> float:
    """Return what this process holds of its own; files that are mapped are not counted."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon:"))


if __name__ == "__main__":
    print(json.dumps(figures(INDEXES[sys.argv[1]], np.load(sys.argv[2], mmap_mode="r"))))
