"""Checks that ask nobody: what each accepts, what it rejects, and why it says so."""

import math
import socket
from typing import Any

import pydantic
import pytest

from tuppence.attempts import Verdict
from tuppence.checks import (
    default_check,
    matches_schema,
    not_empty,
    not_refused,
    not_truncated,
    self_confidence,
    sequence_probability,
    valid_tool_calls,
)
from tuppence.effects import Check
from tuppence.errors import ConfigError
from tuppence.request import Message, Reply, Request, ToolCall
from tuppence.signals import REFUSAL_OPENING_CHARS

ASKED = Request((Message("user", "What is it?"),))


REFUSAL = "I'm sorry, but I can't help with that."


CALL = ToolCall("1", "weather", '{"city": "Paris"}')


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
}


WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def verdict(check: Check, reply: Reply, request: Request = ASKED) -> Verdict:
    """Check a reply by a check that asks nobody."""
    found = check(request, reply)
    assert isinstance(found, Verdict)
    assert found.reason
    return found


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        (Reply("Paris"), 1.0),
        (Reply(" \n\tx"), 1.0),
        (Reply(""), 0.0),
        (Reply(" \n\t\u3000"), 0.0),
        (Reply("", tool_calls=(CALL,)), 1.0),
    ],
)
def test_empty_answers_are_rejected(reply: Reply, score: float) -> None:
    """A tool call without text is an answer, blanks are none."""
    assert verdict(not_empty(), reply).score == score


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        (Reply("Paris"), 1.0),
        (Reply(REFUSAL), 0.0),
        (Reply("", tool_calls=(CALL,)), 1.0),
        (Reply("I can't access that directly, so I look it up.", tool_calls=(CALL,)), 1.0),
        (Reply("", finish="content_filter"), 0.0),
        (Reply("word " * 100, finish="content_filter"), 1.0),
        (Reply("x" * REFUSAL_OPENING_CHARS + REFUSAL), 1.0),
    ],
)
def test_refusals_are_rejected(reply: Reply, score: float) -> None:
    """By the opening; a call of a tool is no refusal, a filter at the beginning is one."""
    assert verdict(not_refused(), reply).score == score


def test_a_refusal_is_quoted() -> None:
    """A person can see which words were taken for a refusal."""
    assert "i can't help" in verdict(default_check(), Reply(REFUSAL)).reason


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        (Reply("Done.", finish="stop"), 1.0),
        (Reply("and so on:", finish="stop"), 1.0),
        (Reply("and so on:"), 0.0),
        (Reply("Done."), 1.0),
        (Reply("Done.", finish="length"), 0.0),
        (Reply("Done", finish="content_filter"), 0.0),
        (Reply("", tool_calls=(CALL,), finish="length"), 0.0),
        (Reply("Let me look:", tool_calls=(CALL,), finish="tool_calls"), 1.0),
        (Reply("Let me look:", tool_calls=(CALL,)), 1.0),
    ],
)
def test_truncated_answers_are_rejected(reply: Reply, score: float) -> None:
    """The provider's word counts; the text is looked at only without it."""
    assert verdict(not_truncated(), reply).score == score


class Person(pydantic.BaseModel):
    name: str
    age: int = 0


@pytest.mark.parametrize("schema", [PERSON, Person, None], ids=["JSON schema", "pydantic model", "the request's own"])
@pytest.mark.parametrize(
    ("reply", "score", "reason"),
    [
        (Reply('{"name": "Ann", "age": 31}'), 1.0, "matches"),
        (Reply('```json\n{"name": "Ann"}\n```'), 1.0, "matches"),
        (Reply("", tool_calls=(ToolCall("1", "Person", '{"name": "Ann"}'),)), 1.0, "matches"),
        (Reply('{"age": 31}'), 0.0, "name"),
        (Reply('{"name": "Ann", "age": "old"}'), 0.0, "age"),
        (Reply('Here it is: {"name": "Ann"}'), 0.0, ""),
        (Reply('{"name": "An'), 0.0, ""),
        (Reply(""), 0.0, ""),
        (Reply("[" * 100_000), 0.0, "deep"),
    ],
)
def test_answers_follow_their_schema(schema: Any, reply: Reply, score: float, reason: str) -> None:
    """A mapping, a model and the request's own schema judge alike, and name the fault."""
    request = Request(ASKED.messages, schema=PERSON)
    found = verdict(matches_schema(schema), reply, request)
    assert found.score == score
    assert reason in found.reason


