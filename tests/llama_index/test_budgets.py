"""BudgetHandler: any LlamaIndex model held to a budget, stopped before it is asked, charged what it cost."""

import asyncio
import gc
import inspect
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.llms.types import CompletionResponse, CompletionResponseGen, LLMMetadata
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.llms import CustomLLM, callbacks
from llama_index.core.llms.callbacks import llm_completion_callback
from llm_suite import CITY, ONE_CALL, City, user
from surfaces import AGENTS, QUESTION, STRUCTURED, TALKS, Surface, agent, chat, structured_llm, structured_predict

from llama_index_tuppence import SpendCallbackHandler, SpendEventHandler, TuppenceLLM
from llama_index_tuppence.budgets import BudgetHandler
from tuppence.context import tags
from tuppence.effects import Reserve
from tuppence.errors import BudgetError, BudgetExceeded
from tuppence.prices import PriceBook, token_rate, usd
from tuppence.spend.budgets import Budget, Budgets
from tuppence.testing import Fault, ProviderServer, Turn
from tuppence.usage import read_usage

# LlamaIndex's workflows look through all attributes of their pydantic models, the deprecated ones too.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecationWarning")

RATE = token_rate(input="1", output="2")
BOOK = PriceBook(overrides={"gpt-4o-mini": RATE, "claude-haiku-4-5": RATE})
USAGE = {"additional_kwargs": {"stream_options": {"include_usage": True}}}
ROOMY = Budget(usd="1", per="day")


def billed(provider: ProviderServer) -> Decimal:
    return usd(sum(RATE.cost(read_usage(one.api, one.usage)) or 0 for one in provider.served if one.usage))


def spent(budgets: Budgets) -> Decimal:
    return sum((one.spent_usd for one in budgets.standing()), Decimal(0))


def held(budgets: Budgets) -> Decimal:
    return sum((one.held_usd for one in budgets.standing()), Decimal(0))


def use_up(budgets: Budgets) -> None:
    """Let another call under way hold all that there is."""
    charges = budgets.charges({}, time.time())
    limit = min(one.limit for one in charges if one.limit)
    budgets.store.reserve(Reserve(budgets.store, "another call", charges, limit, time.time()))


@contextmanager
def held_to(budgets: Budgets, llm: Any) -> Iterator[Any]:
    """Hold a program and its model to budgets, as `Settings` does."""
    before = Settings._callback_manager
    Settings.callback_manager = llm.callback_manager = CallbackManager([BudgetHandler(budgets, prices=BOOK)])
    try:
        yield llm
    finally:
        Settings._callback_manager = before


def script(provider: ProviderServer, surface: Surface) -> None:
    """Let a surface succeed."""
    if surface in AGENTS:
        provider.model("gpt-4o-mini", replies=[ONE_CALL, Turn("It rains.")])
    elif surface in STRUCTURED:
        provider.model("gpt-4o-mini", replies=CITY)


@pytest.mark.parametrize("surface", TALKS + AGENTS + STRUCTURED)
async def test_a_call_with_room_is_charged_what_it_cost(make: Any, provider: ProviderServer, surface: Surface) -> None:
    """Once, to the pico-dollar, whatever wraps it; what was held beyond that is given back."""
    script(provider, surface)
    budgets = Budgets(ROOMY)
    with held_to(budgets, make(**USAGE)) as llm:
        await surface(llm)
    assert spent(budgets) == billed(provider) > 0
    assert held(budgets) == 0


@pytest.mark.parametrize("surface", TALKS + AGENTS + STRUCTURED)
async def test_a_call_without_room_is_stopped_before_its_model_is_asked(
    make: Any, provider: ProviderServer, surface: Surface
) -> None:
    """Whatever way it is asked in: nothing is sent, and nothing stays held."""
    script(provider, surface)
    budgets = Budgets(ROOMY)
    use_up(budgets)
    before = held(budgets)
    with held_to(budgets, make(**USAGE)) as llm, pytest.raises(BudgetExceeded, match="budget day has"):
        await surface(llm)
    assert provider.served == []
    assert (spent(budgets), held(budgets)) == (0, before)


async def test_the_dispatcher_cannot_stop_a_call(make: Any, provider: ProviderServer, attach: Any) -> None:
    """Why this is a handler of callback managers: what an event handler raises is swallowed."""

    class Raising(BaseEventHandler):
        def handle(self, event: BaseEvent, **kwargs: Any) -> None:
            raise BudgetExceeded("nothing left")

    attach(Raising())
    await chat(make())
    assert len(provider.served) == 1


