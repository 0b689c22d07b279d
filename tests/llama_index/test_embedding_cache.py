"""CachedEmbedding: a document set that is ingested again pays for what has changed, through LlamaIndex's own ways."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import TextNode

from llama_index_tuppence import CachedEmbedding, SpendCallbackHandler, SpendEventHandler, as_embedder, spend, tags
from tuppence.cache import SqliteStore
from tuppence.errors import ConfigError
from tuppence.prices import PriceBook
from tuppence.spend import SqliteLedger, report
from tuppence.testing import ProviderServer
from tuppence.testing.openai_embeddings import embedding
from tuppence.tokens import count_tokens

MODEL = "text-embedding-3-small"
PRICES = PriceBook.default().with_overrides({MODEL: {"input": "1", "output": "0"}})
PICO_PER_TOKEN = 1_000_000


class ProviderEmbedding(BaseEmbedding):
    """A paid model of LlamaIndex's kind: its OpenAI integration does not allow the newest SDK yet."""

    base_url: str

    def _vectors(self, texts: list[str]) -> list[list[float]]:
        with openai.OpenAI(base_url=self.base_url, api_key="test") as client:
            return [row.embedding for row in client.embeddings.create(model=self.model_name, input=texts).data]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._vectors(texts)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._vectors(texts)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._vectors([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._vectors([query])[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._vectors([query])[0]


@pytest.fixture
def model(provider: ProviderServer) -> ProviderEmbedding:
    return ProviderEmbedding(model_name=MODEL, base_url=provider.base_url, embed_batch_size=50)


def cached(embed_model: BaseEmbedding, **options: Any) -> CachedEmbedding:
    return CachedEmbedding(embed_model, **{"ledger": None, "prices": PRICES, **options})


def sent(provider: ProviderServer) -> list[str]:
    """Every text that the provider was paid to embed."""
    return [text for one in provider.served for text in one.request["input"]]


def tokens(*texts: str) -> int:
    return sum(count_tokens(text, MODEL).tokens for text in texts)


def document_set(changed: range = range(0)) -> list[TextNode]:
    pages = [f"Page {number} of the harbour's history." for number in range(200)]
    for number in changed:
        pages[number] = f"Page {number}, rewritten since."
    return [TextNode(text=page, id_=str(number)) for number, page in enumerate(pages)]


async def by_index(model: BaseEmbedding, nodes: list[TextNode]) -> list[list[float]]:
    index = VectorStoreIndex(nodes, embed_model=model)
    return [index.vector_store.get(node.node_id) for node in nodes]


async def by_async_index(model: BaseEmbedding, nodes: list[TextNode]) -> list[list[float]]:
    index = VectorStoreIndex([], embed_model=model)
    await index.ainsert_nodes(nodes)
    return [index.vector_store.get(node.node_id) for node in nodes]


async def by_pipeline(model: BaseEmbedding, nodes: list[TextNode]) -> list[list[float]]:
    return [list(node.embedding or ()) for node in IngestionPipeline(transformations=[model]).run(nodes=nodes)]


async def by_async_pipeline(model: BaseEmbedding, nodes: list[TextNode]) -> list[list[float]]:
    return [list(node.embedding or ()) for node in await IngestionPipeline(transformations=[model]).arun(nodes=nodes)]


@pytest.mark.parametrize("ingest", [by_index, by_async_index, by_pipeline, by_async_pipeline])
async def test_a_second_ingestion_pays_for_what_has_changed(
    provider: ProviderServer, model: ProviderEmbedding, ingest: Any, tmp_path: Path
) -> None:
    """200 nodes, then the same with 10% rewritten: 20 texts are sent, and every node has its own vector."""
    path, changed = tmp_path / "vectors.sqlite", range(0, 200, 10)
    with closing(SqliteStore(path)) as first:
        await ingest(cached(model, store=first), document_set())
    assert sorted(sent(provider)) == sorted(node.text for node in document_set())
    again, nodes = cached(model, store=path), document_set(changed)
    vectors = await ingest(again, nodes)
    assert sorted(sent(provider)[200:]) == sorted(nodes[number].text for number in changed)
    assert (again.saved.hits, again.saved.misses) == (180, 20)
    assert vectors == [pytest.approx(embedding(node.text), abs=1e-6) for node in nodes]


async def test_queries_are_cached_and_documents_apart(provider: ProviderServer, model: ProviderEmbedding) -> None:
    """The same words as a query and as a text are two entries, for sync and async callers alike."""
    embed = cached(model)
    assert embed.get_query_embedding("tea") == await embed.aget_query_embedding("tea")
    assert embed.get_text_embedding("tea") == await embed.aget_text_embedding("tea")
    assert sent(provider) == ["tea", "tea"]
    assert embed.get_agg_embedding_from_queries(["tea", "tea"]) == pytest.approx(embedding("tea"), abs=1e-6)
    assert sent(provider) == ["tea", "tea"]


def test_savings_stand_beside_what_was_paid(model: ProviderEmbedding, tmp_path: Path) -> None:
    """`spend()` and the report have the misses at their price and the hits as saved."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        embed = cached(model, ledger=ledger)
        with spend() as block:
            embed.get_text_embedding_batch(["two pence for tea", "tea for two"])
            embed.get_text_embedding_batch(["two pence for tea", "a harbour"])
    paid, spared = tokens("two pence for tea", "tea for two", "a harbour"), tokens("two pence for tea")
    assert (block.pico_usd, block.hits) == (paid * PICO_PER_TOKEN, 1)
    assert embed.saved.pico_usd == spared * PICO_PER_TOKEN
    total = report(path).total
    assert (total.pico_usd, total.saved_pico, total.hits) == (paid * PICO_PER_TOKEN, spared * PICO_PER_TOKEN, 1)


async def test_a_spend_handler_counts_a_hit_as_one(model: ProviderEmbedding, attach: Callable[[Any], Any]) -> None:
    """What is sent is counted once, at the model's price; what is not is a hit, never a call."""
    handler = attach(SpendEventHandler(prices=PRICES))
    embed = cached(model)
    embed.get_text_embedding_batch(["tea", "harbour"])
    await embed.aget_text_embedding_batch(["tea", "harbour", "ship"])
    assert (handler.pico_usd, handler.hits) == (tokens("tea", "harbour", "ship") * PICO_PER_TOKEN, 1)
    assert [attempt.outcome for attempt in handler.attempts] == ["observed", "observed", "hit"]


def test_an_indexs_callback_manager_reaches_the_model(model: ProviderEmbedding) -> None:
    """An index sets it on the model that it was given: handlers there hear of the calls and of the hits."""
    handler = SpendCallbackHandler(prices=PRICES)
    embed = cached(model)
    for _ in range(2):
        VectorStoreIndex(
            document_set()[:3], embed_model=embed, callback_manager=CallbackManager([handler])
        )  # fmt: skip
    paid = tokens(*(node.text for node in document_set()[:3]))
    assert (handler.pico_usd, handler.hits) == (paid * PICO_PER_TOKEN, 1)


def test_without_a_price_the_models_own_events_are_left_alone(attach: Callable[[Any], Any]) -> None:
    """A model that no list knows is counted by whoever listens, as without the cache, and its hits are not booked."""
    handler = attach(SpendEventHandler(prices=PRICES))
    embed = cached(MockEmbedding(embed_dim=4), model="mine-v1")
    for _ in range(2):
        embed.get_text_embedding("tea")
    assert (len(handler.attempts), handler.hits, handler.unpriced) == (1, 0, 1)
    assert (embed.saved.hits, embed.saved.usd) == (1, 0)


def test_a_model_without_a_name_must_be_given_one() -> None:
    """LlamaIndex calls it "unknown", which two models may be."""
    with pytest.raises(ConfigError, match=r"give model='\.\.\.'"):
        CachedEmbedding(MockEmbedding(embed_dim=4))


def test_tenants_share_nothing(provider: ProviderServer, model: ProviderEmbedding) -> None:
    """Whether a text has been seen is nobody else's to learn."""
    embed = cached(model)
    for tenant in ("a", "b", "a"):
        with tags(tenant=tenant):
            embed.get_query_embedding("tea")
    assert sent(provider) == ["tea", "tea"]


def test_a_worker_process_finds_the_same_file(
    provider: ProviderServer, model: ProviderEmbedding, tmp_path: Path
) -> None:
    """A pipeline's workers get a pickle: it opens the same file. A copy within the process stays the same object."""
    path = tmp_path / "vectors.sqlite"
    with closing(SqliteStore(path)) as first:
        kept = cached(model, store=first).get_text_embedding("tea")
    embed = cached(model, store=path)
    there = pickle.loads(pickle.dumps(embed))
    assert there is not embed
    assert there.get_text_embedding("tea") == kept
    assert sent(provider) == ["tea"]
    assert copy.deepcopy(embed) is embed


async def test_a_llama_index_model_serves_as_an_embedder(provider: ProviderServer, model: ProviderEmbedding) -> None:
    """Rows of length 1, in the model's own batches; a name that tells model and class."""
    embedder = as_embedder(model)
    vectors = embedder.embed(["a harbour", "tea"])
    assert np.allclose(vectors, [embedding("a harbour"), embedding("tea")], atol=1e-6)
    assert (await embedder.aembed(["a harbour", "tea"]) == vectors).all()
    assert len(provider.served) == 2
    assert embedder.name.endswith(f"ProviderEmbedding:{MODEL}")
    assert len(embedder.embed([])) == 0
