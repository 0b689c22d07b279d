"""A prompt taken apart: its pieces in the order that providers render, and how far two prompts are the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tuppence.cache.prefix import Prompt, prompt_of
from tuppence.request import Message, Request, ToolCall
from tuppence.tokens import count_tokens

LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
ASK = {"type": "function", "function": {"name": "ask", "parameters": {"type": "object", "properties": {}}}}


def request(*messages: Message, **options: Any) -> Request:
    return Request(messages, **options)


def names(prompt: Prompt) -> list[str]:
    return [segment.name for segment in prompt.segments]


def shared(one: Prompt, other: Prompt) -> int:
    """Count the pieces that two prompts begin with alike."""
    pairs = zip(one.segments, other.segments, strict=False)
    return next(
        (i for i, (a, b) in enumerate(pairs) if a.digest != b.digest), min(len(one.segments), len(other.segments))
    )


def test_pieces_stand_in_the_order_of_the_provider() -> None:
    """Tools first, then instructions, documents in system messages of their own, turns, and the last message."""
    whole = prompt_of(
        request(
            Message("system", "Be short."), Message("system", "A long text."), Message("system", "Another."),
            Message("user", "First?"), Message("assistant", "Yes."), Message("user", "Second?"), tools=(LOOK,),
        ),
        "claude-opus-5",
    )  # fmt: skip
    assert names(whole) == ["tools", "system", "documents", "documents", "turns", "turns", "tail"]
    assert [segment.place for segment in whole.segments] == ["tools", 0, 1, 2, 3, 4, 5]
    assert [cut.place for cut in whole.cuts] == ["tools", 0, 2, 4]


def test_documents_in_a_turn_are_part_of_the_conversation() -> None:
    """And so is a system message that comes after one."""
    said = (Message("user", "A long text."), Message("system", "Be short."), Message("user", "Two?"))
    assert names(prompt_of(Request(said), "gpt-4o")) == ["turns", "turns", "tail"]


def test_a_question_alone_has_no_prefix() -> None:
    """There is nothing before the tail that another request could repeat."""
    assert prompt_of(request(Message("user", "Hello?")), "gpt-4o").cuts == ()


def test_a_system_prompt_alone_is_the_tail() -> None:
    """The last message is the tail, whoever it is from."""
    assert names(prompt_of(request(Message("system", "Hello.")), "gpt-4o")) == ["tail"]


def test_tokens_are_counted_per_piece_and_add_up() -> None:
    """Each message's text and calls are counted as the model would read them."""
    calls = (ToolCall("1", "look", '{"at": "it"}'),)
    prompt = prompt_of(
        request(Message("user", "Look."), Message("assistant", "", calls), Message("tool", "A cat.")), "gpt-4o"
    )
    counts = [count_tokens(text, "gpt-4o").tokens for text in ("Look.", '\nlook{"at": "it"}', "A cat.")]
    assert [segment.tokens for segment in prompt.segments] == counts
    assert prompt.tokens == sum(counts)


def test_a_change_parts_two_prompts_from_there_on() -> None:
    """The instructions differ: the tools before them are shared, nothing after."""
    one, other = (
        prompt_of(request(Message("system", told), Message("user", "Hello?"), tools=(LOOK,)), "gpt-4o")
        for told in ("Be short.", "Be long.")
    )
    assert shared(one, other) == 1


def test_the_order_of_tools_is_what_is_sent() -> None:
    """A provider reads the other order as another prompt: it is not hidden by sorting."""
    one, other = (
        prompt_of(request(Message("system", "Be short."), Message("user", "Hello?"), tools=tools), "gpt-4o")
        for tools in ((LOOK, ASK), (ASK, LOOK))
    )
    assert shared(one, other) == 0


def test_parts_that_are_no_text_count_for_the_prefix() -> None:
    """Two pictures under the same words are two prompts."""
    one, other = (
        prompt_of(request(Message("user", "See:", extra={"content": [url]}), Message("user", "What?")), "gpt-4o")
        for url in ("a.png", "b.png")
    )
    assert shared(one, other) == 0


@given(st.lists(st.text(max_size=20), min_size=2, max_size=6), st.text(max_size=20))
def test_a_longer_conversation_begins_like_the_shorter_one(texts: list[str], more: str) -> None:
    """Whatever the texts, an appended turn leaves every digest before it as it was."""
    turns = tuple(Message("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(texts))
    short = prompt_of(Request(turns), "gpt-4o")
    long = prompt_of(Request((*turns, Message("user", more))), "gpt-4o")
    assert shared(short, long) == len(turns)
