"""Prompt caching through LangChain's own classes: what the provider is sent, what it reads, and what that costs."""

from __future__ import annotations

import copy
import json
import pickle
from itertools import pairwise
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from langchain_tuppence import ChatTuppence, spend, tier
from langchain_tuppence.prefix_marks import takes_marks
from tuppence.cache.prefix import Planned, PrefixPlan, PrefixPlanner
from tuppence.context import tags
from tuppence.prices import token_rate
from tuppence.request import Mark, Request
from tuppence.testing import Fault, ProviderServer, Turn, tokens_of
from tuppence.testing.prefix_cache import PrefixCache
from tuppence.tiers import Tier
from tuppence.usage import read_usage

from .parts import anthropic, openai

RATE = token_rate(input="10", output="20", cache_read="1", cache_write_5m="12.5", cache_write_1h="20")
RULES = "Be short and never guess. " * 400
CLAUDE, GPT, GPT_NOW = "claude-opus-5", "gpt-4o", "gpt-6-sol"
POINT = {"type": "ephemeral"}
BREAKPOINT = {"mode": "explicit"}

needs_breakpoints = pytest.mark.skipif(
    "prompt_cache_options" not in ChatOpenAI.model_fields, reason="this ChatOpenAI sends no breakpoints on"
)


def look(query: str) -> str:
    """Look it up."""
    return query


class Marks(PrefixPlanner):
    """A planner that always says the same."""

    def __init__(self, *marks: Mark, **params: Any) -> None:
        super().__init__()
        self._says = PrefixPlan("as the test says", marks, params)

    def plan(self, request: Request, tier: Tier, **_: Any) -> Planned:
        return Planned(self._says)


def model(server: ProviderServer, name: str, planner: Any = True, **options: Any) -> ChatTuppence:
    make = anthropic if name.startswith("claude") else openai
    return ChatTuppence(
        tiers=[tier(make(server, name, **options), name=name, rate=RATE)], ledger=None, prompt_cache=planner
    )


def sent(server: ProviderServer) -> dict[str, Any]:
    return dict(server.served[-1].request)


def conversation(turns: int) -> list[BaseMessage]:
    said: list[BaseMessage] = [SystemMessage(RULES)]
    for _ in range(turns):
        said += [HumanMessage("Why? " * 200), AIMessage("Because. " * 200)]
    return [*said, HumanMessage("And now?")]


def billed(server: ProviderServer) -> int:
    costs = [RATE.cost(read_usage(one.api, one.usage)) for one in server.served]
    return sum(cost for cost in costs if cost is not None)


# -- what arrives


def test_claude_is_sent_cache_points(server: ProviderServer) -> None:
    """On the last tool, on the instructions, and on the last block of a turn that can carry one."""
    llm = model(server, CLAUDE, Marks(Mark("tools", "1h"), Mark(0, "1h"), Mark(2, "5m")))
    llm.bind_tools([look]).invoke(conversation(1))
    body = sent(server)
    hour = {**POINT, "ttl": "1h"}
    assert body["tools"][-1]["cache_control"] == hour
    assert body["system"] == [{"type": "text", "text": RULES, "cache_control": hour}]
    assert body["messages"][0]["content"] == "Why? " * 200
    assert body["messages"][1]["content"] == [{"type": "text", "text": "Because. " * 200, "cache_control": POINT}]


@needs_breakpoints
def test_gpt_is_sent_breakpoints_and_writes_nothing_else(server: ProviderServer) -> None:
    """From GPT-5.6 on. ChatOpenAI strips them from a model's own words: that mark goes to the message before."""
    model(server, GPT_NOW, Marks(Mark(0, "30m"), Mark(2, "30m"), prompt_cache_key="mine")).invoke(conversation(1))
    body = sent(server)
    marked = [m["content"][-1].get("prompt_cache_breakpoint") for m in body["messages"][:2]]
    assert marked == [BREAKPOINT, BREAKPOINT] and body["messages"][2]["content"] == "Because. " * 200
    assert body["prompt_cache_options"] == {"mode": "explicit"} and body["prompt_cache_key"] == "mine"


