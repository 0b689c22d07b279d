"""A document set that is ingested twice, with a tenth of it changed in between: how much of it is paid for again.

The provider is scripted and counts what it is asked to embed; both frameworks' own ways of ingesting do the asking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import openai
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import TextNode
from pydantic import SecretStr

from langchain_tuppence import CachedEmbeddings
from llama_index_tuppence import CachedEmbedding
from semantic.data import Row
from tuppence.testing import ProviderServer

MODEL = "text-embedding-3-small"
DOCUMENTS = 1_000
LINES = 8
CHANGED_SHARE = 0.1

Ingest = Callable[[Sequence[str]], object]


def ingested_again(questions: Sequence[str]) -> Row:
    """Return the shares of texts and of tokens that the second ingestion was spared, against the first one's.

    `saved_share` is that of texts, by the framework that spares fewer: nine tenths are what can be saved.
    """
    lines = questions[: DOCUMENTS * LINES]
    first = ["\n".join(lines[n : n + LINES]) for n in range(0, len(lines), LINES)]
    every = round(1 / CHANGED_SHARE)
    second = [f"{text}\nRevised." if n % every == 0 else text for n, text in enumerate(first)]
    changed = sum(before != after for before, after in zip(first, second, strict=True))
    found: Row = {"documents": len(first), "changed_share": changed / len(first)}
    for name, opened in (("langchain", _langchain), ("llama_index", _llama_index)):
        with ProviderServer() as server:
            ingest = opened(server)
            ingest(first)
            paid = _paid(server, 0)
            asked = len(server.served)
            ingest(second)
            again = _paid(server, asked)
        found[name] = {"texts_saved": 1 - again[0] / paid[0], "tokens_saved": 1 - again[1] / paid[1]}
    return {"saved_share": min(found[name]["texts_saved"] for name in ("langchain", "llama_index")), **found}


def _paid(server: ProviderServer, begin: int) -> tuple[int, int]:
    """Count the texts and tokens of the provider's log from `begin` on, as it would bill them."""
    served = list(server.served)[begin:]
    return sum(len(one.request["input"]) for one in served), sum((one.usage or {})["prompt_tokens"] for one in served)


def _langchain(server: ProviderServer) -> Ingest:
    # Without the last option it sends token ids, whose vocabulary would be downloaded.
    model = OpenAIEmbeddings(
        model=MODEL, base_url=server.base_url, api_key=SecretStr("none"), check_embedding_ctx_length=False
    )  # fmt: skip
    cached = CachedEmbeddings(model, ledger=None)

    def ingest(texts: Sequence[str]) -> object:
        documents = [Document(page_content=text, id=str(n)) for n, text in enumerate(texts)]
        return InMemoryVectorStore(cached).add_documents(documents)

    return ingest


class _ProviderEmbedding(BaseEmbedding):
    """A paid model of LlamaIndex's kind: its OpenAI integration does not allow the newest SDK yet."""

    base_url: str

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        with openai.OpenAI(base_url=self.base_url, api_key="none") as client:
            return [row.embedding for row in client.embeddings.create(model=self.model_name, input=texts).data]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def _llama_index(server: ProviderServer) -> Ingest:
    model = _ProviderEmbedding(model_name=MODEL, base_url=server.base_url, embed_batch_size=100)
    cached: Any = CachedEmbedding(model, ledger=None)

    def ingest(texts: Sequence[str]) -> object:
        nodes = [TextNode(text=text, id_=str(n)) for n, text in enumerate(texts)]
        return IngestionPipeline(transformations=[cached], disable_cache=True).run(nodes=nodes)

    return ingest