async def test_anthropic_models_are_charged_too(make_claude: Any, provider: ProviderServer) -> None:
    """From their own payload, with the limit that the class itself sets."""
    budgets = Budgets(ROOMY)
    with held_to(budgets, make_claude()) as llm:
        await chat(llm)
    assert spent(budgets) == billed(provider) > 0


async def test_the_longest_answer_is_held(make: Any, provider: ProviderServer) -> None:
    """By the model's own limit, or by the call's."""
    tight = Budgets(Budget(usd="0.0005", per="day"))
    with held_to(tight, make(max_tokens=100)) as llm:
        await chat(llm)
        with pytest.raises(BudgetExceeded):
            llm.chat([user(QUESTION)], max_tokens=1000)
    with held_to(tight, make(max_tokens=1000)) as llm, pytest.raises(BudgetExceeded):
        await chat(llm)
    assert len(provider.served) == 1


async def test_users_have_budgets_of_their_own(make: Any) -> None:
    """By the tags around the call; without one it is stopped."""
    budgets = Budgets(Budget(usd="1", per="day", each="user"))
    with held_to(budgets, make()) as llm:
        with tags(user="ann"):
            await chat(llm)
        with pytest.raises(BudgetError, match="tag 'user', and this call has none"):
            await chat(llm)
    assert [one.counter.split("/")[1] for one in budgets.standing()] == ["ann"]


async def test_a_model_without_a_price_is_stopped_unless_that_is_allowed(make: Any, provider: ProviderServer) -> None:
    """What it costs cannot be known: the message says how to tell it."""
    how = r"no price is known for model 'nobody-knows-me'.*with_overrides"
    with held_to(Budgets(ROOMY), make("nobody-knows-me")) as llm, pytest.raises(BudgetError, match=how):
        await chat(llm)
    assert provider.served == []
    budgets = Budgets(ROOMY, unpriced="allow")
    with held_to(budgets, make("nobody-knows-me")) as llm:
        await chat(llm)
    assert (spent(budgets), held(budgets)) == (0, 0)


async def test_a_soft_budget_counts_and_stops_nothing(make: Any, provider: ProviderServer) -> None:
    """A handler has no cheaper model to ask."""
    budgets = Budgets(Budget(usd="0.0000001", per="day", soft=True))
    with held_to(budgets, make()) as llm:
        await chat(llm)
    assert spent(budgets) == billed(provider) > 0


async def test_what_a_provider_refuses_costs_nothing(make: Any, provider: ProviderServer) -> None:
    """The whole reservation goes back."""
    provider.model("gpt-4o-mini", replies=Fault(status=400))
    budgets = Budgets(ROOMY)
    with held_to(budgets, make(max_retries=0)) as llm, pytest.raises(Exception, match="400"):
        await chat(llm)
    assert (spent(budgets), held(budgets)) == (0, 0)


async def test_a_stream_that_is_left_is_charged_what_was_held(make: Any, provider: ProviderServer) -> None:
    """Nobody tells how far it had come: the bound is all that is known."""
    provider.model("gpt-4o-mini", replies=Turn("many words " * 50))
    budgets = Budgets(ROOMY)
    with held_to(budgets, make(max_tokens=200)) as llm:
        chunks = llm.stream_chat([user(QUESTION)])
        next(chunks)
        reserved = held(budgets)
        del chunks
        gc.collect()
    assert spent(budgets) == reserved > 0
    assert held(budgets) == 0


async def test_a_cancelled_call_is_charged_what_was_held(make: Any, provider: ProviderServer) -> None:
    """It may have been answered at the provider."""
    asked = threading.Event()
    provider.model("gpt-4o-mini", replies=lambda _: asked.set() or Fault.hang())
    budgets = Budgets(ROOMY)
    with held_to(budgets, make(max_tokens=200)) as llm:
        task = asyncio.create_task(llm.achat([user(QUESTION)]))
        await asyncio.to_thread(asked.wait)
        assert held(budgets) > 0
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert spent(budgets) > 0
    assert held(budgets) == 0


async def test_two_handlers_with_the_same_budgets_charge_a_call_once(make: Any, provider: ProviderServer) -> None:
    """One event is one call."""
    budgets = Budgets(ROOMY)
    llm = make()
    llm.callback_manager = CallbackManager([BudgetHandler(budgets, prices=BOOK) for _ in range(2)])
    await chat(llm)
    assert spent(budgets) == billed(provider) > 0


