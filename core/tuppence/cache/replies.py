"""Replies as they are kept: JSON, with the call that paid for them.

It must never hand out what it cannot read back whole, and never a mutable reply that another caller holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeAlias, get_args

from tuppence.effects import Hit
from tuppence.request import Finish, Reply, ToolCall
from tuppence.usage import Usage

Freeze: TypeAlias = Callable[[Reply], Any]
"""Turns a reply into what `json.dumps` takes."""
Thaw: TypeAlias = Callable[[Any], Reply]
"""Turns that back into a reply of its own; whatever it raises makes the entry a miss."""
Redact: TypeAlias = Callable[[str], str]
"""Takes out of a text what must not be stored, and changes nothing else."""

FORMAT = 1
_FINISHES = (None, *get_args(Finish))
_USAGE_DEFAULTS = {f.name: f.default for f in fields(Usage) if f.default is not MISSING}


def worth_keeping(reply: Reply, *, tool_turns: bool = False) -> bool:
    """Say whether `reply` is a whole answer: not empty, cut short or filtered, no tool calls uninvited."""
    if reply.tool_calls or reply.finish == "tool_calls":
        return tool_turns and reply.finish in (None, "stop", "tool_calls")
    return reply.text != "" and reply.finish in (None, "stop")


def freeze_reply(reply: Reply) -> dict[str, Any]:
    """Turn the neutral part of `reply` into JSON; log-probabilities and the native message are left out."""
    usage = reply.usage
    return {
        "text": reply.text,
        "tool_calls": [[c.id, c.name, c.arguments] for c in reply.tool_calls],
        "finish": reply.finish,
        "usage": usage and {n: v for n, d in _USAGE_DEFAULTS.items() if (v := getattr(usage, n)) != d},
        "usage_is_estimate": reply.usage_is_estimate,
        "model": reply.model,
    }


def thaw_reply(frozen: Mapping[str, Any]) -> Reply:
    """Turn what `freeze_reply` made into a reply of its own; raises for anything else."""
    text, finish, usage, is_estimate = (frozen[name] for name in ("text", "finish", "usage", "usage_is_estimate"))
    if not isinstance(text, str) or finish not in _FINISHES:
        raise ValueError(f"text {text!r} or finish {finish!r} is not what was frozen")
    return Reply(
        text,
        tool_calls=tuple(ToolCall(*call) for call in frozen["tool_calls"]),
        finish=finish,
        usage=None if usage is None else Usage(**{name: _tuples(value) for name, value in usage.items()}),
        usage_is_estimate=is_estimate,
        model=frozen["model"],
    )


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def sealed(frozen: Any, origin: str) -> bytes:
    """Write an entry: what was frozen, and the call that paid for it."""
    return json.dumps({"v": FORMAT, "origin": origin, "reply": frozen}, separators=(",", ":")).encode()


def glimpsed(value: bytes) -> tuple[str, str]:
    """Return the call that paid for an entry and its answer's words, for a person to look at; empty for another's."""
    try:
        envelope = json.loads(value)
        return str(envelope["origin"]), str(envelope["reply"].get("text") or "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "", ""


def opened(value: bytes, age_s: float, thaw: Thaw) -> Hit | None:
    """Read an entry; None for one that is torn, foreign or of another version."""
    try:
        envelope = json.loads(value)
        if envelope["v"] != FORMAT:
            return None
        return Hit(thaw(envelope["reply"]), age_s, str(envelope["origin"]))
    except Exception:  # noqa: BLE001 - `thaw` is foreign code: whatever it raises, the entry is of no use
        return None
