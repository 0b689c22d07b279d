"""Anthropic's Messages API, spelt as their reference documents it.

Reads a request's JSON into an `Inbound`, refuses what the API refuses, and writes a `Generation` as a message
or as its stream of typed events, where usage is cumulative. It must never decide what the answer is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from tuppence.testing.generation import Generation, Inbound, Piece, Rejected, Said, Tool, billed
from tuppence.testing.openai_chat import Event, sse
from tuppence.testing.script import Fault

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}

# https://docs.anthropic.com/en/api/errors
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

# What ends a thinking block: the API signs it, and refuses a block that comes back changed.
_SIGNATURE = "c2NyaXB0ZWQ="


class Messages:
    """`POST /v1/messages`."""

    api = "messages"
    prefix = "msg_"

    def read(self, request: Mapping[str, Any]) -> Inbound:
        """Read a request; raises `Rejected` where the API answers 400."""
        messages = request.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Rejected("messages: at least one message is required")
        if "max_tokens" not in request:
            raise Rejected("max_tokens: Field required")
        _answered(messages)
        choice = request.get("tool_choice") or {"type": "auto"}
        wanted = (request.get("output_config") or {}).get("format") or request.get("output_format")
        system = request.get("system")
        said = [Said("system", *_flattened(system)[:2])] if system else []
        tools = [tool for tool in request.get("tools") or () if "input_schema" in tool]
        return Inbound(
            model=str(request["model"]),
            said=tuple(said + [one for message in messages for one in _said(message)]),
            tools=tuple(Tool(t["name"], t.get("description") or "", t["input_schema"]) for t in tools),
            tool_choice=f"={choice['name']}" if choice["type"] == "tool" else choice["type"],
            parallel=not choice.get("disable_parallel_tool_use"),
            json_wanted=wanted is not None,
            schema=(wanted or {}).get("schema"),
            stop=tuple(request.get("stop_sequences") or ()),
            max_tokens=request["max_tokens"],
            stream=bool(request.get("stream")),
            raw=request,
        )

    def usage(self, inbound: Inbound, generations: Sequence[Generation]) -> dict[str, Any]:
        """Count the usage; `input_tokens` are those that the cache neither gave nor took."""
        (generation,) = generations
        turn = generation.turn
        prompt = max(inbound.prompt_tokens, turn.cached_tokens + turn.cache_write_tokens)
        for_an_hour = '"ttl": "1h"' in json.dumps(inbound.raw)
        counted = {
            "input_tokens": prompt - turn.cached_tokens - turn.cache_write_tokens,
            "cache_creation_input_tokens": turn.cache_write_tokens,
            "cache_read_input_tokens": turn.cached_tokens,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 0 if for_an_hour else turn.cache_write_tokens,
                "ephemeral_1h_input_tokens": turn.cache_write_tokens if for_an_hour else 0,
            },
            "output_tokens": generation.tokens,
            "service_tier": "standard",
        }
        return billed(counted, generation, input_key="input_tokens", output_key="output_tokens")

    def body(self, inbound: Inbound, generations: Sequence[Generation], number: int) -> dict[str, Any]:
        (generation,) = generations
        return {
            **_envelope(inbound, number),
            "content": list(_blocks(generation, number)),
            "stop_reason": _STOP_REASONS.get(generation.finish, generation.finish),
            "stop_sequence": generation.stop_sequence,
            "usage": self.usage(inbound, generations),
        }

    def empty(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "content": []}

    def events(self, inbound: Inbound, generations: Sequence[Generation], number: int) -> Iterator[Event]:
        """Yield the stream's events; `message_start` counts the input, `message_delta` the whole."""
        (generation,) = generations
        usage = self.usage(inbound, generations)
        begun = {**usage, "output_tokens": min(1, usage["output_tokens"])}
        start = {**_envelope(inbound, number), "content": [], "stop_reason": None, "stop_sequence": None}
        yield 0, _sse("message_start", message={**start, "usage": begun})
        yield 0, _sse("ping")
        numbered = enumerate(generation.pieces, start=1)
        for index, (_, pieces) in enumerate(groupby(numbered, key=lambda one: _block(one[1]))):
            yield from _block_events(list(pieces), index, number)
        ended = {
            "stop_reason": _STOP_REASONS.get(generation.finish, generation.finish),
            "stop_sequence": generation.stop_sequence,
        }
        left = len(generation.pieces)
        cumulative = {k: v for k, v in usage.items() if k not in ("cache_creation", "service_tier")}
        yield left, _sse("message_delta", delta=ended, usage=cumulative)
        yield left, _sse("message_stop")

    def error(self, fault: Fault, *, request_id: str) -> dict[str, Any]:
        kind = fault.code or _ERROR_TYPES.get(fault.status, "api_error")
        error = {"type": kind, "message": fault.message or f"Scripted error {fault.status}."}
        return {"type": "error", "error": error, "request_id": request_id}

    def error_event(self, fault: Fault, *, request_id: str) -> bytes:
        return sse(self.error(fault, request_id=request_id), event="error")


