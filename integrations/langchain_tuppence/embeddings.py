"""Embedding calls on the books: LangChain gives embeddings no callbacks, so what they cost is told nowhere else.

Wraps, and changes nothing: the vectors are those of the wrapped model. A ledger that breaks never fails an embedding.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from langchain_core.embeddings import Embeddings

from tuppence.assembly import LedgerOption, open_ledger
from tuppence.attempts import new_call_id
from tuppence.context import enclosing_spends
from tuppence.observed import observed
from tuppence.prices import PriceBook, Rate
from tuppence.tokens import count_tokens
from tuppence.usage import Usage


class SpendEmbeddings(Embeddings):
    """Record what embeddings cost: `SpendEmbeddings(OpenAIEmbeddings(model=name), model=name)`.

    LangChain's embedding models do not hand on the provider's usage, so tokens are counted here, offline, and every
    row is flagged as an estimate. `ledger` takes what `ChatTuppence` takes; `spend()` blocks see the calls in any
    case.
    """

    def __init__(
        self, embeddings: Embeddings, *, model: str | None = None, provider: str | None = None,
        rate: Rate | None = None, ledger: LedgerOption = True, prices: PriceBook | None = None,
    ) -> None:  # fmt: skip
        self._embeddings = embeddings
        self.model = model or str(getattr(embeddings, "model", None) or getattr(embeddings, "model_name", "") or "")
        self._rate = rate or (
            (prices or PriceBook.default()).rate(self.model, provider=provider) if self.model.strip() else None
        )
        self._ledger = open_ledger(ledger)

    @property
    def embeddings(self) -> Embeddings:
        """The wrapped model."""
        return self._embeddings

    @property
    def rate(self) -> Rate | None:
        """The price that calls are recorded at, where it is known."""
        return self._rate

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        started = time.time()
        vectors = self._embeddings.embed_documents(texts)
        self._record(texts, started)
        return vectors

    def embed_query(self, text: str) -> list[float]:
        started = time.time()
        vector = self._embeddings.embed_query(text)
        self._record([text], started)
        return vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        started = time.time()
        vectors = await self._embeddings.aembed_documents(texts)
        self._record(texts, started)
        return vectors

    async def aembed_query(self, text: str) -> list[float]:
        started = time.time()
        vector = await self._embeddings.aembed_query(text)
        self._record([text], started)
        return vector

    def _record(self, texts: Sequence[str], started: float) -> None:
        if not texts:
            return
        usage = Usage(input=sum(count_tokens(text, self.model).tokens for text in texts))
        result = observed(
            new_call_id(), usage, self._rate, model=self.model, tier=self.model or "embeddings", status="estimated",
            started_at=started, ended_at=time.time(),
        )  # fmt: skip
        for spend in enclosing_spends():
            spend.add(result)
        if self._ledger is not None:
            self._ledger.write(result)
