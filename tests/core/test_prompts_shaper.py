"""The shaper that tidies prompts and tools."""

from __future__ import annotations

from typing import Any

from tuppence.prune.prompts import TidyPrompt, tidied
from tuppence.request import Message, Replace, Request

RULES = "Be short.   \n\n\n\nNever guess.\n\n\n"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look  it up.",
        "parameters": {
            "type": "object",
            "properties": {"what": {"type": "string", "title": "What", "description": ""}},
        },
    },
}


def request(*messages: Message, tools: tuple[Any, ...] = ()) -> Request:
    return Request(messages, tools=tools)


def test_system_messages_are_tidied() -> None:
    """Wherever they stand; what the user says is never touched."""
    shaped = TidyPrompt()(request(Message("system", RULES), Message("user", RULES)), ())
    assert shaped.edits.messages == (Replace(0, tidied(RULES).text),)
    assert shaped.tokens_saved == tidied(RULES).audit.tokens_saved > 0
    assert shaped.reason == f"prompt tidied: {shaped.tokens_saved} tokens"


def test_tools_are_minified_in_the_form_in_which_they_are_sent() -> None:
    """By an edit that each seam makes on the provider's own form; the caller's tools stay as they are."""
    shaped = TidyPrompt()(request(Message("user", "hi"), tools=(TOOL,)), ())
    assert shaped.edits.tools is not None and not shaped.edits.messages
    claude = {"name": "look", "input_schema": TOOL["function"]["parameters"]}
    (openai_form, anthropic_form) = shaped.edits.tools([TOOL, claude])
    assert openai_form["function"]["parameters"]["properties"]["what"] == {"type": "string"}
    assert anthropic_form["input_schema"]["properties"]["what"] == {"type": "string"}
    assert "title" in TOOL["function"]["parameters"]["properties"]["what"]


def test_a_tidy_request_is_left_alone() -> None:
    """Nothing is said of it either."""
    shaped = TidyPrompt()(request(Message("system", "Be short."), Message("user", "hi")), ())
    assert not shaped.edits and not shaped.reason and not shaped.tokens_saved
