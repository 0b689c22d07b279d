"""LlamaIndex calls that can wait: answered in order at half the price, by the user's own classes, and never late."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage

from llama_index_tuppence import TuppenceLLM
from tuppence.errors import ConfigError
from tuppence.testing import ProviderServer

from ..lanes import Lanes, until  # noqa: TID252

Make = Callable[..., Any]
QUESTIONS = [f"question {n}" for n in range(20)]


@pytest.fixture
def lanes(provider: ProviderServer, tmp_path: Path) -> Iterator[Lanes]:
    made = Lanes(tmp_path, provider)
    yield made
    made.ledger.close()


def told(response: Any) -> dict[str, Any]:
    facts: dict[str, Any] = response.additional_kwargs["tuppence"]
    return facts


def test_twenty_inputs_come_back_in_order_at_half_the_price(make: Make, lanes: Lanes, provider: ProviderServer) -> None:
    """Texts are completed and messages answered, in one batch, at the batch price."""
    llm = TuppenceLLM([make()], ledger=lanes.ledger, lane=lanes.lane())
    chats = [[ChatMessage(content=question)] for question in QUESTIONS[10:]]
    with lanes.working():
        found = llm.batch([*QUESTIONS[:10], *chats], lane="batch")
    assert [one.text for one in found[:10]] == [f"You said: {question}" for question in QUESTIONS[:10]]
    assert [one.message.content for one in found[10:]] == [f"You said: {question}" for question in QUESTIONS[10:]]
    assert {told(one)["lane"] for one in found} == {"gpt-4o-mini by batch"}
    rows = lanes.rows()
    assert len(rows) == 20
    assert all(row["pico_usd"] * 2 == row["baseline_pico"] == row["pico_usd"] + row["batch_pico"] for row in rows)
    assert len({ran.batch for ran in provider.batches.ran()}) == 1


async def test_an_event_loop_waits_for_many(make: Make, lanes: Lanes) -> None:
    """`abatch`, `achat` and `acomplete` wait without a thread for each; a stream brings the whole answer."""
    llm = TuppenceLLM([make()], ledger=lanes.ledger, lane=lanes.lane())
    with lanes.working():
        many, one, other = await asyncio.gather(
            llm.abatch(QUESTIONS[:5], lane="batch"),
            llm.achat([ChatMessage(content="a")], lane="batch"),
            llm.acomplete("b", tuppence={"lane": "batch", "deadline_s": 600}),
        )
        stream = [chunk.delta async for chunk in await llm.astream_complete("c", lane="batch")]
    assert [response.text for response in many] == [f"You said: {question}" for question in QUESTIONS[:5]]
    assert {told(response)["lane"] for response in (*many, one, other)} == {"gpt-4o-mini by batch"}
    assert "".join(filter(None, stream)) == "You said: c"


async def test_anthropics_batches_are_asked_in_its_own_words(make_claude: Make, lanes: Lanes) -> None:
    """The response is the one that the user's own class makes of the answer."""
    llm = TuppenceLLM([make_claude()], ledger=lanes.ledger, lane=lanes.lane())
    with lanes.working():
        (found,) = await llm.abatch(["hello"], lane="batch")
    assert found.text == "You said: hello"
    (row,) = lanes.rows()
    assert (row["processing"], row["batch_pico"]) == ("batch", row["pico_usd"])


def test_a_rule_of_the_lane_sends_tagged_calls_there(make: Make, lanes: Lanes) -> None:
    """Others go at once, and so does a tagged one that says so."""
    llm = TuppenceLLM([make()], ledger=lanes.ledger, lane=lanes.lane(when={"task": "nightly"}))
    nightly = {"tags": {"task": "nightly"}}
    with lanes.working():
        assert told(llm.complete("a", tuppence=nightly))["lane"] == "gpt-4o-mini by batch"
        assert "lane" not in told(llm.complete("b"))
        assert [("lane" in told(one)) for one in llm.batch(["c"], tuppence={**nightly, "lane": "now"})] == [False]


def test_what_nobody_takes_is_asked_at_once_in_time(make: Make, lanes: Lanes) -> None:
    """Without a worker, at the standard price, and it says why."""
    llm = TuppenceLLM([make()], ledger=lanes.ledger, lane=lanes.lane())
    (found,) = llm.batch(["hello"], lane="batch", deadline_s=0.3)
    assert "no worker had taken it" in told(found)["lane"]
    assert [row["processing"] for row in lanes.rows()] == ["standard"]


def test_errors_stand_in_the_places_of_their_answers(make: Make, lanes: Lanes, provider: ProviderServer) -> None:
    """One question that cannot be answered takes no other one along."""
    provider.batches.fate(lambda _, body: "fail" if "bad" in str(body) else None)
    llm = TuppenceLLM([make()], ledger=lanes.ledger, lane=lanes.lane(), retries=0)
    with lanes.working():
        good, bad = llm.batch(["good", "bad"], lane="batch", return_exceptions=True)
    assert told(good)["lane"] == "gpt-4o-mini by batch"
    assert "the batch had no answer" in told(bad)["lane"]
    until(lambda: lanes.fates() == {"answered": 1, "missed": 1})


def test_a_model_without_a_lane_says_so(make: Make, lanes: Lanes) -> None:
    """Nothing of it is handed on to a provider that does not know it."""
    with pytest.raises(ConfigError, match="no batch lane"):
        TuppenceLLM([make()], ledger=lanes.ledger).complete("a", lane="batch")
