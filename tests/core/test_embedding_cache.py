"""The embedding cache: what was embedded is not embedded again, and nothing else is ever served."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.cache import MemoryStore, SqliteStore, Store
from tuppence.cache.embeddings import EmbeddingCache, open_store
from tuppence.context import spend, tags
from tuppence.errors import ConfigError, RequestError
from tuppence.prices import token_rate
from tuppence.spend import SqliteLedger, report
from tuppence.testing.openai_embeddings import embedding
from tuppence.tokens import count_tokens

MODEL = "text-embedding-3-small"
RATE = token_rate(input="1", output="0")
PICO_PER_TOKEN = 1_000_000
# Who waits that long for an equal text was forgotten; nobody should wait half of it.
FORGOTTEN_S = 60.0
SOON_S = 30.0


class Model:
    """A model that remembers what it was asked for, call by call."""

    def __init__(self, dimensions: int = 16) -> None:
        self.calls: list[list[str]] = []
        self._dimensions = dimensions

    def __call__(self, texts: list[str]) -> list[list[float]]:
        self.calls.append(texts)
        return [embedding(text, dimensions=self._dimensions) for text in texts]

    async def aask(self, texts: list[str]) -> list[list[float]]:
        return self(texts)

    @property
    def texts(self) -> list[str]:
        return [text for call in self.calls for text in call]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = open_store("memory" if request.param == "memory" else tmp_path / "vectors.sqlite")
    yield store
    store.close()


@pytest.fixture
def model() -> Model:
    return Model()


def cache_over(store: Store, name: str = "model", **options: object) -> EmbeddingCache:
    return EmbeddingCache(store, name=name, model=MODEL, **{"wait_s": FORGOTTEN_S, **options})  # type: ignore[arg-type]


def expected(texts: Sequence[str]) -> list[list[float]]:
    return [pytest.approx(embedding(text, dimensions=16), abs=1e-6) for text in texts]


def tokens(*texts: str) -> int:
    return sum(count_tokens(text, MODEL).tokens for text in texts)


def test_only_what_is_missing_is_asked_for_in_one_call(store: Store, model: Model) -> None:
    """Of a batch the known texts are left out, the others asked together, and the order is the caller's."""
    cache = cache_over(store)
    cache.embed(["a", "b", "c"], model)
    texts = ["d", "b", "a", "e", "c"]
    assert cache.embed(texts, model) == expected(texts)
    assert model.calls == [["a", "b", "c"], ["d", "e"]]
    assert (cache.saved.hits, cache.saved.misses) == (3, 5)


def test_a_text_twice_in_a_batch_is_asked_for_once(store: Store, model: Model) -> None:
    """Each place gets a vector of its own, so that changing one changes no other."""
    first, second = cache_over(store).embed(["tea", "tea"], model)
    assert model.calls == [["tea"]]
    first[0] = 99.0
    assert second[0] != 99.0


def test_a_hit_is_what_the_miss_was(store: Store) -> None:
    """Bit by bit: whoever embeds a document set twice gets the same index."""
    cache, thirds = cache_over(store), [[1 / 3, 2 / 3, -1 / 3]]
    missed = cache.embed(["tea"], lambda _: thirds)
    assert cache.embed(["tea"], lambda _: thirds) == missed == [[pytest.approx(x, abs=1e-7) for x in thirds[0]]]


def test_no_texts_ask_for_nothing(store: Store, model: Model) -> None:
    assert cache_over(store).embed([], model) == []
    assert model.calls == []


def test_models_kinds_and_tenants_share_nothing(store: Store, model: Model) -> None:
    """Another model's vector, a query's for a document's, or another tenant's entry is never served."""
    cache_over(store).embed(["tea"], model)
    cache_over(store, "other").embed(["tea"], model)
    cache_over(store).embed(["tea"], model, kind="query")
    for tenant in ("a", "b"):
        with tags(tenant=tenant):
            cache_over(store).embed(["tea"], model)
    assert len(model.calls) == 5
    with tags(tenant="a", user="ann"):
        cache_over(store).embed(["tea"], model)
    assert len(model.calls) == 5


async def test_async_and_sync_share_their_entries(store: Store, model: Model) -> None:
    """One core: what one has embedded, the other finds; many texts are looked up away from the loop."""
    cache, texts = cache_over(store), [f"text {number}" for number in range(20)]
    assert await cache.aembed(texts, model.aask) == expected(texts)
    assert cache.embed(texts, model) == await cache.aembed(texts, model.aask)
    assert len(model.calls) == 1


