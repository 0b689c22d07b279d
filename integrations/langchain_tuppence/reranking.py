"""Reranking calls on the books: LangChain's document compressors report nothing, so what a paid one costs is told
nowhere else.

Wraps, and changes nothing: the documents are those of the wrapped reranker, and its errors are its own. What fails is
not recorded.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from langchain_core.callbacks import BaseCallbackManager, Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import PrivateAttr

from langchain_tuppence.spending import SpendCallbackHandler
from tuppence.assembly import LedgerOption, open_ledger
from tuppence.attempts import CostStatus, new_call_id
from tuppence.context import Spend, enclosing_spends
from tuppence.observed import observed, rerank_usage
from tuppence.prices import PriceBook, Rate
from tuppence.spend import Ledger
from tuppence.usage import Usage

# The one integration that hands on what was billed: in the metadata of every document that it returns.
_TELLS_TOKENS = "langchain_voyageai"


class SpendReranker(BaseDocumentCompressor):
    """Record what a paid reranker costs: `SpendReranker(CohereRerank(model=name))`, used in its place.

    A model whose rate has a price for `rerank` calls is billed by Cohere's search units, any other by the tokens of
    query and documents. Both are counted here, offline, so every row is flagged as an estimate; only Voyage AI's class
    hands on what was billed. The packaged list prices no search units: give `rate`, or `prices` with overrides.
    `ledger` takes what `ChatTuppence` takes; `spend()` blocks and `SpendCallbackHandler`s see the calls in any case.
    """

    _reranker: BaseDocumentCompressor = PrivateAttr()
    _model: str = PrivateAttr()
    _rate: Rate | None = PrivateAttr()
    _ledger: Ledger | None = PrivateAttr()

    def __init__(
        self, reranker: BaseDocumentCompressor, *, model: str | None = None, provider: str | None = None,
        rate: Rate | None = None, ledger: LedgerOption = True, prices: PriceBook | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._reranker = reranker
        self._model = model or _model_of(reranker)
        self._rate = rate or (
            (prices or PriceBook.default()).rate(self._model, provider=provider) if self._model.strip() else None
        )
        self._ledger = open_ledger(ledger)

    @property
    def model(self) -> str:
        """Name that prices are looked up by."""
        return self._model

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        started, spends = time.time(), _listening(callbacks)
        ranked = self._reranker.compress_documents(documents, query, callbacks)
        self._record(documents, query, ranked, started, spends)
        return ranked

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        started, spends = time.time(), _listening(callbacks)
        ranked = await self._reranker.acompress_documents(documents, query, callbacks)
        self._record(documents, query, ranked, started, spends)
        return ranked

    def _record(
        self, documents: Sequence[Document], query: str, ranked: Sequence[Document], started: float,
        spends: Sequence[Spend],
    ) -> None:  # fmt: skip
        if not documents:
            # Rerankers do not ask their provider to sort nothing.
            return
        ended = time.time()
        usage, status = self._usage(documents, query, ranked)
        result = observed(
            new_call_id(), usage, self._rate, model=self._model, tier=self._model or "reranker", status=status,
            started_at=started, ended_at=ended,
        )  # fmt: skip
        for spend in spends:
            spend.add(result)
        if self._ledger is not None:
            self._ledger.write(result)

    def _usage(self, documents: Sequence[Document], query: str, ranked: Sequence[Document]) -> tuple[Usage, CostStatus]:
        told = ranked[0].metadata.get("total_tokens") if ranked and self._tells_tokens() else None
        if isinstance(told, int):
            return Usage(input=told), "exact"
        texts = [document.page_content for document in documents]
        return rerank_usage(query, texts, model=self._model, rate=self._rate), "estimated"

    def _tells_tokens(self) -> bool:
        return type(self._reranker).__module__.partition(".")[0] == _TELLS_TOKENS


def _model_of(reranker: BaseDocumentCompressor) -> str:
    """Name a reranker's model; a local one may hold the model itself under that name."""
    names = (getattr(reranker, attribute, None) for attribute in ("model", "model_name"))
    return next((name for name in names if isinstance(name, str)), "")


def _listening(callbacks: Callbacks | None) -> list[Spend]:
    """Collect who adds up what calls cost here: when a call begins, since it may end anywhere."""
    handlers = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or ()
    return [*enclosing_spends(), *(h for h in handlers if isinstance(h, SpendCallbackHandler))]
