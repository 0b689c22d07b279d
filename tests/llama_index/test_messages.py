"""Native messages and their neutral view: nothing is lost, nothing that was not named is touched."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llm_suite import PIXEL, user

from llama_index_tuppence.dialects import history_for
from llama_index_tuppence.messages import edited, neutral, tool_calls_of
from tuppence.request import Drop, Edits, Insert, Message, Replace, Request, ToolCall

PICTURE = ImageBlock(image=PIXEL, image_mimetype="image/png")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (user("Hello"), Message("user", "Hello")),
        (ChatMessage(content="Be brief", role=MessageRole.DEVELOPER), Message("system", "Be brief")),
        (ChatMessage(content="Yes", role=MessageRole.CHATBOT), Message("assistant", "Yes")),
        (ChatMessage(role=MessageRole.USER), Message("user", "")),
    ],
)
def test_plain_messages(message: ChatMessage, expected: Message) -> None:
    """A text message is its role and its text."""
    assert neutral(message) == expected


def test_tool_calls_are_seen_alike(make: Any) -> None:
    """Arguments are JSON text, whether the provider's class keeps text or a dictionary."""
    for arguments in ('{"place": "Bergen"}', {"place": "Bergen"}):
        block = ToolCallBlock(tool_call_id="1", tool_name="weather", tool_kwargs=arguments)
        message = ChatMessage(role=MessageRole.ASSISTANT, blocks=[TextBlock(text="hm"), block])
        assert neutral(message).tool_calls == (ToolCall("1", "weather", '{"place": "Bergen"}'),)
        assert neutral(message).text == "hm"


def test_older_classes_keep_their_calls_beside_the_message() -> None:
    """OpenAI's and Anthropic's older spellings are read too."""
    openai = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    anthropic = {"id": "2", "name": "tide", "input": {"place": "Brest"}}
    message = ChatMessage(role=MessageRole.ASSISTANT, additional_kwargs={"tool_calls": [openai, anthropic]})
    assert tool_calls_of(message) == (ToolCall("1", "weather", "{}"), ToolCall("2", "tide", '{"place": "Brest"}'))


def test_what_is_not_text_is_told_apart() -> None:
    """Two pictures under one question are two requests, and need a model that sees."""
    other = ImageBlock(image=PIXEL + b"\x01", image_mimetype="image/png")
    first, second = (
        Request((neutral(ChatMessage(content=[TextBlock(text="What?"), picture])),)) for picture in (PICTURE, other)
    )
    assert first.needs == {"vision"}
    assert first.question == second.question == "What?"
    assert first.fingerprint() != second.fingerprint()
    heard = Request((neutral(ChatMessage(content=[AudioBlock(audio=b"RIFF", format="wav")])),))
    assert heard.needs == {"audio"}


def test_the_id_of_a_tools_result_is_part_of_the_request() -> None:
    """The same result of another call is another request."""
    first, second = (
        Request((neutral(ChatMessage(content="sunny", role="tool", additional_kwargs={"tool_call_id": n})),))
        for n in ("1", "2")
    )
    assert first.fingerprint() != second.fingerprint()


def test_an_edit_changes_the_text_and_keeps_the_rest() -> None:
    """A picture stays where it was; messages that no edit names stay the same objects."""
    messages = [user("a"), ChatMessage(content=[PICTURE, TextBlock(text="b"), TextBlock(text="c")]), user("d")]
    changed = edited(messages, Edits((Insert(0, "system", "s"), Replace(1, "new"), Drop(2), Insert(3, "user", "z"))))
    assert [m.role.value for m in changed] == ["system", "user", "user", "user"]
    assert changed[1] is messages[0]
    assert changed[2].blocks == [PICTURE, TextBlock(text="new")]
    assert changed[3].content == "z"
    assert messages[1].blocks == [PICTURE, TextBlock(text="b"), TextBlock(text="c")]


texts = st.lists(st.text(max_size=5), min_size=1, max_size=6)


@given(texts, st.data())
def test_edits_do_to_native_messages_what_they_say(contents: list[str], data: st.DataObject) -> None:
    """For any edits, the native history reads as the neutral one would."""
    messages = [user(text) for text in contents]
    chosen: list[Any] = []
    for index in range(len(messages)):
        kind = data.draw(st.sampled_from(["keep", "replace", "drop"]))
        if kind != "keep":
            chosen.append(Replace(index, "new") if kind == "replace" else Drop(index))
    for index in data.draw(st.lists(st.integers(0, len(messages)), max_size=3)):
        chosen.append(Insert(index, "system", f"in {index}"))
    expected: list[str] = []
    for index in range(len(messages) + 1):
        expected += [f"in {i.index}" for i in chosen if isinstance(i, Insert) and i.index == index]
        if index < len(messages) and Drop(index) not in chosen:
            expected.append("new" if Replace(index, "new") in chosen else contents[index])
    assert [m.content for m in edited(messages, Edits(tuple(chosen)))] == expected


def test_a_history_is_translated_only_where_it_must_be(make: Any, make_claude: Any) -> None:
    """Anthropic takes arguments as objects and only thinking that it signed; chat completions have no cache points."""
    unsigned = ThinkingBlock(content="hm")
    signed = ThinkingBlock(content="hm", additional_information={"signature": "s"})
    call = ToolCallBlock(tool_call_id="1", tool_name="weather", tool_kwargs='{"place": "Bergen"}')
    point = CachePoint(cache_control=CacheControl(type="ephemeral"))
    plain, mixed = user("Hello"), ChatMessage(role=MessageRole.ASSISTANT, blocks=[unsigned, signed, call])
    marked = ChatMessage(blocks=[TextBlock(text="long"), point])

    claude = history_for(make_claude(), [plain, mixed, marked])
    assert claude[0] is plain
    assert claude[1].blocks[0] is signed
    assert claude[1].blocks[1].tool_kwargs == {"place": "Bergen"}
    assert claude[2] is marked

    openai = history_for(make(), [plain, mixed, marked])
    assert openai[1] is mixed
    assert openai[2].blocks == [TextBlock(text="long")]
