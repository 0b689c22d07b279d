"""The spend handlers and the rest of a program: calls that are not TuppenceLLM's are priced once, by their payload."""

import sqlite3
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.llms import CustomLLM, MockLLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.postprocessor import StructuredLLMRerank
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llm_suite import CITY, City, user

from llama_index_tuppence import SpendCallbackHandler, SpendEventHandler, TuppenceLLM
from tuppence.prices import PriceBook, gpu_hour_rate
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer, Turn
from tuppence.tokens import count_tokens
from tuppence.usage import read_usage

SMALL = "gpt-4o-mini"
USAGE = {"additional_kwargs": {"stream_options": {"include_usage": True}}}


def price(model: str, api: str, usage: Any) -> int:
    rate = PriceBook.default().rate(model)
    assert rate is not None
    cost = rate.cost(read_usage(api, usage))
    assert cost is not None
    return cost


def billed(provider: ProviderServer) -> int:
    return sum(price(one.model, one.api, one.usage) for one in provider.served if one.usage)


@pytest.fixture
def spent(attach: Any) -> SpendEventHandler:
    handler: SpendEventHandler = attach(SpendEventHandler())
    return handler


async def test_calls_of_plain_models_are_priced_by_their_payload(
    make: Any, provider: ProviderServer, spent: SpendEventHandler
) -> None:
    """Every way of asking a model of LlamaIndex's own comes to what its provider billed."""
    model = make(SMALL, **USAGE)
    model.chat([user("Hello")])
    await model.achat([user("Hello")])
    model.complete("Hello")
    list(model.stream_chat([user("Hello")]))
    [_ async for _ in await model.astream_chat([user("Hello")])]
    list(model.stream_complete("Hello"))
    assert spent.pico_usd == billed(provider)
    assert (spent.calls, {a.cause for a in spent.attempts}) == (6, {"observed"})
    assert {a.status for a in spent.attempts} == {"exact"}


async def test_anthropics_calls_are_counted_once(
    make_claude: Any, provider: ProviderServer, spent: SpendEventHandler
) -> None:
    """Its `complete` reports twice, and its cached tokens are beside its input tokens: the payload tells."""
    provider.model("claude-haiku-4-5", replies=Turn("Yes.", cached_tokens=40, cache_write_tokens=20))
    claude = make_claude()
    claude.chat([user("Hello")])
    claude.complete("Hello")
    await claude.acomplete("Hello")
    list(claude.stream_chat([user("Hello")]))
    list(claude.stream_complete("Hello"))
    assert spent.calls == 5
    assert spent.pico_usd == billed(provider)


async def test_anthropics_tiers_are_billed_as_anthropic_does(
    make_claude: Any, provider: ProviderServer, spent: SpendEventHandler
) -> None:
    """The same payloads, read for a tier."""
    provider.model("claude-haiku-4-5", replies=Turn("Yes.", cached_tokens=40, cache_write_tokens=20))
    llm = TuppenceLLM([make_claude()], cache=False, ledger=False)
    llm.chat([user("Hello")])
    llm.complete("Hello")
    list(llm.stream_chat([user("Hello")]))
    [_ async for _ in await llm.astream_complete("Hello")]
    assert (spent.calls, len(spent.attempts)) == (4, 4)
    assert spent.pico_usd == billed(provider)


def test_a_stream_that_says_nothing_of_usage_is_estimated(make: Any, spent: SpendEventHandler) -> None:
    """Plain `OpenAILike` streams carry no usage: the estimate is flagged."""
    list(make(SMALL).stream_chat([user("Hello")]))
    (attempt,) = spent.attempts
    assert attempt.status == "estimated"
    assert attempt.usage.output == count_tokens("You said: Hello", SMALL).tokens
    assert attempt.pico_usd is not None


def test_a_plain_stream_that_is_left_is_estimated(
    make: Any, provider: ProviderServer, spent: SpendEventHandler
) -> None:
    """What had come is what it is billed for."""
    provider.model(SMALL, replies=Turn("one two three four", hold=threading.Event(), hold_after=3))
    chunks = make(SMALL).stream_chat([user("Count")])
    next(chunk for chunk in chunks if chunk.delta)
    chunks.close()
    (attempt,) = spent.attempts
    assert (attempt.outcome, attempt.status) == ("abandoned", "estimated")


class Reporting(CustomLLM):
    """A model whose raw payload is given."""

    model: str
    payload: dict[str, Any]

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.model, is_chat_model=True)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return ChatResponse(message=ChatMessage(content="Yes.", role="assistant"), raw=self.payload)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text="Yes.", raw=self.payload)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        raise NotImplementedError