@needs_breakpoints
def test_the_responses_api_is_sent_breakpoints_on_what_was_said_to_the_model(server: ProviderServer) -> None:
    """With tools GPT-6 is asked there: a mark on its own words, or a tool's, goes to the message before them."""
    llm = model(server, GPT_NOW, Marks(Mark(0, "30m"), Mark(3, "30m"))).bind_tools([look])
    call = {"name": "look", "args": {"query": "x"}, "id": "1"}
    said = [HumanMessage("Why?"), AIMessage("", tool_calls=[call]), ToolMessage("Rain.", tool_call_id="1")]
    llm.invoke([SystemMessage(RULES), *said, HumanMessage("Sure?")])
    assert server.served[-1].api == "responses"
    marked = [item.get("role") for item in sent(server)["input"] if "prompt_cache_breakpoint" in json.dumps(item)]
    assert marked == ["system", "user"] and sent(server)["prompt_cache_options"] == BREAKPOINT


def test_a_tools_answer_carries_the_point_itself(server: ProviderServer) -> None:
    """Not a text inside it, where the API takes none; the rest is sent as it would be without."""
    call = {"name": "look", "args": {"query": "x"}, "id": "1"}
    said = [HumanMessage("Why?"), AIMessage("", tool_calls=[call]), ToolMessage("Rain.", tool_call_id="1")]
    said.append(HumanMessage("Sure?"))
    model(server, CLAUDE, Marks()).invoke(said)
    plain = sent(server)["messages"][2]["content"][0]
    model(server, CLAUDE, Marks(Mark(2, "5m"))).invoke(said)
    assert sent(server)["messages"][2]["content"][0] == {**plain, "cache_control": POINT}


def test_a_mark_goes_back_to_what_can_carry_it(server: ProviderServer) -> None:
    """A message that only calls tools has no block that ChatAnthropic sends on with its mark."""
    call = {"name": "look", "args": {"query": "x"}, "id": "1"}
    said = [HumanMessage("Why?"), AIMessage("", tool_calls=[call]), ToolMessage("Rain.", tool_call_id="1")]
    model(server, CLAUDE, Marks(Mark(1, "5m"))).invoke(said)
    assert sent(server)["messages"][0]["content"] == [{"type": "text", "text": "Why?", "cache_control": POINT}]
    assert "cache_control" not in json.dumps(sent(server)["messages"][1:])


@pytest.mark.parametrize("name", [CLAUDE, pytest.param(GPT_NOW, marks=needs_breakpoints)])
def test_the_users_own_objects_stay_as_they_were(server: ProviderServer, name: str) -> None:
    """Messages and tools are copied before they are marked."""
    said = [SystemMessage([{"type": "text", "text": RULES}]), HumanMessage("Why?"), HumanMessage("And?")]
    before = copy.deepcopy(said)
    llm = model(server, name, Marks(Mark("tools", "5m"), Mark(0, "5m"), Mark(1, "5m"))).bind_tools([look])
    llm.invoke(said)
    assert said == before
    assert "cache_control" in json.dumps(sent(server)) or "prompt_cache_breakpoint" in json.dumps(sent(server))
    assert "cache_control" not in json.dumps(llm.kwargs["tools"])  # type: ignore[attr-defined]


def test_who_marks_a_message_himself_keeps_his_marks_alone(server: ProviderServer) -> None:
    """Four are all that the API takes."""
    block = {"type": "text", "text": RULES, "cache_control": POINT}
    llm = model(server, CLAUDE, Marks(Mark(1, "1h")))
    llm.invoke([SystemMessage([block]), HumanMessage("Why?"), HumanMessage("And?")])
    assert sent(server)["system"] == [block] and "1h" not in json.dumps(sent(server))


@needs_breakpoints
def test_who_says_how_to_cache_in_a_call_has_the_last_word(server: ProviderServer) -> None:
    """As an argument of the call."""
    own = model(server, GPT_NOW, Marks(Mark(0, "30m")))
    own.invoke(conversation(0), prompt_cache_options={"mode": "implicit"})
    assert sent(server)["prompt_cache_options"] == {"mode": "implicit"}
    assert sent(server)["messages"][0]["content"] == RULES