def _sse(event: str, **data: Any) -> bytes:
    return sse({"type": event, **data}, event=event)


def _flattened(content: Any) -> tuple[str, int]:
    if isinstance(content, str):
        return content, 0
    texts = [str(part.get("text") or part.get("thinking") or "") for part in content]
    media = sum(1 for part in content if part["type"] in ("image", "document"))
    return "\n".join(text for text in texts if text), media


def _said(message: Mapping[str, Any]) -> Iterator[Said]:
    if isinstance(message["content"], str):
        yield Said(message["role"], message["content"])
        return
    results = [part for part in message["content"] if part["type"] == "tool_result"]
    rest = [part for part in message["content"] if part["type"] != "tool_result"]
    for result in results:
        yield Said("tool", *_flattened(result.get("content") or ""))
    calls = tuple(part["name"] + json.dumps(part["input"]) for part in rest if part["type"] == "tool_use")
    if rest:
        yield Said(message["role"], *_flattened(rest), calls)


def _ids(message: Mapping[str, Any], kind: str, key: str) -> set[str]:
    content = message["content"]
    return set() if isinstance(content, str) else {part[key] for part in content if part["type"] == kind}


def _answered(messages: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a history where a tool's use and its result are not in neighbouring messages."""
    waiting: set[str] = set()
    for index, message in enumerate(messages):
        if message["role"] not in ("user", "assistant"):
            raise Rejected(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        results = _ids(message, "tool_result", "tool_use_id")
        if stray := results - waiting:
            raise Rejected(
                f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {min(stray)}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        if missing := waiting - results:
            raise Rejected(
                f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately "
                f"after: {min(missing)}."
            )
        waiting = _ids(message, "tool_use", "id")
    if waiting:
        raise Rejected(f"`tool_use` ids were found without `tool_result` blocks after: {min(waiting)}.")


def _envelope(inbound: Inbound, number: int) -> dict[str, Any]:
    return {
        "id": f"{Messages.prefix}{number:06d}",
        "type": "message",
        "role": "assistant",
        "model": inbound.model,
    }


def _use(name: str, call: int, number: int, arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number:06d}_{call}", "name": name, "input": arguments}


def _blocks(generation: Generation, number: int) -> Iterator[dict[str, Any]]:
    if thinking := generation.joined("thinking"):
        yield {"type": "thinking", "thinking": thinking, "signature": _SIGNATURE}
    if generation.text:
        yield {"type": "text", "text": generation.text}
    for call, (name, arguments) in enumerate(generation.calls):
        yield _use(name, call, number, _parsed(arguments))


def _parsed(arguments: str) -> Any:
    """Parse a call's arguments; those that the output limit cut short are given as none."""
    try:
        return json.loads(arguments)
    except json.JSONDecodeError:
        return {}


def _block(piece: Piece) -> str:
    """Name the block that a piece belongs to."""
    return piece.kind if piece.kind in ("thinking", "text") else f"call {piece.call}"


def _block_events(numbered: Sequence[tuple[int, Piece]], index: int, number: int) -> Iterator[Event]:
    before, first = numbered[0][0] - 1, numbered[0][1]
    rest = numbered
    if first.kind == "thinking":
        opened: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
    elif first.kind == "text":
        opened = {"type": "text", "text": ""}
    else:
        opened, before, rest = _use(first.value, first.call, number, {}), before + 1, numbered[1:]
    yield before, _sse("content_block_start", index=index, content_block=opened)
    for left, piece in rest:
        yield left, _sse("content_block_delta", index=index, delta=_delta(piece))
    end = numbered[-1][0]
    if first.kind == "thinking":
        signed = {"type": "signature_delta", "signature": _SIGNATURE}
        yield end, _sse("content_block_delta", index=index, delta=signed)
    yield end, _sse("content_block_stop", index=index)


def _delta(piece: Piece) -> dict[str, Any]:
    if piece.kind == "thinking":
        return {"type": "thinking_delta", "thinking": piece.value}
    if piece.kind == "text":
        return {"type": "text_delta", "text": piece.value}
    return {"type": "input_json_delta", "partial_json": piece.value}
