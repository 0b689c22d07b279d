"""What programs put around the model: retries, fallbacks, parallel branches, threads. One logical call stays one."""

import asyncio
import threading
from collections import Counter
from typing import Any

import anthropic
import openai
import pytest
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.runnables import RunnableLambda, RunnableParallel

from langchain_tuppence import SpendCallbackHandler, tier
from tuppence.policy import Retries
from tuppence.testing import Fault, Turn

from . import money
from .script import Step, good_text, say
from .situations import BUSY, DOWN, HIT, SMALL
from .world import World, cached, chat_anthropic, chat_openai

QUESTION = "When was it built?"
FAILURES = (openai.APIError, anthropic.APIError)
FAILED_TWICE = (("small", "draft", "failed"), ("large", "fallback", "failed"))
ONE_TRY = Retries(per_tier=0)


@pytest.mark.parametrize("entry", ["invoke", "ainvoke", "batch"])
def test_langchains_own_retry_is_the_same_logical_call(world: World, entry: str) -> None:
    """`with_retry` around the model: what failed and what then succeeded stand under one call id, as one call."""
    say(world.server, "small-model", [BUSY, Step.GOOD])
    say(world.server, "large-model", [DOWN])
    llm = world.llm(retries=ONE_TRY)
    again = llm.with_retry(retry_if_exception_type=FAILURES, wait_exponential_jitter=False, stop_after_attempt=2)
    if entry == "invoke":
        answer = again.invoke(QUESTION, world.config)
    elif entry == "ainvoke":
        answer = asyncio.run(again.ainvoke(QUESTION, world.config))
    else:
        (answer,) = again.batch([QUESTION], world.config)
    assert answer.text == good_text(QUESTION)
    assert world.lines() == Counter({(*FAILED_TWICE, ("small", "retry", "accepted")): 1})
    world.audit()


def test_a_retried_call_is_counted_as_one(world: World) -> None:
    """`calls` are logical calls: two tries of one are one, in the handler and in the block as in the ledger."""
    say(world.server, "small-model", [BUSY, Step.GOOD])
    say(world.server, "large-model", [DOWN])
    again = world.llm(retries=ONE_TRY).with_retry(retry_if_exception_type=FAILURES, wait_exponential_jitter=False)
    again.invoke(QUESTION, world.config)
    assert (len(world.calls()), world.handler.calls, world.block.calls) == (1, 1, 1)


def test_langchains_own_fallbacks(world: World) -> None:
    """`with_fallbacks` to a second facade, and to a plain model: every provider call of either is counted once."""
    say(world.server, "small-model", [DOWN])
    say(world.server, "middle-model", [DOWN])
    say(world.server, "large-model", [Step.GOOD])
    first, second = world.llm(tiers=["small"], retries=ONE_TRY), world.llm(tiers=["middle"], retries=ONE_TRY)
    plain = chat_openai(world.server, "large-model")
    answer = first.with_fallbacks([second, plain], exceptions_to_handle=FAILURES).invoke(QUESTION, world.config)
    assert answer.text == good_text(QUESTION)
    assert world.lines() == Counter(
        [(("small", "draft", "failed"),), (("middle", "draft", "failed"),), (("large-model", "observed", "observed"),)]
    )
    audit_beside_others(world)


def audit_beside_others(world: World) -> None:
    """Audit where plain models are counted too: a `spend()` block knows tuppence's own calls only."""
    own = [row for row in world.rows() if row["cause"] != "observed"]
    assert world.block.pico_usd == sum(row["pico_usd"] for row in own)
    world.block.attempts = list(world.handler.attempts)
    world.audit()


def test_parallel_branches_are_each_counted_once(world: World) -> None:
    """Two facades, one twice, and a plain model side by side under one config."""
    for model in money.PRICES:
        say(world.server, model, [Step.GOOD])
    one, other = world.llm(tiers=["small", "large"]), world.llm(tiers=["middle"], order="ao")
    plain = chat_anthropic(world.server, "large-model")
    branches = RunnableParallel(a=one, b=other, c=plain, d=RunnableLambda(lambda q: one.invoke(f"{q} Really?")))
    assert branches.invoke(QUESTION, world.config)["d"].text == good_text(f"{QUESTION} Really?")
    asyncio.run(branches.ainvoke(QUESTION, world.config))
    assert len(world.server.served) == 8
    assert world.lines() == Counter(
        {(SMALL,): 4, (("middle", "draft", "accepted"),): 2, (("large-model", "observed", "observed"),): 2}
    )
    audit_beside_others(world)


def test_one_handler_in_two_places_counts_once(world: World) -> None:
    """The same handler on the model and in the call's config sees every run once."""
    say(world.server, "small-model", [Step.BAD])
    say(world.server, "large-model", [Step.GOOD])
    world.llm(callbacks=list(world.config["callbacks"])).invoke(QUESTION, world.config)
    world.audit()
    world.audit_calls(1)


