"""Calls of a chat model that can wait: answered in order at half the price, in time whatever the batches do, and paid
once whoever is killed.
"""

import asyncio
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from langchain_tuppence import ChatTuppence, function_tier
from tuppence.checks import custom
from tuppence.errors import ConfigError, SpendLimitReached
from tuppence.spend.budgets import Budget, Budgets
from tuppence.testing import ProviderServer, Turn

from ..lanes import Lanes, until  # noqa: TID252

QUESTIONS = [f"question {n}" for n in range(20)]


@pytest.fixture
def lanes(server: ProviderServer, tmp_path: Path) -> Iterator[Lanes]:
    made = Lanes(tmp_path, server)
    yield made
    made.ledger.close()


def gpt(server: ProviderServer, name: str = "gpt-4o-mini", **options: Any) -> ChatOpenAI:
    return ChatOpenAI(model=name, base_url=server.base_url, api_key="test", **options)


def chat(server: ProviderServer, lanes: Lanes, **options: Any) -> ChatTuppence:
    return ChatTuppence(**{"tiers": [gpt(server)], "ledger": lanes.ledger, "lane": lanes.lane(), **options})


def facts(message: Any) -> dict[str, Any]:
    told: dict[str, Any] = message.response_metadata["tuppence"]
    return told


def test_twenty_inputs_come_back_in_order_at_half_the_price(server: ProviderServer, lanes: Lanes) -> None:
    """One batch carries them all, and the ledger has each at the batch price with what waiting spared."""
    model = chat(server, lanes)
    at_once = [message.content for message in chat(server, lanes, ledger=None).batch(QUESTIONS)]
    with lanes.working():
        messages = model.batch(QUESTIONS, lane="batch")
    assert [message.content for message in messages] == at_once
    assert {facts(message)["lane"] for message in messages} == {"gpt-4o-mini by batch"}
    rows = lanes.rows()
    assert len(rows) == 20
    assert {(row["outcome"], row["processing"], row["n"]) for row in rows} == {("accepted", "batch", 1)}
    assert all(row["pico_usd"] * 2 == row["baseline_pico"] == row["pico_usd"] + row["batch_pico"] for row in rows)
    assert len({ran.batch for ran in server.batches.ran()}) == 1


async def test_an_event_loop_waits_for_many(server: ProviderServer, lanes: Lanes) -> None:
    """`abatch` and `ainvoke` hold no thread, and no limit of concurrency holds them up."""
    with lanes.working():
        messages = await chat(server, lanes).abatch(QUESTIONS, {"max_concurrency": 2}, lane="batch")
    assert [message.text for message in messages] == [f"You said: {question}" for question in QUESTIONS]
    assert len({ran.batch for ran in server.batches.ran()}) == 1


def test_anthropics_batches_are_asked_in_its_own_words(server: ProviderServer, lanes: Lanes) -> None:
    """The message is the one that the user's own class makes of the answer."""
    claude = ChatAnthropic(model="claude-haiku-4-5", base_url=server.anthropic_url, api_key="test")
    with lanes.working():
        (message,) = chat(server, lanes, tiers=[claude]).batch(["hello"], lane="batch")
    assert message.text == "You said: hello"
    assert message.usage_metadata["input_tokens"] > 0
    (row,) = lanes.rows()
    assert (row["processing"], row["batch_pico"]) == ("batch", row["pico_usd"])


def test_one_call_may_wait_too(server: ProviderServer, lanes: Lanes) -> None:
    """Handlers see one model run with the tokens that were used; a reader of a stream gets the whole answer."""
    usage = UsageMetadataCallbackHandler()
    with lanes.working():
        message = chat(server, lanes).invoke("hello", {"callbacks": [usage]}, lane="batch")
        chunks = list(chat(server, lanes).stream("hello", lane="batch"))
    assert usage.usage_metadata["gpt-4o-mini"] == message.usage_metadata
    assert "".join(chunk.text for chunk in chunks) == message.text
    assert [row["processing"] for row in lanes.rows()] == ["batch", "batch"]


class Weather(BaseModel):
    city: str
    degrees: int


