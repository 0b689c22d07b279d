"""SpendCallbackHandler and SpendEmbeddings: every model of a program on the books, each call once."""

from decimal import Decimal
from pathlib import Path

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.runnables import RunnableLambda

from langchain_tuppence import ChatTuppence, SpendCallbackHandler, SpendEmbeddings, spend
from tuppence.checks import custom
from tuppence.prices import PriceBook, gpu_hour_rate, token_rate, usd
from tuppence.spend import SqliteLedger, report
from tuppence.testing import Fault, ProviderServer

from . import parts

BOOK = PriceBook(overrides={"small-model": parts.SMALL, "large-model": parts.LARGE})


def spent(ledger: SqliteLedger) -> Decimal:
    """Return what the ledger's rows add up to."""
    ledger.flush()
    return usd(sum(line.pico_usd for line in report(ledger.path).lines))


def test_other_models_are_priced_by_the_book(server: ProviderServer) -> None:
    """A plain ChatOpenAI and a ChatAnthropic in the same program are counted at their list prices."""
    handler = SpendCallbackHandler(prices=BOOK)
    parts.openai(server, "small-model").invoke("one", config={"callbacks": [handler]})
    parts.anthropic(server, "large-model").invoke("two", config={"callbacks": [handler]})
    list(parts.openai(server, "small-model", stream_usage=True).stream("three", config={"callbacks": [handler]}))
    assert handler.usd == parts.billed(server)
    assert handler.calls == 3
    assert handler.by_model.keys() == {"small-model", "large-model"}


def test_a_program_of_both_kinds_is_counted_once(server: ProviderServer) -> None:
    """ChatTuppence's own runs come with its result; the model beside it is priced from its run."""
    server.model("small-model", replies=[parts.REFUSAL, "Done."])
    handler = SpendCallbackHandler(prices=BOOK)
    llm, other = parts.ladder(server), parts.openai(server, "small-model")
    chain = RunnableLambda(lambda q: other.invoke(llm.invoke(q).text))
    chain.invoke("When?", config={"callbacks": [handler]})
    assert handler.usd == parts.billed(server)
    assert [a.cause for a in handler.attempts] == ["draft", "escalation", "observed"]
    assert sum(handler.by_tier.values()) == handler.usd


def test_a_handler_on_the_model_itself_is_told_too(server: ProviderServer) -> None:
    """Constructor callbacks see the facade's runs, as with any LangChain model."""
    handler = SpendCallbackHandler()
    parts.ladder(server, callbacks=[handler]).invoke("Say it.")
    assert handler.usd == parts.billed(server)


def test_unknown_prices_are_counted_as_unpriced_and_never_as_zero(server: ProviderServer) -> None:
    """`usd` says what is known; `unpriced` says that there is more."""
    handler = SpendCallbackHandler()
    parts.openai(server, "nobody-knows-me").invoke("one", config={"callbacks": [handler]})
    assert (handler.usd, handler.unpriced) == (Decimal(0), 1)
    assert handler.attempts[0].pico_usd is None


def test_a_model_paid_by_the_hour_is_billed_by_its_time(server: ProviderServer) -> None:
    """As a tier of the same price would be: the milliseconds begun, beside the tokens that its server reports."""
    handler = SpendCallbackHandler(prices=PriceBook(overrides={"small-model": gpu_hour_rate("3.60")}))
    parts.openai(server, "small-model").invoke("one", config={"callbacks": [handler]})
    list(parts.openai(server, "small-model", stream_usage=True).stream("two", config={"callbacks": [handler]}))
    assert sum(a.usage.total_tokens for a in handler.attempts) == parts.tokens(server)
    for attempt in handler.attempts:
        assert attempt.latency_ms <= attempt.usage.gpu_ms < attempt.latency_ms + 1
        # 3.60 USD an hour are a millionth of a dollar a millisecond.
        assert (attempt.pico_usd, attempt.status) == (attempt.usage.gpu_ms * 10**6, "exact")


