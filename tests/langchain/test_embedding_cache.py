"""CachedEmbeddings: a document set that is ingested again pays for what has changed, through LangChain's own ways."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings

from langchain_tuppence import CachedEmbeddings, SpendEmbeddings, as_embedder, spend, tags
from tuppence.cache import MemoryStore, SqliteStore
from tuppence.errors import ConfigError
from tuppence.prices import token_rate
from tuppence.spend import SqliteLedger, report
from tuppence.testing import Fault, ProviderServer
from tuppence.testing.openai_embeddings import embedding
from tuppence.tokens import count_tokens

MODEL = "text-embedding-3-small"
RATE = token_rate(input="1", output="0")
PICO_PER_TOKEN = 1_000_000


def paid_model(server: ProviderServer, **options: Any) -> OpenAIEmbeddings:
    # Without this it sends token ids, whose vocabulary would be downloaded.
    settings: dict[str, Any] = {"check_embedding_ctx_length": False, "model": MODEL, "max_retries": 0, **options}
    return OpenAIEmbeddings(base_url=server.base_url, api_key="test", **settings)


def cached(server: ProviderServer, **options: Any) -> CachedEmbeddings:
    return CachedEmbeddings(paid_model(server), **{"ledger": None, **options})


def sent(server: ProviderServer) -> list[str]:
    """Every text that the provider was paid to embed."""
    return [text for one in server.served for text in one.request["input"]]


def tokens(*texts: str) -> int:
    return sum(count_tokens(text, MODEL).tokens for text in texts)


def document_set(changed: range = range(0)) -> list[Document]:
    pages = [f"Page {number} of the harbour's history." for number in range(200)]
    for number in changed:
        pages[number] = f"Page {number}, rewritten since."
    return [Document(page_content=page, id=str(number)) for number, page in enumerate(pages)]


def changed_texts(changed: range) -> list[str]:
    return [document_set(changed)[number].page_content for number in changed]


async def by_adding(embeddings: Embeddings, documents: list[Document]) -> InMemoryVectorStore:
    store = InMemoryVectorStore(embeddings)
    store.add_documents(documents)
    return store


async def by_adding_async(embeddings: Embeddings, documents: list[Document]) -> InMemoryVectorStore:
    store = InMemoryVectorStore(embeddings)
    await store.aadd_documents(documents)
    return store


async def by_indexing(embeddings: Embeddings, documents: list[Document]) -> InMemoryVectorStore:
    store, records = InMemoryVectorStore(embeddings), InMemoryRecordManager("pages")
    records.create_schema()
    index(documents, records, store, batch_size=50, key_encoder="sha256")
    return store


async def by_indexing_async(embeddings: Embeddings, documents: list[Document]) -> InMemoryVectorStore:
    store, records = InMemoryVectorStore(embeddings), InMemoryRecordManager("pages")
    await records.acreate_schema()
    await aindex(documents, records, store, batch_size=50, key_encoder="sha256")
    return store


@pytest.mark.parametrize("ingest", [by_adding, by_adding_async, by_indexing, by_indexing_async])
async def test_a_second_ingestion_pays_for_what_has_changed(
    server: ProviderServer, ingest: Any, tmp_path: Path
) -> None:
    """200 documents, then the same with 10% rewritten into a new index: 20 texts are sent, and the index is right."""
    path, changed = tmp_path / "vectors.sqlite", range(0, 200, 10)
    with closing(SqliteStore(path)) as first:
        await ingest(cached(server, store=first), document_set())
    assert sorted(sent(server)) == sorted(document.page_content for document in document_set())
    again = cached(server, store=path)
    store = await ingest(again, document_set(changed))
    assert sorted(sent(server)[200:]) == sorted(changed_texts(changed))
    assert (again.saved.hits, again.saved.misses) == (180, 20)
    kept = {entry["text"]: entry["vector"] for entry in store.store.values()}
    for text in (document_set()[1].page_content, changed_texts(changed)[1]):
        assert kept[text] == pytest.approx(embedding(text), abs=1e-6)


def test_queries_are_cached_and_documents_apart(server: ProviderServer) -> None:
    """The same words as a query and as a document are two entries: models may prefix them differently."""
    embeddings = cached(server)
    assert embeddings.embed_query("tea") == embeddings.embed_query("tea") == pytest.approx(embedding("tea"), abs=1e-6)
    embeddings.embed_documents(["tea"])
    assert sent(server) == ["tea", "tea"]


async def test_async_queries_find_what_sync_ones_kept(server: ProviderServer) -> None:
    """One cache under both."""
    embeddings = cached(server)
    assert await embeddings.aembed_query("tea") == embeddings.embed_query("tea")
    assert await embeddings.aembed_documents(["a", "b"]) == embeddings.embed_documents(["a", "b"])
    assert sent(server) == ["tea", "a", "b"]


def test_savings_stand_beside_what_was_paid(server: ProviderServer, tmp_path: Path) -> None:
    """`spend()` and the report have the misses at their price and the hits as saved."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        embeddings = cached(server, rate=RATE, ledger=ledger)
        with spend() as block:
            embeddings.embed_documents(["two pence for tea", "tea for two"])
            embeddings.embed_documents(["two pence for tea", "a harbour"])
    paid, spared = tokens("two pence for tea", "tea for two", "a harbour"), tokens("two pence for tea")
    assert (block.pico_usd, block.hits) == (paid * PICO_PER_TOKEN, 1)
    assert embeddings.saved.pico_usd == spared * PICO_PER_TOKEN
    total = report(path).total
    assert (total.pico_usd, total.saved_pico, total.hits) == (paid * PICO_PER_TOKEN, spared * PICO_PER_TOKEN, 1)


