"""The echo brain answers unscripted models by rules that a reader can foretell."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.testing.filling import Evidence, filled

Ask = Callable[..., Any]


def tool(name: str, description: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


WEATHER = tool("get_weather", "Tell the forecast.", location={"type": "string"})
ADD = tool("add", "Add two numbers.", a={"type": "integer"}, b={"type": "integer"})
TOOLS = [WEATHER, ADD]


def called(reply: Any) -> list[tuple[str, Any]]:
    calls = reply.choices[0].message.tool_calls or ()
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls]


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("question", "options", "expected"),
    [
        ("What is the weather in San Francisco, CA?", {}, [("get_weather", {"location": "San Francisco, CA"})]),
        ("Please do add(3, 4).", {}, [("add", {"a": 3, "b": 4})]),
        ("Use add and get_weather.", {"parallel_tool_calls": False}, 1),
        ("Use add and get_weather.", {}, 2),
        ("Hello!", {}, []),
        ("Hello!", {"tool_choice": "required"}, 1),
        ("Hello!", {"tool_choice": {"type": "function", "function": {"name": "add"}}}, [("add", {"a": 1, "b": 1})]),
        ("What is the weather?", {"tool_choice": "none"}, []),
    ],
)
def test_tools_are_called_when_forced_or_spoken_of(
    ask: Ask, question: str, options: dict[str, Any], expected: list[tuple[str, Any]] | int
) -> None:
    """A number stands for that many calls, whichever they are."""
    calls = called(ask(messages=user(question), tools=TOOLS, **options))
    assert (len(calls) if isinstance(expected, int) else calls) == expected


def test_a_tool_loop_ends_with_what_the_tool_said(ask: Ask) -> None:
    """Call, result, answer: an agent's loop closes, and forced to call again it takes another tool."""
    question = user("What is the weather in Rome?")
    reply = ask(messages=question, tools=TOOLS).choices[0].message
    result = {"role": "tool", "tool_call_id": reply.tool_calls[0].id, "content": "It rains."}
    history = [*question, reply.model_dump(exclude_none=True), result]
    assert ask(messages=history, tools=TOOLS).choices[0].message.content == "The tool says: It rains."
    assert called(ask(messages=history, tools=TOOLS, tool_choice="required"))[0][0] == "add"


def test_json_is_given_where_json_is_asked_for(ask: Ask) -> None:
    """By schema, by JSON mode with the keys named, or by a schema in the prompt alone."""
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
    schema["required"] = ["name", "age"]
    question = "The person is Erick Smith, 27 years old."
    strict = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    for reply in (
        ask(messages=user(question), response_format=strict),
        ask(messages=[{"role": "system", "content": f"Follow {json.dumps(schema)}"}, *user(question)]),
    ):
        assert json.loads(reply.choices[0].message.content) == {"name": "Erick Smith", "age": 27}
    reply = ask(messages=user("JSON with 'setup' and 'end'"), response_format={"type": "json_object"})
    assert set(json.loads(reply.choices[0].message.content)) == {"setup", "end"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"enum": ["red", "blue"]}, "blue"),
        ({"const": 7}, 7),
        ({"type": "integer", "exclusiveMinimum": 3, "maximum": 40}, 40),
        ({"type": "integer", "multipleOf": 5}, 45),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"type": ["string", "null"], "maxLength": 3}, "Ann"),
        ({"type": "array", "items": {"type": "number"}, "minItems": 2}, [42, 1]),
        ({"type": "string", "format": "date"}, "2024-01-01"),
        (
            {
                "allOf": [{"properties": {"n": {"const": 1}}, "required": ["n"]}],
                "properties": {"m": {}},
                "required": ["m"],
            },
            {"m": "Anna", "n": 1},
        ),
    ],
)
def test_a_schema_is_filled_from_the_sentence(schema: dict[str, Any], value: Any) -> None:
    assert filled(schema, Evidence("I met Anna, who is 42 and likes blue.")) == value


def test_a_schema_that_contains_itself_is_filled() -> None:
    """Recursion ends in an empty list or a null, and references lead into the schema's own definitions."""
    node = {"type": "object", "required": ["left"], "properties": {"left": {"type": "array"}}}
    node["properties"]["left"]["items"] = {"$ref": "#/$defs/node"}  # type: ignore[index]
    tree = filled({"$ref": "#/$defs/node", "$defs": {"node": node}}, Evidence("grow"))
    assert isinstance(tree["left"][0]["left"], list)
    chain = {"type": "object", "required": ["next"], "properties": {}}
    chain["properties"] = {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}
    assert filled(chain, Evidence("grow"))["next"]["next"] is not None


@given(st.integers(-1000, 1000), st.integers(0, 100), st.text(max_size=40))
def test_numbers_keep_their_bounds(low: int, width: int, sentence: str) -> None:
    """Whatever the sentence says, the value is one that the schema allows."""
    schema = {"type": "integer", "minimum": low, "maximum": low + width}
    assert low <= filled(schema, Evidence(sentence)) <= low + width


def test_the_same_request_has_the_same_answer(ask: Ask) -> None:
    replies = [ask(messages=user("Say it again."), temperature=t) for t in (0, 1)]
    assert replies[0].choices == replies[1].choices
    assert replies[0].usage == replies[1].usage