def test_a_file_outlives_its_process(tmp_path: Path, model: Model) -> None:
    """Another store over the same file finds what the first one kept."""
    for _ in range(2):
        store = open_store(tmp_path / "vectors.sqlite")
        cache_over(store).embed(["a", "b"], model)
        store.close()
    assert model.calls == [["a", "b"]]


def test_vectors_expire_where_that_is_asked(model: Model) -> None:
    """`ttl_s` is the store's to keep, by its own clock."""
    now = [1000.0]
    cache = cache_over(MemoryStore(clock=lambda: now[0]), ttl_s=60)
    for moment in (1000.0, 1059.0, 1061.0):
        now[0] = moment
        cache.embed(["tea"], model)
    assert len(model.calls) == 2


def test_a_broken_store_fails_no_embedding(model: Model, tmp_path: Path) -> None:
    """Lookups and writes that raise are counted; the model is asked instead, as without a cache."""
    store = SqliteStore(tmp_path / "vectors.sqlite")
    store.close()
    cache = cache_over(store)
    assert cache.embed(["a", "b"], model) == expected(["a", "b"])
    assert cache.saved.misses == 2
    assert cache.saved.faults >= 1
    assert "closed" in cache.saved.last_fault


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE replies_v2 SET value = substr(value, 1, length(value) - 9)",
        "UPDATE replies_v2 SET value = CAST('[]' AS BLOB)",
        "UPDATE replies_v2 SET value = CAST('{\"v\":99}' AS BLOB)",
        "UPDATE replies_v2 SET value = x'00ff'",
    ],
)
def test_a_torn_or_foreign_entry_is_a_miss(model: Model, tmp_path: Path, damage: str) -> None:
    """It is embedded anew, and that mends the entry."""
    path = tmp_path / "vectors.sqlite"
    for _ in range(3):
        store = SqliteStore(path)
        assert cache_over(store).embed(["tea"], model) == expected(["tea"])
        store.close()
        if len(model.calls) == 1:
            with sqlite3.connect(path) as rows:
                assert rows.execute(damage).rowcount == 1
            rows.close()
    assert len(model.calls) == 2


def test_a_vector_with_a_nan_is_not_kept(store: Store, model: Model) -> None:
    """It is handed on, since it was paid for, but the next asker gets a new one."""
    cache = cache_over(store)
    assert math.isnan(cache.embed(["tea"], lambda _: [[math.nan, 1.0]])[0][0])
    assert cache.embed(["tea"], model) == expected(["tea"])


def test_a_model_that_loses_a_text_is_not_trusted(store: Store, model: Model) -> None:
    """Fewer vectors than texts could only be given to the wrong texts."""
    with pytest.raises(RequestError, match="returned 1 vectors for 2 texts"):
        cache_over(store).embed(["a", "b"], lambda _: [[1.0]])
    assert cache_over(store).embed(["a", "b"], model) == expected(["a", "b"])


def test_the_models_error_is_the_callers(store: Store, model: Model) -> None:
    """What the model raises comes through, nothing is kept, and the next caller asks again at once."""
    cache = cache_over(store)

    def fail(_: list[str]) -> list[list[float]]:
        raise ConnectionError("the provider is away")

    with pytest.raises(ConnectionError, match="away"):
        cache.embed(["a", "b"], fail)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(cache.embed, ["a", "b"], model).result(SOON_S) == expected(["a", "b"])


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_text_under_way_is_waited_for(model: Model) -> None:
    """Of batches that overlap at the same time, each text is embedded once, and each batch asks once."""
    cache, answered = cache_over(MemoryStore()), asyncio.Event()

    async def slow(texts: list[str]) -> list[list[float]]:
        await answered.wait()
        return model(texts)

    first = asyncio.create_task(cache.aembed(["a", "b"], slow))
    await settle()
    second = asyncio.create_task(cache.aembed(["b", "c"], slow))
    await settle()
    answered.set()
    assert await asyncio.gather(first, second) == [expected(["a", "b"]), expected(["b", "c"])]
    assert sorted(model.calls) == [["a", "b"], ["c"]]
    assert cache.saved.hits == 1


async def test_a_cancelled_batch_hands_its_texts_over(model: Model) -> None:
    """Who waited for them embeds them, together and at once."""
    cache, never = cache_over(MemoryStore()), asyncio.Event()

    async def hang(_: list[str]) -> list[list[float]]:
        await never.wait()
        return []

    leader = asyncio.create_task(cache.aembed(["a", "b"], hang))
    await settle()
    waiter = asyncio.create_task(cache.aembed(["b", "a"], model.aask))
    await settle()
    leader.cancel()
    assert await asyncio.wait_for(waiter, SOON_S) == expected(["b", "a"])
    assert model.calls == [["b", "a"]]