@needs_breakpoints
def test_models_whose_own_settings_speak_of_the_cache_are_left_alone(server: ProviderServer) -> None:
    """And so are classes that are not known here."""
    assert takes_marks(openai(server, GPT), {}) and takes_marks(anthropic(server, CLAUDE), {})
    assert not takes_marks(openai(server, GPT, model_kwargs={"prompt_cache_key": "mine"}), {})
    assert not takes_marks(openai(server, GPT_NOW, prompt_cache_options={"mode": "implicit"}), {})
    assert not takes_marks(anthropic(server, CLAUDE), {"cache_control": POINT})
    assert not takes_marks(object(), {})


# -- what comes of it

CONVERSATIONS = [
    pytest.param(CLAUDE, "messages"),
    pytest.param(GPT_NOW, "chat_with_breakpoints", marks=needs_breakpoints),
    pytest.param(GPT, "chat", marks=needs_breakpoints),
]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("name", "answer"), CONVERSATIONS)
def test_a_conversation_is_read_as_it_grows_and_billed_exactly(
    server: ProviderServer, name: str, answer: str, streamed: bool
) -> None:
    """Planned call by call: what one call wrote the next one reads, and the bill is what the provider's log says."""
    server.model(name, replies=getattr(PrefixCache(minimum_tokens=1024), answer))
    llm = model(server, name)
    with spend() as spent:
        for turns in range(8):
            if streamed:
                list(llm.stream(conversation(turns)))
            else:
                llm.invoke(conversation(turns))
    usages = [attempt.usage for attempt in spent.attempts]
    assert usages[0].cache_read == 0
    for before, after in pairwise(usages[-3:]):
        held = before.cache_read + before.cache_write_5m
        assert after.cache_read >= (held if name != GPT else held // 128 * 128) > 0
    assert after.cache_read > 0.6 * after.input_tokens
    assert {attempt.status for attempt in spent.attempts} == {"exact"}
    assert spent.pico_usd == billed(server)
    saved = sum(a.prefix.reads_saved_pico - a.prefix.writes_extra_pico for a in spent.attempts if a.prefix is not None)
    plain = sum(RATE.cost(type(u)(input=u.input_tokens, output=u.output)) or 0 for u in usages)
    assert saved == plain - spent.pico_usd > 0


def ask(whom: str) -> str:
    """Ask somebody."""
    return whom


@pytest.mark.parametrize("name", [CLAUDE, GPT])
async def test_tools_are_sent_in_one_order(server: ProviderServer, name: str) -> None:
    """However they are bound, sync, async and streamed; without the option as they were bound."""
    planned, plain = model(server, name), model(server, name, None)
    planned.bind_tools([look, ask]).invoke("Why?")
    await planned.bind_tools([ask, look]).ainvoke("Why?")
    list(planned.bind_tools([look, ask]).stream("Why?"))
    [_ async for _ in planned.bind_tools([look, ask]).astream("Why?")]
    sent_tools = {json.dumps(one.request["tools"]) for one in server.served}
    assert len(sent_tools) == 1 and [names(tool) for tool in json.loads(sent_tools.pop())] == ["ask", "look"]
    plain.bind_tools([look, ask]).invoke("Why?")
    assert [names(tool) for tool in sent(server)["tools"]] == ["look", "ask"]


def names(tool: dict[str, Any]) -> str:
    return str((tool.get("function") or tool)["name"])


def test_a_tools_properties_keep_the_order_that_came_first(server: ProviderServer) -> None:
    """Two schemas that differ in nothing else are one; the second call's tools are the first's, byte for byte."""

    def tool(*properties: str) -> dict[str, Any]:
        parameters = {"type": "object", "properties": {name: {"type": "string"} for name in properties}}
        return {"type": "function", "function": {"name": "judge", "description": "Judge.", "parameters": parameters}}

    llm = model(server, GPT)
    for given in (tool("reasons", "answer"), tool("answer", "reasons")):
        llm.bind_tools([given]).invoke("Why?")
    first, second = (one.request["tools"][0]["function"]["parameters"] for one in server.served)
    assert list(first["properties"]) == list(second["properties"]) == ["reasons", "answer"]


@pytest.mark.parametrize("role", ["system", "human"])
@pytest.mark.parametrize(("name", "answer"), CONVERSATIONS[:2])
def test_a_chain_whose_documents_change_reads_its_instructions(
    server: ProviderServer, name: str, answer: str, role: str
) -> None:
    """The breakpoint stands before the documents, which are in a message of their own."""
    server.model(name, replies=getattr(PrefixCache(minimum_tokens=1024), answer))
    prompt = ChatPromptTemplate([("system", "{rules}"), (role, "{documents}"), ("human", "{question}")])
    chain = prompt | model(server, name)
    with spend() as spent:
        for n in range(6):
            chain.invoke({"rules": RULES, "documents": f"Document {n}. " * 300, "question": "Why?"})
    usages = [attempt.usage for attempt in spent.attempts]
    assert usages[-1].cache_read == usages[-2].cache_read == len(tokens_of(RULES))
    assert usages[-1].cache_write_5m == 0


async def test_async_calls_are_marked_alike(server: ProviderServer) -> None:
    """One seam for both."""
    llm = model(server, CLAUDE, Marks(Mark(0, "5m")))
    await llm.ainvoke(conversation(0))
    assert sent(server)["system"][0]["cache_control"] == POINT
    [_ async for _ in llm.astream(conversation(0))]
    assert sent(server)["system"][0]["cache_control"] == POINT


@needs_breakpoints
def test_two_tenants_never_share_a_key(server: ProviderServer) -> None:
    """What one tenant sends is not looked for among what another sent."""
    llm = model(server, GPT)
    keys = []
    for tenant in ("a", "a", "b"):
        with tags(tenant=tenant):
            llm.invoke(conversation(0))
        keys.append(sent(server)["prompt_cache_key"])
    assert keys[0] == keys[1] != keys[2]


def test_nothing_is_sent_unless_asked_for(server: ProviderServer) -> None:
    """A model without the option sends its messages as they are."""
    llm = ChatTuppence(tiers=[tier(openai(server, GPT), name=GPT, rate=RATE)], ledger=None)
    llm.invoke(conversation(0))
    assert not any(name.startswith("prompt_cache") for name in sent(server))


def test_the_answer_says_what_was_asked_of_the_cache(server: ProviderServer) -> None:
    """And what changed, in words that quote nothing of the prompt."""
    llm = model(server, CLAUDE)
    for day in ("2026-11-20", "2026-11-20", "2026-11-21"):
        told = llm.invoke([SystemMessage(f"{RULES} Today is {day}."), HumanMessage("Why?")])
    facts = told.response_metadata["tuppence"]["prefix"]
    assert (
        facts.startswith(f"{CLAUDE}: cache system for 5m: saves $")
        and "move the date after the last breakpoint" in facts
    )
    assert "2026" not in facts


def test_a_provider_that_refuses_the_marks_is_asked_without_them(server: ProviderServer) -> None:
    """The call succeeds, the refusal is on record, and later calls are sent unmarked at once."""

    def strict(request: dict[str, Any]) -> Turn | Fault:
        if "cache_control" in json.dumps(request):
            return Fault(status=400, message="cache_control: Extra inputs are not permitted")
        return Turn("Yes.")

    server.model(CLAUDE, replies=strict)
    planner = PrefixPlanner()
    llm = model(server, CLAUDE, planner)
    with spend() as spent:
        texts = [llm.invoke(conversation(0)).text for _ in range(5)]
    assert texts == ["Yes."] * 5
    assert [a.outcome for a in spent.attempts] == ["accepted", "accepted", "failed", "accepted", "accepted", "accepted"]


def test_a_model_travels_with_its_option_and_plans_anew(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one process has seen says nothing of another; a copy goes on with the planner that it was given."""
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    planner = PrefixPlanner()
    llm = model(server, GPT, planner)
    assert llm.model_copy().policy.prefix is planner
    revived = pickle.loads(pickle.dumps(llm))
    assert isinstance(revived.policy.prefix, PrefixPlanner) and revived.policy.prefix is not planner
