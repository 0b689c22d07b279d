"""OpenAI's Responses API, spelt as their reference documents it.

Reads a request's JSON into an `Inbound` and writes a `Generation` as a response object or as its typed
events. It must never decide what the answer is, and it stores nothing: `previous_response_id` finds nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from tuppence.testing.generation import Generation, Inbound, Piece, Rejected, Said, Tool, billed
from tuppence.testing.openai_chat import Event, OpenAIErrors, chosen, flattened, scored, served_tier, sse
from tuppence.testing.script import Fault


class Responses(OpenAIErrors):
    """`POST /v1/responses`."""

    api = "responses"
    prefix = "resp_"

    def read(self, request: Mapping[str, Any]) -> Inbound:
        """Read a request; raises `Rejected` where the API answers 400."""
        if "input" not in request:
            raise Rejected("Missing required parameter: 'input'.", code="missing_required_parameter")
        if previous := request.get("previous_response_id"):
            raise Rejected(f"Previous response with id '{previous}' not found.", code="previous_response_not_found")
        given = request["input"]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        said = [Said("system", request["instructions"])] if request.get("instructions") else []
        said += [one for item in items if (one := _said(item)) is not None]
        wanted: Mapping[str, Any] = (request.get("text") or {}).get("format") or {"type": "text"}
        tools = [tool for tool in request.get("tools") or () if tool["type"] == "function"]
        return Inbound(
            model=str(request["model"]),
            said=tuple(said),
            tools=tuple(Tool(t["name"], t.get("description") or "", t.get("parameters") or {}) for t in tools),
            tool_choice=chosen(request.get("tool_choice") or "auto"),
            parallel=request.get("parallel_tool_calls") is not False,
            json_wanted=wanted["type"] != "text",
            schema=wanted.get("schema"),
            max_tokens=request.get("max_output_tokens"),
            stream=bool(request.get("stream")),
            raw=request,
        )

    def usage(self, inbound: Inbound, generations: Sequence[Generation]) -> dict[str, Any]:
        (generation,) = generations
        turn = generation.turn
        prompt = max(inbound.prompt_tokens, turn.cached_tokens + turn.cache_write_tokens)
        counted = {
            "input_tokens": prompt,
            "input_tokens_details": {
                "cached_tokens": turn.cached_tokens,
                "cache_write_tokens": turn.cache_write_tokens,
            },
            "output_tokens": generation.tokens,
            "output_tokens_details": {"reasoning_tokens": generation.reasoning_tokens},
            "total_tokens": prompt + generation.tokens,
        }
        return billed(counted, generation, input_key="input_tokens", output_key="output_tokens")

    def body(self, inbound: Inbound, generations: Sequence[Generation], number: int) -> dict[str, Any]:
        (generation,) = generations
        cut = generation.finish == "length"
        return {
            **_envelope(inbound, number),
            "status": "incomplete" if cut else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": _output(inbound, generation, number),
            "usage": self.usage(inbound, generations),
        }

    def empty(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "output": []}

    def events(self, inbound: Inbound, generations: Sequence[Generation], number: int) -> Iterator[Event]:
        """Yield the stream's typed events, numbered in order."""
        for sequence, (left, event) in enumerate(self._events(inbound, generations, number)):
            yield left, sse({**event, "sequence_number": sequence}, event=event["type"])

    def _events(
        self, inbound: Inbound, generations: Sequence[Generation], number: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        (generation,) = generations
        start = {**_envelope(inbound, number), "status": "in_progress", "output": [], "usage": None}
        yield 0, {"type": "response.created", "response": start}
        yield 0, {"type": "response.in_progress", "response": start}
        numbered = list(enumerate(generation.pieces, start=1))
        for index, item in enumerate(_output(inbound, generation, number)):
            is_text = item["type"] == "message"
            yield from (_message_events if is_text else _call_events)(inbound, numbered, index, item)
        body = self.body(inbound, generations, number)
        yield len(numbered), {"type": f"response.{body['status']}", "response": body}

    def error_event(self, fault: Fault, *, request_id: str) -> bytes:
        error = self.error(fault, request_id=request_id)["error"]
        data = {"type": "error", "code": error["code"] or error["type"], "message": error["message"]}
        return sse({**data, "param": None, "sequence_number": 0}, event="error")


def _said(item: Mapping[str, Any]) -> Said | None:
    kind = item.get("type", "message")
    if kind == "function_call":
        return Said("assistant", "", calls=(item["name"] + item["arguments"],))
    if kind == "function_call_output":
        return Said("tool", *flattened(item["output"]))
    if kind != "message":
        return None
    roles: Mapping[str, Literal["system", "assistant"]] = {
        "system": "system",
        "developer": "system",
        "assistant": "assistant",
    }
    return Said(roles.get(item["role"], "user"), *flattened(item["content"]))


def _envelope(inbound: Inbound, number: int) -> dict[str, Any]:
    raw = inbound.raw
    return {
        "id": f"{Responses.prefix}{number:06d}",
        "object": "response",
        "created_at": int(time.time()),
        "model": inbound.model,
        "service_tier": served_tier(raw.get("service_tier")),
        "error": None,
        "incomplete_details": None,
        "instructions": raw.get("instructions"),
        "metadata": raw.get("metadata") or {},
        "parallel_tool_calls": inbound.parallel,
        "temperature": raw.get("temperature", 1.0),
        "top_p": raw.get("top_p", 1.0),
        "tool_choice": raw.get("tool_choice") or "auto",
        "tools": raw.get("tools") or [],
        "max_output_tokens": inbound.max_tokens,
        "text": raw.get("text") or {"format": {"type": "text"}},
    }


def _output(inbound: Inbound, generation: Generation, number: int) -> list[dict[str, Any]]:
    status = "incomplete" if generation.finish == "length" else "completed"
    output: list[dict[str, Any]] = []
    if generation.text or not generation.calls:
        logprobs = _logprobs(inbound, generation.text_pieces)
        text = {"type": "output_text", "text": generation.text, "annotations": [], "logprobs": logprobs}
        message = {"id": f"msg_{number:06d}", "type": "message", "role": "assistant"}
        output.append({**message, "status": status, "content": [text]})
    for call, (name, arguments) in enumerate(generation.calls):
        ids = {"id": f"fc_{number:06d}_{call}", "call_id": f"call_{number:06d}_{call}"}
        output.append({**ids, "type": "function_call", "name": name, "arguments": arguments, "status": status})
    return output


def _logprobs(inbound: Inbound, pieces: Sequence[Piece]) -> list[dict[str, Any]]:
    if "message.output_text.logprobs" not in (inbound.raw.get("include") or ()):
        return []
    return [scored(piece, inbound.raw.get("top_logprobs") or 0) for piece in pieces]


def _message_events(
    inbound: Inbound, numbered: Sequence[tuple[int, Piece]], index: int, item: dict[str, Any]
) -> Iterator[tuple[int, dict[str, Any]]]:
    texts = [(left, piece) for left, piece in numbered if piece.kind == "text"]
    at = {"item_id": item["id"], "output_index": index, "content_index": 0}
    opened = {**item, "status": "in_progress", "content": []}
    yield 0, {"type": "response.output_item.added", "output_index": index, "item": opened}
    blank = {"type": "output_text", "text": "", "annotations": []}
    yield 0, {"type": "response.content_part.added", **at, "part": blank}
    for left, piece in texts:
        logprobs = _logprobs(inbound, [piece])
        yield left, {"type": "response.output_text.delta", **at, "delta": piece.value, "logprobs": logprobs}
    (part,) = item["content"]
    end = texts[-1][0] if texts else 0
    done = {"text": part["text"], "logprobs": part["logprobs"]}
    yield end, {"type": "response.output_text.done", **at, **done}
    yield end, {"type": "response.content_part.done", **at, "part": part}
    yield end, {"type": "response.output_item.done", "output_index": index, "item": item}


def _call_events(
    inbound: Inbound, numbered: Sequence[tuple[int, Piece]], index: int, item: dict[str, Any]
) -> Iterator[tuple[int, dict[str, Any]]]:
    call = int(item["id"].rsplit("_", 1)[1])
    mine = [(left, piece) for left, piece in numbered if piece.kind in ("call", "arguments")]
    at = {"item_id": item["id"], "output_index": index}
    end = 0
    for left, piece in mine:
        if piece.call != call:
            continue
        end = left
        if piece.kind == "call":
            opened = {**item, "arguments": "", "status": "in_progress"}
            yield left, {"type": "response.output_item.added", "output_index": index, "item": opened}
        else:
            yield left, {"type": "response.function_call_arguments.delta", **at, "delta": piece.value}
    done = {"arguments": item["arguments"], "name": item["name"]}
    yield end, {"type": "response.function_call_arguments.done", **at, **done}
    yield end, {"type": "response.output_item.done", "output_index": index, "item": item}
