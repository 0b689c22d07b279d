"""What a plan asks of a provider's prompt cache, on LangChain's own messages and tools: marks, and an order of tools.

Copies what it changes: messages, blocks and tools of the user's stay as they are. A request that its user marks himself
is left alone. A class that is not known here is never marked: what it makes of an unknown key nobody can say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from tuppence.cache.prefix import tools_in_order
from tuppence.clients import anthropic_marks, openai_marks
from tuppence.request import Edits, Mark

# What a user says about the prompt cache in a model's own settings, or in its bound arguments.
_OWN_SETTINGS = ("cache_control", "prompt_cache_key", openai_marks.OPTIONS)
_ANTHROPIC, _OPENAI = "langchain_anthropic", "langchain_openai"

_Marked = Callable[[BaseMessage, str], BaseMessage | None]
"""Mark a message for a lifetime; None where it has no block that arrives with its mark."""


def takes_marks(model: Any, bound: Mapping[str, Any]) -> bool:
    """Say whether marks may be put on this model's requests: its class is known, and no setting of its own has any."""
    given = {**(getattr(model, "model_kwargs", None) or {}), **(getattr(model, "extra_body", None) or {}), **bound}
    if any(given.get(name) or getattr(model, name, None) for name in _OWN_SETTINGS):
        return False
    if _package(model) == _OPENAI:
        # Of a message's blocks, earlier versions of the package send only what they know.
        return openai_marks.OPTIONS in type(model).model_fields
    return _package(model) == _ANTHROPIC


def marked(
    model: Any, given: str | list[BaseMessage], kwargs: dict[str, Any], edits: Edits
) -> tuple[str | list[BaseMessage], dict[str, Any]]:
    """Return messages and arguments of a call with the tools in order and the marks set; indices are those of the
    messages.

    A mark on a message that cannot carry it goes to the nearest one before that can: a shorter prefix is kept.
    """
    kwargs, marks = tools_in_order(kwargs, edits.tools), edits.marks
    if not marks:
        return given, kwargs
    messages: list[BaseMessage] = [HumanMessage(content=given)] if isinstance(given, str) else list(given)
    if _is_marked(messages, kwargs):
        return messages, kwargs
    if _package(model) == _ANTHROPIC:
        for mark in marks:
            if mark.place == "tools" and kwargs.get("tools"):
                kwargs = {**kwargs, "tools": anthropic_marks.marked_tools(kwargs["tools"], mark.lifetime)}
        return _placed(messages, marks, _for_claude), kwargs
    responses = model._use_responses_api(kwargs)
    placed = _placed(messages, marks, _for_responses if responses else _for_chat)
    if any(new is not old for new, old in zip(placed, messages, strict=True)):
        kwargs = {**kwargs, openai_marks.OPTIONS: openai_marks.EXPLICIT}
    return placed, kwargs


def _placed(messages: Sequence[BaseMessage], marks: Sequence[Mark], marked_one: _Marked) -> list[BaseMessage]:
    placed, floor = list(messages), 0
    for mark in marks:
        if mark.place == "tools":
            continue
        for index in range(mark.place, floor - 1, -1):
            found = marked_one(messages[index], mark.lifetime)
            if found is not None:
                placed[index], floor = found, index + 1
                break
    return placed


def _for_claude(message: BaseMessage, lifetime: str) -> BaseMessage | None:
    content: Any = message.content
    if isinstance(message, ToolMessage) and isinstance(content, str):
        # As a block of its own, with the content as it was: ChatAnthropic then sends the same but for the mark.
        content = [{
            "type": "tool_result", "content": content, "tool_use_id": message.tool_call_id,
            "is_error": message.status == "error",
        }]  # fmt: skip
    found = anthropic_marks.marked_content(content, lifetime, carries=_arrives_marked)
    return None if found is None else message.model_copy(update={"content": found})


def _arrives_marked(block: Any) -> bool:
    """Say whether ChatAnthropic hands a block's mark on: it rebuilds images and tool calls, and leaves out blanks."""
    if not isinstance(block, Mapping):
        return False
    return block.get("type") == "tool_result" or (block.get("type") == "text" and bool(str(block.get("text")).strip()))


def _for_chat(message: BaseMessage, _lifetime: str) -> BaseMessage | None:
    if isinstance(message, AIMessage):
        # ChatOpenAI sends of a model's own words nothing but the text.
        return None
    found = openai_marks.marked_content({"content": message.content}, "text")
    return None if found is None else message.model_copy(update={"content": found})


def _for_responses(message: BaseMessage, lifetime: str) -> BaseMessage | None:
    # What a tool answered is an item of another kind there, without the field.
    return None if isinstance(message, ToolMessage) else _for_chat(message, lifetime)


def _is_marked(messages: Sequence[BaseMessage], kwargs: Mapping[str, Any]) -> bool:
    if any(kwargs.get(name) for name in _OWN_SETTINGS if name != "prompt_cache_key"):
        return True
    contents = [message.content for message in messages if not isinstance(message.content, str)]
    return anthropic_marks.is_marked([*contents, kwargs.get("tools")]) or any(
        openai_marks.is_marked({"content": content}) for content in contents
    )


def _package(model: Any) -> str:
    """Name the package that a model's class comes from, or derives from."""
    packages = (cls.__module__.partition(".")[0] for cls in type(model).__mro__)
    return next((name for name in packages if name in (_ANTHROPIC, _OPENAI)), "")