def test_two_handlers_each_count_all(world: World) -> None:
    """One for the program, one for a chain in it: neither takes from the other."""
    say(world.server, "small-model", [Step.GOOD])
    inner = SpendCallbackHandler()
    chain = RunnableLambda(lambda q: q) | world.llm().with_config(callbacks=[inner])
    chain.invoke(QUESTION, world.config)
    world.audit()
    assert inner.usd == world.handler.usd > 0


def test_a_handler_on_a_tiers_own_model_sees_that_tier_only(world: World) -> None:
    """Callbacks of one tier's model stay with it: LangChain's count there is that model's."""
    say(world.server, "small-model", [Step.BAD])
    say(world.server, "large-model", [Step.GOOD])
    own = UsageMetadataCallbackHandler()
    model = chat_openai(world.server, "large-model", callbacks=[own])
    large = tier(model, name="large", rate=money.rate("large-model"))
    world.llm().model_copy(update={"tiers": [world.tier("small"), large]}).invoke(QUESTION, world.config)
    world.audit()
    assert own.usage_metadata.keys() == {"large-model"}
    assert own.usage_metadata["large-model"] == world.usage.usage_metadata["large-model"]


# -- many at once


def test_sixteen_threads(world: World) -> None:
    """A batch of sixteen different questions on sixteen threads: nothing is lost, nothing is mixed up."""
    questions = [f"{QUESTION} Number {number}." for number in range(16)]
    say(world.server, "small-model", [Step.GOOD])
    messages = world.llm().batch(questions, {**world.config, "max_concurrency": 16})
    assert [message.text for message in messages] == [good_text(question) for question in questions]
    assert world.lines() == Counter({(SMALL,): 16})
    world.audit()
    world.audit_calls(16)
    for message in messages:
        world.audit_message(message)


class Begun(BaseCallbackHandler):
    """Opens a gate when so many calls of the facade have begun."""

    run_inline = True

    def __init__(self, count: int, gate: threading.Event) -> None:
        self.left, self.gate, self.lock = count, gate, threading.Lock()

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        with self.lock:
            self.left -= 1
        if not self.left:
            self.gate.set()


@pytest.mark.parametrize("entry", ["batch", "abatch"])
def test_equal_requests_at_the_same_time_are_one_provider_call(world: World, entry: str) -> None:
    """Sixteen ask the same while the first answer is still being made: one pays, fifteen are hits."""
    gate = threading.Event()
    say(world.server, "small-model", [Turn("Here it is.", hold=gate)])
    world.config["callbacks"].append(Begun(16, gate))
    llm = world.llm(cache=cached())
    if entry == "batch":
        messages = llm.batch([QUESTION] * 16, {**world.config, "max_concurrency": 16})
    else:
        messages = asyncio.run(llm.abatch([QUESTION] * 16, world.config))
    assert {message.text for message in messages} == {"Here it is."}
    assert len({message.id for message in messages}) == 16
    assert len(world.server.served) == 1
    assert world.lines() == Counter({(SMALL,): 1, (HIT,): 15})
    world.audit()
    world.audit_calls(16)
    for message in messages:
        world.audit_message(message)


def test_a_leader_that_is_cancelled_hands_over(world: World) -> None:
    """The first of two equal calls is cancelled: the second asks for itself, and both are on the books."""
    say(world.server, "small-model", [Fault.hang(), Step.GOOD])
    llm = world.llm(cache=cached())

    async def main() -> str:
        leader = asyncio.ensure_future(llm.ainvoke(QUESTION, world.config))
        await asyncio.to_thread(world.server.await_arrived, 1)
        follower = asyncio.ensure_future(llm.ainvoke(QUESTION, world.config))
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        return (await follower).text

    assert asyncio.run(main()) == good_text(QUESTION)
    assert world.lines() == Counter({(("small", "draft", "abandoned"),): 1, (SMALL,): 1})
    world.audit()


@pytest.mark.parametrize("fault", [Fault.empty(), Fault.die_after(chunks=2)], ids=["no_choice", "cut_off"])
@pytest.mark.parametrize("order", ["oa", "ao"])
def test_an_answer_that_was_paid_for_and_is_of_no_use_is_never_free(world: World, order: str, fault: Fault) -> None:
    """A 200 without content, or one cut off half-way, was generated: it is billed exactly, or by a flagged estimate."""
    say(world.server, "small-model", [fault])
    say(world.server, "large-model", [Step.PLAIN])
    assert world.llm(order=order, retries=ONE_TRY).invoke(QUESTION, world.config).text == good_text(QUESTION)
    first = world.rows()[0]
    paid = money.bill(world.server.served[0]).pico
    assert paid > 0
    assert first["status"] == "estimated" or first["pico_usd"] == paid
