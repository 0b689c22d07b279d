"""Shortened histories inside of agents: what the model gets, what the state keeps, and how a result comes back."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import openai as openai_sdk
import pytest
from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool as as_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from langchain_tuppence import ContextMiddleware, SpendCallbackHandler, spend, tier
from tuppence.attempts import Decision
from tuppence.errors import ConfigError
from tuppence.prices import token_rate
from tuppence.prune.history import HistoryPolicy, HistoryPruner, HistoryShaper, Summariser, Window
from tuppence.prune.history.stubs import id_of
from tuppence.testing import Fault, ProviderServer, Turn

from .histories import ORDERS, talk
from .parts import openai

MODEL = "gpt-4o-mini"
CHEAP = token_rate(input="0.01", output="0.02")
NOTES = "The user lists orders; ord-0 to ord-2 are open."
RECOVER = "recover_tool_output"


@as_tool
def orders(page: int) -> str:
    """List a page of orders."""
    return ORDERS


def agent(server: ProviderServer, middleware: ContextMiddleware | None = None, **options: Any) -> Any:
    made = ContextMiddleware(ledger=None) if middleware is None else middleware
    settings = {"tools": [orders], "system_prompt": "Be brief.", "middleware": [made]}
    return create_agent(openai(server, MODEL), **{**settings, **options})


def asked() -> dict[str, Any]:
    return {"messages": talk()[1:]}


def sent(server: ProviderServer, place: int = -1) -> list[Any]:
    messages: list[Any] = server.served[place].request["messages"]
    return messages


def offered(server: ProviderServer) -> list[str]:
    return [one["function"]["name"] for one in server.served[-1].request["tools"]]


class TestWhatTheModelGets:
    def test_old_tool_results_are_cleared(self, server: ProviderServer) -> None:
        """For the call alone: the state keeps every message whole."""
        state = agent(server).invoke(asked())
        contents = [one["content"] for one in sent(server) if one["role"] == "tool"]
        assert [one.startswith("[cleared ") for one in contents] == [True, True, True, False]
        assert [one.content for one in state["messages"] if isinstance(one, ToolMessage)] == [ORDERS] * 4

    def test_the_system_prompt_stays_in_front(self, server: ProviderServer) -> None:
        """And without one there is none."""
        agent(server).invoke(asked())
        assert sent(server)[0] == {"role": "system", "content": "Be brief."}
        agent(server, system_prompt=None).invoke(asked())
        assert sent(server)[0]["role"] == "user"

    async def test_async_sends_the_same(self, server: ProviderServer) -> None:
        """Both ways of running an agent have the same text of the policy."""
        agent(server).invoke(asked())
        await agent(server).ainvoke(asked())
        assert sent(server, 0) == sent(server, 1)

    def test_a_short_history_goes_out_as_it_is(self, server: ProviderServer) -> None:
        """With all that was said."""
        agent(server).invoke({"messages": [("user", "Hello")]})
        assert [one["content"] for one in sent(server)] == ["Be brief.", "Hello"]

    def test_a_conversation_sends_the_same_bytes_again(self, server: ProviderServer) -> None:
        """What was cut stays cut, the same way: the next call begins as the one before it."""
        kept = agent(server, checkpointer=InMemorySaver())
        thread = {"configurable": {"thread_id": "1"}}
        kept.invoke(asked(), thread)
        kept.invoke({"messages": [("user", "Thank you.")]}, thread)
        first, second = sent(server, 0), sent(server, 1)
        assert first[11]["content"].startswith("[cleared ")
        assert second[:12] == first[:12]

    def test_who_listens_is_told(self, server: ProviderServer) -> None:
        """By how much each prompt was shorter, and why."""
        told: list[Decision] = []
        agent(server, ContextMiddleware(ledger=None, on_shaped=told.append)).invoke(asked())
        (decision,) = told
        assert decision.pruned_tokens > 1000 and "clearing" in decision.shape


class TestRecovering:
    def test_a_cleared_result_comes_back_by_its_id(self, server: ProviderServer) -> None:
        """Whole, from the state of this conversation."""
        server.model(MODEL, replies=[Turn(tool_calls=[(RECOVER, {"id": id_of(ORDERS)})]), "Seven."])
        state = agent(server).invoke(asked())
        assert RECOVER in sent(server, 0)[3]["content"]
        *_, back, answer = state["messages"]
        assert isinstance(back, ToolMessage) and back.content == ORDERS
        assert answer.text == "Seven."
        assert sent(server)[-1]["content"].count("ord-") == 40

    def test_an_id_that_is_not_there_says_so(self, server: ProviderServer) -> None:
        """The model can go on from that."""
        server.model(MODEL, replies=[Turn(tool_calls=[(RECOVER, {"id": "00000000"})]), "I see."])
        state = agent(server).invoke(asked())
        assert "Call the tool again" in state["messages"][-2].content

    def test_its_tool_is_offered_where_stubs_mention_it(self, server: ProviderServer) -> None:
        """Elsewhere it would cost tokens for nothing; its state is nobody's to fill in."""
        agent(server).invoke(asked())
        assert set(offered(server)) == {"orders", RECOVER}
        (recover,) = [one for one in server.served[-1].request["tools"] if one["function"]["name"] == RECOVER]
        assert list(recover["function"]["parameters"]["properties"]) == ["id"]
        agent(server, ContextMiddleware(shape=[HistoryShaper()], ledger=None)).invoke(asked())
        assert offered(server) == ["orders"]


