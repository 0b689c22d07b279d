"""Plans on their way to a provider: the real SDKs before a server that keeps prefixes as the providers document it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from inspect import signature
from itertools import pairwise
from typing import Any

import anthropic
import openai
import pytest

from tuppence.clients import result_of
from tuppence.clients.tiers import ClientTier
from tuppence.context import tags
from tuppence.request import NO_EDITS, Drop, Edits, Insert, Mark, Replace, Request
from tuppence.testing import Fault, ProviderServer, Turn, tokens_of
from tuppence.testing.prefix_cache import PrefixCache

from .told import Wrapped

RULES = "Be short and never guess. " * 300
LOOK: Any = {"name": "look", "description": "Look. " * 800, "input_schema": {"type": "object"}}
PRICES = {
    name: {"input": "10", "output": "20", "cache_read": "1", "cache_write_5m": "12.5", "cache_write_1h": "20"}
    for name in ("claude-opus-5", "gpt-4o", "gpt-6-sol")
}


@dataclass(frozen=True, slots=True)
class Edited(ClientTier):
    """A tier whose requests get these edits."""

    given: Edits = NO_EDITS

    def edits(self, _request: Request) -> Edits:
        return self.given


class Clock:
    """Time that a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def edited(wrapped: Wrapped, client: Any, edits: Edits, model: str) -> Any:
    tier = Edited(model, model=model, given=edits)
    return wrapped(client, tiers=[tier], prices=PRICES)


def ask_claude(client: Any, *, system: Any = RULES, messages: Any = None, **options: Any) -> Any:
    asked = messages or [{"role": "user", "content": "Why?"}]
    return client.messages.create(model="auto", max_tokens=100, system=system, messages=asked, **options)


def ask_gpt(client: Any, messages: Any = None, **options: Any) -> Any:
    asked = messages or [{"role": "system", "content": RULES}, {"role": "user", "content": "Why?"}]
    return client.chat.completions.create(model="auto", messages=asked, **options)


def sent(server: ProviderServer) -> dict[str, Any]:
    return dict(server.served[-1].request)


# -- Anthropic


