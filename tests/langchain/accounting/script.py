"""What the scripted providers say: good and bad answers in the words of whoever asks, however they are asked.

A good answer is a text, an object of the schema or a tool call, whatever the request wants; a bad one is what a default
check or a parser rejects. So one line of a table is the same story for every surface.
"""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any

from pydantic import BaseModel

from tuppence.testing import Fault, ProviderServer, Turn, tokens_of

REFUSAL = "I'm sorry, but I can't help with that."
RULES = "We open at nine."
CITY = {"name": "Porto", "people": 231_800}


class City(BaseModel):
    """A city and how many live there."""

    name: str
    people: int


class Step(Enum):
    GOOD = auto()
    """With cached and reasoning tokens, as large providers report them."""
    PLAIN = auto()
    """Good, and nothing but totals in the usage."""
    BAD = auto()


Says = Step | Fault | Turn


def good_text(question: str) -> str:
    """Longer than the opening in which a refusal is looked for: a stream of it is let through before its end."""
    return f"You ask: {question} " + "The harbour was built in 1850, and has been enlarged twice. " * 5 + "So it is."


def pieces(text: str) -> list[str]:
    """Cut a text into few pieces, so that a stream of it is quick."""
    words = tokens_of(text)
    return ["".join(words[at : at + 8]) for at in range(0, len(words), 8)]


def say(server: ProviderServer, model: str, steps: Sequence[Says]) -> None:
    """Let the nth request of the same conversation get the nth step, the last for ever: whatever runs beside it."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def answer(request: dict[str, Any]) -> Turn | Fault:
        key = json.dumps(request["messages"], sort_keys=True)
        with lock:
            at = seen[key]
            seen[key] += 1
        step = steps[min(at, len(steps) - 1)]
        if not isinstance(step, Step):
            return step
        return graded(request) if is_judge(request) else spoken(request, step)

    server.model(model, replies=answer)


def spoken(request: dict[str, Any], step: Step) -> Turn:
    extra = {} if step is not Step.GOOD else {"cached_tokens": 3, "cache_write_tokens": 2 * is_anthropic(request)}
    if step is Step.GOOD and not is_anthropic(request):
        extra["reasoning_tokens"] = 5
    tools = tools_of(request)
    city = CITY if step is not Step.BAD else {"name": "Porto"}
    if "response_format" in request:
        return Turn(json.dumps(city), **extra)
    if "City" in tools:
        return Turn(tool_calls=[("City", city)], **extra)
    if step is Step.BAD:
        return Turn(REFUSAL)
    if "weather" in tools and not has_result(request):
        return Turn(tool_calls=[("weather", {"city": question_of(request)})], **extra)
    return Turn(pieces=pieces(good_text(question_of(request))), **extra)


def graded(request: dict[str, Any]) -> Turn:
    """Grade as a judge who knows a refusal."""
    return Turn(json.dumps({"score": 1 if REFUSAL in json.dumps(request["messages"]) else 5, "reason": "so it is"}))


def is_judge(request: dict[str, Any]) -> bool:
    return "You grade one answer" in json.dumps([request["messages"], request.get("system")])


def is_anthropic(request: dict[str, Any]) -> bool:
    return "max_tokens" in request and "stream_options" not in request and "response_format" not in request


def tools_of(request: dict[str, Any]) -> set[str]:
    return {(tool.get("function") or tool)["name"] for tool in request.get("tools") or ()}


def has_result(request: dict[str, Any]) -> bool:
    """Say whether a tool's result is among the messages, in either provider's spelling."""
    return any(m["role"] == "tool" for m in request["messages"]) or "tool_result" in json.dumps(request["messages"])


def question_of(request: dict[str, Any]) -> str:
    """Return what the user asked, in either provider's spelling."""
    texts = [text for m in request["messages"] if m["role"] == "user" for text in _texts(m["content"])]
    return texts[-1]


def _texts(content: Any) -> list[str]:
    return [content] if isinstance(content, str) else [block["text"] for block in content if block["type"] == "text"]
