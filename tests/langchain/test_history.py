"""Shortened chat histories in front of any LangChain model: what is sent, what that costs, and what can go wrong."""

from __future__ import annotations

import asyncio
import copy
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable
from langgraph.errors import GraphInterrupt

from langchain_tuppence import ChatTuppence, SpendCallbackHandler, prune_history, spend, tier
from tuppence import SqliteLedger, switch_off, switch_on
from tuppence.attempts import Decision
from tuppence.effects import Shaped
from tuppence.errors import ConfigError
from tuppence.prices import token_rate
from tuppence.prune.history import HistoryPolicy, HistoryPruner, HistoryShaper, Summariser, Window
from tuppence.request import Request
from tuppence.testing import ProviderServer, Turn
from tuppence.tiers import Tier

from .histories import ORDERS, talk
from .parts import LARGE, SMALL, large, openai

NOTES = "The user lists orders; ord-0 to ord-2 are open."


@pytest.fixture(autouse=True)
def switched_on() -> Iterator[None]:
    yield
    switch_on()


def summing_up() -> HistoryShaper:
    """Leave all but the current turn out, and have the small model write notes on what goes."""
    window = Window(keep_turns=1, relevant_turns=0, neighbours=0, summariser=Summariser("notes", SMALL))
    return HistoryShaper(HistoryPruner(HistoryPolicy(strategies=(window,))))


def noting(server: ProviderServer, **options: Any) -> Runnable[Any, list[BaseMessage]]:
    """Make a step that has summaries written by a model of the scripted server."""
    server.model("small-model", replies=NOTES)
    judges = [tier(openai(server, "small-model"), name="notes", rate=SMALL)]
    return prune_history(large(server), shape=[summing_up()], judges=judges, **{"ledger": None, **options})


class TestWhatIsSent:
    def test_old_tool_results_are_cleared(self, server: ProviderServer) -> None:
        """What is in use of them stays, and so do the last turns and everything else."""
        given = talk()
        sent = prune_history(large(server), ledger=None).invoke(given)
        assert [one.type for one in sent] == [one.type for one in given]
        cleared, current = (one.text for one in sent if one.type == "tool" if one in (sent[3], sent[15]))
        assert cleared.startswith("[cleared ") and "ord-3" in cleared and "ord-7" not in cleared
        assert "ord-39" in current
        assert [one.text for one in sent if one.type != "tool"] == [one.text for one in given if one.type != "tool"]

    def test_the_callers_messages_stay_as_they_are(self, server: ProviderServer) -> None:
        """And whatever is not shortened is the caller's own object, with all that a provider put into it."""
        given = talk()
        given[4].response_metadata["provider"] = {"thinking": "signed"}
        before = copy.deepcopy(given)
        sent = prune_history(large(server), ledger=None).invoke(given)
        assert given == before
        assert all(a is b for a, b in zip(given, sent, strict=True) if a.type != "tool")

    def test_what_was_sent_once_is_sent_again(self, server: ProviderServer) -> None:
        """Turn after turn the same bytes, as long as nothing new pays: a provider's prefix cache depends on it."""
        held = token_rate(input="10", output="20", cache_read="1")
        step = prune_history(tier(openai(server, "large-model"), rate=held), ledger=None)
        first = step.invoke(talk())
        again = step.invoke([*talk(), AIMessage("It is open."), HumanMessage("Thank you.")])
        assert [one.content for one in again[: len(first)]] == [one.content for one in first]

    def test_in_a_chain(self, server: ProviderServer) -> None:
        """Between prompt and model: one step more."""
        prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), MessagesPlaceholder("turns")])
        llm = openai(server, "large-model")
        chain = prompt | prune_history(tier(llm, rate=LARGE), ledger=None) | llm
        chain.invoke({"turns": talk()[1:]})
        contents = [message["content"] for message in server.served[-1].request["messages"]]
        assert contents[3].startswith("[cleared ")

    @pytest.mark.parametrize("given", ["Hello", [("system", "Be brief."), ("user", "Hello")]])
    def test_whatever_a_model_takes(self, server: ProviderServer, given: Any) -> None:
        """A short history comes out as it is, as messages."""
        sent = prune_history(large(server), ledger=None).invoke(given)
        assert isinstance(sent[-1], HumanMessage) and sent[-1].text == "Hello"

    async def test_async_sends_the_same(self, server: ProviderServer) -> None:
        """One text of the policy for both."""
        sync = prune_history(large(server), ledger=None).invoke(talk())
        assert await prune_history(large(server), ledger=None).ainvoke(talk()) == sync

    def test_in_front_of_a_facade(self, server: ProviderServer) -> None:
        """The price is that of its own tiers, whatever is bound to it."""
        llm = ChatTuppence(tiers=[large(server)], ledger=None)
        for model in (llm, llm.bind(stop=["END"])):
            assert prune_history(model, ledger=None).invoke(talk())[3].text.startswith("[cleared ")


