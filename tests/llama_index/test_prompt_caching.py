"""Prompt caching through LlamaIndex's own classes: what the provider is sent, what it reads, and what that costs."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    CacheControl,
    CachePoint,
    ChatMessage,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llm_suite import TOOLS, sent, user

from llama_index_tuppence import TuppenceLLM, spend, tier
from llama_index_tuppence.prefix_marks import takes_marks
from tuppence.cache.prefix import Planned, PrefixPlan, PrefixPlanner
from tuppence.prices import token_rate
from tuppence.request import Mark, Request
from tuppence.testing import ProviderServer, tokens_of
from tuppence.testing.prefix_cache import PrefixCache
from tuppence.tiers import Additions, Tier
from tuppence.usage import Usage, read_usage

RATE = token_rate(input="10", output="20", cache_read="1", cache_write_5m="12.5", cache_write_1h="20")
RULES = "Be short and never guess. " * 400
CLAUDE, GPT, GPT_NOW = "claude-sonnet-4-5", "gpt-4o", "gpt-6-sol"
POINT = {"type": "ephemeral", "ttl": "5m"}
BREAKPOINT = {"mode": "explicit"}


class Marks(PrefixPlanner):
    """A planner that always says the same."""

    def __init__(self, *marks: Mark, **params: Any) -> None:
        super().__init__()
        self._says = PrefixPlan("as the test says", marks, params)

    def plan(self, request: Request, tier: Tier, **_: Any) -> Planned:
        return Planned(self._says)


def facade(llm: Any, planner: Any = True, **options: Any) -> TuppenceLLM:
    return TuppenceLLM([tier(llm, rate=RATE, **options)], ledger=None, prompt_cache=planner)


def say(role: MessageRole, *blocks: Any, **extra: Any) -> ChatMessage:
    made = [TextBlock(text=block) if isinstance(block, str) else block for block in blocks]
    return ChatMessage(role=role, blocks=made, additional_kwargs=extra)


def conversation(turns: int) -> list[ChatMessage]:
    said = [say(MessageRole.SYSTEM, RULES)]
    for _ in range(turns):
        said += [user("Why? " * 200), say(MessageRole.ASSISTANT, "Because. " * 200)]
    return [*said, user("And now?")]


def tool_turns(arguments: str | None = None) -> list[ChatMessage]:
    call = ToolCallBlock(tool_call_id="1", tool_name="weather", tool_kwargs=arguments or {"place": "Bergen"})
    answer = say(MessageRole.TOOL, "Rain.", tool_call_id="1")
    return [user("Why?"), say(MessageRole.ASSISTANT, call), answer, user("Sure?")]


def body(provider: ProviderServer) -> dict[str, Any]:
    return dict(provider.served[-1].request)


# -- Anthropic


def test_claude_is_sent_cache_points(make_claude: Any, provider: ProviderServer) -> None:
    """On the last tool and on the instructions, which LlamaIndex has no word for, and on a turn."""
    llm = facade(make_claude(CLAUDE), Marks(Mark("tools", "1h"), Mark(0, "1h"), Mark(2, "5m")))
    llm.chat_with_tools(TOOLS, chat_history=conversation(1))
    hour = {"type": "ephemeral", "ttl": "1h"}
    request = body(provider)
    assert [tool.get("cache_control") for tool in request["tools"]] == [None, hour]
    assert request["system"] == [{"type": "text", "text": RULES, "cache_control": hour}]
    assert [block.get("cache_control") for m in request["messages"] for block in m["content"]] == [None, POINT, None]


def test_a_point_survives_merged_turns_and_skips_what_carries_none(make_claude: Any, provider: ProviderServer) -> None:
    """LlamaIndex merges turns of one role; thinking carries no point, and a tool's result carries it itself."""
    thought = ThinkingBlock(content="Hm.", additional_information={"signature": "c2NyaXB0ZWQ="})
    said = [user("One."), user("Two."), say(MessageRole.ASSISTANT, "So.", thought), *tool_turns()]
    facade(make_claude(CLAUDE), Marks(Mark(1, "5m"), Mark(2, "5m"), Mark(5, "5m"))).chat(said)
    blocks = [block for message in body(provider)["messages"] for block in message["content"]]
    assert [block["type"] for block in blocks if "cache_control" in block] == ["text", "text", "tool_result"]
    assert [block["text"] for block in blocks if "cache_control" in block and "text" in block] == ["Two.", "So."]
    result = next(block for block in blocks if block["type"] == "tool_result")
    assert result["content"] == [{"type": "text", "text": "Rain."}]