def test_structured_answers_and_tools_travel(server: ProviderServer, lanes: Lanes) -> None:
    """What goes into a batch is what the model would have sent at once."""
    server.model("gpt-4o-mini", replies=Turn('{"city": "Ulm", "degrees": 7}'))
    with lanes.working():
        found = chat(server, lanes).with_structured_output(Weather).invoke("weather?", lane="batch")
        server.model("gpt-4o-mini", replies=Turn("", tool_calls=[("Weather", {"city": "Ulm", "degrees": 7})]))
        (called,) = chat(server, lanes).bind_tools([Weather]).bind(lane="batch").batch(["weather?"])
    assert found == Weather(city="Ulm", degrees=7)
    assert called.tool_calls[0]["args"] == {"city": "Ulm", "degrees": 7}
    assert {row["processing"] for row in lanes.rows()} == {"batch"}


# -- which calls wait


def test_tags_may_say_it(server: ProviderServer, lanes: Lanes) -> None:
    """A rule of the lane sends calls there that say nothing; `lane="now"` goes before it, and others go at once."""
    model = chat(server, lanes, lane=lanes.lane(when={"task": ["nightly", "weekly"]}))
    nightly: Any = {"metadata": {"tuppence_task": "nightly"}}
    with lanes.working():
        waited, at_once = model.batch(["a", "b"], [nightly, {}])
        hurried = model.invoke("c", nightly, lane="now")
    assert facts(waited)["lane"] == "gpt-4o-mini by batch"
    assert "lane" not in facts(at_once)
    assert "lane" not in facts(hurried)


def test_a_hit_never_queues(server: ProviderServer, lanes: Lanes) -> None:
    """What is known already is answered at once, though nobody works on the queue."""
    model = chat(server, lanes, cache=True)
    model.invoke("hello")
    assert facts(model.invoke("hello", lane="batch"))["tier"] == "cache"
    assert lanes.fates() == {}


def test_what_has_no_batches_goes_at_once_and_says_so(server: ProviderServer, lanes: Lanes) -> None:
    """A function answers as ever; a call with less time than a batch takes does not begin to wait."""
    rules = function_tier("rules", lambda request: "42" if request.question == "six by seven" else None)
    model = chat(server, lanes, tiers=[rules, gpt(server)], lane=lanes.lane(least_s=600))
    assert model.invoke("six by seven", lane="batch").content == "42"
    assert "600" in facts(model.invoke("hello", lane="batch", deadline_s=30))["lane"]
    assert lanes.fates() == {}


@pytest.mark.parametrize(
    ("options", "given", "said"),
    [
        ({}, {"lane": "batch"}, "no batch lane"),
        ({}, {"deadline_s": 60}, "add lane='batch'"),
        ({}, {"lane": "slow"}, "'batch', 'now'"),
        ({"lane": "lane.sqlite"}, {"lane": "slow"}, "'batch', 'now'"),
        ({"lane": "lane.sqlite"}, {"lane": "batch", "deadline_s": "1h"}, "give seconds"),
    ],
)
def test_what_a_call_cannot_say_is_refused(
    server: ProviderServer, lanes: Lanes, options: Any, given: Any, said: str
) -> None:
    """Nothing of it is handed on to a provider that does not know it."""
    with pytest.raises(ConfigError, match=said):
        chat(server, lanes, **{"lane": None, **options}).invoke("a", **given)


# -- in time, whatever becomes of the batch


def test_what_nobody_takes_is_asked_at_once_in_time(server: ProviderServer, lanes: Lanes) -> None:
    """Without a worker a call is answered before its deadline, at the standard price, and says why."""
    message = chat(server, lanes).invoke("hello", lane="batch", deadline_s=0.3)
    assert facts(message)["lane"].startswith("gpt-4o-mini at once: the deadline was near, and no worker")
    assert lanes.fates() == {"cancelled": 1}
    assert [row["processing"] for row in lanes.rows()] == ["standard"]


