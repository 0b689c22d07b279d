"""OpenAI's chat completions, as they and the many servers that copied them are asked and answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tuppence.clients.dialect import NO_TOKENS, Json, Parts, applied, common_params, items_of, text_of, usage_in
from tuppence.clients.openai_marks import marked_messages
from tuppence.clients.sdk import NotAnAnswer, dumped
from tuppence.request import Capability, Edits, Finish, Message, Reply, Request, Role, ToolCall

_ROLES: Mapping[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool",
    "function": "tool",
}  # fmt: skip
_FINISHES: Mapping[str, Finish] = {
    "stop": "stop", "length": "length", "tool_calls": "tool_calls", "function_call": "tool_calls",
    "content_filter": "content_filter",
}  # fmt: skip
_MEDIA: Mapping[str, Capability] = {"image_url": "vision", "input_audio": "audio"}
# Of these a stream's deltas repeat the whole value, or send it once; other texts come in pieces.
_SENT_WHOLE = frozenset({"id", "index", "name", "role", "type"})


class ChatCompletions:
    """`POST /chat/completions`."""

    cascades = True
    limit_name = "max_completion_tokens"
    read_apart = frozenset({"messages", "tools", "model", "stream", "stream_options"})

    def untracked(self, _body: Json) -> bool:
        return False

    def stateful(self, _body: Json) -> bool:
        return False

    def parts(self, body: Json) -> Parts:
        return Parts(
            tuple(_neutral(message) for message in items_of(body, "messages")),
            tuple(body.get("tools") or ()),
            _schema(body.get("response_format")),
        )

    def edited(self, body: Json, edits: Edits) -> Json:
        if edits.marks:
            body = marked_messages(body, edits.marks)
        messages = applied(body["messages"], edits, write=_message) if edits.messages else body["messages"]
        return {**body, "messages": messages, **edits.params}

    def composed(self, request: Request) -> Json:
        roles = {"system": "system", "assistant": "assistant"}
        messages = [_message(roles.get(m.role, "user"), m.text) for m in request.messages]
        return {"messages": messages, **common_params(request)}

    def create(self, client: Any) -> Callable[..., Any]:
        create: Callable[..., Any] = client.chat.completions.create
        return create

    def reply(self, native: Any) -> Reply:
        choices = getattr(native, "choices", None)
        if not isinstance(choices, list):
            raise NotAnAnswer(f"the provider's answer is not a chat completion but {str(native)[:80]!r}")
        usage = usage_in("chat", native)
        if not choices:
            return Reply("", usage=usage, model=native.model, native=native)
        first = choices[0]
        message = first.message
        calls = tuple(_call(dumped(call)) for call in message.tool_calls or ())
        legacy = getattr(message, "function_call", None)
        if legacy is not None:
            calls += (ToolCall("", legacy.name, legacy.arguments),)
        finish = _FINISHES.get(first.finish_reason or "")
        text = message.content or getattr(message, "refusal", None) or ""
        return Reply(text, calls, finish, usage, _logprobs(first), native.model, native=native)

    def streaming(self, body: Json) -> Json:
        return {**body, "stream": True, "stream_options": {**(body.get("stream_options") or {}), "include_usage": True}}

    def gathering(self, body: Json) -> ChatGathering:
        return ChatGathering(shows_usage=_shows_usage(body))

    def ends(self, chunk: Any, body: Json) -> bool:
        return body.get("n") in (None, 1) and any(choice.finish_reason for choice in chunk.choices)

    def replayed(self, completion: Json, body: Json) -> Iterator[Json]:
        shared = {k: v for k, v in completion.items() if k not in ("choices", "usage", "object")}
        envelope = {**shared, "object": "chat.completion.chunk"}
        for choice in completion["choices"]:
            index = choice["index"]
            delta = {k: v for k, v in choice["message"].items() if v is not None}
            if calls := delta.pop("tool_calls", None):
                delta["tool_calls"] = [{**call, "index": i} for i, call in enumerate(calls)]
            told = {"index": index, "delta": delta, "logprobs": choice.get("logprobs"), "finish_reason": None}
            yield {**envelope, "choices": [told]}
            end = {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")}
            yield {**envelope, "choices": [end]}
        if _shows_usage(body):
            yield {**envelope, "choices": [], "usage": completion.get("usage")}

    def written(self, text: str, model: str) -> Json:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        envelope = {"id": "chatcmpl-tuppence", "object": "chat.completion", "created": 0, "model": model}
        return {**envelope, "choices": [choice], "usage": dict(NO_TOKENS)}

    def unbilled(self, completion: Json) -> Json:
        return {**completion, "usage": dict(NO_TOKENS)}


class ChatGathering:
    """A chat completion that is being streamed."""

    __slots__ = ("_chunks", "_shows_usage", "_usage")

    def __init__(self, *, shows_usage: bool) -> None:
        self._chunks: list[Any] = []
        self._shows_usage = shows_usage
        self._usage: Any = None

    def take(self, chunk: Any) -> str | None:
        self._chunks.append(chunk)
        if chunk.usage is not None:
            # Some servers repeat the running count in every chunk.
            self._usage = chunk
        if not chunk.choices:
            return "" if chunk.usage is None or self._shows_usage else None
        first = chunk.choices[0]
        return first.delta.content or "" if first.index == 0 and first.delta is not None else ""

    def reply(self) -> Reply:
        whole = self.completion()
        choice = next((c for c in whole["choices"] if c["index"] == 0), None) or {"message": {}}
        message = choice["message"]
        scored = (choice.get("logprobs") or {}).get("content") or ()
        return Reply(
            message.get("content") or message.get("refusal") or "",
            tuple(_call(call) for call in message.get("tool_calls") or ()),
            _FINISHES.get(choice.get("finish_reason") or ""),
            None if self._usage is None else usage_in("chat", self._usage),
            tuple(token["logprob"] for token in scored) or None,
            whole.get("model"),
            native=self,
        )

    def completion(self) -> Json:
        whole: Json = {}
        choices: dict[int, Json] = {}
        for chunk in map(dumped, self._chunks):
            for told in chunk.pop("choices", None) or ():
                choice = choices.setdefault(told["index"], {"index": told["index"], "message": {}})
                _merge(choice["message"], told.pop("delta", None) or {})
                _merge(choice, told)
            whole.update({name: value for name, value in chunk.items() if value is not None})
        for choice in choices.values():
            for call in choice["message"].get("tool_calls") or ():
                call.pop("index", None)
        return {**whole, "object": "chat.completion", "choices": [choices[index] for index in sorted(choices)]}


def _merge(base: Json, delta: Json) -> None:
    """Add a delta to what came before: texts and lists grow, parts with an index grow one by one."""
    for name, value in delta.items():
        known = base.get(name)
        if value is None:
            base.setdefault(name, None)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping) and "index" in value[0]:
            parts = base[name] = known or []
            for part in value:
                mine = next((p for p in parts if p["index"] == part["index"]), None)
                if mine is None:
                    parts.append(part)
                else:
                    _merge(mine, part)
        elif known is None or (name in _SENT_WHOLE and not known):
            base[name] = value
        elif name in _SENT_WHOLE:
            continue
        elif isinstance(known, dict) and isinstance(value, Mapping):
            _merge(known, dict(value))
        elif isinstance(known, str | list):
            base[name] = known + value
        else:
            base[name] = value


def _shows_usage(body: Json) -> bool:
    return bool((body.get("stream_options") or {}).get("include_usage"))


def _neutral(message: Json) -> Message:
    role = message.get("role")
    content = message.get("content")
    extra = {name: value for name, value in message.items() if name not in ("role", "content", "tool_calls")}
    if role not in ("system", "user", "assistant", "tool"):
        extra["role"] = role
    media: frozenset[Capability] = frozenset()
    if not isinstance(content, str | None):
        # Exactly what was sent: two texts that read the same joined are not the same request.
        extra["content"] = content
        media = frozenset(_MEDIA[kind] for part in content if (kind := _kind(part)) in _MEDIA)
    calls = tuple(_call(call) for call in message.get("tool_calls") or ())
    return Message(_ROLES.get(str(role), "user"), text_of(content), calls, media, extra or None)


def _kind(part: Any) -> str:
    return str(part.get("type")) if isinstance(part, Mapping) else ""


def _call(call: Mapping[str, Any]) -> ToolCall:
    told = call.get("function") or call.get("custom") or {}
    return ToolCall(
        str(call.get("id") or ""), str(told.get("name") or ""), str(told.get("arguments") or told.get("input") or "")
    )


def _message(role: str, text: str) -> Json:
    return {"role": role, "content": text}


def _schema(response_format: Any) -> Mapping[str, Any] | None:
    if isinstance(response_format, Mapping) and response_format.get("type") == "json_schema":
        schema: Mapping[str, Any] | None = (response_format.get("json_schema") or {}).get("schema")
        return schema
    return None


def _logprobs(choice: Any) -> tuple[float, ...] | None:
    content: Iterable[Any] = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    return tuple(token.logprob for token in content) or None