def test_without_a_schema_there_is_nothing_to_match() -> None:
    """A policy may hold the check for all requests."""
    assert verdict(matches_schema(), Reply("plain text")).score == 1.0


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"type": "strin"}, "not a JSON schema"),
        ({"minimum": "x"}, "not a JSON schema"),
        (42, "got 42"),
        ("{}", "got '{}'"),
    ],
)
def test_a_schema_that_is_none_is_refused_at_once(schema: Any, complaint: str) -> None:
    """Not at the first answer, days later."""
    with pytest.raises(ConfigError, match=complaint):
        matches_schema(schema)


def test_a_schema_is_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference to another document is an error that names it, not a request to its host."""

    def no_network(*_arguments: object, **_options: object) -> None:
        pytest.fail("the network was asked for a schema")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    check = matches_schema({"$ref": "http://schemas.invalid/person.json"})
    with pytest.raises(ConfigError, match=r"schemas\.invalid"):
        check(ASKED, Reply("{}"))


def test_references_inside_a_schema_work() -> None:
    """`$defs`, as pydantic writes them."""
    schema = {"$defs": {"P": PERSON}, "type": "array", "items": {"$ref": "#/$defs/P"}}
    assert verdict(matches_schema(schema), Reply('[{"name": "Ann"}]')).score == 1.0
    assert verdict(matches_schema(schema), Reply("[{}]")).score == 0.0


def called(name: str, arguments: str) -> Reply:
    return Reply("", tool_calls=(CALL, ToolCall("2", name, arguments)))


@pytest.mark.parametrize(
    ("reply", "score", "reason"),
    [
        (Reply("no call"), 1.0, "no tool call"),
        (called("weather", '{"city": "Rome"}'), 1.0, "valid"),
        (called("wether", "{}"), 0.0, "no such tool"),
        (called("weather", "{}"), 0.0, "city"),
        (called("weather", '{"city": 5}'), 0.0, "5"),
        (called("weather", '{"city": "Ro'), 0.0, "not JSON"),
        (called("weather", "[]"), 0.0, "object"),
        (called("now", ""), 1.0, "valid"),
        (called("now", "{}"), 1.0, "valid"),
    ],
)
def test_tool_calls_are_validated(reply: Reply, score: float, reason: str) -> None:
    """Each call: its tool's name, and its arguments against that tool's schema."""
    now = {"type": "function", "function": {"name": "now"}}
    request = Request(ASKED.messages, tools=(WEATHER, now, {"type": "web_search"}))
    found = verdict(valid_tool_calls(), reply, request)
    assert found.score == score
    assert reason in found.reason


@pytest.mark.parametrize(
    ("choice", "score"),
    [
        (None, 1.0),
        ("auto", 1.0),
        ("none", 1.0),
        ("required", 0.0),
        ("any", 0.0),
        ({"type": "function", "function": {"name": "weather"}}, 0.0),
        ({"type": "tool", "name": "weather"}, 0.0),
        ({"type": "any"}, 0.0),
        ({"type": "auto"}, 1.0),
    ],
)
def test_a_demanded_call_must_be_made(choice: object, score: float) -> None:
    """In OpenAI's and Anthropic's ways to demand one."""
    request = Request(ASKED.messages, tools=(WEATHER,), params={"tool_choice": choice})
    assert verdict(valid_tool_calls(), Reply("It is sunny."), request).score == score


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"confidence": 0.8}', 0.8),
        ('{"confidence": 1}', 1.0),
        ('{"confidence": 0}', 0.0),
        ('```json\n{"confidence": 0.5}\n```', 0.5),
        ('{"confidence": 85}', 0.0),
        ('{"confidence": -0.1}', 0.0),
        ('{"confidence": true}', 0.0),
        ('{"confidence": "high"}', 0.0),
        ('{"answer": 42}', 0.0),
        ("[0.9]", 0.0),
        ("0.9", 0.0),
        ("I am 90% sure", 0.0),
    ],
)
def test_self_confidence_is_read_strictly(text: str, score: float) -> None:
    """A number in range, or nothing: a missing confidence is no confidence."""
    assert verdict(self_confidence(), Reply(text)).score == pytest.approx(score)


def test_self_confidence_in_percent() -> None:
    """Another field and another scale, as the prompt asks for them; a scale of nothing is refused."""
    assert verdict(self_confidence("sure", out_of=100), Reply('{"sure": 85}')).score == pytest.approx(0.85)
    with pytest.raises(ConfigError, match="out_of is 0"):
        self_confidence(out_of=0)


def test_sequence_probability_is_the_score() -> None:
    """And without log-probabilities the answer counts as unknown, with what to do about it."""
    sure = Reply("x", logprobs=(math.log(0.9), math.log(0.4)))
    assert verdict(sequence_probability(), sure).score == pytest.approx(0.6)
    assert verdict(sequence_probability(), Reply("x")).score == 0.0
    assert "logprobs=True" in verdict(sequence_probability(), Reply("x")).reason