class Plain(CustomLLM):
    """A local model that reports no usage, and answers a chat by completing a prompt, as most local classes do."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="gpt-4o-mini")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text="four words of answer")

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        raise NotImplementedError


NAMED = pytest.mark.skipif(
    "SERIALIZED: model_dict" not in inspect.getsource(callbacks),
    reason="this llama-index-core tells handlers a model's own settings alone: a class without one has no name",
)


@NAMED
@pytest.mark.parametrize("beside", [SpendEventHandler, SpendCallbackHandler])
@pytest.mark.parametrize("first", [False, True])
def test_a_spend_handler_beside_it_counts_the_same(attach: Any, beside: Any, first: bool) -> None:
    """Neither takes the other's answer for a wrapper's, though nothing but its text tells one."""
    budgets, spend = Budgets(ROOMY), beside(prices=BOOK)
    handlers = [BudgetHandler(budgets, prices=BOOK)]
    if beside is SpendEventHandler:
        attach(spend)
    else:
        handlers.insert(0 if first else 1, spend)
    llm = Plain()
    llm.callback_manager = CallbackManager(handlers)
    for _ in range(2):
        llm.chat([user(QUESTION)])
        llm.complete(QUESTION)
    assert spend.calls == 4
    assert spent(budgets) == spend.usd > 0


@NAMED
def test_a_model_that_says_nothing_is_charged_by_an_estimate_once() -> None:
    """From its texts: the chat around the completion is the same call."""
    budgets, direct = Budgets(ROOMY), Budgets(ROOMY)
    for one, ask in ((budgets, "chat"), (direct, "complete")):
        llm = Plain()
        llm.callback_manager = CallbackManager([BudgetHandler(one, prices=BOOK)])
        llm.chat([user(QUESTION)]) if ask == "chat" else llm.complete(f"user: {QUESTION}\nassistant: ")
    assert held(budgets) == 0
    assert spent(budgets) == spent(direct) > 0


async def test_tuppences_own_calls_are_left_to_their_own_budgets(make: Any, provider: ProviderServer) -> None:
    """What TuppenceLLM asks comes with the budgets that it was given: the handler charges nothing again."""
    outer, inner = Budgets(ROOMY), Budgets(ROOMY)
    model = make()
    model.callback_manager = CallbackManager([BudgetHandler(outer, prices=BOOK)])
    llm = TuppenceLLM(tiers=[model], ledger=None, budgets=inner)
    with held_to(outer, llm):
        await chat(llm)
        await agent(llm)
    assert outer.standing() == []
    assert held(inner) == 0
    assert spent(inner) > 0


class Started(BaseCallbackHandler):
    """Counts the models that are asked."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.count = 0

    def on_event_start(self, event_type: CBEventType, *_: Any, event_id: str = "", **__: Any) -> str:
        self.count += event_type == CBEventType.LLM
        return event_id

    def on_event_end(self, *_: Any, **__: Any) -> None: ...
    def start_trace(self, trace_id: str | None = None) -> None: ...
    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None: ...


async def test_tuppences_calls_without_budgets_do_not_escape_the_handler(make: Any, provider: ProviderServer) -> None:
    """Each ask is held like any other model's; one that is stopped ends the call."""
    budgets, used = Budgets(ROOMY), Budgets(ROOMY)
    use_up(used)
    for one in (budgets, used):
        models = [make(**USAGE), make("gpt-4o", **USAGE)]
        started = Started()
        for model in models:
            model.callback_manager = CallbackManager([started, BudgetHandler(one, prices=BOOK)])
        llm = TuppenceLLM(tiers=models, ledger=None)
        if one is budgets:
            await chat(llm)
            list(llm.stream_chat([user("And now?")]))
        else:
            with pytest.raises(BudgetExceeded):
                await chat(llm)
            # Neither tried again nor elsewhere.
            assert started.count == 1
    assert spent(budgets) == billed(provider) > 0
    assert len(provider.served) == 2


async def test_a_structured_answer_is_read_as_ever(make: Any, provider: ProviderServer) -> None:
    """The handler changes nothing of what a program sees."""
    script(provider, structured_predict)
    bergen = City(name="Bergen", people=291_940).model_dump_json()
    with held_to(Budgets(ROOMY), make()) as llm:
        assert await structured_predict(llm) == await structured_llm(llm) == bergen