def test_a_tiers_own_additions_move_no_mark(make_claude: Any, provider: ProviderServer) -> None:
    """Its examples stand before the turns; its instructions are kept with the others."""
    additions = Additions(system="Think.", examples=(("Hi", "Hello"),))
    llm = facade(make_claude(CLAUDE), Marks(Mark(0, "5m"), Mark(2, "5m")), additions=additions)
    llm.chat(conversation(1))
    request = body(provider)
    assert request["system"][0]["text"].endswith("Think.") and "cache_control" in request["system"][0]
    marked = [block["text"] for m in request["messages"] for block in m["content"] if "cache_control" in block]
    assert marked == ["Because. " * 200]


def test_who_marks_himself_keeps_his_marks_alone(make_claude: Any, provider: ProviderServer) -> None:
    """Four are all that the API takes."""
    own = CachePoint(cache_control=CacheControl(type="ephemeral", ttl="1h"))
    said = [say(MessageRole.SYSTEM, RULES), say(MessageRole.USER, "Why?", own), user("And?")]
    facade(make_claude(CLAUDE), Marks(Mark(0, "5m"))).chat(said)
    assert body(provider)["system"] == RULES
    assert json.dumps(body(provider)).count("cache_control") == 1


# -- OpenAI


def test_gpt_is_sent_breakpoints_and_writes_nothing_else(make: Any, provider: ProviderServer) -> None:
    """Which `ChatMessage` has no word for; the tier's own example before the turns moves none."""
    planner = Marks(Mark(0, "30m"), Mark(2, "30m"), prompt_cache_key="mine")
    llm = facade(make(GPT_NOW), planner, additions=Additions(examples=(("Hi", "Hello"),)))
    llm.chat(conversation(1))
    marked = [m["content"][-1] for m in sent(provider) if isinstance(m["content"], list)]
    assert [part["text"] for part in marked] == [RULES, "Because. " * 200]
    assert [part["prompt_cache_breakpoint"] for part in marked] == [BREAKPOINT] * 2
    assert body(provider)["prompt_cache_options"] == BREAKPOINT and body(provider)["prompt_cache_key"] == "mine"


def test_the_users_own_objects_stay_as_they_were(make: Any, make_claude: Any, provider: ProviderServer) -> None:
    """Messages are copied before they are marked."""
    said = conversation(1)
    before = [message.model_dump_json() for message in said]
    for llm in (make(GPT_NOW), make_claude(CLAUDE)):
        facade(llm, Marks(Mark(0, "5m"), Mark(2, "5m"))).chat(said)
        assert "cache_control" in json.dumps(body(provider)) or "breakpoint" in json.dumps(body(provider))
    assert [message.model_dump_json() for message in said] == before


def test_models_whose_own_settings_speak_of_the_cache_are_left_alone(make: Any, make_claude: Any) -> None:
    """Their user decides."""
    assert takes_marks(make(GPT)) and takes_marks(make_claude(CLAUDE))
    assert not takes_marks(make(GPT, additional_kwargs={"prompt_cache_key": "mine"}))
    assert not takes_marks(make_claude(CLAUDE, cache_idx=0))


# -- OpenAI's Responses API


@pytest.fixture
def make_responses(provider: ProviderServer, connections: dict[str, Any]) -> Any:
    """Make a model that speaks it."""
    package = pytest.importorskip("llama_index.llms.openai")

    def model(name: str, **options: Any) -> Any:
        return package.OpenAIResponses(name, api_base=provider.base_url, api_key="test", **connections, **options)

    return model


def items(provider: ProviderServer) -> list[tuple[str, bool]]:
    """Name what was sent, item by item, and say whether it carries a breakpoint."""
    return [
        (item.get("role") or item["type"], "prompt_cache_breakpoint" in json.dumps(item))
        for item in body(provider)["input"]
    ]