def test_recorded_embeddings_stay_recorded_once(server: ProviderServer) -> None:
    """Around `SpendEmbeddings` the misses are its to record, at its price, and the key is still the model's own."""
    recorded = SpendEmbeddings(paid_model(server), rate=RATE, ledger=None)
    around = CachedEmbeddings(recorded, store="memory", ledger=None)
    with spend() as block:
        around.embed_query("tea")
        around.embed_query("tea")
    assert [attempt.outcome for attempt in block.attempts] == ["observed", "hit"]
    assert block.attempts[1].baseline_pico == block.attempts[0].pico_usd == tokens("tea") * PICO_PER_TOKEN


def test_models_that_differ_share_no_entries(server: ProviderServer) -> None:
    """Another name or other dimensions are other vectors; another object of the same model is not."""
    store = MemoryStore()
    for options in ({}, {"dimensions": 64}, {"model": "text-embedding-3-large"}, {"chunk_size": 7}):
        CachedEmbeddings(paid_model(server, **options), store=store, ledger=None).embed_query("tea")
    assert [one.request.get("dimensions") or one.model for one in server.served] == [
        MODEL,
        64,
        "text-embedding-3-large",
    ]


def test_tenants_share_nothing(server: ProviderServer) -> None:
    """Whether a text has been seen is nobody else's to learn."""
    embeddings = cached(server)
    for tenant in ("a", "b", "a"):
        with tags(tenant=tenant):
            embeddings.embed_query("tea")
    assert sent(server) == ["tea", "tea"]


def test_a_provider_that_fails_is_seen_and_asked_again(server: ProviderServer) -> None:
    """The SDK's error comes through; nothing is kept of it."""
    embeddings = cached(server)
    server.model(MODEL, replies=[Fault(status=500, message="broken"), ""])
    with pytest.raises(Exception, match="broken"):
        embeddings.embed_query("tea")
    assert embeddings.embed_query("tea") == pytest.approx(embedding("tea"), abs=1e-6)


def test_a_model_without_a_name_must_be_given_one() -> None:
    """Two nameless models over one store would serve each other's vectors."""
    nameless = DeterministicFakeEmbedding(size=4)
    with pytest.raises(ConfigError, match=r"give model='\.\.\.'"):
        CachedEmbeddings(nameless)
    named = CachedEmbeddings(nameless, model="mine-v1")
    assert named.embed_query("tea") == named.embed_query("tea") == pytest.approx(nameless.embed_query("tea"), rel=1e-6)
    assert (named.saved.hits, named.saved.usd) == (1, 0)


async def test_a_langchain_model_serves_as_an_embedder(server: ProviderServer) -> None:
    """Rows of length 1, one call a batch, a name that tells model and class; recorded or cached below as it was."""
    embedder = as_embedder(paid_model(server))
    vectors = embedder.embed(["a harbour", "tea"])
    assert np.allclose(vectors, [embedding("a harbour"), embedding("tea")], atol=1e-6)
    assert (await embedder.aembed(["a harbour", "tea"]) == vectors).all()
    assert len(server.served) == 2
    assert embedder.name.endswith(f"OpenAIEmbeddings:{MODEL}")
    assert embedder.name == as_embedder(SpendEmbeddings(paid_model(server), ledger=None)).name
    assert len(embedder.embed([])) == 0