def noting(server: ProviderServer) -> ContextMiddleware:
    """Make a middleware that has a model of the scripted server write notes on all but the current turn."""
    server.model("small-model", replies=NOTES)
    window = Window(keep_turns=1, relevant_turns=0, neighbours=0, summariser=Summariser("notes", CHEAP))
    judges = [tier(openai(server, "small-model"), name="notes", rate=CHEAP)]
    shaper = HistoryShaper(HistoryPruner(HistoryPolicy(strategies=(window,))))
    return ContextMiddleware(shape=[shaper], judges=judges, ledger=None)


class TestASummary:
    def test_is_counted_once_beside_the_agents_own_calls(self, server: ProviderServer) -> None:
        """In the handler of the config both, in the block around it what tuppence asked."""
        handler = SpendCallbackHandler()
        with spend() as around:
            agent(server, noting(server)).invoke(asked(), {"callbacks": [handler]})
        assert [one.model for one in server.served] == ["small-model", MODEL]
        assert NOTES in sent(server)[1]["content"]
        assert [a.cause for a in around.attempts] == ["condense"]
        assert [a.cause for a in handler.attempts] == ["condense", "observed"]

    @pytest.mark.parametrize("mode", ["messages", "updates"])
    def test_is_not_in_the_agents_streams(self, server: ProviderServer, mode: str) -> None:
        """A user is shown the answer, not the notes."""
        server.model(MODEL, replies="Open")
        shown = str(list(agent(server, noting(server)).stream(asked(), stream_mode=mode)))
        assert [one.model for one in server.served] == ["small-model", MODEL]
        assert "Open" in shown
        assert "ord-0 to ord-2" not in shown


class TestFailure:
    def test_a_models_own_errors_are_its_own(self, server: ProviderServer) -> None:
        """They pass as they are."""
        server.model(MODEL, replies=[Fault(status=400)] * 9)
        with pytest.raises(openai_sdk.BadRequestError):
            agent(server).invoke(asked())

    def test_an_agent_can_be_interrupted_and_resumed(self, server: ProviderServer) -> None:
        """What steers a graph passes, and the history is shortened after it too."""

        @as_tool("orders")
        def asking(page: int) -> str:
            """List a page of orders."""
            return str(interrupt("May I?"))

        server.model(MODEL, replies=[Turn(tool_calls=[("orders", {"page": 9})]), "Done."])
        kept = agent(server, tools=[asking], checkpointer=InMemorySaver())
        thread = {"configurable": {"thread_id": "1"}}
        kept.invoke(asked(), thread)
        state = kept.invoke(Command(resume="yes"), thread)
        assert state["messages"][-1].text == "Done."
        assert sent(server)[3]["content"].startswith("[cleared ")

    def test_a_model_without_a_price_is_sent_what_is_free(self, server: ProviderServer) -> None:
        """Nothing that its provider may hold is cut on a guess; results are written shorter all the same."""
        llm = openai(server, "nobody-knows")
        with pytest.warns(UserWarning, match="no price"):
            create_agent(llm, tools=[orders], middleware=[ContextMiddleware(ledger=None)]).invoke(asked())
        contents = [one["content"] for one in sent(server) if one["role"] == "tool"]
        assert len(contents) == 4 and not any(one.startswith("[cleared ") for one in contents)


def test_a_model_per_call_is_not_remembered_for_ever(server: ProviderServer) -> None:
    """An application that makes its model anew for each call keeps no more than the last few."""
    middleware, made = ContextMiddleware(ledger=None), []
    for _ in range(20):
        llm = openai(server, MODEL)
        made.append(weakref.ref(llm))
        create_agent(llm, tools=[orders], middleware=[middleware]).invoke({"messages": [("user", "Hello")]})
    del llm
    gc.collect()
    assert 0 < sum(one() is not None for one in made) <= 16


def test_a_summary_by_a_model_that_is_not_there_is_refused_at_once() -> None:
    """When the middleware is made, not when an agent runs."""
    window = Window(summariser=Summariser("notes", CHEAP))
    with pytest.raises(ConfigError, match="notes"):
        ContextMiddleware(shape=[HistoryShaper(HistoryPruner(HistoryPolicy(strategies=(window,))))], ledger=None)
