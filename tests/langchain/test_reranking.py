"""SpendReranker: a paid reranker on the books, its documents and its errors untouched."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun, Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.retrievers import BaseRetriever

from langchain_tuppence import SpendCallbackHandler, SpendReranker, spend, tags
from tuppence.prices import PriceBook, token_rate, usd
from tuppence.spend import SqliteLedger, report
from tuppence.tokens import count_tokens

PRICES = PriceBook.default().with_overrides({"searcher": {"input": "0", "calls": {"rerank": "2"}}})
DOCUMENTS = [Document("the tower"), Document("the harbour wall"), Document("a harbour, and the harbour's master")]
QUERY = "harbour"


class Ranker(BaseDocumentCompressor):
    """Puts the documents that say a word most often first, as a provider's model would."""

    model: str = "searcher"
    fails: bool = False
    seen: list[Any] = []  # noqa: RUF012 - pydantic copies it

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        self.seen.append(callbacks)
        if self.fails:
            raise ConnectionError("the provider is away")
        return sorted(documents, key=lambda document: -document.page_content.count(query))[:2]


class Reranked(BaseRetriever):
    """Finds all documents and has them reranked, as LangChain's ContextualCompressionRetriever does."""

    base_compressor: BaseDocumentCompressor

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        child = run_manager.get_child()
        return list(self.base_compressor.compress_documents(DOCUMENTS, query, callbacks=child))


def wrapped(ranker: BaseDocumentCompressor | None = None, **options: Any) -> SpendReranker:
    return SpendReranker(ranker or Ranker(), **{"ledger": None, "prices": PRICES, **options})


def test_the_documents_are_the_rerankers_own() -> None:
    """The same objects in the same order, and the callbacks reach it."""
    ranker, callbacks = Ranker(), [SpendCallbackHandler()]
    ranked = wrapped(ranker).compress_documents(DOCUMENTS, QUERY, callbacks)
    plain = Ranker().compress_documents(DOCUMENTS, QUERY)
    assert all(ours is theirs for ours, theirs in zip(ranked, plain, strict=True))
    assert ranker.seen == [callbacks]


async def test_a_call_is_on_the_books(tmp_path: Path) -> None:
    """Sync or async, it is one search at the price of one, in the block around it and in the ledger."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    reranker = wrapped(ledger=ledger)
    with spend() as block, tags(user="ann"):
        reranker.compress_documents(DOCUMENTS, QUERY)
        await reranker.acompress_documents(DOCUMENTS, QUERY)
    assert (block.calls, block.usd) == (2, usd(2 * 2 * 10**9))
    assert {(a.usage.calls, a.status, a.model, a.cause) for a in block.attempts} == {
        ((("rerank", 1),), "estimated", "searcher", "observed")
    }
    ledger.flush()
    (line,) = report(ledger.path, by=("user",)).lines
    assert (line.key, line.pico_usd) == (("ann",), block.pico_usd)


async def test_a_chain_with_a_spend_handler_sees_it() -> None:
    """The handler that adds up a chain's models adds up its reranker too, once."""
    handler = SpendCallbackHandler()
    retriever = Reranked(base_compressor=wrapped())
    found = retriever.invoke(QUERY, config={"callbacks": [handler]})
    assert found == await retriever.ainvoke(QUERY, config={"callbacks": [handler]})
    assert [document.page_content for document in found] == [DOCUMENTS[2].page_content, DOCUMENTS[1].page_content]
    assert (handler.calls, handler.usd) == (2, usd(2 * 2 * 10**9))


def test_many_documents_are_several_searches() -> None:
    """The documents count that were sent, not those that came back."""
    with spend() as block:
        wrapped().compress_documents([Document("the tower")] * 250, QUERY)
    assert block.attempts[0].usage.calls == (("rerank", 3),)


def test_nothing_to_rank_is_no_call() -> None:
    """Rerankers do not ask their provider then."""
    with spend() as block:
        assert list(wrapped().compress_documents([], QUERY)) == []
    assert block.calls == 0


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_failure_comes_out_as_it_is(way: str) -> None:
    """The reranker's own exception, and nothing on the books."""
    reranker = wrapped(Ranker(fails=True))

    async def rank() -> None:
        if way == "sync":
            reranker.compress_documents(DOCUMENTS, QUERY)
        else:
            await reranker.acompress_documents(DOCUMENTS, QUERY)

    with spend() as block, pytest.raises(ConnectionError, match="the provider is away"):
        await rank()
    assert block.calls == 0


def test_a_reranker_paid_by_the_token_is_billed_by_its_tokens() -> None:
    """The rate says which unit it is: one without a price for searches prices the texts."""
    with spend() as block:
        wrapped(model="tokens", rate=token_rate(input="0.05", output="0")).compress_documents(DOCUMENTS, QUERY)
    (attempt,) = block.attempts
    counts = [count_tokens(document.page_content, "tokens").tokens for document in DOCUMENTS]
    assert attempt.usage.input == len(DOCUMENTS) * count_tokens(QUERY, "tokens").tokens + sum(counts)
    assert (attempt.pico_usd, attempt.status) == (attempt.usage.input * 50_000, "estimated")


class Telling(Ranker):
    """Says in each document's metadata what the call was billed, as VoyageAIRerank does."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        return [Document(d.page_content, metadata={"total_tokens": 4321}) for d in documents]


@pytest.mark.parametrize(
    ("module", "tokens", "status"),
    [("langchain_voyageai.rerank", 4321, "exact"), ("somebody_else.rerank", None, "estimated")],
)
def test_what_voyage_says_that_it_billed_is_billed(
    monkeypatch: pytest.MonkeyPatch, module: str, tokens: int | None, status: str
) -> None:
    """Its own count is exact; under another's name it may be a fact about the document."""
    monkeypatch.setattr(Telling, "__module__", module)
    with spend() as block:
        wrapped(Telling(), rate=token_rate(input="0.05", output="0")).compress_documents(DOCUMENTS, QUERY)
    (attempt,) = block.attempts
    assert attempt.status == status
    assert (attempt.usage.input == 4321) is (tokens is not None)


class Local(Ranker):
    """Holds its model as an object."""

    model: Any = object()  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("ranker", "options", "name"),
    [(Ranker(), {}, "searcher"), (Ranker(), {"model": "mine"}, "mine"), (Local(), {}, "")],
)
def test_the_model_is_the_rerankers_unless_named(ranker: Ranker, options: dict[str, Any], name: str) -> None:
    """A name, never an object; without one the call is seen and unpriced."""
    reranker = wrapped(ranker, **options)
    with spend() as block:
        reranker.compress_documents(DOCUMENTS, QUERY)
    assert reranker.model == name
    assert (block.calls, block.unpriced) == (1, int(name != "searcher"))
