"""Structured answers in short names, and back."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from tuppence.errors import ConfigError
from tuppence.prices import token_rate
from tuppence.prune.output import AnswerError, short_schema

URGENCIES = ["needs_immediate_attention", "can_wait_until_tomorrow", "low"]
TICKET: dict[str, Any] = {
    "title": "Ticket",
    "type": "object",
    "properties": {
        "customer_name": {"type": "string", "description": "as written"},
        "ticket_urgency": {"anyOf": [{"$ref": "#/$defs/Urgency"}, {"type": "null"}], "default": "low"},
        "line_items": {"type": "array", "items": {"$ref": "#/$defs/LineItem"}},
        "id": {"type": "integer"},
    },
    "required": ["customer_name", "id"],
    "$defs": {
        "Urgency": {"type": "string", "enum": URGENCIES},
        "LineItem": {
            "type": "object",
            "properties": {
                "product_identifier": {"type": "string"},
                "replacement_for": {"anyOf": [{"$ref": "#/$defs/LineItem"}, {"type": "null"}]},
            },
            "required": ["product_identifier"],
        },
    },
}
ANSWER = {
    "customer_name": "cwut",
    "ticket_urgency": "can_wait_until_tomorrow",
    "line_items": [{"product_identifier": "pi", "replacement_for": {"product_identifier": "a"}}],
    "id": 7,
}


class TestShortening:
    """What the model is asked for."""

    def test_keys_and_values_are_short_and_explained(self) -> None:
        """Initials, with their meaning in the object's description; a short name stays."""
        short = short_schema(TICKET)
        assert set(short.schema["properties"]) == {"cn", "tu", "li", "id"}
        assert short.schema["required"] == ["cn", "id"]
        assert short.schema["description"] == "cn = customer_name, tu = ticket_urgency, li = line_items"
        assert short.schema["$defs"]["Urgency"]["enum"] == ["nia", "cwut", "low"]
        assert "nia = needs_immediate_attention" in short.schema["$defs"]["Urgency"]["description"]

    def test_what_is_said_of_a_field_stays(self) -> None:
        """Descriptions are the prompt; the title is a function's name."""
        short = short_schema(TICKET).schema
        assert short["properties"]["cn"]["description"] == "as written"
        assert short["title"] == "Ticket"

    def test_the_short_form_follows_the_short_schema(self) -> None:
        """And there is no room for other keys."""
        short = short_schema(TICKET)
        Draft202012Validator.check_schema(short.schema)
        holds = Draft202012Validator(short.schema).is_valid
        assert holds(short.shorten(ANSWER))
        assert not holds(ANSWER)

    def test_the_same_schema_gives_the_same_bytes(self) -> None:
        """Providers cache compiled schemas."""
        assert json.dumps(short_schema(TICKET).schema) == json.dumps(short_schema(TICKET).schema)

    def test_a_pydantic_model_is_shortened(self) -> None:
        """As pydantic writes its schemas, with a choice among models by a tag."""

        class CardPayment(BaseModel):
            payment_kind: str = Field("card", pattern="card")
            card_number: str

        class Invoice(BaseModel):
            invoice_recipient: str | None
            payment_method: CardPayment | list[CardPayment]

        short = short_schema(Invoice.model_json_schema())
        answer = Invoice(invoice_recipient="x", payment_method=[CardPayment(payment_kind="card", card_number="1")])
        told = json.dumps(short.shorten(answer.model_dump()))
        assert "card_number" not in told
        assert Invoice.model_validate(short.read(told)) == answer

    def test_definitions_that_no_answer_reaches_are_left_out(self) -> None:
        """Whatever they hold: some generators put all of a program's models into every schema."""
        short = short_schema({**TICKET, "$defs": {**TICKET["$defs"], "Free": {"type": "array", "items": True}}})
        assert set(short.schema["$defs"]) == {"Urgency", "LineItem"}
        assert short.expand(short.shorten(ANSWER)) == ANSWER

    def test_initials_that_collide_get_letters(self) -> None:
        """And a name that exists is never taken."""
        names = ["customer_name", "company_name", "contact_number", "c", "cn"]
        short = short_schema({"type": "object", "properties": {name: {"type": "string"} for name in names}})
        shown = list(short.schema["properties"])
        assert len(set(shown)) == 5
        assert shown[3:] == ["c", "cn"]


