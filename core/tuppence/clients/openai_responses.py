"""OpenAI's Responses API: instructions and items in, items out, streams in typed and numbered events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tuppence.clients.dialect import INSTRUCTIONS, Json, Parts, applied, common_params, items_of, text_of, usage_in
from tuppence.clients.openai_marks import marked_input
from tuppence.clients.sdk import NotAnAnswer, dumped
from tuppence.request import Capability, Edits, Finish, Message, Reply, Request, Role, ToolCall

_ROLES: Mapping[str, Role] = {"system": "system", "developer": "system", "assistant": "assistant"}
_MEDIA: Mapping[str, Capability] = {"input_image": "vision", "input_audio": "audio"}
_CALLS = ("function_call", "custom_tool_call")
_CUT: Mapping[str, Finish] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_ENDS = ("response.completed", "response.incomplete", "response.failed")
# What of an item is yet to come when it is added.
_HOLLOW: Mapping[str, Json] = {"message": {"content": []}, "function_call": {"arguments": ""}}
_NO_TOKENS = {
    "input_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0,
}  # fmt: skip


class Responses:
    """`POST /responses`."""

    cascades = True
    limit_name = "max_output_tokens"
    read_apart = frozenset({"instructions", "input", "tools", "model", "stream", "stream_options"})

    def untracked(self, body: Json) -> bool:
        # It is answered later, to somebody who polls for it.
        return bool(body.get("background"))

    def stateful(self, body: Json) -> bool:
        return body.get("conversation") is not None

    def parts(self, body: Json) -> Parts:
        messages = tuple(_neutral(item) for item in _items(body))
        form = (body.get("text") or {}).get("format") or {}
        return Parts(messages, tuple(_tool(tool) for tool in body.get("tools") or ()), form.get("schema"))

    def edited(self, body: Json, edits: Edits) -> Json:
        if edits.marks:
            body = marked_input(body, edits.marks)
        if not edits.messages:
            return {**body, **edits.params}
        items = applied(_items(body), edits, write=lambda role, text: {"role": role, "content": text})
        rest = {name: value for name, value in body.items() if name != "instructions"}
        for item in items:
            if item.get("type") == INSTRUCTIONS:
                rest["instructions"] = item["content"]
        return {**rest, "input": [item for item in items if item.get("type") != INSTRUCTIONS], **edits.params}

    def composed(self, request: Request) -> Json:
        roles = {"system": "system", "assistant": "assistant"}
        items = [{"role": roles.get(m.role, "user"), "content": m.text} for m in request.messages]
        return {"input": items, **common_params(request)}

    def create(self, client: Any) -> Callable[..., Any]:
        create: Callable[..., Any] = client.responses.create
        return create

    def reply(self, native: Any) -> Reply:
        if not isinstance(getattr(native, "output", None), list):
            raise NotAnAnswer(f"the provider's answer is not a response but {str(native)[:80]!r}")
        return _reply(dumped(native), native, native)

    def streaming(self, body: Json) -> Json:
        return {**body, "stream": True}

    def gathering(self, _body: Json) -> ResponseGathering:
        return ResponseGathering()

    def ends(self, chunk: Any, _body: Json) -> bool:
        return chunk.type in _ENDS

    def replayed(self, completion: Json, _body: Json) -> Iterator[Json]:
        for number, event in enumerate(_events(completion)):
            yield {**event, "sequence_number": number}

    def written(self, text: str, model: str) -> Json:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        message = {"id": "msg_tuppence", "type": "message", "role": "assistant", "status": "completed"}
        envelope = {"id": "resp_tuppence", "object": "response", "created_at": 0, "model": model, "status": "completed"}
        settings: Json = {"error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "tools": []}
        choices = {"parallel_tool_calls": True, "tool_choice": "auto", "temperature": None, "top_p": None}
        return {**envelope, **settings, **choices, "output": [{**message, "content": [part]}], "usage": _NO_TOKENS}

    def unbilled(self, completion: Json) -> Json:
        return {**completion, "usage": _NO_TOKENS}


class ResponseGathering:
    """A response that is being streamed; its last event repeats all of it."""

    __slots__ = ("_response", "_texts")

    def __init__(self) -> None:
        self._response: Any = None
        self._texts: list[str] = []

    def take(self, chunk: Any) -> str:
        kind = chunk.type
        if kind == "response.output_text.delta":
            self._texts.append(chunk.delta)
            piece: str = chunk.delta
            return piece
        if kind in _ENDS or kind == "response.created":
            self._response = chunk.response
        return ""

    def reply(self) -> Reply:
        reply = _reply(self.completion(), self._response, self)
        if not reply.text:
            reply.text = "".join(self._texts)
        return reply

    def completion(self) -> Json:
        return {} if self._response is None else dumped(self._response)


def _reply(response: Json, told: Any, native: Any) -> Reply:
    items = response.get("output") or ()
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    calls = tuple(_call(item) for item in items if item["type"] in _CALLS)
    reason = (response.get("incomplete_details") or {}).get("reason")
    finish: Finish | None = _CUT.get(reason or "")
    if response.get("status") == "completed":
        finish = "tool_calls" if calls else "stop"
    scored = [token["logprob"] for part in parts for token in part.get("logprobs") or ()]
    return Reply(
        "".join(part.get("text") or part.get("refusal") or "" for part in parts), calls, finish,
        None if told is None or told.usage is None else usage_in("responses", told), tuple(scored) or None,
        response.get("model"), native=native,
    )  # fmt: skip


def _items(body: Json) -> list[Json]:
    """Return the instructions, if there are any, and the input's items, in the order of the neutral messages."""
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else items_of(body, "input")
    told = body.get("instructions")
    return [{"type": INSTRUCTIONS, "role": "system", "content": told}, *items] if told else items