@pytest.mark.parametrize("instructions", [None, "Be kind."])
def test_responses_are_sent_breakpoints_on_what_was_said_to_the_model(
    make_responses: Any, provider: ProviderServer, instructions: str | None
) -> None:
    """One message there may be several items, and a model's words and a tool's carry none: the one before does."""
    turns = tool_turns('{"place": "Bergen"}')
    said = [say(MessageRole.SYSTEM, RULES), *turns, say(MessageRole.ASSISTANT, "Yes."), user("Really?")]
    planner = Marks(Mark(0, "30m"), Mark(3, "30m"), Mark(5, "30m"), prompt_cache_key="mine")
    options = {} if instructions is None else {"instructions": instructions}
    additions = Additions(examples=(("Hi", "Hello"), ("Bye", "So long")))
    facade(make_responses(GPT, **options), planner, additions=additions).chat(said)
    assert provider.served[-1].api == "responses"
    assert items(provider) == [
        ("developer", True), ("user", False), ("assistant", False), ("user", False), ("assistant", False),
        ("user", True), ("function_call", False), ("function_call_output", False), ("user", True),
        ("assistant", False), ("user", False),
    ]  # fmt: skip
    assert body(provider)["prompt_cache_options"] == BREAKPOINT and body(provider)["prompt_cache_key"] == "mine"


async def test_responses_are_marked_alike_sync_async_and_streamed(
    make_responses: Any, provider: ProviderServer
) -> None:
    """A model that caches by itself gets the key alone."""
    for planner in (Marks(Mark(0, "30m")), True):
        llm = facade(make_responses(GPT), planner)
        llm.chat(conversation(1))
        list(llm.stream_chat(conversation(1)))
        await llm.achat(conversation(1))
        [_ async for _ in await llm.astream_chat(conversation(1))]
    marked, keyed = ([one.request for one in provider.served[at : at + 4]] for at in (0, 4))
    assert all("prompt_cache_breakpoint" in json.dumps(request["input"][0]) for request in marked)
    assert len({request["prompt_cache_key"] for request in keyed}) == 1
    assert all("prompt_cache_options" not in request and request["input"][0]["content"] == RULES for request in keyed)


def test_responses_whose_own_settings_speak_of_the_cache_are_left_alone(make_responses: Any) -> None:
    """Their user decides."""
    assert takes_marks(make_responses(GPT))
    assert not takes_marks(make_responses(GPT, additional_kwargs={"prompt_cache_key": "mine"}))


# -- tools in one order, and documents


async def test_gpts_tools_are_sent_in_one_order(make: Any, provider: ProviderServer) -> None:
    """However they are given, sync, async and streamed; without the option as they are given."""
    await check_order(make(GPT), provider)


async def test_claudes_tools_are_sent_in_one_order(make_claude: Any, provider: ProviderServer) -> None:
    """In the form in which Anthropic takes them."""
    await check_order(make_claude(CLAUDE), provider)


async def test_responses_tools_are_sent_in_one_order(make_responses: Any, provider: ProviderServer) -> None:
    """In the form of that API."""
    await check_order(make_responses(GPT), provider)


async def check_order(named: Any, provider: ProviderServer) -> None:
    llm = facade(named)
    llm.chat_with_tools(TOOLS, chat_history=[user("Why?")])
    await llm.achat_with_tools(TOOLS[::-1], chat_history=[user("Why?")])
    list(llm.stream_chat_with_tools(TOOLS, chat_history=[user("Why?")]))
    [_ async for _ in await llm.astream_chat_with_tools(TOOLS, chat_history=[user("Why?")])]
    assert len({json.dumps(one.request["tools"]) for one in provider.served}) == 1
    assert [tool_name(tool) for tool in body(provider)["tools"]] == ["tide", "weather"]
    facade(named, None).chat_with_tools(TOOLS, chat_history=[user("Why?")])
    assert [tool_name(tool) for tool in body(provider)["tools"]] == ["weather", "tide"]


def tool_name(tool: dict[str, Any]) -> str:
    return str((tool.get("function") or tool)["name"])


