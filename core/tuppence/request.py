"""The neutral form of a call: what routes, checks and caches look at, whatever framework the user has.

A `Request` is a *view* of native messages, never their replacement: tiers are asked with the user's own
objects, and `Edits` say what to change in them. Nothing here may import a framework or look inside `native`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from tuppence.errors import RequestError
from tuppence.usage import Usage

Role = Literal["system", "user", "assistant", "tool"]
Capability = Literal["tools", "schema", "vision", "audio", "logprobs"]
Tags = Mapping[str, str]
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call that a model asks for."""

    id: str
    name: str
    arguments: str
    """JSON text as the model wrote it: it may be invalid, which is what `valid_tool_calls` looks for."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn, reduced to what decisions need."""

    role: Role
    text: str
    """The text parts, joined; other parts are told by `media` and covered by `extra`."""
    tool_calls: tuple[ToolCall, ...] = ()
    media: frozenset[Capability] = frozenset()
    extra: Any = None
    """JSON-able rest of the native message (images, names, tool ids): part of the fingerprint, otherwise unread."""


@dataclass(slots=True)
class Request:
    """One logical call, before anything is decided."""

    messages: tuple[Message, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    """What the caller sets beside the messages: temperature, max_tokens, stop, tool_choice ..."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """Function tools in OpenAI's JSON form."""
    schema: Mapping[str, Any] | None = None
    """JSON schema that the answer must follow (structured output)."""
    tags: Tags = field(default_factory=dict)
    cache_tags: frozenset[str] = frozenset()
    """What the answer hangs on, such as a page: `cache.invalidate(tag=...)` then takes it out of every cache."""
    call_id: str | None = None
    """The caller's name for this logical call: retries under the same id are accounted as one call."""
    streaming: bool = False
    received_at: float = field(default_factory=time.time)
    """Unix seconds: prices are those of this moment on."""
    native: Any = None
    """The user's own messages, which ports edit and send."""

    def __post_init__(self) -> None:
        if not self.messages:
            raise RequestError("the request has no messages (got an empty list): send at least one user message")

    @property
    def question(self) -> str:
        """Text of the last user turn, or an empty string."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.text
        return ""

    @property
    def system(self) -> str:
        return "\n".join(m.text for m in self.messages if m.role == "system")

    @property
    def needs(self) -> frozenset[Capability]:
        """Capabilities without which a tier cannot answer this request."""
        found: set[Capability] = set()
        if self.tools:
            found.add("tools")
        if self.schema is not None:
            found.add("schema")
        for message in self.messages:
            if message.media:
                found |= message.media
        return frozenset(found)

    def fingerprint(self, *scope: str) -> str:
        """Hash everything that can change the answer, and `scope`, to 32 hex digits (BLAKE2b, 128 bits)."""
        content = [
            [m.role, m.text, [[c.id, c.name, c.arguments] for c in m.tool_calls], m.extra] for m in self.messages
        ]
        body = json.dumps(
            [scope, content, self.params, self.tools, self.schema],
            sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr,
        )  # fmt: skip
        return hashlib.blake2b(body.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


Finish = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(slots=True)
class Reply:
    """One answer of one tier."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish | None = None
    usage: Usage | None = None
    """None where the provider did not say; the call is then billed by a flagged estimate."""
    usage_is_estimate: bool = field(default=False, kw_only=True)
    """The provider left something open that `usage` had to take a guess at, or `usage` is ours altogether."""
    logprobs: tuple[float, ...] | None = None
    """Natural logarithm of the probability of each generated token."""
    model: str | None = None
    latency_ms: float = 0.0
    first_token_ms: float | None = None
    delivered: int = 0
    """Chunks that already reached the user: from one on, the reply is committed."""
    native: Any = None
    tier: str = ""
    """Name of the tier that gave it, where a ladder was climbed."""
    earlier: tuple[Reply, ...] = ()
    """Drafts of tiers below it that were rejected, oldest first: another opinion, already paid for."""


@dataclass(frozen=True, slots=True)
class Insert:
    """Add a message before position `index` of the original messages (`index == len` appends)."""

    index: int
    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Replace:
    """Replace the text of message `index`; its other parts stay."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Leave message `index` out."""

    index: int


Place = int | Literal["tools"]
"""Index of a message, or the end of the tools."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Have the provider keep the prompt up to the end of `place`, so that a later call reads it from its cache.

    Nothing of the text changes. A mark on a message that is dropped goes with it; who marks a request himself keeps
    his own marks and gets none of these.
    """

    place: Place
    lifetime: str
    """As the provider spells it, for example `5m`."""


OUTPUT_LIMIT = "max_tokens"
"""Name of the parameter that bounds an answer's tokens in `Edits.params`, as both frameworks spell it."""

ToolsEdit = Callable[[Sequence[Any]], list[Any]]
"""Takes the tools in the form in which a provider is sent them, and returns them as they shall be sent."""


@dataclass(frozen=True, slots=True)
class Edits:
    """What to change in the native messages and parameters; indices are those of `Request.messages`."""

    messages: tuple[Insert | Replace | Drop, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    tools: ToolsEdit | None = None
    """Puts the tools in order, or writes them shorter; None leaves them as they are."""

    def __bool__(self) -> bool:
        return bool(self.messages or self.params or self.marks or self.tools)


NO_EDITS = Edits()


def edited(messages: Sequence[Message], edits: Edits) -> tuple[Message, ...]:
    """Make edits on neutral messages; indices are those of `messages`."""
    return tuple(edited_items(messages, edits, write=Message, retell=lambda one, text: replace(one, text=text)))


def edited_items(
    items: Sequence[M], edits: Edits, *, write: Callable[[Role, str], M], retell: Callable[[M, str], M]
) -> list[M]:
    """Make edits on messages of any form, which stand in the order of `Request.messages`; the others stay the same
    objects. `write` makes a message, `retell` returns one with another text.
    """
    inserts: dict[int, list[M]] = {}
    kept: list[M | None] = list(items)
    for edit in edits.messages:
        if isinstance(edit, Insert):
            inserts.setdefault(edit.index, []).append(write(edit.role, edit.text))
        else:
            kept[edit.index] = None if isinstance(edit, Drop) else retell(items[edit.index], edit.text)
    made: list[M] = []
    for index, item in enumerate(kept):
        made += inserts.get(index, ())
        if item is not None:
            made.append(item)
    return made + inserts.get(len(kept), [])