def _neutral(item: Json) -> Message:
    kind, content = item.get("type"), item.get("content")
    if kind in _CALLS:
        return Message("assistant", "", (_call(item),), extra={"type": kind})
    if kind in ("function_call_output", "custom_tool_call_output"):
        return Message("tool", text_of(item.get("output")), extra=item)
    if kind not in (None, "message", INSTRUCTIONS):
        # Reasoning, references, calls of built-in tools: the model's own, and nothing to decide by.
        return Message("assistant", "", extra=item)
    extra = {name: value for name, value in item.items() if name not in ("role", "content", "type")}
    media: frozenset[Capability] = frozenset()
    if not isinstance(content, str):
        extra["content"] = content
        kinds = [str(part.get("type")) for part in content or () if isinstance(part, Mapping)]
        media = frozenset(_MEDIA[part] for part in kinds if part in _MEDIA)
    return Message(_ROLES.get(str(item.get("role")), "user"), text_of(content), (), media, extra or None)


def _call(item: Mapping[str, Any]) -> ToolCall:
    arguments = item.get("arguments") if item.get("type") == "function_call" else item.get("input")
    return ToolCall(str(item.get("call_id") or ""), str(item.get("name") or ""), str(arguments or ""))


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Describe a function tool in the form of chat completions; built-in tools stay as they are."""
    if tool.get("type") != "function" or "function" in tool:
        return tool
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _events(response: Json) -> Iterator[Json]:
    """Write the events that would have streamed this response, a whole part in each delta."""
    start = {**response, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": start}
    yield {"type": "response.in_progress", "response": start}
    for index, item in enumerate(response["output"]):
        at = {"item_id": item.get("id"), "output_index": index}
        hollow = _HOLLOW.get(item["type"], {})
        yield {"type": "response.output_item.added", "output_index": index, "item": {**item, **hollow}}
        if item["type"] == "message":
            for number, part in enumerate(item["content"]):
                yield from _part_events(part, {**at, "content_index": number})
        elif item["type"] == "function_call":
            yield {"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]}
            done = {"arguments": item["arguments"], "name": item["name"]}
            yield {"type": "response.function_call_arguments.done", **at, **done}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    ending = response.get("status") if f"response.{response.get('status')}" in _ENDS else "completed"
    yield {"type": f"response.{ending}", "response": response}


def _part_events(part: Json, at: Json) -> Iterator[Json]:
    refused = part["type"] == "refusal"
    name = "refusal" if refused else "text"
    said = part.get(name) or ""
    kind = "response.refusal" if refused else "response.output_text"
    rest = {} if refused else {"logprobs": part.get("logprobs") or []}
    yield {"type": "response.content_part.added", **at, "part": {**part, name: ""}}
    yield {"type": f"{kind}.delta", **at, "delta": said, **rest}
    yield {"type": f"{kind}.done", **at, name: said, **rest}
    yield {"type": "response.content_part.done", **at, "part": part}