@pytest.mark.parametrize("role", [MessageRole.SYSTEM, MessageRole.USER])
@pytest.mark.parametrize(("name", "answer"), [(CLAUDE, "messages"), (GPT_NOW, "chat_with_breakpoints")])
def test_documents_that_change_leave_the_instructions_before_them_warm(
    request: pytest.FixtureRequest, provider: ProviderServer, name: str, answer: str, role: MessageRole
) -> None:
    """In a message of their own, which LlamaIndex joins with the instructions for Claude: they are cut apart there."""
    provider.model(name, replies=getattr(PrefixCache(minimum_tokens=1024), answer))
    llm = facade(request.getfixturevalue("make_claude" if name == CLAUDE else "make")(name))
    with spend() as spent:
        for n in range(6):
            llm.chat([say(MessageRole.SYSTEM, RULES), say(role, f"Document {n}. " * 300), user("Why?")])
    usages = [attempt.usage for attempt in spent.attempts]
    assert usages[-1].cache_read == usages[-2].cache_read == len(tokens_of(RULES))
    assert usages[-1].cache_write_5m == 0
    if name == CLAUDE and role == MessageRole.SYSTEM:
        told = "".join(block["text"] for block in body(provider)["system"])
        assert told == f"{RULES}\n{'Document 5. ' * 300}"


# -- what comes of it


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("name", "answer"), [(CLAUDE, "messages"), (GPT_NOW, "chat_with_breakpoints"), (GPT, "chat")])
def test_a_conversation_is_read_as_it_grows_and_billed_exactly(
    request: pytest.FixtureRequest, provider: ProviderServer, name: str, answer: str, streamed: bool
) -> None:
    """Planned call by call: what one call wrote the next one reads, and the bill is what the provider's log says."""
    provider.model(name, replies=getattr(PrefixCache(minimum_tokens=1024), answer))
    llm = facade(request.getfixturevalue("make_claude" if name == CLAUDE else "make")(name))
    with spend() as spent:
        for turns in range(8):
            if streamed:
                list(llm.stream_chat(conversation(turns)))
            else:
                llm.chat(conversation(turns))
    usages = [attempt.usage for attempt in spent.attempts]
    assert usages[0].cache_read == 0
    for before, after in pairwise(usages[-3:]):
        held = before.cache_read + before.cache_write_5m
        assert after.cache_read >= (held if name != GPT else held // 128 * 128) > 0
    assert after.cache_read > 0.6 * after.input_tokens
    assert {attempt.status for attempt in spent.attempts} == {"exact"}
    assert spent.pico_usd == sum(RATE.cost(read_usage(one.api, one.usage)) or 0 for one in provider.served)
    plain = sum(RATE.cost(Usage(input=u.input_tokens, output=u.output)) or 0 for u in usages)
    saved = sum(a.prefix.reads_saved_pico - a.prefix.writes_extra_pico for a in spent.attempts if a.prefix is not None)
    assert saved == plain - spent.pico_usd > 0


async def test_async_calls_and_streams_are_marked_alike(make: Any, make_claude: Any, provider: ProviderServer) -> None:
    """One seam for all."""
    for llm, marked in ((make_claude(CLAUDE), "cache_control"), (make(GPT_NOW), "prompt_cache_breakpoint")):
        model = facade(llm, Marks(Mark(0, "5m")))
        await model.achat(conversation(0))
        [_ async for _ in await model.astream_chat(conversation(0))]
        assert all(marked in json.dumps(one.request) for one in provider.served[-2:])


def test_nothing_is_sent_unless_asked_for(make: Any, provider: ProviderServer) -> None:
    """A model without the option sends its messages as they are."""
    facade(make(GPT), None).chat(conversation(0))
    assert not any(name.startswith("prompt_cache") for name in body(provider))


def test_openais_own_class_is_sent_a_key(provider: ProviderServer, connections: dict[str, Any]) -> None:
    """GPT-4o caches by itself; the key keeps a prefix's requests together."""
    package = pytest.importorskip("llama_index.llms.openai")
    llm = package.OpenAI(GPT, api_base=provider.base_url, api_key="test", **connections)
    provider.model(GPT, replies=PrefixCache(minimum_tokens=1024).chat)
    model = facade(llm)
    model.chat(conversation(0))
    told = model.chat(conversation(0))
    assert body(provider)["prompt_cache_key"].startswith("tuppence-")
    assert "caches by itself" in told.additional_kwargs["tuppence"]["prefix"]
