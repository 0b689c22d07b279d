"""Histories of every shape: whatever is cut, providers take what is left, and once-sent bytes change only where a plan
said that it pays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import pytest
from anthropic.types import MessageParam
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter

from tuppence.prune.history import (
    Clearing,
    Decisions,
    Emptying,
    HistoryPolicy,
    HistoryPruner,
    PromptPrice,
    PrunedHistory,
    Window,
)
from tuppence.request import Message, Request

from .history_suite import (
    ANTHROPIC,
    NO_CACHE,
    OPENAI,
    PRICES,
    SYSTEM,
    TURNS,
    Json,
    anthropic_messages,
    assert_anthropic_takes,
    assert_openai_takes,
    calls_of,
    openai_messages,
)

POLICIES = [
    HistoryPolicy(),
    HistoryPolicy(strategies=(Clearing(keep_turns=1),)),
    HistoryPolicy(strategies=(Window(keep_turns=1, relevant_turns=1, neighbours=0), Clearing(keep_turns=1))),
    HistoryPolicy(arrival=None, strategies=(Window(keep_turns=2, relevant_turns=0), Emptying(keep_results=1))),
]
policies = st.sampled_from(POLICIES)
prices = st.sampled_from([*PRICES, None])
further = st.sampled_from([None, 0, 3, 500])
Taker = Callable[[Sequence[Json]], None]


class Program:
    """A program that sends a growing conversation, call by call, in one of two SDKs' forms."""

    def __init__(self, api: Any, body: Json, policy: HistoryPolicy, price: PromptPrice | None) -> None:
        self.api, self.body, self.price = api, body, price
        self.policy = policy
        self.pruner = HistoryPruner(policy, price=price)
        self.at = 1_000_000.0

    def sends(self, size: int, expected: int | None) -> tuple[list[Json], PrunedHistory]:
        """Send the first `size` messages; return them as they go out, and what the pruner said."""
        body = {**self.body, "messages": self.body["messages"][:size]}
        pruned = self.pruner.prune(self.neutral(size), further_calls=expected, at=self.at)
        sent: Json = self.api.edited(body, pruned.edits)
        return list(sent["messages"]), pruned

    def neutral(self, size: int) -> tuple[Message, ...]:
        found: tuple[Message, ...] = self.api.parts({**self.body, "messages": self.body["messages"][:size]}).messages
        return found

    def restarts(self) -> None:
        """Lose everything but what was saved, as JSON."""
        decisions = Decisions()
        decisions.take(json.loads(json.dumps(self.pruner.decisions.told())))
        self.pruner = HistoryPruner(self.policy, price=self.price, decisions=decisions)


def openai_program(system: str, turns: Any, policy: HistoryPolicy, price: PromptPrice | None) -> Program:
    return Program(OPENAI, {"messages": openai_messages(system, turns)}, policy, price)


def anthropic_program(system: str, turns: Any, policy: HistoryPolicy, price: PromptPrice | None) -> Program:
    body: Json = {"messages": anthropic_messages(turns)} | ({"system": system} if system else {})
    return Program(ANTHROPIC, body, policy, price)


def native_last_turn(messages: Sequence[Mapping[str, Any]]) -> int:
    def own(message: Mapping[str, Any]) -> bool:
        content = message["content"]
        return message["role"] == "user" and not (
            isinstance(content, list) and all(block["type"] == "tool_result" for block in content)
        )

    return max(index for index, message in enumerate(messages) if own(message))


