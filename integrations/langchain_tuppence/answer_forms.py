"""Outputs of LangChain chains as JSON and back: text, messages, documents, and dicts and lists of them.

Nothing is unpickled and no class is looked up by a stored name: what comes back is one of the kinds below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    BaseMessageChunk,
    message_chunk_to_message,
    message_to_dict,
    messages_from_dict,
)
from langchain_core.runnables.utils import AddableDict

from langchain_tuppence.messages import as_chunk, finish_of, text_of
from langchain_tuppence.replies import as_hit
from tuppence.answers import Unstorable

ANSWER_KEYS = ("answer", "output", "result", "output_text", "text")
"""Where chains that return a dict put the words of their answer."""
_KIND = "$"
_PIECE = re.compile(r"\S*\s*")
# What is deeper mostly holds itself; finalisers that the collector calls at the end of Python's stack would fail.
_DEEPEST = 64


class LangChainForm:
    """The `Form` of LangChain's outputs."""

    def text(self, output: Any) -> str:
        """Return the words of an answer: none for a message that calls a tool, or that was cut short."""
        if isinstance(output, str):
            return output
        if isinstance(output, AIMessage):
            return text_of(output) if finish_of(output) in (None, "stop") and not output.tool_calls else ""
        if isinstance(output, BaseMessage):
            return text_of(output)
        if isinstance(output, Mapping):
            for key in ANSWER_KEYS:
                if key in output:
                    return self.text(output[key])
            return "\n".join(filter(None, map(self.text, output.values())))
        if isinstance(output, Document):
            return output.page_content
        if isinstance(output, list) and output and isinstance(output[-1], BaseMessage):
            return self.text(output[-1])
        if isinstance(output, list | tuple):
            return "\n".join(filter(None, map(self.text, output)))
        return "" if output is None else str(output)

    def joined(self, pieces: list[Any]) -> Any:
        """Add the pieces up, as LangChain does for its tracers."""
        if not pieces:
            return ""
        whole = pieces[0]
        try:
            for piece in pieces[1:]:
                whole = whole + piece
        except TypeError:
            raise Unstorable(whole) from None
        return whole

    def pieces(self, output: Any) -> Iterable[Any]:
        if isinstance(output, str):
            return _words(output)
        if isinstance(output, AIMessage):
            return (as_chunk(output),)
        if isinstance(output, dict):
            return [AddableDict({key: one}) for key, value in output.items() for one in _parts(value)]
        return (output,)

    def freeze(self, output: Any) -> Any:
        return frozen(output)

    def thaw(self, value: Any) -> Any:
        return thawed(value)


def frozen(value: Any, room: int = _DEEPEST) -> Any:
    """Return `value` as JSON; raises `Unstorable` for what is none of the kinds known here, or holds more than `room`
    others within each other.
    """
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, str) and not isinstance(value, Enum):
        return str(value)
    if not room:
        raise Unstorable(value)
    if isinstance(value, BaseMessage):
        return {_KIND: "message", "of": frozen(message_to_dict(_whole(value)), room - 1)}
    if isinstance(value, Document):
        return {_KIND: "document", "of": [value.id, value.page_content, frozen(value.metadata, room - 1)]}
    if isinstance(value, dict):
        if any(not isinstance(key, str) or key == _KIND for key in value):
            raise Unstorable(value)
        return {key: frozen(one, room - 1) for key, one in value.items()}
    if type(value) is tuple:
        return {_KIND: "tuple", "of": [frozen(one, room - 1) for one in value]}
    if isinstance(value, list):
        return [frozen(one, room - 1) for one in value]
    raise Unstorable(value)


def thawed(value: Any) -> Any:
    """Return what `frozen` made of a value; raises for anything else."""
    if isinstance(value, list):
        return [thawed(one) for one in value]
    if not isinstance(value, dict):
        return value
    if _KIND in value:
        return _THAWS[value[_KIND]](value["of"])
    return {key: thawed(one) for key, one in value.items()}


def _message(given: Any) -> BaseMessage:
    """Make a message of its own: what it used was paid by the run that made it, and under its old id a graph would
    replace the earlier one.
    """
    (message,) = messages_from_dict([thawed(given)])
    message.id = None
    if isinstance(message, AIMessage):
        as_hit(message)
    return message


def _document(given: Any) -> Document:
    id_, text, metadata = given
    return Document(id=id_, page_content=text, metadata=thawed(metadata))


_THAWS: Mapping[str, Callable[[Any], Any]] = {
    "message": _message, "document": _document, "tuple": lambda given: tuple(map(thawed, given)),
}  # fmt: skip


def _whole(message: BaseMessage) -> BaseMessage:
    """Return the message that a stream's chunks came to."""
    return message_chunk_to_message(message) if isinstance(message, BaseMessageChunk) else message


def _parts(value: Any) -> Iterable[Any]:
    """Take one value of a dict apart; only text comes in pieces."""
    return _words(value) if isinstance(value, str) and value else (_as_streamed(value),)


def _as_streamed(value: Any) -> AIMessageChunk | Any:
    return as_chunk(value) if isinstance(value, AIMessage) else value


def _words(text: str) -> list[str]:
    """Take a text apart after each word."""
    return [piece for piece in _PIECE.findall(text) if piece]
