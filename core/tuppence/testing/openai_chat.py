"""OpenAI's chat completions, spelt as their reference documents them (and as vLLM and others copy them).

Reads a request's JSON into an `Inbound`, refuses what the API refuses, and writes a `Generation` as a body or
as server-sent events. It must never decide what the answer is.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from tuppence.testing.generation import Generation, Inbound, Piece, Rejected, Said, Tool, billed
from tuppence.testing.script import Fault

_ROLES: Mapping[str, Literal["system", "user", "assistant", "tool"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}

_FINISH = {"stop_sequence": "stop"}

# The `type` of OpenAI's error object by status, and its `code` where it is always the same.
_ERROR_TYPES: Mapping[int, tuple[str, str | None]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}

Event = tuple[int, bytes]
"""One server-sent event: how many pieces of the answer have left once it has, and its bytes."""


class OpenAIErrors:
    """The error JSON that all of OpenAI's APIs share."""

    def error(self, fault: Fault, *, request_id: str) -> dict[str, Any]:
        fallback = "server_error" if fault.status >= 500 else "invalid_request_error"
        kind, code = _ERROR_TYPES.get(fault.status, (fallback, None))
        message = fault.message or f"Scripted error {fault.status} (request id {request_id})."
        return {"error": {"message": message, "type": kind, "param": None, "code": fault.code or code}}

    def error_event(self, fault: Fault, *, request_id: str) -> bytes:
        return sse(self.error(fault, request_id=request_id))