def apart_from_results(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write messages with the texts of tool results blotted out."""

    def blotted(message: Mapping[str, Any]) -> Any:
        if message["role"] == "tool":
            return {**message, "content": ""}
        if isinstance(message["content"], list):
            blocks = [{**b, "content": ""} if b["type"] == "tool_result" else b for b in message["content"]]
            return {**message, "content": blocks}
        return message

    return [json.dumps(blotted(message)) for message in messages]


@pytest.fixture(scope="module", params=["openai", "anthropic"])
def form(request: pytest.FixtureRequest) -> tuple[Callable[..., Program], Taker, TypeAdapter[Any]]:
    """One SDK: how a program is made, its provider's rules, and its types."""
    if request.param == "openai":
        typed = TypeAdapter(list[ChatCompletionMessageParam])
        return openai_program, assert_openai_takes, typed
    return anthropic_program, assert_anthropic_takes, TypeAdapter(list[MessageParam])


everything = given(system=SYSTEM, turns=TURNS, policy=policies, price=prices, expected=further)
some = settings(max_examples=40, deadline=None)


@some
@everything
def test_providers_take_what_is_left(
    form: Any, system: str, turns: Any, policy: HistoryPolicy, price: PromptPrice | None, expected: int | None
) -> None:
    """Every prompt is one that the SDK's types allow and the provider's rules do."""
    made, takes, typed = form
    program = made(system, turns, policy, price)
    for size in calls_of(program.body["messages"]):
        sent, pruned = program.sends(size, expected)
        assert "broke" not in pruned.audit.kept_because
        takes(sent)
        typed.validate_python(sent)
        program.at += 10


@some
@everything
def test_the_current_turn_and_the_order_are_kept_and_nothing_grows(
    form: Any, system: str, turns: Any, policy: HistoryPolicy, price: PromptPrice | None, expected: int | None
) -> None:
    """What is sent is a part of what was given, in its order; from the last user turn on, all of it."""
    made, _, _ = form
    program = made(system, turns, policy, price)
    for size in calls_of(program.body["messages"]):
        sent, pruned = program.sends(size, expected)
        given_native = program.body["messages"][:size]
        last = native_last_turn(given_native)
        here = apart_from_results(given_native)
        there = iter(here)
        assert all(message in there for message in apart_from_results(sent))
        assert apart_from_results(sent)[len(sent) - size + last :] == here[last:]
        assert 0 < pruned.audit.tokens_after <= pruned.audit.tokens_before
        assert all(cut.tokens >= 0 for cut in pruned.audit.cuts)
        program.at += 10


@some
@everything
def test_once_sent_bytes_change_only_where_a_plan_said_so(
    form: Any, system: str, turns: Any, policy: HistoryPolicy, price: PromptPrice | None, expected: int | None
) -> None:
    """A call begins with the whole of the call before, unless its plan reports a cut and what that brings."""
    made, _, _ = form
    program = made(system, turns, policy, price)
    before: list[Json] = []
    for size in calls_of(program.body["messages"]):
        sent, pruned = program.sends(size, expected)
        if sent[: len(before)] != before:
            assert pruned.net is not None
            assert pruned.net.pays()
        before = sent
        program.at += 10


@some
@everything
def test_the_same_prompt_gets_the_same_bytes_after_a_restart_too(
    form: Any, system: str, turns: Any, policy: HistoryPolicy, price: PromptPrice | None, expected: int | None
) -> None:
    """A retry, and a process that was killed and read what was saved, send what was sent."""
    made, _, _ = form
    program = made(system, turns, policy, price)
    for size in calls_of(program.body["messages"]):
        sent, _ = program.sends(size, expected)
        again, _ = program.sends(size, 500)
        program.restarts()
        after, _ = program.sends(size, 500)
        assert sent == again == after
        program.at += 10


@settings(max_examples=100, deadline=None)
@given(messages=st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), st.text()), min_size=1))
def test_any_messages_at_all_come_through(messages: list[tuple[Any, str]]) -> None:
    """Orphans, empty texts and no user at all: nothing raises, and nothing gets longer."""
    given_messages = tuple(Message(role, text) for role, text in messages)
    for policy in POLICIES:
        pruned = HistoryPruner(policy, price=NO_CACHE).prune(given_messages, at=0.0, further_calls=Fraction(9))
        assert "broke" not in pruned.audit.kept_because
        assert pruned.audit.tokens_after <= pruned.audit.tokens_before
        assert Request(given_messages).messages == given_messages