async def test_a_cancelled_waiter_holds_nobody_up(model: Model) -> None:
    """It leaves the queue: the leader goes on, and the text is there afterwards."""
    cache, answered = cache_over(MemoryStore()), asyncio.Event()

    async def slow(texts: list[str]) -> list[list[float]]:
        await answered.wait()
        return model(texts)

    leader = asyncio.create_task(cache.aembed(["a"], slow))
    await settle()
    waiter = asyncio.create_task(cache.aembed(["a", "b"], model.aask))
    await settle()
    waiter.cancel()
    await settle()
    answered.set()
    assert await leader == expected(["a"])
    assert await cache.aembed(["a", "b"], slow) == expected(["a", "b"])
    assert model.texts == ["b", "a"]


async def test_a_lead_given_to_a_cancelled_waiter_is_passed_on(model: Model) -> None:
    """A leader and the one who waits for its texts go at the same moment: a third need not wait for either."""
    cache, never = cache_over(MemoryStore()), asyncio.Event()

    async def hang(_: list[str]) -> list[list[float]]:
        await never.wait()
        return []

    tasks = []
    for _ in range(2):
        tasks.append(asyncio.create_task(cache.aembed(["a", "b"], hang)))
        await settle()
    for task in tasks:
        task.cancel()
    await settle()
    assert await asyncio.wait_for(cache.aembed(["a", "b"], model.aask), SOON_S) == expected(["a", "b"])


def test_many_threads_embed_a_text_once(store: Store, model: Model) -> None:
    """Batches in every order, in threads: none blocks another for good, and no text is paid for twice."""
    cache, together = cache_over(store), threading.Barrier(8)
    words = [f"word {number}" for number in range(12)]

    def come(number: int) -> list[list[float]]:
        together.wait(SOON_S)
        return cache.embed(words[number:] + words[:number], model)

    with ThreadPoolExecutor(8) as pool:
        for number, vectors in enumerate(pool.map(come, range(8))):
            assert vectors == expected(words[number:] + words[:number])
    assert sorted(model.texts) == sorted(words)


def test_hits_are_booked_at_what_they_spared(model: Model, tmp_path: Path) -> None:
    """One row a call: it costs nothing, and the report counts its baseline as saved."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        cache = cache_over(MemoryStore(), rate=RATE, record=ledger.write)
        cache.embed(["two pence for tea", "tea for two"], model)
        with spend() as block:
            cache.embed(["two pence for tea", "a harbour", "tea for two"], model)
    spared = tokens("two pence for tea", "tea for two")
    assert (cache.saved.tokens, cache.saved.pico_usd) == (spared, spared * PICO_PER_TOKEN)
    (attempt,) = block.attempts
    assert (attempt.cause, attempt.pico_usd, attempt.baseline_pico) == ("hit", 0, cache.saved.pico_usd)
    total = report(path).total
    assert (total.hits, total.saved_pico, total.pico_usd) == (1, cache.saved.pico_usd, 0)


def test_without_a_price_hits_are_only_counted(model: Model) -> None:
    """Nothing is booked at a price that nobody knows."""
    cache = cache_over(MemoryStore())
    with spend() as block:
        for _ in range(2):
            cache.embed(["tea"], model)
    assert block.attempts == []
    assert (cache.saved.hits, cache.saved.tokens, cache.saved.usd) == (1, tokens("tea"), 0)


@given(st.lists(st.lists(st.text(max_size=3), max_size=6), max_size=6))
def test_whatever_comes_each_text_is_asked_for_once(batches: list[list[str]]) -> None:
    """Any batches in any order: the vectors are the model's, and nobody pays twice."""
    model, cache = Model(), cache_over(MemoryStore())
    for batch in batches:
        assert cache.embed(batch, model) == expected(batch)
    assert len(model.texts) == len(set(model.texts)) == len({text for batch in batches for text in batch})
    assert cache.saved.hits + cache.saved.misses == sum(map(len, batches))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: open_store(7), "give 'memory', a file path, or a store"),  # type: ignore[arg-type]
        (lambda: cache_over(MemoryStore(), ttl_s=0), "ttl_s is 0"),
        (lambda: cache_over(MemoryStore(), wait_s=-1), "wait_s is -1"),
    ],
)
def test_settings_that_cannot_work_are_refused(make: Callable[[], object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        make()
