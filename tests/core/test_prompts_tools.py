"""Tools in fewer tokens: the same arguments are valid, and every word that tells a model something stays."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tuppence.prune.prompts import minified_schema, minified_tool, minified_tools

NAMES = st.sampled_from(["title", "city", "unit", "default", "required", "$ref", "description"])
NOTES = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["City", "city", "Unit", "Something else", ""]),
        "description": st.sampled_from(["", "  ", "Where  \n\n\n   it is.", "The city"]),
        "default": st.sampled_from([None, 1, "a", {"title": "City"}]),
        "examples": st.sampled_from([[], [1]]),
        "deprecated": st.booleans(),
        "$comment": st.just("note"),
    },
)
LEAVES = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["string", "integer", "null", "boolean", ["string", "null"]])}),
    st.sampled_from([{"enum": ["a", "b", None]}, {"enum": [1]}, {"const": "a"}]),
    st.fixed_dictionaries({"type": st.just("string"), "minLength": st.integers(0, 2)}),
    st.fixed_dictionaries({"type": st.just("integer"), "minimum": st.integers(0, 5)}),
    st.sampled_from(["A", "B", "C"]).map(lambda name: {"$ref": f"#/$defs/{name}"}),
    st.just({}),
)  # fmt: skip


def noted(schemas: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(schemas, NOTES).map(lambda both: {**both[1], **both[0]})


def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    objects = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(NAMES, inner, max_size=3)},
        optional={
            "required": st.lists(NAMES, max_size=2, unique=True),
            "additionalProperties": st.one_of(st.booleans(), st.just({}), inner),
            "unevaluatedProperties": st.just(False),
            "minProperties": st.integers(0, 1),
        },
    )
    arrays = st.fixed_dictionaries(
        {"type": st.just("array"), "items": inner},
        optional={"minItems": st.integers(0, 1), "uniqueItems": st.booleans()},
    )
    choices = st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)})
    return noted(st.one_of(objects, arrays, choices))


SCHEMAS = st.recursive(noted(LEAVES), grown, max_leaves=8)
WHOLE = st.tuples(grown(SCHEMAS), st.fixed_dictionaries(dict.fromkeys("ABC", SCHEMAS))).map(
    lambda both: {**both[0], "$defs": both[1]}
)
INSTANCES = st.recursive(
    st.sampled_from([None, True, 0, 3, "", "a", "abc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def verdict(schema: Any, instance: Any) -> bool | str:
    """Say whether an instance is valid; a schema that refers to itself for ever has no answer."""
    try:
        return bool(Draft202012Validator(schema).is_valid(instance))
    except RecursionError:
        return "endless"


def tool(**parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "get_weather", "description": "Get it.", "parameters": parameters}}


class TestASchema:
    @given(WHOLE, st.lists(INSTANCES, min_size=1, max_size=6), st.booleans())
    def test_allows_the_same_instances(self, schema: dict[str, Any], instances: list[Any], strict: bool) -> None:
        """Whatever goes, no argument becomes valid or invalid by it."""
        shorter = minified_schema(schema, name="city", strict=strict)
        Draft202012Validator.check_schema(shorter)
        assert [verdict(shorter, one) for one in instances] == [verdict(schema, one) for one in instances]

    @given(WHOLE)
    def test_is_shorter_or_the_same_and_stays_so_the_second_time(self, schema: dict[str, Any]) -> None:
        """Minifying is settled at once, so a prompt's bytes are."""
        once = minified_schema(schema)
        assert len(json.dumps(once)) <= len(json.dumps(schema))
        assert minified_schema(once) == once

    @pytest.mark.parametrize(
        ("schema", "left"),
        [
            ({"properties": {"user_name": {"title": "User Name"}}}, {"properties": {"user_name": {}}}),
            ({"properties": {"title": {"title": "Job"}}}, {"properties": {"title": {"title": "Job"}}}),
            ({"description": " ", "required": [], "additionalProperties": True}, {}),
            ({"additionalProperties": False}, {"additionalProperties": False}),
            ({"additionalProperties": {"description": ""}}, {}),
            ({"enum": [], "examples": [], "minItems": 0, "uniqueItems": False}, {"enum": []}),
            ({"const": {"title": "", "required": []}}, {"const": {"title": "", "required": []}}),
            ({"description": "  Where\n\n\n      it is.  \n    "}, {"description": "Where\n\nit is."}),
            ({"properties": {"a": {"default": None}}}, {"properties": {"a": {}}}),
            ({"properties": {"a": {"default": None}}, "required": ["a"]},) * 2,
            ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}, {"type": "object"}),
            ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{}, {}]},) * 2,
            ({"additionalProperties": True, "unevaluatedProperties": False},) * 2,
        ],
    )
    def test_loses_only_what_says_nothing(self, schema: Any, left: Any) -> None:
        """Titles that repeat a name, empty words, what holds by default; data is never looked into."""
        assert minified_schema(schema) == left

    def test_has_a_definition_where_it_is_needed_once_and_none_that_is_not(self) -> None:
        """A reference costs more than the thing itself, unless two places need it or it holds itself."""
        schema = {
            "properties": {
                "to": {"$ref": "#/$defs/Place", "description": "Where to"},
                "a": {"$ref": "#/$defs/Tree"},
                "b": {"$ref": "#/$defs/Both"},
                "c": {"$ref": "#/$defs/Both"},
            },
            "$defs": {
                "Place": {"type": "string", "description": "Any place", "title": "A Place"},
                "Tree": {"items": {"$ref": "#/$defs/Tree"}},
                "Both": {"anyOf": [{"$ref": "#/$defs/Inner"}]},
                "Inner": {"type": "integer"},
                "Unused": {"$ref": "#/$defs/Gone"},
                "Gone": {},
            },
        }
        assert minified_schema(schema) == {
            "properties": {
                "to": {"description": "Where to", "type": "string", "title": "A Place"},
                "a": {"$ref": "#/$defs/Tree"},
                "b": {"$ref": "#/$defs/Both"},
                "c": {"$ref": "#/$defs/Both"},
            },
            "$defs": {"Tree": {"items": {"$ref": "#/$defs/Tree"}}, "Both": {"anyOf": [{"type": "integer"}]}},
        }

    @pytest.mark.parametrize(
        "odd",
        [{"$ref": "#/properties/a"}, {"$ref": "https://example.com/x"}, {"$dynamicRef": "#/$defs/A"}, {"$id": "x"}],
    )
    def test_with_a_reference_that_is_not_understood_keeps_its_definitions(self, odd: dict[str, Any]) -> None:
        """Who knows what it points at."""
        schema = {"properties": {"a": {"$ref": "#/$defs/A"}, "b": odd}, "$defs": {"A": {}, "B": {}}}
        assert minified_schema(schema) == schema


