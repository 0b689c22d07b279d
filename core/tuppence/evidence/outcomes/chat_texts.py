"""The question and the answer inside what tracing tools keep of a chat: messages in OpenAI's words, LangChain's
serialised ones, prompts, completions. Reads texts and never guesses at what is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuppence.signals import refusal

_USER = frozenset({"user", "human", "HumanMessage", "HumanMessageChunk"})
_QUESTION_KEYS = ("input", "question", "query", "prompt", "text")
_ANSWER_KEYS = ("output", "answer", "text", "content", "completion", "response", "result")


def question_in(kept: Any) -> str:
    """Return the last user turn, or the only text, of what went into a model; "" where none is found."""
    if isinstance(kept, str):
        return kept
    if isinstance(kept, list):
        turns = _turns(kept)
        asked = [said for role, said in turns if role in _USER]
        return asked[-1] if asked else (turns[-1][1] if turns else "")
    if not isinstance(kept, Mapping):
        return ""
    for key in ("messages", "prompts", "contents"):
        if kept.get(key):
            return question_in(kept[key])
    return _first(kept, _QUESTION_KEYS, question_in)


def answer_in(kept: Any) -> str:
    """Return the text that a model gave; "" where none is found."""
    if isinstance(kept, str):
        return kept
    if isinstance(kept, list):
        if kept and all(isinstance(part, Mapping) and "type" in part and "text" in part for part in kept):
            return _content(kept)
        return answer_in(kept[-1]) if kept else ""
    if not isinstance(kept, Mapping):
        return ""
    for key in ("generations", "choices", "messages", "message", "kwargs", "data"):
        if kept.get(key) and not isinstance(kept.get("text"), str):
            several = key in ("generations", "choices") and isinstance(kept[key], list)
            return answer_in(kept[key][0] if several else kept[key])
    return _first(kept, _ANSWER_KEYS, answer_in)


def answers_nothing(answer: str) -> bool:
    """Say whether an answer is none: empty, or a refusal."""
    return not answer.strip() or refusal(answer) is not None


def _first(kept: Mapping[str, Any], keys: tuple[str, ...], read: Any) -> str:
    named = [kept[key] for key in keys if kept.get(key)]
    texts = named or [value for value in kept.values() if isinstance(value, str)]
    # Of several texts under names that say nothing, none is surely the one.
    return str(read(texts[0])) if named or len(texts) == 1 else ""


def _turns(messages: list[Any]) -> list[tuple[str, str]]:
    """Return (role, text) of each message."""
    turns: list[tuple[str, str]] = []
    for message in messages:
        if isinstance(message, list):
            turns += _turns(message)
        elif isinstance(message, str):
            turns.append(("user", message))
        elif isinstance(message, Mapping):
            inner = message.get("kwargs") or message.get("data") or message
            path = message.get("id")
            # LangChain's serialised form names the class last: ["langchain", "schema", "messages", "HumanMessage"].
            kind = path[-1] if isinstance(path, list) and path else message.get("role") or message.get("type")
            turns.append((str(kind or ""), _content(inner.get("content", inner.get("parts")))))
    return turns


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part if isinstance(part, str) else part.get("text") for part in content if isinstance(part, str | Mapping)]
    return "".join(part for part in parts if isinstance(part, str))