class TestExpanding:
    """What the program reads."""

    def test_an_answer_comes_back(self) -> None:
        """Text that looks like a short name is left alone: names are replaced where the schema has names."""
        short = short_schema(TICKET)
        assert short.expand(short.shorten(ANSWER)) == ANSWER
        assert short.read(json.dumps(short.shorten(ANSWER))) == ANSWER

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("no", "is not JSON"),
            ('{"cn": "x"}', "'id' is a required property"),
            ('{"cn": "x", "id": "seven"}', "is not of type 'integer'"),
            ('{"cn": "x", "id": 1, "zz": 1}', "does not name: \\['zz'\\]"),
            ('{"cn": "x", "id": 1, "tu": "urgent"}', "does not match"),
            ("[]", "is not of type 'object'"),
        ],
    )
    def test_a_wrong_answer_is_named(self, text: str, fault: str) -> None:
        """Validated against the schema as it was."""
        with pytest.raises(AnswerError, match=fault):
            short_schema(TICKET).read(text)

    def test_a_bottomless_answer_is_an_error_like_others(self) -> None:
        """A model in a loop nests for ever."""
        deep: dict[str, Any] = {"pi": "x"}
        for _ in range(5_000):
            deep = {"pi": "x", "rf": deep}
        with pytest.raises(AnswerError, match="nested too deeply"):
            short_schema(TICKET).expand({"cn": "x", "id": 1, "li": [deep]})

    def test_an_enum_beside_free_text_keeps_its_values(self) -> None:
        """A short value might be the other branch's text."""
        schema = {
            "type": "object",
            "properties": {"reason": {"anyOf": [{"enum": ["waiting_for_customer"]}, {"type": "string"}]}},
        }
        short = short_schema(schema)
        for text in ("wfc", "waiting_for_customer"):
            assert short.expand(short.shorten({"reason": text})) == {"reason": text}


class TestRefusals:
    """Schemas in which names matter."""

    @pytest.mark.parametrize(
        ("schema", "why"),
        [
            ({"type": "object", "patternProperties": {"^x_": {"type": "string"}}}, "patternProperties"),
            ({"type": "object", "additionalProperties": {"type": "string"}}, "additionalProperties"),
            ({"type": "object", "properties": {"a": {}}}, "without a type"),
            ({"type": "object"}, "without properties"),
            ({"type": "array"}, "without items"),
            ({"type": "object", "properties": {"a": {"enum": [{"b": 1}]}}}, "holds objects"),
            ({"type": "object", "properties": {"a": {"$ref": "https://example.com/s"}}}, "can be followed"),
            ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, "leads back to itself"),
            ({"allOf": [{"type": "object", "properties": {}}, {"type": "object", "properties": {}}]}, "joins"),
            ({"type": "object", "properties": {"a": True}}, "a part of it is True"),
            ({"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"type": "object"}]}, "beside"),
            ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]}, "not declared"),
            ({"type": "wrong"}, "not a JSON schema"),
        ],
    )
    def test_they_are_refused_when_made(self, schema: dict[str, Any], why: str) -> None:
        """With what is in the way."""
        with pytest.raises(ConfigError, match=why):
            short_schema(schema)

    def test_what_is_no_json_is_refused(self) -> None:
        """A class for example, given in place of its schema."""
        with pytest.raises(ConfigError, match="model_json_schema"):
            short_schema(BaseModel)  # type: ignore[arg-type]


NAMES = st.sampled_from(
    ["customer_name", "company_name", "customerNumber", "a", "b", "id", "delivery_address_line", "x y", "ä_ö_ü", "cn"]
)
VALUES = st.sampled_from(["waiting_for_customer", "wfc", "a", "b", "delivered_to_neighbour", "ok", "cn"])


def schemas(leaf: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        leaf,
        lambda below: st.one_of(
            st.builds(lambda item: {"type": "array", "items": item}, below),
            st.dictionaries(NAMES, below, min_size=1, max_size=4).map(
                lambda named: {"type": "object", "properties": named, "required": sorted(named)}
            ),
            st.lists(below, min_size=1, max_size=3).map(lambda branches: {"anyOf": [*branches, {"type": "null"}]}),
        ),
        max_leaves=8,
    )


LEAVES = st.one_of(
    st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]),
    st.lists(VALUES, min_size=1, max_size=4, unique=True).map(lambda values: {"enum": values}),
)


def values_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of(*map(values_of, schema["anyOf"]))
    if schema["type"] == "array":
        return st.lists(values_of(schema["items"]), max_size=3)
    if schema["type"] == "object":
        return st.fixed_dictionaries({name: values_of(below) for name, below in schema["properties"].items()})
    simple = {"string": st.one_of(VALUES, st.text(max_size=5)), "integer": st.integers(), "boolean": st.booleans()}
    return simple.get(schema["type"], st.none())


class TestAnySchema:
    """Whatever the names."""

    @settings(max_examples=200)
    @given(st.data())
    def test_every_answer_comes_back_from_its_short_form(self, data: st.DataObject) -> None:
        """Through the short schema, which takes it; never longer for being short."""
        schema = data.draw(schemas(LEAVES))
        answer = data.draw(values_of(schema))
        short = short_schema(schema)
        told = short.shorten(answer)
        assert Draft202012Validator(short.schema).is_valid(told)
        assert short.expand(told) == answer
        assert short.saving(answer).output_tokens_saved >= 0


class TestSaving:
    """What short names save, and what explaining them costs."""

    def test_many_rows_pay_and_one_may_not(self) -> None:
        """The explanation is paid once a call, the names in every row."""
        names = ("customer_name", "ticket_urgency", "product_identifier")
        row = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
        short = short_schema({"type": "array", "items": row})
        rate = token_rate(input="1", output="1")
        one, many = (short.saving([dict.fromkeys(names, "x")] * rows).net_pico(rate) for rows in (1, 50))
        assert one is not None
        assert many is not None
        assert one < 0 < many