class TestASummary:
    def test_takes_the_place_of_what_goes(self, server: ProviderServer) -> None:
        """The system message stays in front, the question at the end."""
        sent = noting(server).invoke(talk())
        assert [one.type for one in sent] == ["system", "human", "ai", "human"]
        assert NOTES in sent[1].text and sent[-1].text == "What about ord-3?"

    def test_is_asked_for_once(self, server: ProviderServer) -> None:
        """The same prompt, tried again, has it."""
        step = noting(server)
        assert step.invoke(talk()) == step.invoke(talk())
        assert len(server.served) == 1

    def test_costs_what_it_costs_everywhere(self, server: ProviderServer, tmp_path: Path) -> None:
        """In the block around it, in the handler of the config, and in the ledger: each once."""
        ledger, handler = SqliteLedger(tmp_path / "ledger.db"), SpendCallbackHandler()
        with spend() as around:
            noting(server, ledger=ledger).invoke(talk(), {"callbacks": [handler]})
        ledger.close()
        (attempt,) = around.attempts
        assert (attempt.tier, attempt.cause, attempt.outcome) == ("notes", "condense", "consulted")
        assert around.usd == handler.usd > 0
        assert len(handler.attempts) == 1
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
            rows = db.execute("SELECT tier, cause, pico_usd FROM attempts").fetchall()
        assert rows == [("notes", "condense", attempt.pico_usd)]

    async def test_costs_as_much_async(self, server: ProviderServer) -> None:
        """The same attempt."""
        with spend() as around:
            await noting(server).ainvoke(talk())
        assert [a.cause for a in around.attempts] == ["condense"]

    async def test_is_shown_to_nobody(self, server: ProviderServer) -> None:
        """A chain's events tell of the messages, not of how notes were written."""
        events = [event async for event in noting(server).astream_events(talk(), version="v2")]
        assert {event["name"] for event in events} == {"prune_history"}

    async def test_that_nobody_waits_for_is_paid_all_the_same(self, server: ProviderServer) -> None:
        """A caller who goes while it is written: what was begun is billed, as an estimate."""
        step = noting(server)
        server.model("small-model", replies=Turn(NOTES, hold=threading.Event()))
        with spend() as around:
            asked = asyncio.ensure_future(step.ainvoke(talk()))
            await asyncio.to_thread(server.await_arrived, 1)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
        (attempt,) = around.attempts
        assert (attempt.cause, attempt.outcome, attempt.status) == ("condense", "abandoned", "estimated")
        assert around.usd > 0

    def test_that_cannot_be_had_leaves_the_history(self, server: ProviderServer) -> None:
        """A cheap model that is down costs no answer."""
        step = noting(server)
        server.model("small-model", replies="")
        assert [one.text for one in step.invoke(talk()) if one.type == "human"] == [
            one.text for one in talk() if one.type == "human"
        ]

    def test_by_a_model_that_is_not_there_is_refused_at_once(self, server: ProviderServer) -> None:
        """When the step is made."""
        with pytest.raises(ConfigError, match="notes"):
            prune_history(large(server), shape=[summing_up()], ledger=None)


def breaking(_request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
    raise ValueError("broken shaper")


def interrupting(_request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
    raise GraphInterrupt


class TestFailure:
    def test_a_shaper_that_breaks_is_gone_round(self, server: ProviderServer) -> None:
        """The others still shorten, and who listens is told."""
        told: list[Decision] = []
        step = prune_history(large(server), shape=[breaking, HistoryShaper()], ledger=None, on_shaped=told.append)
        assert step.invoke(talk())[3].text.startswith("[cleared ")
        assert told[0].faults == ["shape: ValueError: broken shaper"]
        assert told[0].pruned_tokens > 0

    def test_whatever_breaks_the_messages_go_on(self, server: ProviderServer, caplog: Any) -> None:
        """A message that no model takes is the model's to refuse."""
        odd = [SystemMessage("Be brief."), ToolMessage(ORDERS, tool_call_id="c")]
        odd[0].type = "odd"
        with caplog.at_level(logging.WARNING, "tuppence.prune"):
            sent = prune_history(large(server), ledger=None).invoke(odd)
        assert [one.content for one in sent] == [one.content for one in odd]
        assert "go on as they came" in caplog.text

    def test_what_steers_a_graph_passes(self, server: ProviderServer) -> None:
        """It is no failure."""
        with pytest.raises(GraphInterrupt):
            prune_history(large(server), shape=[interrupting], ledger=None).invoke(talk())

    def test_switched_off_nothing_is_shortened(self, server: ProviderServer) -> None:
        """As with every other optimisation."""
        switch_off()
        assert prune_history(large(server), ledger=None).invoke(talk()) == talk()