def test_geminis_thoughts_are_output(spent: SpendEventHandler) -> None:
    """Thoughts are in neither of Gemini's totals, and are billed."""
    usage = {
        "prompt_token_count": 10,
        "candidates_token_count": 5,
        "thoughts_token_count": 85,
        "total_token_count": 100,
    }
    Reporting(model="gemini-2.5-flash", payload={"usage_metadata": usage}).chat([user("Hello")])
    (attempt,) = spent.attempts
    assert attempt.usage.output == 90
    assert attempt.pico_usd == price("gemini-2.5-flash", "gemini", usage)


def test_a_model_that_wraps_another_is_not_counted_beside_it(
    make: Any, provider: ProviderServer, spent: SpendEventHandler
) -> None:
    """A structured LLM reports its object as a chat of its own, and a mock its completion as a chat."""
    provider.model(SMALL, replies=CITY)
    make(SMALL).as_structured_llm(City).chat([user("Describe Bergen")])
    assert (spent.calls, spent.pico_usd) == (1, billed(provider))
    MockLLM().chat([user("Hello")])
    assert (spent.calls, spent.unpriced) == (2, 1)


def test_a_model_paid_by_the_hour_is_billed_by_its_time(make: Any, provider: ProviderServer, attach: Any) -> None:
    """As a tier of the same price would be: the milliseconds begun, at both handlers."""
    prices = PriceBook(overrides={SMALL: gpu_hour_rate("3.60")})
    legacy, handler = SpendCallbackHandler(prices=prices), attach(SpendEventHandler(prices=prices))
    model = make(SMALL, callback_manager=CallbackManager([legacy]), **USAGE)
    model.chat([user("Hello")])
    list(model.stream_chat([user("Hello")]))
    for one in (*handler.attempts, *legacy.attempts):
        assert one.latency_ms <= one.usage.gpu_ms < one.latency_ms + 1
        # 3.60 USD an hour are a millionth of a dollar a millisecond.
        assert (one.pico_usd, one.status) == (one.usage.gpu_ms * 10**6, "exact")
    assert (handler.calls, legacy.calls) == (2, 2)


def test_embeddings_are_estimated_by_their_text(spent: SpendEventHandler) -> None:
    """Embedding events have no payload; their texts are counted."""
    model = MockEmbedding(embed_dim=2, model_name="text-embedding-3-small")
    model.get_text_embedding_batch(["one two three", "four"])
    model.get_query_embedding("five")
    assert [a.usage.input for a in spent.attempts] == [
        sum(count_tokens(text, "text-embedding-3-small").tokens for text in texts)
        for texts in (["one two three", "four"], ["five"])
    ]
    assert {(a.status, a.model) for a in spent.attempts} == {("estimated", "text-embedding-3-small")}
    assert spent.pico_usd > 0


class Reranker(BaseNodePostprocessor):
    """Tells of its call as LlamaIndex's integrations of rerankers do, on the dispatcher and by callback."""

    model: str = "searcher"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        assert query_bundle is not None
        dispatcher = get_dispatcher()
        dispatcher.event(ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=1, model_name=self.model))
        told = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: self.model,
            EventPayload.QUERY_STR: query_bundle.query_str,
            EventPayload.TOP_K: 1,
        }
        with self.callback_manager.event(CBEventType.RERANKING, payload=told) as event:
            event.on_end(payload={EventPayload.NODES: nodes[:1]})
        dispatcher.event(ReRankEndEvent(nodes=nodes[:1]))
        return nodes[:1]


def nodes(*texts: str) -> list[NodeWithScore]:
    return [NodeWithScore(node=TextNode(text=text), score=1.0) for text in texts]


SEARCHES = PriceBook.default().with_overrides({"searcher": {"input": "0", "calls": {"rerank": "2"}}})


def test_reranking_is_priced_by_the_search(attach: Any) -> None:
    """A search is a query with up to 100 documents; it is unpriced unless its price is given."""
    priced, plain = attach(SpendEventHandler(prices=SEARCHES)), attach(SpendEventHandler())
    Reranker().postprocess_nodes(nodes(*["text"] * 100), query_str="q")
    Reranker().postprocess_nodes(nodes(*["text"] * 101), query_str="q")
    assert [a.usage.calls for a in priced.attempts] == [(("rerank", 1),), (("rerank", 2),)]
    assert (priced.usd, {a.status for a in priced.attempts}) == (Decimal("0.006"), {"estimated"})
    assert (plain.calls, plain.unpriced) == (2, 2)