def test_a_late_batch_is_not_waited_for_and_is_billed_when_it_comes(server: ProviderServer, lanes: Lanes) -> None:
    """Both answers were bought: the ledger has the one that was used, and the late one as a further try of its call."""
    server.batches.hold()
    hurried: Any = {"configurable": {"tuppence": {"deadline_s": 3}}}
    with lanes.working(), ThreadPoolExecutor(1) as other:
        waiting = other.submit(chat(server, lanes).batch, ["hello", "other"], [hurried, {}], lane="batch")
        until(lambda: any(row["processing"] == "standard" for row in lanes.rows()))
        server.batches.release()
        late, in_time = waiting.result()
        until(lambda: len(lanes.rows()) == 3)
    assert "its batch was not done" in facts(late)["lane"]
    assert facts(in_time)["lane"] == "gpt-4o-mini by batch"
    used, bought = (row for row in lanes.rows() if row["call_id"] == facts(late)["call_id"])
    assert (used["processing"], used["outcome"], used["again"]) == ("standard", "accepted", 0)
    assert (bought["processing"], bought["outcome"], bought["again"]) == ("batch", "abandoned", 1)
    assert bought["pico_usd"] * 2 == used["pico_usd"]


@pytest.mark.parametrize("fate", ["fail", "expire"])
def test_what_the_batch_does_not_answer_is_asked_at_once(server: ProviderServer, lanes: Lanes, fate: Any) -> None:
    """A line that failed or expired is nobody's lost answer."""
    server.batches.fate(lambda _, body: fate if "question 3" in str(body) else None)
    with lanes.working():
        messages = chat(server, lanes).batch(QUESTIONS[:5], lane="batch")
    assert [message.text for message in messages] == [f"You said: {question}" for question in QUESTIONS[:5]]
    assert "the batch had no answer" in facts(messages[3])["lane"]
    assert sorted(row["processing"] for row in lanes.rows()) == ["batch"] * 4 + ["standard"]


def test_a_queue_that_cannot_be_used_fails_no_call(server: ProviderServer, lanes: Lanes, tmp_path: Path) -> None:
    """An optimisation that breaks is gone round."""
    (tmp_path / "taken").write_text("no folder")
    model = chat(server, lanes, lane=str(tmp_path / "taken" / "lane.sqlite"))
    assert "the queue failed" in facts(model.invoke("hello", lane="batch"))["lane"]


# -- the flow holds


def test_a_rejected_draft_waits_for_the_next_tier(server: ProviderServer, lanes: Lanes) -> None:
    """Each ask of a ladder goes through the lane, and each is paid at the batch price."""
    server.model("gpt-4o-mini", replies="no idea")
    server.model("gpt-4o", replies="Paris")
    check = custom(lambda request, reply: float("idea" not in reply.text))
    model = chat(server, lanes, tiers=[gpt(server), gpt(server, "gpt-4o")], check=check)
    with lanes.working():
        (message,) = model.batch(["capital of France?"], lane="batch")
    assert message.content == "Paris"
    assert facts(message)["lane"] == "gpt-4o-mini by batch; gpt-4o by batch"
    assert [(row["tier"], row["outcome"], row["processing"]) for row in lanes.rows()] == [
        ("gpt-4o-mini", "rejected", "batch"), ("gpt-4o", "accepted", "batch"),
    ]  # fmt: skip


def test_budgets_hold_while_it_waits_and_are_charged_the_batch_price(server: ProviderServer, lanes: Lanes) -> None:
    """Room for the worst is held at once, so a second call that does not fit is refused before it queues."""
    budgets = Budgets(Budget(usd="0.00002", per="day", name="small"))
    model = chat(server, lanes, budgets=budgets, max_tokens=20)
    with lanes.working():
        found = model.batch(["one", "two"], lane="batch", return_exceptions=True)
    assert sorted(type(one).__name__ for one in found) == ["AIMessage", "BudgetExceeded"]
    assert any(isinstance(one, SpendLimitReached) for one in found)
    (standing,) = budgets.standing()
    assert (standing.held_usd, standing.spent_usd * 10**12) == (0, lanes.rows()[0]["pico_usd"])
    assert lanes.fates() == {"answered": 1}


