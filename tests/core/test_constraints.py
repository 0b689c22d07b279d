"""What a vLLM server is told so that an answer keeps to its schema; what needs no word stays the same."""

from typing import Any

import pytest

from tuppence.constraints import constrained

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT = {"type": "function", "function": {"name": "trip", "parameters": SCHEMA}}
FLAT = {"type": "function", "name": "trip", "parameters": SCHEMA}
MESSAGES = {"name": "trip", "input_schema": SCHEMA}


@pytest.mark.parametrize(
    "choice", ["required", "any", {"type": "function", "function": {"name": "trip"}}, {"type": "tool"}]
)
def test_a_forced_tool_is_strict_in_every_form(choice: Any) -> None:
    """Whatever API it is spelt for, and though a framework says `strict: false` by default; the caller's stay whole."""
    lenient = {"type": "function", "function": {**CHAT["function"], "strict": False}}
    sent = {"model": "m", "tools": [CHAT, FLAT, MESSAGES, lenient], "tool_choice": choice}
    told = constrained(sent)
    chat, flat, messages, made_strict = told["tools"]
    assert chat["function"] == {**CHAT["function"], "strict": True}
    assert (flat["strict"], messages["strict"], made_strict["function"]["strict"]) == (True, True, True)
    assert (told["model"], told["tool_choice"]) == ("m", choice)
    assert "strict" not in CHAT["function"]
    assert lenient["function"]["strict"] is False


@pytest.mark.parametrize("choice", [None, "auto", "none", {"type": "auto"}])
def test_a_tool_that_need_not_be_called_is_left_alone(choice: Any) -> None:
    sent = {"tools": [CHAT], "tool_choice": choice}
    assert constrained(sent) is sent


def test_a_providers_own_tool_has_no_schema_to_keep_to() -> None:
    sent = {"tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": "any"}
    assert constrained(sent)["tools"] == sent["tools"]


def test_the_older_arguments_are_said_again_in_the_newer_words_wherever_they_stand() -> None:
    """Both go out: a server knows the ones or the others, and ignores those that it does not know."""
    old = {"guided_regex": "[0-9]+", "guided_whitespace_pattern": " ", "guided_decoding_backend": "xgrammar"}
    both = {**old, "structured_outputs": {"regex": "[0-9]+", "whitespace_pattern": " "}}
    assert constrained(old) == both
    assert constrained({"model": "m", "extra_body": old}) == {"model": "m", "extra_body": both}


@pytest.mark.parametrize("name", ["json", "regex", "choice", "grammar"])
def test_each_older_argument_has_its_newer_one(name: str) -> None:
    assert constrained({f"guided_{name}": "given"})["structured_outputs"] == {name: "given"}


def test_what_was_not_asked_for_is_not_made_up() -> None:
    """An argument that is there and None asked for nothing; one in the newer words is the caller's last word."""
    newer = {"structured_outputs": {"choice": ["a"]}, "guided_choice": ["b"]}
    for sent in ({"guided_json": None, "top_k": 5}, newer, {"model": "m", "extra_body": newer, "messages": []}):
        assert constrained(sent) is sent
