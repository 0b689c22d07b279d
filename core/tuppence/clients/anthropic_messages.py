"""Anthropic's messages: instructions stand beside the turns, content comes in blocks, streams in typed events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tuppence.clients.anthropic_marks import instructions, marked
from tuppence.clients.dialect import INSTRUCTIONS, Json, Parts, applied, common_params, items_of, text_of
from tuppence.clients.dialect import usage_in as usage_told
from tuppence.clients.sdk import NotAnAnswer, dumped
from tuppence.errors import UsageError
from tuppence.request import Capability, Edits, Finish, Message, Reply, Request, Role, ToolCall
from tuppence.usage import Usage, UsageStream

_ROLES: Mapping[str, Role] = {"assistant": "assistant", "system": "system"}
_FINISHES: Mapping[str, Finish] = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "model_context_window_exceeded": "length",
    "tool_use": "tool_calls", "refusal": "content_filter",
}  # fmt: skip
_NO_TOKENS = {"input_tokens": 0, "output_tokens": 0}
# The API demands a limit; a judge's short answer stays far below.
_COMPOSED_MAX_TOKENS = 1024
# Where the pieces of a block go, by the type of the delta that brings them.
_GROWS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class Messages:
    """`POST /v1/messages`."""

    cascades = True
    limit_name = "max_tokens"
    read_apart = frozenset({"messages", "system", "tools", "model", "stream"})

    def untracked(self, _body: Json) -> bool:
        return False

    def stateful(self, body: Json) -> bool:
        return body.get("container") is not None

    def parts(self, body: Json) -> Parts:
        messages = [_neutral(message) for message in _items(body)]
        form = body.get("output_format") or (body.get("output_config") or {}).get("format") or {}
        return Parts(tuple(messages), tuple(_tool(tool) for tool in body.get("tools") or ()), form.get("schema"))

    def edited(self, body: Json, edits: Edits) -> Json:
        if edits.marks:
            body = marked(body, edits.marks)
        if not edits.messages:
            return {**body, **edits.params}
        items = applied(_items(body), edits, write=lambda role, text: {"role": role, "content": text})
        told = [item["content"] for item in items if item["role"] == "system"]
        rest = {name: value for name, value in body.items() if name != "system"}
        if told:
            rest["system"] = _joined(told)
        return {**rest, "messages": [item for item in items if item["role"] != "system"], **edits.params}

    def composed(self, request: Request) -> Json:
        told = "\n\n".join(m.text for m in request.messages if m.role == "system")
        turns = [
            {"role": "assistant" if m.role == "assistant" else "user", "content": m.text}
            for m in request.messages
            if m.role != "system"
        ]
        system = {"system": told} if told else {}
        return {"max_tokens": _COMPOSED_MAX_TOKENS, **system, "messages": turns, **common_params(request)}

    def create(self, client: Any) -> Callable[..., Any]:
        create: Callable[..., Any] = client.messages.create
        return create

    def reply(self, native: Any) -> Reply:
        if not isinstance(getattr(native, "content", None), list):
            raise NotAnAnswer(f"the provider's answer is not a message but {str(native)[:80]!r}")
        return _reply(dumped(native), usage_told("messages", native), native)

    def streaming(self, body: Json) -> Json:
        return {**body, "stream": True}

    def gathering(self, _body: Json) -> MessageGathering:
        return MessageGathering()

    def ends(self, chunk: Any, _body: Json) -> bool:
        return chunk.type == "message_delta" and chunk.delta.stop_reason is not None

    def replayed(self, completion: Json, _body: Json) -> Iterator[Json]:
        start = {**completion, "content": [], "stop_reason": None, "stop_sequence": None}
        yield {"type": "message_start", "message": start}
        for index, block in enumerate(completion["content"]):
            opened, deltas = _unfolded(block)
            yield {"type": "content_block_start", "index": index, "content_block": opened}
            for delta in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        end = {"stop_reason": completion.get("stop_reason"), "stop_sequence": completion.get("stop_sequence")}
        yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": 0}}
        yield {"type": "message_stop"}

    def written(self, text: str, model: str) -> Json:
        envelope = {"id": "msg_tuppence", "type": "message", "role": "assistant", "model": model}
        content = [{"type": "text", "text": text, "citations": None}]
        ending = {"stop_reason": "end_turn", "stop_sequence": None}
        return {**envelope, "content": content, **ending, "usage": dict(_NO_TOKENS)}

    def unbilled(self, completion: Json) -> Json:
        return {**completion, "usage": dict(_NO_TOKENS)}


class MessageGathering:
    """A message that is being streamed."""

    __slots__ = ("_blocks", "_jsons", "_message", "_usage")

    def __init__(self) -> None:
        self._message: Json = {}
        self._blocks: dict[int, Json] = {}
        self._jsons: dict[int, list[str]] = {}
        self._usage = UsageStream("messages")

    def take(self, chunk: Any) -> str:
        kind = chunk.type
        if kind == "content_block_delta":
            return self._grow(self._blocks[chunk.index], chunk.index, chunk.delta)
        if kind == "content_block_start":
            self._blocks[chunk.index] = dumped(chunk.content_block)
        elif kind == "message_start":
            self._message = dumped(chunk.message)
            self._usage.feed(chunk)
        elif kind == "message_delta":
            told = dumped(chunk)
            self._message.update(told.get("delta") or {})
            self._message["usage"] = {**(self._message.get("usage") or {}), **(told.get("usage") or {})}
            self._usage.feed(chunk)
        return ""

    def _grow(self, block: Json, index: int, delta: Any) -> str:
        kind = delta.type
        if kind == "input_json_delta":
            self._jsons.setdefault(index, []).append(delta.partial_json)
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), dumped(delta.citation)]
        elif kind in _GROWS:
            piece: str = getattr(delta, _GROWS[kind])
            block[_GROWS[kind]] = (block.get(_GROWS[kind]) or "") + piece
            return piece if kind == "text_delta" else ""
        return ""

    def reply(self) -> Reply:
        try:
            usage = self._usage.read()
        except UsageError:
            usage = None
        return _reply(self.completion(), usage, self)

    def completion(self) -> Json:
        content = []
        for index in sorted(self._blocks):
            block = self._blocks[index]
            if written := "".join(self._jsons.get(index, ())):
                block = {**block, "input": _loaded(written)}
            content.append(block)
        return {**self._message, "content": content}


def _reply(message: Json, usage: Usage | None, native: Any) -> Reply:
    blocks = message["content"]
    finish = _FINISHES.get(message.get("stop_reason") or "")
    return Reply(
        "".join(b["text"] for b in blocks if b["type"] == "text"),
        tuple(_call(b) for b in blocks if b["type"] == "tool_use"),
        finish, usage, model=message.get("model"), native=native,
    )  # fmt: skip


def _items(body: Json) -> list[Json]:
    """Return the instructions, if there are any, and the turns, in the order of the neutral messages."""
    told = instructions(body.get("system"))
    return [
        *[{"type": INSTRUCTIONS, "role": "system", "content": content} for content in told],
        *items_of(body, "messages"),
    ]


def _joined(told: list[Any]) -> Any:
    """Put instructions together: as text where all are, as blocks (which may carry cache points) otherwise."""
    if all(isinstance(content, str) for content in told):
        return "\n\n".join(told)
    return [
        block
        for content in told
        for block in ([{"type": "text", "text": content}] if isinstance(content, str) else content)
    ]


def _neutral(message: Json) -> Message:
    role, content = message.get("role"), message.get("content")
    extra = {name: value for name, value in message.items() if name not in ("role", "content", "type")}
    if isinstance(content, str):
        return Message(_ROLES.get(str(role), "user"), content, extra=extra or None)
    blocks = [block for block in content or () if isinstance(block, Mapping)]
    extra["content"] = content
    media: frozenset[Capability] = frozenset({"vision"} if any(b.get("type") == "image" for b in blocks) else ())
    calls = tuple(_call(block) for block in blocks if block.get("type") == "tool_use")
    # A tool's result comes as a user's turn: so it is told here, and nothing else is in it.
    answers = [block for block in blocks if block.get("type") == "tool_result"]
    if answers and len(answers) == len(blocks):
        text = "\n".join(text_of(block.get("content")) for block in answers)
        return Message("tool", text, extra=extra)
    return Message(_ROLES.get(str(role), "user"), text_of(content), calls, media, extra)


def _call(block: Mapping[str, Any]) -> ToolCall:
    given = block.get("input")
    arguments = given if isinstance(given, str) else json.dumps(given or {}, ensure_ascii=False)
    return ToolCall(str(block.get("id") or ""), str(block.get("name") or ""), arguments)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Describe a tool in OpenAI's form; tools that the provider runs stay as they are."""
    if "input_schema" not in tool:
        return tool
    rest = {name: value for name, value in tool.items() if name not in ("input_schema", "type")}
    return {"type": "function", "function": {**rest, "parameters": tool["input_schema"]}}


def _unfolded(block: Json) -> tuple[Json, list[Json]]:
    """Say how a block would have been streamed: as it opens, and what is then added."""
    kind = block["type"]
    if kind == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": block["text"]}]
    if kind == "thinking":
        signed = {"type": "signature_delta", "signature": block.get("signature") or ""}
        return {**block, "thinking": "", "signature": ""}, [
            {"type": "thinking_delta", "thinking": block["thinking"]}, signed,
        ]  # fmt: skip
    if kind in ("tool_use", "server_tool_use"):
        written = json.dumps(block.get("input") or {}, ensure_ascii=False)
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": written}]
    return block, []
