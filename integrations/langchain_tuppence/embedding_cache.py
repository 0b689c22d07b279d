"""Embeddings that are paid for once: LangChain's embedding models behind a cache of vectors.

What is stored are vectors under hashes, never a text. A store that breaks never fails an embedding.
"""

from __future__ import annotations

from langchain_core.embeddings import Embeddings

from langchain_tuppence.embeddings import SpendEmbeddings
from tuppence.assembly import LedgerOption, open_ledger
from tuppence.cache.embedding_savings import Saved
from tuppence.cache.embeddings import EmbeddingCache, StoreOption, open_store
from tuppence.embed import model_of, name_of
from tuppence.prices import PriceBook, Rate


class CachedEmbeddings(Embeddings):
    """Embed what is new: `CachedEmbeddings(OpenAIEmbeddings(model=name), store="vectors.sqlite")`.

    `store` is "memory" (gone with the process), a path for a SQLite file that processes share, an address
    such as "redis://host:6379/0", or any store of
    tuppence's. Of a batch only the texts that are missing go to the model, each once and in one call. Documents and
    queries have entries of their own, and so has each tenant (`tags(tenant=...)`). Vectors are float32.

    `model` names the model where it does not say itself, and is what prices are looked up by. Where the price is known,
    hits count as saved in `spend()` blocks and in `ledger`, which takes what `ChatTuppence` takes, and what is still
    paid is recorded as by `SpendEmbeddings`. `ttl_s` None keeps vectors until there is no room.
    """

    def __init__(
        self, embeddings: Embeddings, *, store: StoreOption = "memory", model: str | None = None,
        provider: str | None = None, rate: Rate | None = None, ttl_s: float | None = None, wait_s: float = 30.0,
        ledger: LedgerOption = True, prices: PriceBook | None = None,
    ) -> None:  # fmt: skip
        inner, told = embeddings, model or model_of(embeddings)
        if isinstance(embeddings, SpendEmbeddings):
            inner, rate = embeddings.embeddings, rate or embeddings.rate
        name = name_of(inner, told)
        rate = rate or (prices or PriceBook.default()).rate(told, provider=provider)
        opened = None if rate is None else open_ledger(ledger)
        if rate is not None and inner is embeddings:
            # A saving is not shown without what was paid beside it.
            embeddings = SpendEmbeddings(embeddings, model=told, rate=rate, ledger=opened)
        self._embeddings = embeddings
        self._cache = EmbeddingCache(
            open_store(store), name=name, model=told, rate=rate, ttl_s=ttl_s, wait_s=wait_s,
            record=None if opened is None else opened.write,
        )  # fmt: skip

    @property
    def saved(self) -> Saved:
        """What this object has saved so far: hits, misses, tokens and dollars, and how often its store failed."""
        return self._cache.saved

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._cache.embed(texts, self._embeddings.embed_documents)

    def embed_query(self, text: str) -> list[float]:
        return self._cache.embed([text], lambda _: [self._embeddings.embed_query(text)], kind="query")[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return await self._cache.aembed(texts, self._embeddings.aembed_documents)

    async def aembed_query(self, text: str) -> list[float]:
        async def ask(_: list[str]) -> list[list[float]]:
            return [await self._embeddings.aembed_query(text)]

        return (await self._cache.aembed([text], ask, kind="query"))[0]
