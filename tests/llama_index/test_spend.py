"""The spend handlers and the rest of a program: calls that are not TuppenceLLM's are priced once, by their payload."""

import sqlite3
import threading
from collections.abc import Sequence
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
from llama_index.core.callbacks import CallbackManager
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.llms import CustomLLM, MockLLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llm_suite import CITY, City, user

from llama_index_tuppence import SpendCallbackHandler, SpendEventHandler, TuppenceLLM
from tuppence.prices import PriceBook
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


def test_reranking_is_seen(attach: Any) -> None:
    """A rerank call is unpriced unless its price is given."""
    prices = PriceBook.default().with_overrides({"reranker": {"input": "0", "calls": {"rerank": "2"}}})
    priced, plain = attach(SpendEventHandler(prices=prices)), attach(SpendEventHandler())
    get_dispatcher().event(ReRankStartEvent(query="q", nodes=[], top_n=1, model_name="reranker", span_id="s"))
    get_dispatcher().event(ReRankEndEvent(nodes=[], span_id="s"))
    assert str(priced.usd.normalize()) == "0.002"
    assert (plain.calls, plain.unpriced) == (1, 1)


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