class TestATool:
    def test_keeps_names_types_choices_bounds_words_and_strict(self) -> None:
        """Of a strict tool, nothing that a provider insists on goes."""
        strict = tool(type="object", properties={}, required=[], additionalProperties=False)
        strict["function"]["strict"] = True
        assert minified_tool(strict) is strict

    def test_in_anthropics_or_the_responses_form_is_minified_too(self) -> None:
        """Wherever the schema is held."""
        schema = {"type": "object", "properties": {"city": {"type": "string", "title": "City"}}}
        shorter = {"type": "object", "properties": {"city": {"type": "string"}}}
        assert minified_tool({"name": "a", "input_schema": schema}) == {"name": "a", "input_schema": shorter}
        flat = {"type": "function", "name": "a", "parameters": schema}
        assert minified_tool(flat) == {**flat, "parameters": shorter}

    @pytest.mark.parametrize("other", [{"type": "web_search"}, {}, {"function": None}, {"type": "function", "name": 1}])
    def test_that_is_no_function_is_left_alone(self, other: dict[str, Any]) -> None:
        """A provider's own tools have forms of their own."""
        assert minified_tool(other) is other

    def test_does_not_say_twice_what_its_docstring_said(self) -> None:
        """Frameworks put a class's docstring into the schema as well."""
        found = minified_tool(tool(type="object", description="Get it."))
        assert found["function"] == {"name": "get_weather", "description": "Get it.", "parameters": {"type": "object"}}

    def test_that_holds_itself_is_left_to_the_provider(self) -> None:
        """No schema makes the call fail here."""
        endless: dict[str, Any] = {"type": "object"}
        endless["properties"] = {"a": endless}
        assert minified_tool({"name": "a", "parameters": endless})["name"] == "a"

    def test_is_named_in_the_audit_with_its_tokens(self) -> None:
        """Of several tools, those that became shorter; the originals are there to put back."""
        plain, wordy = tool(type="object"), tool(type="object", title="Get Weather", required=[])
        found = minified_tools([plain, wordy])
        assert found.tools == (plain, plain)
        [cut] = found.audit.cuts
        assert (cut.source, json.loads(cut.text)) == ("get_weather", wordy)
        assert cut.tokens == found.audit.tokens_saved > 5