def test_time_has_a_price_where_a_local_model_says_nothing_of_tokens() -> None:
    """What the hour costs does not depend on them."""
    handler = SpendCallbackHandler(prices=PriceBook(overrides={"own": gpu_hour_rate("3.60")}))
    model = FakeListChatModel(responses=["x"], metadata={"ls_model_name": "own"})
    model.invoke("one", config={"callbacks": [handler]})
    (attempt,) = handler.attempts
    assert (attempt.pico_usd, handler.unpriced) == (attempt.usage.gpu_ms * 10**6, 0)
    assert attempt.usage.gpu_ms > 0


def test_a_failed_run_costs_nothing_and_leaves_nothing_behind(server: ProviderServer) -> None:
    """Providers do not bill what they refuse."""
    server.model("small-model", replies=Fault(status=400))
    handler = SpendCallbackHandler(prices=BOOK)
    with pytest.raises(Exception, match="400"):
        parts.openai(server, "small-model").invoke("one", config={"callbacks": [handler]})
    assert (handler.calls, handler.attempts) == (0, [])


def test_text_models_that_say_nothing_are_unpriced() -> None:
    """The older LLM interface is seen; without usage there is no price."""
    handler = SpendCallbackHandler()
    FakeListLLM(responses=["x"]).invoke("one", config={"callbacks": [handler]})
    assert (handler.calls, handler.unpriced) == (1, 1)


def test_a_ledger_gets_each_foreign_run_once(server: ProviderServer, tmp_path: Path) -> None:
    """Two handlers with one ledger write one row, and ChatTuppence's own row is not written again."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    handlers: list[BaseCallbackHandler] = [SpendCallbackHandler(prices=BOOK, ledger=ledger) for _ in range(2)]
    parts.openai(server, "small-model").invoke("one", config={"callbacks": handlers})
    parts.ladder(server, ledger=ledger).invoke("two", config={"callbacks": handlers})
    assert spent(ledger) == parts.billed(server)


def test_ledger_handler_and_server_agree(server: ProviderServer, tmp_path: Path) -> None:
    """To the pico-dollar, over drafts, escalations and hits."""
    server.model("small-model", replies=[parts.REFUSAL, "Yes.", parts.REFUSAL])
    ledger, handler = SqliteLedger(tmp_path / "ledger.db"), SpendCallbackHandler()
    llm = parts.ladder(server, ledger=ledger)
    for question in ("a", "b", "c", "a", "b"):
        llm.invoke(question, config={"callbacks": [handler]})
    assert spent(ledger) == handler.usd == parts.billed(server)
    assert handler.hits == 2


def test_embeddings_are_on_the_books(tmp_path: Path) -> None:
    """LangChain gives embeddings no callbacks: the wrapper records them, as estimates."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    inner = DeterministicFakeEmbedding(size=4)
    wrapped = SpendEmbeddings(inner, model="embedder", rate=token_rate(input="0.02", output="0"), ledger=ledger)
    with spend() as block:
        assert wrapped.embed_documents(["one two", "three"]) == inner.embed_documents(["one two", "three"])
        assert wrapped.embed_query("four") == inner.embed_query("four")
    assert block.calls == 2
    assert {a.status for a in block.attempts} == {"estimated"}
    assert spent(ledger) == block.usd > 0


async def test_async_embeddings_are_on_the_books() -> None:
    """The async entries are recorded like the sync ones; an unknown model is unpriced."""
    wrapped = SpendEmbeddings(DeterministicFakeEmbedding(size=4), model="nobody-knows-me", ledger=None)
    with spend() as block:
        await wrapped.aembed_documents(["one"])
        await wrapped.aembed_query("two")
    assert (block.calls, block.unpriced) == (2, 2)


def test_a_facade_inside_a_facades_check_is_a_call_of_its_own(server: ProviderServer) -> None:
    """A judge that is another ChatTuppence is accounted as its own call, once."""
    handler = SpendCallbackHandler()
    judge = ChatTuppence(tiers=[parts.large(server)], ledger=None)
    config = {"callbacks": [handler]}
    check = custom(lambda request, reply: float("You" in judge.invoke(reply.text, config=config).text))
    parts.ladder(server, check=check).invoke("Say it.", config=config)
    assert handler.usd == parts.billed(server)
    assert handler.calls == 2
