"""Embeddings that are paid for once: a LlamaIndex embedding model behind a cache of vectors.

What is stored are vectors under hashes, never a text. A store that breaks never fails an embedding. LlamaIndex's events
come from the model itself, for what it is really asked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from llama_index.core.base.embeddings.base import BaseEmbedding
from pydantic import PrivateAttr

from llama_index_tuppence.listeners import announce
from llama_index_tuppence.open_streams import OpenStreams
from tuppence.assembly import LedgerOption, open_ledger
from tuppence.attempts import Result, new_call_id
from tuppence.cache.embedding_savings import Saved
from tuppence.cache.embeddings import EmbeddingCache, StoreOption, open_store
from tuppence.context import enclosing_spends
from tuppence.embed import model_of, name_of
from tuppence.observed import observed
from tuppence.prices import PriceBook, Rate
from tuppence.spend import Ledger
from tuppence.tokens import count_tokens
from tuppence.usage import Usage

Floats: TypeAlias = list[float]


class CachedEmbedding(BaseEmbedding):
    """Embed what is new: `CachedEmbedding(OpenAIEmbedding(model=name), store="vectors.sqlite")`.

    `store` is "memory" (gone with the process), a path for a SQLite file that processes share, an address
    such as "redis://host:6379/0", or any store of
    tuppence's. Of a batch only the texts that are missing go to the model, each once. Documents and queries have
    entries of their own, and so has each tenant (`tags(tenant=...)`). Vectors are float32.

    `model` names the model where it does not say itself, and is what prices are looked up by. Where the price is known,
    hits count as saved and what is still paid as a flagged estimate, in `spend()` blocks, in attached spend handlers
    and in `ledger`, which takes what `TuppenceLLM` takes; elsewhere the model's own events are left to the handlers.
    `ttl_s` None keeps vectors until there is no room.
    """

    _inner: BaseEmbedding = PrivateAttr()
    _options: dict[str, Any] = PrivateAttr()
    _model: str = PrivateAttr()
    _rate: Rate | None = PrivateAttr()
    _ledger: Ledger | None = PrivateAttr()
    _cache: EmbeddingCache = PrivateAttr()

    def __init__(
        self, embed_model: BaseEmbedding, *, store: StoreOption = "memory", model: str | None = None,
        provider: str | None = None, rate: Rate | None = None, ttl_s: float | None = None, wait_s: float = 30.0,
        ledger: LedgerOption = True, prices: PriceBook | None = None,
    ) -> None:  # fmt: skip
        told = model or model_of(embed_model)
        name = name_of(embed_model, told)
        super().__init__(
            model_name=name, embed_batch_size=embed_model.embed_batch_size, num_workers=embed_model.num_workers,
            callback_manager=embed_model.callback_manager,
        )  # fmt: skip
        self._inner = embed_model
        self._options = {
            "store": store, "model": model, "provider": provider, "rate": rate, "ttl_s": ttl_s, "wait_s": wait_s,
            "ledger": ledger, "prices": prices,
        }  # fmt: skip
        self._model = told
        self._rate = rate or (prices or PriceBook.default()).rate(told, provider=provider)
        self._ledger = None if self._rate is None else open_ledger(ledger)
        self._cache = EmbeddingCache(
            open_store(store), name=name, model=told, rate=self._rate, ttl_s=ttl_s, wait_s=wait_s, record=self._record
        )

    @classmethod
    def class_name(cls) -> str:
        return "CachedEmbedding"

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to an ingestion pipeline's worker processes as model and options; a store is opened there anew."""
        return _rebuilt, (self._inner, self._options)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> CachedEmbedding:
        """Stay one object: a copy would begin with an empty cache, or with locks that cannot be copied."""
        return self

    @property
    def saved(self) -> Saved:
        """What this object has saved so far: hits, misses, tokens and dollars, and how often its store failed."""
        return self._cache.saved

    # -- LlamaIndex's public methods: the inherited ones would announce every hit as a call

    def get_text_embedding_batch(self, texts: list[str], show_progress: bool = False, **kwargs: Any) -> list[Floats]:
        def ask(missing: list[str]) -> list[Floats]:
            with self._booked(missing) as model:
                return model.get_text_embedding_batch(missing, show_progress=show_progress, **kwargs)

        return self._cache.embed(texts, ask)

    async def aget_text_embedding_batch(
        self, texts: list[str], show_progress: bool = False, **kwargs: Any
    ) -> list[Floats]:
        async def ask(missing: list[str]) -> list[Floats]:
            with self._booked(missing) as model:
                return await model.aget_text_embedding_batch(missing, show_progress=show_progress, **kwargs)

        return await self._cache.aembed(texts, ask)

    def get_query_embedding(self, query: str) -> Floats:
        def ask(missing: list[str]) -> list[Floats]:
            with self._booked(missing) as model:
                return [model.get_query_embedding(query)]

        return self._cache.embed([query], ask, kind="query")[0]

    async def aget_query_embedding(self, query: str) -> Floats:
        async def ask(missing: list[str]) -> list[Floats]:
            with self._booked(missing) as model:
                return [await model.aget_query_embedding(query)]

        return (await self._cache.aembed([query], ask, kind="query"))[0]

    def get_text_embedding(self, text: str) -> Floats:
        return self.get_text_embedding_batch([text])[0]

    async def aget_text_embedding(self, text: str) -> Floats:
        return (await self.aget_text_embedding_batch([text]))[0]

    # -- what subclasses of `BaseEmbedding` must have

    def _get_query_embedding(self, query: str) -> Floats:
        return self.get_query_embedding(query)

    async def _aget_query_embedding(self, query: str) -> Floats:
        return await self.aget_query_embedding(query)

    def _get_text_embedding(self, text: str) -> Floats:
        return self.get_text_embedding(text)

    async def _aget_text_embedding(self, text: str) -> Floats:
        return await self.aget_text_embedding(text)

    # -- what it costs

    @contextmanager
    def _booked(self, texts: Sequence[str]) -> Iterator[BaseEmbedding]:
        """Lend the model to be asked for `texts`; where its price is known, book that in place of its events."""
        # An index gives its callback manager to the model that it holds, which is this one.
        self._inner.callback_manager = self.callback_manager
        if self._rate is None:
            yield self._inner
            return
        spends, started = enclosing_spends(), time.time()
        with OpenStreams():
            yield self._inner
        usage = Usage(input=sum(count_tokens(text, self._model).tokens for text in texts))
        result = observed(
            new_call_id(), usage, self._rate, model=self._model, status="estimated", started_at=started,
            ended_at=time.time(),
        )  # fmt: skip
        for spend in spends:
            spend.add(result)
        self._record(result)

    def _record(self, result: Result) -> None:
        announce(result, self.callback_manager.handlers)
        if self._ledger is not None:
            self._ledger.write(result)


def _rebuilt(embed_model: BaseEmbedding, options: dict[str, Any]) -> CachedEmbedding:
    return CachedEmbedding(embed_model, **options)
