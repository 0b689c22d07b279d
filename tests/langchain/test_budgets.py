"""BudgetCallbackHandler: any LangChain model held to a budget, stopped before it is asked, charged what it cost."""

import asyncio
import gc
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import BaseChatModel, FakeListChatModel, FakeListLLM
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda

from langchain_tuppence.budgets import BudgetCallbackHandler
from tuppence.context import tags
from tuppence.effects import Reserve
from tuppence.errors import BudgetError, BudgetExceeded
from tuppence.prices import PriceBook, pico_usd
from tuppence.spend.budgets import Budget, Budgets
from tuppence.testing import Fault, ProviderServer, Turn

from . import parts

BOOK = PriceBook(overrides={"small-model": parts.SMALL, "large-model": parts.LARGE})
ROOMY = Budget(usd="1", per="day")

Surface = Callable[[Any, RunnableConfig], Awaitable[Any]]


def handler(*budgets: Budget, **options: Any) -> tuple[BudgetCallbackHandler, Budgets]:
    held = Budgets(*(budgets or (ROOMY,)), **options)
    return BudgetCallbackHandler(held, prices=BOOK), held


def used_up(*budgets: Budget, **options: Any) -> tuple[BudgetCallbackHandler, Budgets]:
    """Return a handler whose budgets have nothing left, because a call that is under way holds all."""
    watching, held = handler(*budgets, **options)
    charges = held.charges({}, time.time())
    limit = min(one.limit for one in charges if one.limit)
    held.store.reserve(Reserve(held.store, "another call", charges, limit, time.time()))
    return watching, held


def spent(budgets: Budgets) -> Decimal:
    return sum((one.spent_usd for one in budgets.standing()), Decimal(0))


def held(budgets: Budgets) -> Decimal:
    return sum((one.held_usd for one in budgets.standing()), Decimal(0))


async def invoke(model: Any, config: RunnableConfig) -> Any:
    return await asyncio.to_thread(model.invoke, "one", config)


async def ainvoke(model: Any, config: RunnableConfig) -> Any:
    return await model.ainvoke("one", config)


async def stream(model: Any, config: RunnableConfig) -> Any:
    return await asyncio.to_thread(lambda: list(model.stream("one", config)))


async def astream(model: Any, config: RunnableConfig) -> Any:
    return [chunk async for chunk in model.astream("one", config)]


async def batch(model: Any, config: RunnableConfig) -> Any:
    return await asyncio.to_thread(model.batch, ["one", "two"], config)


async def abatch(model: Any, config: RunnableConfig) -> Any:
    return await model.abatch(["one", "two"], config)


async def generate(model: Any, config: RunnableConfig) -> Any:
    messages = [[HumanMessage("one")], [HumanMessage("two")]]
    return await asyncio.to_thread(model.generate, messages, callbacks=config["callbacks"])


async def agenerate(model: Any, config: RunnableConfig) -> Any:
    return await model.agenerate([[HumanMessage("one")], [HumanMessage("two")]], callbacks=config["callbacks"])


async def events(model: Any, config: RunnableConfig) -> Any:
    return [event async for event in model.astream_events("one", config, version="v2")]


async def protocol(model: Any, config: RunnableConfig) -> Any:
    return "".join(model.stream_events("one", config, version="v3").text)


async def in_a_chain(model: Any, config: RunnableConfig) -> Any:
    return await (RunnableLambda(lambda question: question) | model).ainvoke("one", config)


SURFACES = (
    invoke, ainvoke, stream, astream, batch, abatch, generate, agenerate, events, in_a_chain,
    # Older chat models have no such streams.
    *((protocol,) if hasattr(BaseChatModel, "stream_events") else ()),
)  # fmt: skip


@pytest.mark.parametrize("surface", SURFACES)
async def test_a_call_without_room_is_stopped_before_its_model_is_asked(
    server: ProviderServer, surface: Surface
) -> None:
    """Whatever way it is asked in: nothing is sent, and nothing stays held."""
    watching, budgets = used_up()
    before = held(budgets)
    with pytest.raises(BudgetExceeded, match="budget day has"):
        await surface(parts.openai(server, "small-model", stream_usage=True), {"callbacks": [watching]})
    assert server.served == []
    assert (spent(budgets), held(budgets)) == (0, before)


