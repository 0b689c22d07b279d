"""LlamaIndex's embedding models as the core's `Embedder`, for whatever compares texts, such as the semantic cache.

Texts are embedded as documents, a batch at a time: what is compared must have been embedded alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.base.embeddings.base import BaseEmbedding

from tuppence.embed import Embedder, Vectors, name_of, unit


def as_embedder(embed_model: BaseEmbedding, *, model: str = "") -> Embedder:
    """Return an embedder that asks `embed_model`; raises `ConfigError` where neither says which model it is.

    Its events are those of `embed_model`, so that attached spend handlers count the calls.
    """
    return _LlamaIndexEmbedder(embed_model, model)


class _LlamaIndexEmbedder:
    def __init__(self, embed_model: BaseEmbedding, model: str) -> None:
        self._embed_model = embed_model
        self._name = name_of(embed_model, model)

    @property
    def name(self) -> str:
        return self._name

    def embed(self, texts: Sequence[str], /) -> Vectors:
        return unit(self._embed_model.get_text_embedding_batch(list(texts)))

    async def aembed(self, texts: Sequence[str], /) -> Vectors:
        return unit(await self._embed_model.aget_text_embedding_batch(list(texts)))
