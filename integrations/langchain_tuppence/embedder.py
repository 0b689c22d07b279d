"""LangChain's embedding models as the core's `Embedder`, for whatever compares texts, such as the semantic cache.

Texts are embedded as documents, a batch in one call: what is compared must have been embedded alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.embeddings import Embeddings

from langchain_tuppence.embeddings import SpendEmbeddings
from tuppence.embed import Embedder, Vectors, name_of, unit


def as_embedder(embeddings: Embeddings, *, model: str = "") -> Embedder:
    """Return an embedder that asks `embeddings`; raises `ConfigError` where neither says which model it is.

    Calls are on the books where they were before: wrap the model in `SpendEmbeddings` to have them recorded.
    """
    return _LangChainEmbedder(embeddings, model)


class _LangChainEmbedder:
    def __init__(self, embeddings: Embeddings, model: str) -> None:
        self._embeddings = embeddings
        inner = embeddings.embeddings if isinstance(embeddings, SpendEmbeddings) else embeddings
        self._name = name_of(inner, model or getattr(embeddings, "model", ""))

    @property
    def name(self) -> str:
        return self._name

    def embed(self, texts: Sequence[str], /) -> Vectors:
        return unit(self._embeddings.embed_documents(list(texts)) if texts else [])

    async def aembed(self, texts: Sequence[str], /) -> Vectors:
        return unit(await self._embeddings.aembed_documents(list(texts)) if texts else [])