# A newer langchain-openai says so of answers whose usage it has put on the message alone.
@pytest.mark.filterwarnings("ignore:Unexpected type for token usage")
@pytest.mark.parametrize("surface", SURFACES)
async def test_a_call_with_room_is_charged_what_it_cost(server: ProviderServer, surface: Surface) -> None:
    """To the pico-dollar, and what was held beyond that is given back."""
    watching, budgets = handler()
    await surface(parts.openai(server, "small-model", stream_usage=True), {"callbacks": [watching]})
    assert spent(budgets) == parts.billed(server) > 0
    assert held(budgets) == 0
    assert repr(watching) == "BudgetCallbackHandler(open=0)"


def test_anthropic_models_are_charged_too(server: ProviderServer) -> None:
    """From their own payload, with the limit that the class itself sets."""
    watching, budgets = handler()
    parts.anthropic(server, "large-model").invoke("two", config={"callbacks": [watching]})
    assert spent(budgets) == parts.billed(server) > 0


def test_what_is_held_bounds_what_the_call_can_cost(server: ProviderServer) -> None:
    """The longest answer that the call allows, at its price: a budget one token short of it refuses."""
    model = parts.openai(server, "small-model", max_tokens=100)
    reserved: list[int] = []

    class Watching(BudgetCallbackHandler):
        def _reserved(self, call: str, asked: Any) -> Any:
            found = super()._reserved(call, asked)
            assert found is not None
            reserved.append(found.pico_usd)
            return found

    model.invoke("one", config={"callbacks": [Watching(Budgets(ROOMY), prices=BOOK)]})
    # 100 tokens of output at 2 USD a million, and a prompt of a few tokens at 1 USD.
    assert pico_usd("0.0002") < reserved[0] < pico_usd("0.00022")
    model.invoke("one", config={"callbacks": [Watching(Budgets(Budget(usd="0.00022", per="day")), prices=BOOK)]})
    with pytest.raises(BudgetExceeded):
        model.invoke("one", config={"callbacks": [handler(Budget(usd="0.0002", per="day"))[0]]})
    several = parts.openai(server, "small-model", max_tokens=100, n=3)
    several.invoke("one", config={"callbacks": [Watching(Budgets(ROOMY), prices=BOOK)]})
    assert reserved[-1] == reserved[0] + 2 * pico_usd("0.0002")  # the prompt is billed once


def test_a_long_prompt_and_its_tools_count(server: ProviderServer) -> None:
    """What is sent beside the question is held too."""
    model = parts.openai(server, "small-model", max_tokens=1)
    tight, _ = handler(Budget(usd="0.0001", per="day"))
    model.invoke("short", config={"callbacks": [tight]})
    with pytest.raises(BudgetExceeded):
        model.invoke("a long question " * 200, config={"callbacks": [tight]})
    tool = {"name": "look", "description": "looks " * 200, "parameters": {"type": "object", "properties": {}}}
    with pytest.raises(BudgetExceeded):
        model.bind_tools([{"type": "function", "function": tool}]).invoke("short", config={"callbacks": [tight]})


def test_users_have_budgets_of_their_own(server: ProviderServer) -> None:
    """By `tags`, by the config's metadata, and by a thread's id as the session."""
    watching, budgets = handler(Budget(usd="1", per="day", each="user"), Budget(usd="1", per="session"))
    model = parts.openai(server, "small-model")
    with tags(user="ann", session="s1"):
        model.invoke("one", config={"callbacks": [watching]})
    chain = RunnableLambda(lambda question: question) | model
    metadata = {"tuppence_user": "bob"}
    chain.invoke("two", {"callbacks": [watching], "metadata": metadata, "configurable": {"thread_id": "s2"}})
    counters = {one.counter for one in budgets.standing() if one.spent_usd > 0}
    assert {part for key in counters for part in key.split("/")} >= {"ann", "bob", "s1", "s2"}
    assert len(counters) == 4