class ChatCompletions(OpenAIErrors):
    """`POST /v1/chat/completions`."""

    api = "chat"
    prefix = "chatcmpl-"

    def read(self, request: Mapping[str, Any]) -> Inbound:
        """Read a request; raises `Rejected` where the API answers 400."""
        messages = request.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Rejected("Missing required parameter: 'messages'.", code="missing_required_parameter")
        _answered(messages)
        tools = tuple(_tool(tool["function"]) for tool in request.get("tools") or () if "function" in tool)
        if request.get("tool_choice") not in (None, "none") and not tools:
            raise Rejected("'tool_choice' is only allowed when 'tools' are specified.")
        said = tuple(_said(message) for message in messages)
        wanted: Mapping[str, Any] = request.get("response_format") or {"type": "text"}
        if wanted["type"] == "json_object" and not any("json" in one.text.lower() for one in said):
            raise Rejected("'messages' must contain the word 'json' to use 'response_format' of 'json_object'.")
        stop = request.get("stop") or ()
        return Inbound(
            model=str(request["model"]),
            said=said,
            tools=tools,
            tool_choice=chosen(request.get("tool_choice") or "auto"),
            parallel=request.get("parallel_tool_calls") is not False,
            json_wanted=wanted["type"] != "text",
            schema=(wanted.get("json_schema") or {}).get("schema"),
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            max_tokens=request.get("max_completion_tokens") or request.get("max_tokens"),
            samples=request.get("n") or 1,
            stream=bool(request.get("stream")),
            raw=request,
        )

    def usage(self, inbound: Inbound, generations: Sequence[Generation]) -> dict[str, Any]:
        turn = generations[0].turn
        prompt = max(inbound.prompt_tokens, turn.cached_tokens + turn.cache_write_tokens)
        output = sum(generation.tokens for generation in generations)
        counted = {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {
                "cached_tokens": turn.cached_tokens,
                "cache_write_tokens": turn.cache_write_tokens,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": sum(generation.reasoning_tokens for generation in generations),
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
        return billed(counted, generations[0], input_key="prompt_tokens", output_key="completion_tokens")

    def body(self, inbound: Inbound, generations: Sequence[Generation], number: int) -> dict[str, Any]:
        choices = [_choice(inbound, generation, index, number) for index, generation in enumerate(generations)]
        usage = self.usage(inbound, generations)
        return {**_envelope(inbound, number, "chat.completion"), "choices": choices, "usage": usage}

    def empty(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "choices": []}

    def events(self, inbound: Inbound, generations: Sequence[Generation], number: int) -> Iterator[Event]:
        """Yield the stream's events; with `include_usage` the last chunk has no choice and the usage."""
        envelope = _envelope(inbound, number, "chat.completion.chunk")
        with_usage = bool((inbound.raw.get("stream_options") or {}).get("include_usage"))
        if with_usage:
            envelope["usage"] = None
        left = 0
        for index, generation in enumerate(generations):
            first = {"role": "assistant", "content": "", "refusal": None}
            yield left, sse({**envelope, "choices": [_delta(index, first)]})
            for piece in generation.pieces:
                left += 1
                if piece.kind != "thinking":
                    yield left, sse({**envelope, "choices": [_piece_delta(inbound, piece, index, number)]})
            finish = _FINISH.get(generation.finish, generation.finish)
            yield left, sse({**envelope, "choices": [_delta(index, {}, finish=finish)]})
        if with_usage:
            yield left, sse({**envelope, "choices": [], "usage": self.usage(inbound, generations)})
        yield left, b"data: [DONE]\n\n"


def sse(data: Mapping[str, Any], *, event: str | None = None) -> bytes:
    """Write one server-sent event."""
    named = f"event: {event}\n" if event else ""
    return f"{named}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def chosen(choice: str | Mapping[str, Any]) -> str:
    """Read OpenAI's `tool_choice` in either API's spelling."""
    if isinstance(choice, str):
        return "any" if choice == "required" else choice
    if choice.get("type") == "allowed_tools":
        return chosen(choice.get("mode") or choice["allowed_tools"]["mode"])
    return "=" + str(choice.get("name") or choice["function"]["name"])


def flattened(content: Any) -> tuple[str, int]:
    """Join the texts of a message's content; count its images, files and sounds."""
    if content is None or isinstance(content, str):
        return content or "", 0
    texts = [str(part.get("text") or part.get("refusal") or "") for part in content]
    media = sum(1 for part in content if "text" not in part["type"] and part["type"] != "refusal")
    return "\n".join(text for text in texts if text), media


def served_tier(asked: Any) -> str:
    """Give the service tier that a request with this `service_tier` is served in."""
    return "default" if asked in (None, "auto") else str(asked)


def _tool(function: Mapping[str, Any]) -> Tool:
    return Tool(function["name"], function.get("description") or "", function.get("parameters") or {})


def _said(message: Mapping[str, Any]) -> Said:
    text, media = flattened(message.get("content"))
    calls = tuple(
        str(call["function"]["name"]) + str(call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
        if "function" in call
    )
    return Said(_ROLES[message["role"]], text, media, calls)


def _answered(messages: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a history with a tool call that nobody answered, or an answer to no call."""
    waiting: set[str] = set()
    for message in messages:
        if message.get("role") not in _ROLES:
            raise Rejected(f"Invalid value: '{message.get('role')}'. Supported values are: {sorted(_ROLES)}.")
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                raise Rejected(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message "
                    "with 'tool_calls'."
                )
            waiting.discard(message["tool_call_id"])
            continue
        _none_waits(waiting)
        waiting = {call["id"] for call in message.get("tool_calls") or ()}
    _none_waits(waiting)


def _none_waits(waiting: set[str]) -> None:
    if waiting:
        raise Rejected(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {sorted(waiting)}"
        )


def _envelope(inbound: Inbound, number: int, kind: str) -> dict[str, Any]:
    return {
        "id": f"{ChatCompletions.prefix}{number:06d}",
        "object": kind,
        "created": int(time.time()),
        "model": inbound.model,
        "service_tier": served_tier(inbound.raw.get("service_tier")),
        "system_fingerprint": "fp_scripted",
    }


def _call_id(number: int, sample: int, call: int) -> str:
    return f"call_{number:06d}_{sample}_{call}"


def _choice(inbound: Inbound, generation: Generation, index: int, number: int) -> dict[str, Any]:
    text = generation.text
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    if calls := generation.calls:
        message["content"] = text or None
        message["tool_calls"] = [
            {
                "id": _call_id(number, index, call),
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
            for call, (name, arguments) in enumerate(calls)
        ]
    return {
        "index": index,
        "message": message,
        "logprobs": _logprobs(inbound, generation.text_pieces),
        "finish_reason": _FINISH.get(generation.finish, generation.finish),
    }


def _delta(
    index: int, delta: dict[str, Any], *, logprobs: dict[str, Any] | None = None, finish: str | None = None
) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def _piece_delta(inbound: Inbound, piece: Piece, sample: int, number: int) -> dict[str, Any]:
    if piece.kind == "text":
        return _delta(sample, {"content": piece.value}, logprobs=_logprobs(inbound, [piece]))
    call: dict[str, Any] = {"index": piece.call, "function": {"arguments": piece.value}}
    if piece.kind == "call":
        call |= {"id": _call_id(number, sample, piece.call), "type": "function"}
        call["function"] = {"name": piece.value, "arguments": ""}
    return _delta(sample, {"tool_calls": [call]})


def _logprobs(inbound: Inbound, pieces: Sequence[Piece]) -> dict[str, Any] | None:
    if not inbound.raw.get("logprobs"):
        return None
    alternatives = inbound.raw.get("top_logprobs") or 0
    return {"content": [scored(piece, alternatives) for piece in pieces], "refusal": None}


def scored(piece: Piece, alternatives: int) -> dict[str, Any]:
    """Write a token's logprob; its alternatives have, halving each time, what probability it leaves."""
    top = [_token(piece.value, piece.logprob)]
    left = max(1e-9, 1 - math.exp(piece.logprob))
    top += [_token(f"{piece.value}~{k}", math.log(left / 2**k)) for k in range(1, alternatives)]
    return {**top[0], "top_logprobs": top[:alternatives]}


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}