def test_marks_become_cache_points(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """On the last tool, the instructions and the last block of a turn; the longer lifetime is spelt."""
    edits = Edits(marks=(Mark("tools", "1h"), Mark(0, "1h"), Mark(1, "5m")))
    turns = [{"role": "user", "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]}]
    ask_claude(edited(wrapped, anthropic_client, edits, "claude-opus-5"), tools=[LOOK], messages=turns)
    body = sent(server)
    hour = {"type": "ephemeral", "ttl": "1h"}
    assert body["tools"][-1]["cache_control"] == hour
    assert body["system"] == [{"type": "text", "text": RULES, "cache_control": hour}]
    assert "cache_control" not in body["messages"][0]["content"][0]
    assert body["messages"][0]["content"][1]["cache_control"] == {"type": "ephemeral"}


def test_the_callers_own_objects_stay_as_they_were(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """Tools, blocks and messages are copied before they are marked."""
    tools = [dict(LOOK)]
    turns = [{"role": "user", "content": [{"type": "text", "text": "One."}]}]
    before = json.dumps([tools, turns])
    edits = Edits(marks=(Mark("tools", "5m"), Mark(1, "5m")))
    ask_claude(edited(wrapped, anthropic_client, edits, "claude-opus-5"), tools=tools, messages=turns)
    assert json.dumps([tools, turns]) == before and "cache_control" in json.dumps(sent(server))


def test_who_marks_himself_keeps_his_marks_alone(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """Four are all that the API takes."""
    system = [{"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}}]
    client = edited(wrapped, anthropic_client, Edits(marks=(Mark("tools", "1h"),)), "claude-opus-5")
    ask_claude(client, system=system, tools=[LOOK])
    assert sent(server)["system"] == system and sent(server)["tools"] == [LOOK]


def test_a_mark_goes_to_the_last_block_that_can_carry_it(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """Not to thinking; a tool that is loaded later has none either."""
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2NyaXB0ZWQ="}
    turns = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": [{"type": "text", "text": "So."}, thought]},
        {"role": "user", "content": "Oh?"},
    ]
    edits = Edits(marks=(Mark("tools", "5m"), Mark(2, "5m")))
    later = {**LOOK, "name": "later", "defer_loading": True}
    ask_claude(edited(wrapped, anthropic_client, edits, "claude-opus-5"), messages=turns, tools=[LOOK, later])
    body = sent(server)
    assert [("cache_control" in tool) for tool in body["tools"]] == [True, False]
    assert [("cache_control" in block) for block in body["messages"][1]["content"]] == [True, False]


def test_marks_stand_with_other_edits(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """Indices are those of the request: an insert moves no mark, a dropped message takes its own along."""
    turns = [{"role": r, "content": c} for r, c in (("user", "One."), ("assistant", "Yes."), ("user", "Two."))]
    changes = (Insert(1, "user", "Example."), Replace(2, "No."), Drop(1))
    edits = Edits(changes, {"temperature": 0}, (Mark(1, "5m"), Mark(2, "5m")))
    ask_claude(edited(wrapped, anthropic_client, edits, "claude-opus-5"), messages=turns)
    body = sent(server)
    assert body["temperature"] == 0
    assert body["messages"] == [
        {"role": "user", "content": "Example."},
        {"role": "assistant", "content": [{"type": "text", "text": "No.", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "Two."},
    ]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_conversation_is_read_from_the_cache_as_it_grows(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped, streamed: bool
) -> None:
    """Planned call by call: what one call wrote the next one reads, and the new question alone is billed as input."""
    server.model("claude-opus-5", replies=PrefixCache(minimum_tokens=512).messages)
    client = wrapped(anthropic_client, tiers=["claude-opus-5"], prices=PRICES, prompt_cache=True)
    turns: list[Any] = [{"role": "user", "content": "Why?"}]
    usages = []
    for _ in range(9):
        answer = ask_claude(client, messages=list(turns), stream=streamed)
        if streamed:
            list(answer)
        usages.append(result_of(answer).attempts[-1].usage)
        turns += [{"role": "assistant", "content": "Yes. " * 90}, {"role": "user", "content": "And then? " * 90}]
    assert (usages[0].cache_read, usages[0].cache_write_5m) == (0, 0)
    assert usages[2].cache_write_5m >= len(tokens_of(RULES))
    for before, after in pairwise(usages[6:]):
        assert before.cache_write_5m > 0
        assert after.cache_read == before.cache_read + before.cache_write_5m
        assert after.input < 2 * len(tokens_of("And then? " * 90))


async def test_async_clients_send_the_same_marks(
    server: ProviderServer, async_anthropic: anthropic.AsyncAnthropic, wrapped: Wrapped
) -> None:
    """The seam is one for both."""
    client = edited(wrapped, async_anthropic, Edits(marks=(Mark(0, "5m"),)), "claude-opus-5")
    await ask_claude(client)
    assert sent(server)["system"][0]["cache_control"] == {"type": "ephemeral"}


def test_each_block_of_the_instructions_has_a_place_of_its_own(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """A mark on an empty one goes to the block before; the turns are counted from behind them."""
    system = [{"type": "text", "text": text} for text in (RULES, "", "Documents.")]
    client = edited(wrapped, anthropic_client, Edits(marks=(Mark(1, "1h"), Mark(3, "5m"))), "claude-opus-5")
    ask_claude(client, system=system)
    body = sent(server)
    assert [block.get("cache_control") for block in body["system"]] == [{"type": "ephemeral", "ttl": "1h"}, None, None]
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert [block["text"] for block in body["system"]] == [RULES, "", "Documents."]


def test_instructions_in_blocks_take_other_edits_like_a_text(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """Each block is a message to edit; those that nobody edits stay as they were."""
    first, second = {"type": "text", "text": RULES}, {"type": "text", "text": "Documents."}
    edits = Edits((Replace(1, "Other documents."), Insert(2, "system", "Think.")))
    ask_claude(edited(wrapped, anthropic_client, edits, "claude-opus-5"), system=[first, second])
    told = [first, {"type": "text", "text": "Other documents."}, {"type": "text", "text": "Think."}]
    assert sent(server)["system"] == told and len(sent(server)["messages"]) == 1


@pytest.mark.parametrize("streamed", [False, True])
def test_documents_that_change_leave_the_instructions_before_them_warm(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped, streamed: bool
) -> None:
    """In a block of the instructions of their own: the breakpoint stands before it."""
    server.model("claude-opus-5", replies=PrefixCache(minimum_tokens=512).messages)
    client = wrapped(anthropic_client, tiers=["claude-opus-5"], prices=PRICES, prompt_cache=True)
    usages = []
    for n in range(6):
        system = [{"type": "text", "text": text} for text in (RULES, f"Document {n}. " * 300)]
        answer = ask_claude(client, system=system, stream=streamed)
        if streamed:
            list(answer)
        usages.append(result_of(answer).attempts[-1].usage)
    assert (usages[-1].cache_read, usages[-1].cache_write_5m) == (len(tokens_of(RULES)), 0)


# -- tools in one order


def shuffled(tools: list[Any]) -> list[Any]:
    """Turn round the order of the tools, and of the keys in them and their schemas."""
    return [
        {
            name: dict(reversed(value.items())) if isinstance(value, dict) else value
            for name, value in reversed(tool.items())
        }
        for tool in reversed(tools)
    ]


def tool_schema() -> Any:
    return {"type": "object", "properties": {"why": {"type": "string"}, "what": {"type": "string"}}}


@pytest.mark.parametrize("streamed", [False, True])
def test_claude_is_sent_equal_tools_as_equal_bytes(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped, streamed: bool
) -> None:
    """However they come; without the option they are sent as they came."""
    tools = [{"name": name, "description": name, "input_schema": tool_schema()} for name in ("tide", "ask")]
    client = wrapped(anthropic_client, tiers=["claude-opus-5"], prices=PRICES, prompt_cache=True)
    for given in (tools, shuffled(tools)):
        answer = ask_claude(client, tools=given, stream=streamed)
        if streamed:
            list(answer)
    assert json.dumps(server.served[0].request["tools"]) == json.dumps(tools[::-1])
    assert json.dumps(server.served[1].request["tools"]) == json.dumps(tools[::-1])
    ask_claude(wrapped(anthropic_client, tiers=["claude-opus-5"], prices=PRICES), tools=tools)
    assert sent(server)["tools"] == tools


async def test_gpt_is_sent_equal_tools_as_equal_bytes(
    server: ProviderServer, async_openai: openai.AsyncOpenAI, wrapped: Wrapped
) -> None:
    """In chat completions and in responses, where a tool has another form; what was said stays as it is."""
    client = wrapped(async_openai, tiers=["gpt-4o"], prices=PRICES, prompt_cache=True)
    flat: list[Any] = [{"type": "function", "name": name, "parameters": tool_schema()} for name in ("tide", "ask")]
    nested: list[Any] = [
        {"type": "function", "function": {"name": tool["name"], "parameters": tool_schema()}} for tool in flat
    ]
    call = {"type": "function_call", "call_id": "1", "name": "tide", "arguments": '{"what": 1, "why": 2}'}
    output = {"type": "function_call_output", "call_id": "1", "output": '{"b": 1, "a": 2}'}
    said: list[Any] = [{"role": "user", "content": "Why?"}]
    for given in (flat, shuffled(flat)):
        await client.responses.create(model="auto", input=[*said, call, output], tools=given)
    for given in (nested, shuffled(nested)):
        await client.chat.completions.create(model="auto", messages=said, tools=given)
    bodies = [one.request for one in server.served]
    assert [json.dumps(body["tools"]) for body in bodies[:2]] == [json.dumps(flat[::-1])] * 2
    assert [json.dumps(body["tools"]) for body in bodies[2:]] == [json.dumps(nested[::-1])] * 2
    assert [body["input"][1:] for body in bodies[:2]] == [[call, output]] * 2


def test_a_provider_that_refuses_marks_is_still_sent_tools_in_order(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """An order is nothing that it could refuse."""

    def strict(request: dict[str, Any]) -> Turn | Fault:
        marked = "cache_control" in json.dumps(request)
        return Fault(status=400, message="cache_control: not permitted") if marked else Turn("Yes.")

    server.model("claude-opus-5", replies=strict)
    client = wrapped(anthropic_client, tiers=["claude-opus-5"], prices=PRICES, prompt_cache=True)
    tools = [{**LOOK, "name": name} for name in ("tide", "ask")]
    for n in range(5):
        ask_claude(client, tools=shuffled(tools) if n % 2 else tools)
    assert len(server.served) == 6
    assert {tuple(tool["name"] for tool in one.request["tools"]) for one in server.served} == {("ask", "tide")}


@pytest.mark.parametrize("mode", ["observe", "off"])
def test_tools_stay_as_they_are_where_nothing_is_to_be_changed(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped, mode: str
) -> None:
    """A policy that only watches sends what it was given."""
    client = wrapped(openai_client, tiers=["gpt-4o"], prices=PRICES, prompt_cache=True, mode=mode)
    tools: Any = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("tide", "ask")]
    ask_gpt(client, tools=tools)
    assert sent(server)["tools"] == tools


def test_a_mark_stands_behind_the_last_tool_in_order(
    server: ProviderServer, anthropic_client: anthropic.Anthropic, wrapped: Wrapped
) -> None:
    """Planned call by call, calls with the tools in any order read what the others wrote."""
    server.model("claude-opus-5", replies=PrefixCache(minimum_tokens=512).messages)
    client = wrapped(anthropic_client, tiers=["claude-opus-5"], prices=PRICES, prompt_cache=True)
    tools = [LOOK, {**LOOK, "name": "ask"}]
    usages = []
    for n in range(6):
        answer = ask_claude(client, tools=shuffled(tools) if n % 2 else tools)
        usages.append(result_of(answer).attempts[-1].usage)
    assert usages[-1].cache_read == usages[-2].cache_read > len(tokens_of(RULES))
    assert usages[-1].cache_write_5m == 0


# -- OpenAI


def test_marks_become_breakpoints_and_nothing_else_is_written(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """With a mark of ours the provider writes no more than that."""
    server.model("gpt-6-sol", replies=PrefixCache(minimum_tokens=1024).chat_with_breakpoints)
    client = edited(wrapped, openai_client, Edits({}, {}, (Mark(0, "30m"),)), "gpt-6-sol")
    usages = [result_of(ask_gpt(client)).attempts[-1].usage for _ in range(2)]
    body = sent(server)
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": RULES, "prompt_cache_breakpoint": {"mode": "explicit"}}
    ]
    assert body["prompt_cache_options"] == {"mode": "explicit"} and body["messages"][1]["content"] == "Why?"
    size = len(tokens_of(RULES))
    assert [(u.cache_read, u.cache_write_5m) for u in usages] == [(0, size), (size, 0)]


def test_what_cannot_carry_a_breakpoint_is_sent_as_it_was(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """Tools have no such field."""
    tools: Any = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    edits = Edits(marks=(Mark("tools", "30m"), Mark(7, "30m")))
    ask_gpt(edited(wrapped, openai_client, edits, "gpt-6-sol"), tools=tools)
    assert "prompt_cache_options" not in sent(server) and sent(server)["tools"] == tools


def test_a_callers_own_options_stay(server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped) -> None:
    """Who marks a request gets none of our marks."""
    if "prompt_cache_options" not in signature(openai_client.chat.completions.create).parameters:
        pytest.skip("this version of the SDK knows no breakpoints")
    own = edited(wrapped, openai_client, Edits(marks=(Mark(0, "30m"),)), "gpt-6-sol")
    ask_gpt(own, prompt_cache_options={"mode": "implicit"})
    assert sent(server)["prompt_cache_options"] == {"mode": "implicit"}
    assert sent(server)["messages"][0]["content"] == RULES


def test_a_key_keeps_a_tenants_prefix_together(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """The second question of a tenant reads the prefix in steps of 128 tokens; another tenant's does not."""
    server.model("gpt-4o", replies=PrefixCache(minimum_tokens=1024).chat)
    read = []
    client = wrapped(openai_client, tiers=["gpt-4o"], prices=PRICES, prompt_cache=True)
    for tenant in ("a", "a", "b"):
        with tags(tenant=tenant):
            read.append(result_of(ask_gpt(client)).attempts[-1].usage.cache_read)
    assert read == [0, len(tokens_of(RULES)) // 128 * 128, 0]


def test_responses_carry_breakpoints_on_their_items(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """Not on the instructions, which have no place for one, nor on what the model said itself."""
    edits = Edits(marks=(Mark(0, "30m"), Mark(1, "30m"), Mark(2, "30m")))
    client = edited(wrapped, openai_client, edits, "gpt-6-sol")
    said: Any = [{"role": r, "content": c} for r, c in (("user", "One."), ("assistant", "Yes."), ("user", "Two."))]
    client.responses.create(model="auto", instructions=RULES, input=said)
    body = sent(server)
    marked = {"type": "input_text", "text": "One.", "prompt_cache_breakpoint": {"mode": "explicit"}}
    assert body["instructions"] == RULES and body["prompt_cache_options"] == {"mode": "explicit"}
    assert [item["content"] for item in body["input"]] == [[marked], "Yes.", "Two."]
    own = edited(wrapped, openai_client, Edits(marks=(Mark(0, "30m"),)), "gpt-6-sol")
    own.responses.create(model="auto", instructions=RULES, input="Why?")
    assert sent(server)["input"] == "Why?" and "prompt_cache_options" not in sent(server)


# -- the scripted cache itself


def test_entries_live_as_long_as_they_were_written_for() -> None:
    """Five minutes from their last use; an hour for those that say so; nothing below the minimum."""
    clock = Clock()
    cache = PrefixCache(minimum_tokens=100, clock=clock)

    def read(ttl: str, text: str) -> int:
        control = {"type": "ephemeral", "ttl": ttl}
        block = {"type": "text", "text": text, "cache_control": control}
        turn = cache.messages({"model": "m", "system": [block], "messages": [{"role": "user", "content": "Why?"}]})
        assert isinstance(turn, Turn)
        return turn.cached_tokens

    long, hour = "rule" * 200, "law." * 200
    assert [read("5m", long), read("1h", hour), read("5m", "short")] == [0, 0, 0]
    clock.now = 290
    assert read("5m", long) == len(tokens_of(long))
    clock.now = 580
    assert [read("5m", long), read("5m", "short")] == [len(tokens_of(long)), 0]
    clock.now = 890
    assert [read("5m", long), read("1h", hour)] == [0, len(tokens_of(hour))]


def test_too_many_marks_and_a_wrong_order_are_refused(
    server: ProviderServer, anthropic_client: anthropic.Anthropic
) -> None:
    """As the API does, with 400."""
    server.model("claude-opus-5", replies=PrefixCache().messages)

    def ask(*lifetimes: str) -> None:
        blocks: Any = [
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": ttl}} for ttl in lifetimes
        ]
        anthropic_client.with_options(max_retries=0).messages.create(
            model="claude-opus-5", max_tokens=9, messages=[{"role": "user", "content": blocks}]
        )

    ask("1h", "1h", "5m", "5m")
    with pytest.raises(anthropic.BadRequestError, match="maximum of 4"):
        ask(*["5m"] * 5)
    with pytest.raises(anthropic.BadRequestError, match="must not come after"):
        ask("5m", "1h")
