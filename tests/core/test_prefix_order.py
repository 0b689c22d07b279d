"""One order of tools: equal sets of tools are equal bytes, and no tool is ever another one."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.cache.prefix import PrefixPlanner, ToolOrder
from tuppence.prices import PriceBook
from tuppence.request import Message, Request
from tuppence.tiers import Tier

Json = dict[str, Any]
GPT = Tier("large", model="gpt-4o", provider="openai", rate=PriceBook.default().rate("gpt-4o"))
RULES = "Be short and never guess. " * 400


def schema(*properties: str) -> Json:
    return {"type": "object", "properties": {name: {"type": "string"} for name in properties}}


def chat(name: str, *properties: str) -> Json:
    return {"type": "function", "function": {"name": name, "parameters": schema(*properties)}}


def claude(name: str, *properties: str) -> Json:
    return {"name": name, "input_schema": schema(*properties)}


def response(name: str, *properties: str) -> Json:
    return {"type": "function", "name": name, "parameters": schema(*properties)}


def other_keys(value: Any) -> Any:
    """Turn round the order of all keys in a JSON value."""
    if isinstance(value, dict):
        return {name: other_keys(value[name]) for name in reversed(value)}
    return [other_keys(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("form", [chat, claude, response])
def test_tools_stand_in_the_order_of_their_names(form: Any) -> None:
    """In every provider's form; what a provider runs itself stands by its type. The objects are the caller's own."""
    tide, ask, search = form("tide"), form("ask"), {"type": "search"}
    for given_order in ([tide, ask, search], [search, tide, ask], [ask, search, tide]):
        found = ToolOrder()(given_order)
        assert found[0] is ask and found[1] is search and found[2] is tide


def test_properties_keep_the_order_that_they_came_in() -> None:
    """A model fills them in one after the other: reasons before the answer are not the answer before its reasons."""
    tool = chat("judge", "reasons", "answer")
    assert ToolOrder()([tool]) == [tool]
    assert list(ToolOrder()([tool])[0]["function"]["parameters"]["properties"]) == ["reasons", "answer"]


def test_a_tool_whose_keys_are_shuffled_is_sent_as_it_was_first_seen() -> None:
    """The same tool to its last value; another order in another process is that process's own."""
    order, tool = ToolOrder(), chat("judge", "reasons", "answer")
    first = json.dumps(order([tool]))
    assert json.dumps(order([other_keys(tool)])) == first != json.dumps(ToolOrder()([other_keys(tool)]))


def test_what_was_first_seen_does_not_change_with_the_callers_object() -> None:
    """Who goes on building his tool has another one from then on."""
    order, tool = ToolOrder(), chat("judge", "reasons", "answer")
    before = copy.deepcopy(tool)
    order([tool])
    tool["function"]["description"] = "Judge."
    assert order([other_keys(before)]) == [before]
    assert order([tool]) == [tool]


@pytest.mark.parametrize(
    "tools",
    [
        [claude("tide"), {**claude("ask"), "cache_control": {"type": "ephemeral"}}],
        [chat("tide"), {**chat("ask"), "handler": print}],
        [chat("tide"), print],
        [],
    ],
    ids=["the caller's own cache point", "no JSON", "no mapping", "none"],
)
def test_what_is_not_ours_to_move_stays(tools: list[Any]) -> None:
    """A cache point covers what stands before it; of what is no JSON nobody can say what it sends."""
    assert ToolOrder()(tools) == tools


def test_memory_is_bounded() -> None:
    """The tool that was sent least lately is forgotten, and is then seen for the first time."""
    order = ToolOrder(max_tools=2)
    for name in ("a", "b", "c"):
        order([chat(name, "x", "y")])
    assert len(order._first) == len(order._digests) == 2
    assert list(order([other_keys(chat("a", "x", "y"))])[0]) == ["function", "type"]
    assert list(order([other_keys(chat("c", "x", "y"))])[0]) == ["type", "function"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
tools = st.lists(st.dictionaries(st.sampled_from(["name", "type", "parameters", "function"]), values), max_size=4)


@given(tools, st.randoms(use_true_random=False))
def test_any_shuffle_of_the_same_tools_is_the_same_bytes(given_tools: list[Json], random: Any) -> None:
    """And they are the tools that were given, no more and no fewer: 1 is not true, and "1" is not 1."""
    order = ToolOrder()
    first = order(given_tools)
    shuffled = [other_keys(tool) for tool in random.sample(given_tools, len(given_tools))]
    assert json.dumps(order(shuffled)) == json.dumps(first)
    exact = sorted(json.dumps(tool, sort_keys=True) for tool in given_tools)
    assert sorted(json.dumps(tool, sort_keys=True) for tool in first) == exact


def test_calls_that_differ_in_the_order_of_tools_share_their_prefix() -> None:
    """To the planner they are one kind of traffic, under one key, and nothing has drifted."""
    planner = PrefixPlanner()
    one, other = chat("tide", "place", "day"), chat("ask", "whom")
    said = (Message("system", RULES), Message("user", "Why?"))
    plans = [
        planner.plan(Request(said, tools=given_tools), GPT)
        for given_tools in ((one, other), (other, one), (other_keys(one), other))
    ]
    assert len({planned.plan.params["prompt_cache_key"] for planned in plans}) == 1
    assert [planned.drift for planned in plans] == [None] * 3
    assert "50%" not in plans[0].plan.reason and "50%" in plans[2].plan.reason