def test_a_call_without_the_tag_is_stopped(server: ProviderServer) -> None:
    """A limit for each user cannot be kept for nobody."""
    watching, _ = handler(Budget(usd="1", per="day", each="user"))
    with pytest.raises(BudgetError, match=r"tag 'user', and this call has none.*tags\(user="):
        parts.openai(server, "small-model").invoke("one", config={"callbacks": [watching]})
    assert server.served == []


def test_a_model_without_a_price_is_stopped_unless_that_is_allowed(server: ProviderServer) -> None:
    """What it costs cannot be known: the message says how to tell it."""
    model = parts.openai(server, "nobody-knows-me")
    with pytest.raises(BudgetError, match=r"no price is known for model 'nobody-knows-me'.*with_overrides"):
        model.invoke("one", config={"callbacks": [handler()[0]]})
    assert server.served == []
    watching, budgets = handler(unpriced="allow")
    model.invoke("one", config={"callbacks": [watching]})
    assert (spent(budgets), held(budgets)) == (0, 0)


def test_one_call_may_be_limited_by_itself(server: ProviderServer) -> None:
    """By the longest answer that it allows."""
    watching, _ = handler(Budget(usd="0.001", per="call"))
    parts.openai(server, "small-model", max_tokens=100).invoke("one", config={"callbacks": [watching]})
    with pytest.raises(BudgetExceeded, match=r"may cost up to \$0\.002.*more than the \$0\.001"):
        parts.openai(server, "small-model", max_tokens=1000).invoke("one", config={"callbacks": [watching]})


def test_a_soft_budget_counts_and_stops_nothing(server: ProviderServer) -> None:
    """A handler has no cheaper model to ask: what passes the limit is seen in the budget's standing."""
    watching, budgets = used_up(Budget(usd="1", per="day", soft=True))
    parts.openai(server, "small-model").invoke("one", config={"callbacks": [watching]})
    assert spent(budgets) == parts.billed(server) > 0


def test_where_no_budget_applies_nothing_is_asked_of_the_store(server: ProviderServer) -> None:
    """Other tenants' calls need no price and no room."""
    watching, budgets = handler(Budget(usd="1", per="day", where={"tenant": "acme"}))
    parts.openai(server, "nobody-knows-me").invoke("one", config={"callbacks": [watching]})
    assert budgets.standing() == []


def test_what_a_provider_refuses_costs_nothing(server: ProviderServer) -> None:
    """The whole reservation goes back."""
    server.model("small-model", replies=Fault(status=400))
    watching, budgets = handler()
    with pytest.raises(Exception, match="400"):
        parts.openai(server, "small-model", max_retries=0).invoke("one", config={"callbacks": [watching]})
    assert (spent(budgets), held(budgets)) == (0, 0)


def test_a_call_that_broke_off_is_charged_by_an_estimate(server: ProviderServer) -> None:
    """The provider may bill what it began."""
    server.model("small-model", replies=Fault.disconnect())
    watching, budgets = handler()
    with pytest.raises(Exception, match="onnection"):
        parts.openai(server, "small-model", max_retries=0).invoke("one", config={"callbacks": [watching]})
    assert spent(budgets) > 0
    assert held(budgets) == 0


def test_a_stream_that_is_left_is_charged_for_what_it_had_said(server: ProviderServer) -> None:
    """Closed or merely dropped, LangChain says so as an error with the text so far."""
    server.model("small-model", replies=Turn(parts.LONG))
    watching, budgets = handler()
    model = parts.openai(server, "small-model")
    chunks = model.stream("one", config={"callbacks": [watching]})
    while not next(chunks).text:
        pass
    chunks.close()
    first = spent(budgets)
    assert first > 0
    chunks = model.stream("one", config={"callbacks": [watching]})
    for _ in range(20):
        next(chunks)
    del chunks
    gc.collect()
    assert spent(budgets) > 2 * first
    assert held(budgets) == 0


async def test_a_cancelled_call_is_charged_for_its_prompt(server: ProviderServer) -> None:
    """LangChain tells no handler of it: the task that waited for it does."""
    asked = threading.Event()
    server.model("small-model", replies=lambda _: asked.set() or Fault.hang())
    watching, budgets = handler()
    task = asyncio.create_task(parts.openai(server, "small-model").ainvoke("one", config={"callbacks": [watching]}))
    await asyncio.to_thread(asked.wait)
    assert held(budgets) > 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spent(budgets) > 0
    assert held(budgets) == 0


