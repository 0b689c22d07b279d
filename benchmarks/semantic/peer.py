"""Another semantic cache, at its defaults, on the benchmark's questions; `peers.py` runs it where it is installed.

    python peer.py NAME FOLDER REDIS_URL

It must need nothing but the standard library, numpy and the peer: `FOLDER` holds the questions, their vectors and what
to ask (see `peers.py`). The last line of output is one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Embed = Callable[[str], npt.NDArray[np.float32]]
_DIMENSIONS = 384
_OUR_VECTORS = "its default embedding model is a download: given tuppence's local MiniLM"
_ALL = 1_000_000


class Peer(Protocol):
    """A cache as a program would use it."""

    note: str
    """What is not as it ships, and why."""
    most: int
    """Entries that it keeps by default, or more than the benchmark has."""

    def ask(self, question: str) -> str | None:
        """Return the answer that it serves, if any."""
        ...

    def keep(self, question: str, answer: str) -> None: ...
    def clear(self) -> None: ...


class GPTCache:
    """`init_similar_cache()`: SQLite and faiss, a similarity threshold of .8, the newest 1,000 entries."""

    note = f"{_OUR_VECTORS}; keeps 1,000 entries"
    most = 1_000

    def __init__(self, embed: Embed, _: str) -> None:
        from gptcache import Cache
        from gptcache.adapter import api
        from gptcache.manager import manager_factory

        class Embedding:
            dimension = _DIMENSIONS

            def to_embeddings(self, text: str, **_: Any) -> npt.NDArray[np.float32]:
                return embed(text)

        self._api = api
        self._folder = tempfile.TemporaryDirectory()
        # What `init_similar_cache` makes where it is given none, for another folder.
        self._data = manager_factory("sqlite,faiss", self._folder.name, vector_params={"dimension": _DIMENSIONS})
        self._cache = Cache()
        api.init_similar_cache(cache_obj=self._cache, embedding=Embedding(), data_manager=self._data)

    def ask(self, question: str) -> str | None:
        answer: str | None = self._api.get(question, cache_obj=self._cache)
        return answer

    def keep(self, question: str, answer: str) -> None:
        self._api.put(question, answer, cache_obj=self._cache)

    def clear(self) -> None:
        self._data.eviction_manager.soft_evict(self._data.s.get_ids(deleted=False))
        self._data.eviction_manager.delete()


class RedisVL:
    """`SemanticCache()`: a cosine distance of .1."""

    note = _OUR_VECTORS
    most = _ALL

    def __init__(self, embed: Embed, url: str) -> None:
        from redisvl.extensions.cache.llm import SemanticCache
        from redisvl.utils.vectorize import CustomVectorizer

        def embedded(text: str, **_: Any) -> list[float]:
            return _listed(embed(text))

        self._cache = SemanticCache(redis_url=url, vectorizer=CustomVectorizer(embed=embedded))

    def ask(self, question: str) -> str | None:
        found = self._cache.check(prompt=question)
        return found[0]["response"] if found else None

    def keep(self, question: str, answer: str) -> None:
        self._cache.store(prompt=question, response=answer)

    def clear(self) -> None:
        self._cache.clear()


class LangChainRedis:
    """`RedisSemanticCache(embeddings)`: a cosine distance of .2."""

    note = "embeddings have no default: given tuppence's local MiniLM"
    most = _ALL

    def __init__(self, embed: Embed, url: str) -> None:
        from langchain_core.embeddings import Embeddings
        from langchain_core.outputs import Generation
        from langchain_redis import RedisSemanticCache

        class Local(Embeddings):
            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                return [self.embed_query(text) for text in texts]

            def embed_query(self, text: str) -> list[float]:
                return _listed(embed(text))

        self._generation = Generation
        self._cache = RedisSemanticCache(Local(), redis_url=url)

    def ask(self, question: str) -> str | None:
        found = self._cache.lookup(question, "model")
        return found[0].text if found else None

    def keep(self, question: str, answer: str) -> None:
        self._cache.update(question, "model", [self._generation(text=answer)])

    def clear(self) -> None:
        self._cache.clear()


class BetterDB:
    """`SemanticCache(client, embed_fn)`: a cosine distance of .1."""

    note = "embeddings have no default: given tuppence's local MiniLM; on Redis in place of Valkey, its analytics off"
    most = _ALL

    def __init__(self, embed: Embed, url: str) -> None:
        from betterdb_semantic_cache import SemanticCache
        from betterdb_semantic_cache.types import AnalyticsOptions, SemanticCacheOptions
        from valkey.asyncio import Valkey

        async def embedded(text: str) -> list[float]:
            return _listed(embed(text))

        self._loop = asyncio.new_event_loop()
        self._cache = SemanticCache(
            SemanticCacheOptions(
                client=Valkey.from_url(url), embed_fn=embedded, analytics=AnalyticsOptions(disabled=True)
            )
        )
        self._loop.run_until_complete(self._cache.initialize())

    def ask(self, question: str) -> str | None:
        found = self._loop.run_until_complete(self._cache.check(question))
        return found.response if found.hit else None

    def keep(self, question: str, answer: str) -> None:
        self._loop.run_until_complete(self._cache.store(question, answer))

    def clear(self) -> None:
        self._loop.run_until_complete(self._cache.invalidate("*"))


PEERS: dict[str, Callable[[Embed, str], Peer]] = {
    "gptcache": GPTCache, "redisvl": RedisVL, "langchain-redis": LangChainRedis,
    "betterdb-semantic-cache": BetterDB,
}  # fmt: skip


def _listed(vector: npt.NDArray[np.float32]) -> list[float]:
    numbers: list[float] = vector.tolist()
    return numbers


def served(peer: Peer, pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """Say of each pair whether the second question is answered with the first alone in the cache."""
    found = []
    for stored, asked in pairs:
        peer.keep(stored, "answer")
        found.append(peer.ask(asked) is not None)
        peer.clear()
    return found


def streamed(peer: Peer, stream: Sequence[tuple[str, str]]) -> list[int]:
    """Count requests, exact hits, other hits, wrong ones among these, and wrong ones among all hits."""
    exact = similar = wrong = wrong_in_all = 0
    for question, group in stream:
        answer = peer.ask(question)
        if answer is None:
            peer.keep(question, json.dumps([question, group]))
            continue
        of, got = json.loads(answer)
        exact += of == question
        similar += of != question
        wrong += of != question and got != group
        wrong_in_all += got != group
    peer.clear()
    return [len(stream), exact, similar, wrong, wrong_in_all]


def timed(peer: Peer, texts: Sequence[str], lookups: int) -> dict[str, Any]:
    """Keep all `texts` but the last, as many as it keeps, then look those up."""
    stored, asked = texts[:-lookups][: peer.most], texts[-lookups:]
    begun = time.perf_counter()
    for text in stored:
        peer.keep(text, text)
    rate = len(stored) / (time.perf_counter() - begun)
    times = []
    for text in asked:
        begun = time.perf_counter()
        peer.ask(text)
        times.append(time.perf_counter() - begun)
    return {"lookup_ms_p50": {str(len(stored)): statistics.median(times) * 1000}, "inserts_per_s": round(rate)}


def main() -> None:
    name, folder, url = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    place = {text: at for at, text in enumerate(texts)}
    work = json.loads((folder / "work.json").read_text(encoding="utf-8"))
    peer = PEERS[name](lambda text: np.array(vectors[place[text]]) if text in place else _any(text), url)
    print(json.dumps({
        "version": version(name),
        "note": peer.note,
        "served": {source: served(peer, pairs) for source, pairs in work["pairs"].items()},
        "counts": {source: streamed(peer, stream) for source, stream in work["streams"].items()},
        **timed(peer, work["timed"], work["lookups"]),
    }))  # fmt: skip


def _any(text: str) -> npt.NDArray[np.float32]:
    """Return a vector for what a peer embeds to see that it can, such as "dimension test"."""
    vector = np.zeros(_DIMENSIONS, np.float32)
    vector[len(text) % _DIMENSIONS] = 1.0
    return vector


if __name__ == "__main__":
    main()
