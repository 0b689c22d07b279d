"""A settled call as one line of JSON: what was asked, and every attempt with its answer, price and time.

A line holds prompts and answers, which is what it is for. Every text of the user or a model goes through redaction;
headers, keys and the words of an error never come in. `tuppence.evidence.outcomes` reads the lines back.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from tuppence.attempts import Attempt
from tuppence.effects import Record
from tuppence.request import Message, Reply, ToolCall
from tuppence.signals import sequence_probability
from tuppence.usage import Usage

Redact = Callable[[str], str]
"""Takes out of a text what must not be stored, and changes nothing else."""

KEY = "tuppence.traffic"
"""First key of every line, with the version of its form."""
VERSION = 1

PROBABILITY = "sequence_probability"
"""Signal: the geometric mean of the answer's token probabilities, where its provider told them."""

# Parameters that carry credentials, or a client's own objects; no decision looks at them.
_UNTOLD = frozenset({"headers", "extra_headers", "query", "extra_query", "api_key", "http_client"})
# An image in a message is megabytes of base64: its digest stands for it.
_LONGEST_EXTRA = 2_000
_DROPPED = object()
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_USAGE = {f.name: f.default for f in fields(Usage) if f.default is not MISSING}


def line_of(call: Record, redact: Redact) -> bytes:
    """Return the call as one line of JSON, every text of the user or a model redacted; raises what `redact` does."""
    request, result = call.request, call.result
    told = {
        KEY: VERSION, "call_id": result.call_id, "at": request.received_at, "tags": dict(result.tags),
        "policy": result.decision.policy_version, "mode": result.decision.mode,
        "messages": [_message(message, redact) for message in request.messages],
        "params": _plain({k: v for k, v in request.params.items() if k not in _UNTOLD}, redact),
        "tools": _plain(list(request.tools), str), "schema": _plain(request.schema, str),
        "attempts": [_attempt(a, r, redact) for a, r in zip(result.attempts, call.replies, strict=True)],
    }  # fmt: skip
    text = _ENCODER.encode(_stated(told))
    # A lone surrogate, which UTF-8 cannot hold, becomes the escape that JSON has for it.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _message(message: Message, redact: Redact) -> dict[str, Any]:
    return _stated(
        {
            "role": message.role, "text": redact(message.text), "tool_calls": _calls(message.tool_calls, redact),
            "media": sorted(message.media), "extra": _plain(_shortened(message.extra), redact),
        }
    )  # fmt: skip


def _attempt(attempt: Attempt, reply: Reply | None, redact: Redact) -> dict[str, Any]:
    said = reply and _stated(
        {
            "text": redact(reply.text), "tool_calls": _calls(reply.tool_calls, redact), "finish": reply.finish,
            "first_token_ms": reply.first_token_ms,
        }
    )  # fmt: skip
    usage = {n: v for n, default in _USAGE.items() if (v := getattr(attempt.usage, n)) != default}
    probability = None if reply is None or reply.logprobs is None else sequence_probability(reply.logprobs)
    return _stated(
        {
            "tier": attempt.tier, "model": attempt.model, "cause": attempt.cause, "outcome": attempt.outcome,
            "score": attempt.score, "pico_usd": attempt.pico_usd, "status": attempt.status,
            "latency_ms": attempt.latency_ms, "usage": usage, "signals": _stated({PROBABILITY: probability}),
            # The words behind the class may quote the prompt.
            "error": attempt.error and attempt.error.partition(":")[0], "reply": said,
        }
    )  # fmt: skip


def _calls(calls: tuple[ToolCall, ...], redact: Redact) -> list[list[str]]:
    return [[c.id, c.name, redact(c.arguments)] for c in calls]


def _stated(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None and value not in ({}, [])}


def _plain(value: Any, redact: Redact) -> Any:
    """Return `value` as JSON, its texts redacted; what is no JSON is left out."""
    made = _json(value, redact)
    return None if made is _DROPPED else made


def _json(value: Any, redact: Redact) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        made = {str(name): _json(one, redact) for name, one in value.items()}
        return {name: one for name, one in made.items() if one is not _DROPPED}
    if isinstance(value, list | tuple):
        return [one for one in (_json(one, redact) for one in value) if one is not _DROPPED]
    return _DROPPED


def _shortened(extra: Any) -> Any:
    if isinstance(extra, str) and len(extra) > _LONGEST_EXTRA:
        digest = hashlib.blake2b(extra.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return f"blake2b:{digest} ({len(extra)} characters)"
    if isinstance(extra, Mapping):
        return {name: _shortened(value) for name, value in extra.items()}
    return [_shortened(value) for value in extra] if isinstance(extra, list | tuple) else extra
