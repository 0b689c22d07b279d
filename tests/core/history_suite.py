"""Conversations as programs have them with OpenAI's and Anthropic's SDKs, made up by hypothesis, and what providers
demand of them: the SDKs' own types, and the rules that types cannot say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from tuppence.clients.anthropic_messages import Messages
from tuppence.clients.openai_chat import ChatCompletions
from tuppence.prices import token_rate
from tuppence.prune.history import PromptPrice

Json = dict[str, Any]

# w/r over the input price: Anthropic's five-minute cache, OpenAI's, a half-price cache, and none.
MARKED = PromptPrice(
    token_rate(input="3", output="15", cache_read="0.3", cache_write_5m="3.75"), writes="cache_write_5m"
)
AUTOMATIC = PromptPrice(token_rate(input="3", output="15", cache_read="0.3"))
HALF = PromptPrice(token_rate(input="3", output="15", cache_read="1.5"))
NO_CACHE = PromptPrice(token_rate(input="3", output="15"), caches=False)
PRICES = [MARKED, AUTOMATIC, HALF, NO_CACHE]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WORDS = st.lists(
    st.sampled_from(["order", "W2417", "please", "Anna", "Berg", "42.10", "refund", "the", "shoe", "2024-05-01", "ü"]),
    min_size=1, max_size=12,
).map(" ".join)  # fmt: skip
RECORD = st.fixed_dictionaries(
    {"id": st.integers(1000, 1020).map("W{}".format), "price": st.integers(1, 400), "name": WORDS}
)
RESULTS = st.one_of(
    st.lists(RECORD, min_size=2, max_size=9).map(lambda rows: json.dumps(rows, indent=1)),
    RECORD.map(json.dumps),
    st.lists(RECORD, min_size=4, max_size=6).map(lambda rows: json.dumps({"results": rows, "total": len(rows)})),
    st.lists(WORDS, max_size=6).map("\n".join),
    st.sampled_from(["", "Error: no such order", "[]", "{", "NaN"]),
)
CALLS = st.lists(
    st.tuples(st.sampled_from(["find_orders", "get_order"]), st.sampled_from(["W1001", "W1007"]), RESULTS),
    min_size=1, max_size=3,
)  # fmt: skip
TURNS = st.lists(
    st.fixed_dictionaries(
        {
            "text": WORDS, "image": st.booleans(), "thinking": st.booleans(), "steps": st.lists(CALLS, max_size=3),
            "answer": WORDS,
        }
    ),
    min_size=1, max_size=5,
)  # fmt: skip
SYSTEM = st.sampled_from(["", "You are a shop's assistant.\n\n  Be brief.  "])


def openai_messages(system: str, turns: Sequence[Mapping[str, Any]]) -> list[Json]:
    """Write a conversation as chat completions take it."""
    messages: list[Json] = [{"role": "system", "content": system}] if system else []
    for number, turn in enumerate(turns):
        messages.append({"role": "user", "content": _with_image(turn, "openai")})
        for step, calls in enumerate(turn["steps"]):
            # The same id in every turn: providers only look at the calls directly before a result.
            ids = [f"call_{step}_{place}" for place in range(len(calls))]
            asked = [
                {"id": call, "type": "function", "function": {"name": name, "arguments": json.dumps({"id": about})}}
                for call, (name, about, _) in zip(ids, calls, strict=True)
            ]
            messages.append({"role": "assistant", "content": None, "tool_calls": asked})
            messages += [
                {"role": "tool", "tool_call_id": call, "content": text}
                for call, (_, _, text) in zip(ids, calls, strict=True)
            ]
        if number < len(turns) - 1 or turn["image"]:
            messages.append({"role": "assistant", "content": turn["answer"]})
    return messages


def anthropic_messages(turns: Sequence[Mapping[str, Any]]) -> list[Json]:
    """Write a conversation as Anthropic's messages take it, with thinking and parallel results in one turn."""
    messages: list[Json] = []
    for number, turn in enumerate(turns):
        messages.append({"role": "user", "content": _with_image(turn, "anthropic")})
        for step, calls in enumerate(turn["steps"]):
            ids = [f"toolu_{step}_{place}" for place in range(len(calls))]
            asked = [
                {"type": "tool_use", "id": call, "name": name, "input": {"id": about}}
                for call, (name, about, _) in zip(ids, calls, strict=True)
            ]
            messages.append({"role": "assistant", "content": _thoughts(turn) + asked})
            told = [
                {"type": "tool_result", "tool_use_id": call, "content": text}
                for call, (_, _, text) in zip(ids, calls, strict=True)
            ]
            messages.append({"role": "user", "content": told})
        if number < len(turns) - 1 or turn["image"]:
            messages.append({"role": "assistant", "content": [*_thoughts(turn), {"type": "text", "text": "Done."}]})
    return messages


def _thoughts(turn: Mapping[str, Any]) -> list[Json]:
    return [{"type": "thinking", "thinking": "They want " + turn["text"], "signature": "c2ln"}] * turn["thinking"]


def _with_image(turn: Mapping[str, Any], api: str) -> Any:
    text = {"type": "text", "text": turn["text"]}
    if not turn["image"]:
        return turn["text"]
    if api == "openai":
        return [text, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    return [{"type": "image", "source": source}, text]


def calls_of(messages: Sequence[Json]) -> Iterator[int]:
    """Yield how many messages each call's prompt has: everything before each answer, and all of it."""
    yield from (index for index, one in enumerate(messages) if one["role"] == "assistant" and index)
    yield len(messages)


def assert_openai_takes(messages: Sequence[Json]) -> None:
    """Check what OpenAI refuses: a call without its results directly behind it, a result without its call."""
    open_ids: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] in open_ids, "a result answers no call directly before it"
            open_ids.remove(message["tool_call_id"])
            continue
        assert not open_ids, f"calls without a result: {open_ids}"
        open_ids = [call["id"] for call in message.get("tool_calls") or ()]
    assert not open_ids, f"calls without a result: {open_ids}"


def assert_anthropic_takes(messages: Sequence[Json]) -> None:
    """Check what Anthropic refuses, and that roles take turns."""
    roles = [message["role"] for message in messages]
    assert roles[0] == "user"
    assert all(a != b for a, b in pairwise(roles)), roles
    open_ids: list[str] = []
    for message in messages:
        blocks = message["content"] if isinstance(message["content"], list) else []
        told = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert [block["type"] for block in blocks[: len(told)]] == ["tool_result"] * len(told), "results come first"
        assert sorted(told) == sorted(open_ids), "every call is answered in the next turn, and nothing else is"
        open_ids = [block["id"] for block in blocks if block["type"] == "tool_use"]


OPENAI, ANTHROPIC = ChatCompletions(), Messages()