async def test_a_cancelled_stream_is_charged_once(server: ProviderServer) -> None:
    """Here LangChain does say so."""
    server.model("small-model", replies=Turn(parts.LONG, chunk_delay_s=0.01))
    watching, budgets = handler()
    read = asyncio.Event()

    async def reading() -> None:
        async for _ in parts.openai(server, "small-model").astream("one", config={"callbacks": [watching]}):
            read.set()

    task = asyncio.create_task(reading())
    await read.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spent(budgets) > 0
    assert (held(budgets), repr(watching)) == (0, "BudgetCallbackHandler(open=0)")


async def test_a_stream_may_outlive_the_task_that_began_it(server: ProviderServer) -> None:
    """As web frameworks do: it is charged exactly, when it ends."""
    watching, budgets = handler()
    chunks = parts.openai(server, "small-model", stream_usage=True).astream("one", config={"callbacks": [watching]})
    await asyncio.create_task(chunks.__anext__())
    assert held(budgets) > 0
    async for _ in chunks:
        pass
    assert spent(budgets) == parts.billed(server) > 0


def test_a_call_under_way_that_nobody_ends_is_swept(server: ProviderServer) -> None:
    """Its room comes back when the lease is over."""
    watching, budgets = handler(lease_s=60)
    chunks = parts.openai(server, "small-model", stream_usage=True).stream("one", config={"callbacks": [watching]})
    next(chunks)
    assert held(budgets) > 0
    assert budgets.sweep(at=time.time() + 61).holds == 1
    assert held(budgets) == 0
    # It was only slow, and is charged after all.
    list(chunks)
    assert spent(budgets) == parts.billed(server) > 0


def test_calls_side_by_side_cannot_pass_a_limit_together(server: ProviderServer) -> None:
    """Room for ten answers of their longest: of fifty threads none finds an eleventh."""
    server.model("small-model", replies=Turn("x " * 60))
    watching, budgets = handler(Budget(usd="0.0011", per="day"))
    model = parts.openai(server, "small-model", max_tokens=50)

    def ask(number: int) -> bool:
        try:
            model.invoke(f"question {number}", config={"callbacks": [watching]})
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        let_through = sum(pool.map(ask, range(50)))
    assert 0 < let_through < 50
    assert spent(budgets) == parts.billed(server) <= Decimal("0.0011")
    assert held(budgets) == 0


def test_two_handlers_with_the_same_budgets_charge_a_call_once(server: ProviderServer) -> None:
    """One on the model, one in the config."""
    watching, budgets = handler()
    other = BudgetCallbackHandler(budgets, prices=BOOK)
    parts.openai(server, "small-model", callbacks=[other]).invoke("one", config={"callbacks": [watching]})
    assert spent(budgets) == parts.billed(server) > 0


def test_handlers_with_different_budgets_in_one_store_both_charge(server: ProviderServer) -> None:
    """Each keeps its own counters, whatever the other closes first."""
    _, ours = handler(Budget(usd="1", per="day"))
    theirs = Budgets(Budget(usd="1", per="month"), store=ours.counters)
    handlers: list[Any] = [BudgetCallbackHandler(one, prices=BOOK) for one in (ours, theirs)]
    parts.openai(server, "small-model").invoke("one", config={"callbacks": handlers})
    assert spent(ours) == spent(theirs) == parts.billed(server) > 0


def test_a_fallback_of_langchains_own_may_take_over(server: ProviderServer) -> None:
    """What is stopped is an exception like any other: a cheaper model can be the fallback for it."""
    watching, budgets = handler(Budget(usd="0.001", per="day"))
    large, small = (parts.openai(server, f"{size}-model", max_tokens=100) for size in ("large", "small"))
    chain = large.with_fallbacks([small], exceptions_to_handle=(BudgetExceeded,))
    chain.invoke("one", config={"callbacks": [watching]})
    assert [one.model for one in server.served] == ["small-model"]
    assert spent(budgets) == parts.billed(server) > 0