def test_reranking_is_priced_by_the_token_where_tokens_are_what_costs(attach: Any) -> None:
    """The packaged list has such a model: the query is read once a document."""
    spent = attach(SpendEventHandler())
    model = "@cf/baai/bge-reranker-base"
    Reranker(model=model).postprocess_nodes(nodes("one two three", "four"), query_str="five")
    (attempt,) = spent.attempts
    counted = [count_tokens(text, model).tokens for text in ("five", "five", "one two three", "four")]
    assert (attempt.usage.input, attempt.usage.calls, attempt.status) == (sum(counted), (), "estimated")
    assert attempt.pico_usd is not None


def test_the_legacy_handler_counts_the_same_searches() -> None:
    """Callback managers are told the documents, too."""
    legacy = SpendCallbackHandler(prices=SEARCHES)
    Reranker(callback_manager=CallbackManager([legacy])).postprocess_nodes(nodes(*["text"] * 101), query_str="q")
    assert (legacy.calls, legacy.usd) == (1, Decimal("0.004"))


@pytest.mark.parametrize("facade", [False, True], ids=["plain", "tuppence"])
async def test_a_reranker_that_asks_a_language_model_is_not_counted_beside_it(
    make: Any, provider: ProviderServer, spent: SpendEventHandler, facade: bool
) -> None:
    """Its calls are the model's, at the model's price; what is asked after it is counted as ever."""
    ranking = {"documents": [{"document_number": 1, "relevance": 9}]}
    provider.model(SMALL, replies=[*[Turn(tool_calls=[("DocumentRelevanceList", ranking)])] * 2, "Hello."])
    llm = TuppenceLLM([make(SMALL)], cache=False, ledger=False) if facade else make(SMALL)
    reranker = StructuredLLMRerank(llm=llm, top_n=1)
    reranker.postprocess_nodes(nodes("one", "two"), query_str="q")
    await reranker.apostprocess_nodes(nodes("one", "two"), query_str="q")
    make(SMALL).chat([user("Hello")])
    assert (spent.calls, spent.unpriced) == (3, 0)
    assert spent.pico_usd == billed(provider)


def test_watched_calls_go_into_a_ledger_once(make: Any, provider: ProviderServer, attach: Any, tmp_path: Path) -> None:
    """Two handlers on one ledger write a watched call once; a facade's call is its own to write."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    for _ in range(2):
        attach(SpendEventHandler(ledger=ledger))
    make(SMALL).chat([user("Hello")])
    TuppenceLLM([make(SMALL)], ledger=ledger).chat([user("Hello")])
    ledger.close()
    database = sqlite3.connect(ledger.path)
    rows = list(database.execute("SELECT cause, pico_usd FROM attempts ORDER BY cause"))
    database.close()
    assert [cause for cause, _ in rows] == ["draft", "observed"]
    assert sum(pico for _, pico in rows) == billed(provider)


def test_the_legacy_handler_prices_the_same(make: Any, provider: ProviderServer, make_claude: Any) -> None:
    """A program with callback managers comes to the provider's bill too."""
    legacy = SpendCallbackHandler()
    manager = CallbackManager([legacy])
    make(SMALL, callback_manager=manager).chat([user("Hello")])
    make_claude(callback_manager=manager).complete("Hello")
    TuppenceLLM([make("gpt-4o")], ledger=False, callback_manager=manager).chat([user("Hello")])
    assert legacy.pico_usd == billed(provider)
    assert legacy.calls == 3
    MockEmbedding(embed_dim=2, model_name="text-embedding-3-small", callback_manager=manager).get_query_embedding("x")
    assert [a.status for a in legacy.attempts][-1] == "estimated"


def test_groups_add_up(make: Any, spent: SpendEventHandler, provider: ProviderServer) -> None:
    """By tier and by model, the parts are the whole."""
    provider.model(SMALL, replies="I'm sorry, but I can't help with that.")
    TuppenceLLM({"cheap": make(SMALL), "dear": make("gpt-4o")}, ledger=False).chat([user("Hello")])
    make("gpt-4o").chat([user("Hello")])
    assert set(spent.by_tier) == {"cheap", "dear", "gpt-4o"}
    assert sum(spent.by_tier.values()) == sum(spent.by_model.values()) == spent.usd
    assert spent.pico_usd == billed(provider)