def test_equal_questions_are_sent_and_paid_once(server: ProviderServer, lanes: Lanes) -> None:
    """A batch sends what is the same once; each call has its answer, one has the bill."""
    with lanes.working():
        messages = chat(server, lanes).batch(["same"] * 3, lane="batch")
    assert [message.text for message in messages] == ["You said: same"] * 3
    assert sum(1 for _ in server.batches.ran()) == 1
    rows = lanes.rows()
    assert len(rows) == 3
    assert sorted(row["pico_usd"] > 0 for row in rows) == [False, False, True]


# -- going away, and being killed


async def test_a_caller_who_leaves_takes_back_what_was_not_sent(server: ProviderServer, lanes: Lanes) -> None:
    """Cancelled before anybody claimed it, a request costs nothing and is never sent."""
    task = asyncio.create_task(chat(server, lanes).ainvoke("hello", lane="batch"))
    await asyncio.to_thread(until, lambda: lanes.fates() == {"waiting": 1})
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(until, lambda: lanes.fates() == {"cancelled": 1})
    assert lanes.rows() == []
    assert server.served == []


async def test_a_caller_who_leaves_later_is_billed_once(server: ProviderServer, lanes: Lanes) -> None:
    """What was sent is paid for when its answer comes, at what it cost and not at an estimate."""
    server.batches.hold()
    model = chat(server, lanes)
    with lanes.working():
        tasks = [asyncio.create_task(model.ainvoke(text, lane="batch")) for text in ("goes", "stays")]
        await asyncio.to_thread(until, lambda: any(one.api == "/v1/batches" for one in server.served))
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        server.batches.release()
        assert (await tasks[1]).text == "You said: stays"
        await asyncio.to_thread(until, lambda: len(lanes.rows()) == 2)
    assert sorted((row["outcome"], row["processing"]) for row in lanes.rows()) == [
        ("abandoned", "batch"), ("accepted", "batch"),
    ]  # fmt: skip


def test_a_worker_that_is_killed_loses_nothing_and_nothing_is_paid_twice(server: ProviderServer, lanes: Lanes) -> None:
    """kill -9 while its batch runs: the next worker finds the batch, and every answer comes once."""
    server.batches.hold()
    killed = lanes.process()

    def kill_in_the_middle() -> None:
        until(lambda: any(one.api == "/v1/batches" for one in server.served))
        killed.kill()
        killed.wait()
        server.batches.release()

    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(chat(server, lanes).batch, QUESTIONS, lane="batch", deadline_s=120)
        kill_in_the_middle()
        with lanes.working():
            messages = waiting.result()
    assert [message.text for message in messages] == [f"You said: {question}" for question in QUESTIONS]
    assert {facts(message)["lane"] for message in messages} == {"gpt-4o-mini by batch"}
    ran = list(server.batches.ran())
    assert len({one.body for one in ran}) == len(ran) == len(lanes.rows()) == 20


def test_a_call_that_is_made_again_under_its_id_gets_the_answer_that_was_bought(
    server: ProviderServer, lanes: Lanes
) -> None:
    """Who was killed while he waited asks again with the same call id: nothing is sent, or paid, twice."""
    named: Any = {"configurable": {"tuppence": {"call_id": "invoice-7"}}}
    with lanes.working():
        first = chat(server, lanes).invoke("hello", named, lane="batch")
        until(lambda: lanes.queue.standing() and not lanes.queue.unbilled(now=1e12, grace_s=0.0))
    again = chat(server, lanes).invoke("hello", named, lane="batch")
    assert again.text == first.text
    assert sum(1 for _ in server.batches.ran()) == 1
    assert [row["pico_usd"] > 0 for row in lanes.rows()] == [True, False]


def test_a_lane_travels_to_another_process(lanes: Lanes) -> None:
    """Its copy there waits in the same queue, by the same rule."""
    lane = lanes.lane(when={"task": "nightly"}, deadline_s=60.0)
    copy = pickle.loads(pickle.dumps(lane))
    assert (copy.queue.place, copy.when, copy.deadline_s) == (lane.queue.place, lane.when, 60.0)