def test_a_hit_of_langchains_own_cache_costs_nothing(server: ProviderServer) -> None:
    """It needs room like a call, since LangChain looks into its cache after its handlers were told."""
    watching, budgets = handler()
    model = parts.openai(server, "small-model", cache=InMemoryCache())
    for _ in range(2):
        model.invoke("one", config={"callbacks": [watching]})
    assert len(server.served) == 1
    assert spent(budgets) == parts.billed(server) > 0
    assert held(budgets) == 0


def test_counters_that_are_out_of_reach_stop_the_call(server: ProviderServer) -> None:
    """Nothing is asked that cannot be counted; the message says where the counters are."""
    pytest.importorskip("redis")
    watching, budgets = handler(store="redis://127.0.0.1:1/0")
    with closing(budgets), pytest.raises(BudgetError, match=r"redis://127\.0\.0\.1:1/0 did not answer"):
        parts.openai(server, "small-model").invoke("one", config={"callbacks": [watching]})
    assert server.served == []


def test_text_models_are_held_too() -> None:
    """The older LLM interface, several prompts at once: nothing stays held of those that were let through first."""
    book = PriceBook(overrides={"old": parts.SMALL})
    budgets = Budgets(Budget(usd="0.003", per="day"))
    watching = BudgetCallbackHandler(budgets, prices=book)
    model = FakeListLLM(responses=["x"], metadata={"ls_model_name": "old"})
    model.invoke("one", config={"callbacks": [watching]})
    assert spent(budgets) > 0
    with pytest.raises(BudgetExceeded):
        model.batch(["one", "two"], config={"callbacks": [watching]})
    assert held(budgets) == 0


def test_a_chat_model_that_says_nothing_is_charged_by_an_estimate() -> None:
    """From its texts."""
    book = PriceBook(overrides={"own": parts.SMALL})
    budgets = Budgets(ROOMY)
    model = FakeListChatModel(responses=["four words of answer"], metadata={"ls_model_name": "own"})
    model.invoke("one", config={"callbacks": [BudgetCallbackHandler(budgets, prices=book)]})
    assert pico_usd("0.000008") < pico_usd(spent(budgets)) < pico_usd("0.0001")


def test_a_ladder_is_left_to_its_own_budgets(server: ProviderServer) -> None:
    """What ChatTuppence asks comes with the budgets that it was given: the handler charges nothing again."""
    server.model("small-model", replies=[parts.REFUSAL])
    watching, budgets = used_up()
    before = held(budgets)
    own = Budgets(ROOMY)
    parts.ladder(server, budgets=own).invoke("one", config={"callbacks": [watching]})
    assert len(server.served) == 2
    assert (spent(budgets), held(budgets)) == (0, before)
    assert spent(own) == parts.billed(server) > 0


def test_one_object_for_a_ladder_and_a_handler_charges_once(server: ProviderServer) -> None:
    """As a program has them that limits all its models together."""
    server.model("small-model", replies=[parts.REFUSAL])
    watching, budgets = handler()
    parts.ladder(server, budgets=budgets).invoke("one", config={"callbacks": [watching]})
    assert spent(budgets) == parts.billed(server) > 0
    assert held(budgets) == 0


def test_a_ladder_without_budgets_does_not_escape_the_handler(server: ProviderServer) -> None:
    """Each of its asks is held like any other model's; one that is stopped ends the call."""
    server.model("small-model", replies=[parts.REFUSAL, "Yes."])
    watching, budgets = handler()
    parts.ladder(server).invoke("one", config={"callbacks": [watching]})
    assert len(server.served) == 2
    assert spent(budgets) == parts.billed(server) > 0
    with pytest.raises(BudgetExceeded):
        parts.ladder(server).invoke("two", config={"callbacks": [used_up()[0]]})
    assert len(server.served) == 2


def test_copies_of_a_ladder_share_its_counters(server: ProviderServer) -> None:
    """A list of budgets is opened once."""
    llm = parts.ladder(server, budgets=[ROOMY])
    copy = llm.model_copy(update={"threshold": 0.7})
    assert copy.parts.policy.budgets is llm.parts.policy.budgets
