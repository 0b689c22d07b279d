"""A prompt as its provider's prefix cache sees it: pieces in the order in which they are rendered.

Tools, instructions, documents, earlier turns, and a tail that no later request repeats. Each piece knows the digest of
everything up to its end: two prompts share a prefix exactly as far as these are equal. Texts stay in the `Prompt`,
which is not to be kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tuppence.cache.prefix.rules import SegmentName
from tuppence.request import Message, Place, Request
from tuppence.tokens import count_tokens

# A megabyte of digests and numbers; no text is kept.
_MAX_COUNTS = 8192
_counts: dict[tuple[str, str], int] = {}


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of a prompt: the tools, or one message."""

    name: SegmentName
    place: Place
    """Where a mark at its end goes."""
    text: str
    tokens: int
    blocks: int
    """Content blocks, of which providers search a limited number backwards."""
    upto_tokens: int
    """From the beginning of the prompt to the end of this piece."""
    digest: str
    """Of everything up to the end of this piece, as it is sent: 32 hex digits."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request's pieces, for one model."""

    model: str
    tenant: str
    """Empty where the request names none."""
    segments: tuple[Segment, ...]
    asked: frozenset[str]
    """Names of the parameters that the caller set himself."""

    @property
    def tokens(self) -> int:
        return self.segments[-1].upto_tokens

    @property
    def cuts(self) -> tuple[Segment, ...]:
        """The last piece of each kind but the tail: where a prefix that others repeat may end."""
        last = {segment.name: segment for segment in self.segments if segment.name != "tail"}
        return tuple(last.values())


def prompt_of(request: Request, model: str) -> Prompt:
    """Take a request apart for a model.

    The first system message holds the instructions. What system messages follow it before the first turn is taken for
    documents: a chain that retrieves puts them there, or into the turns, so that the instructions before them are the
    same in every call. The last message is the tail: one mark before it serves every request that ends differently.
    Token counts are `count_tokens`', an estimate for most models; pictures and sounds are not counted.
    """
    segments: list[Segment] = []
    upto, digest = 0, ""
    for name, place, text, blocks, sent in _pieces(request):
        digest = _chained(digest, sent)
        tokens = _counted(text, model, digest)
        upto += tokens
        segments.append(Segment(name, place, text, tokens, blocks, upto, digest))
    return Prompt(model, request.tags.get("tenant", ""), tuple(segments), frozenset(request.params))


def _counted(text: str, model: str, digest: str) -> int:
    """Count a piece's tokens, once for as long as the same prefix keeps coming: long ones take milliseconds."""
    found = _counts.get((model, digest))
    if found is None:
        if len(_counts) >= _MAX_COUNTS:
            _counts.clear()
        found = _counts[model, digest] = count_tokens(text, model).tokens
    return found


def canonical(value: Any) -> str:
    """Write JSON with sorted keys, to tell a change of order from a change.

    Only for comparing: a schema's order of properties is the order in which a model fills them in.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr)


def _pieces(request: Request) -> Iterator[tuple[SegmentName, Place, str, int, list[Any]]]:
    """Yield name, place, text, blocks and what is sent, in the order in which providers render a prompt."""
    if request.tools:
        yield "tools", "tools", as_sent(list(request.tools)), len(request.tools), list(request.tools)
    last = len(request.messages) - 1
    turns = next((i for i, m in enumerate(request.messages) if m.role != "system"), last)
    for index, message in enumerate(request.messages):
        yield _named(index, turns, last), index, _text(message), _blocks(message), _sent(message)


def _named(index: int, turns: int, last: int) -> SegmentName:
    """Say what the message at `index` is, in a request whose turns begin at `turns`."""
    if index == last:
        return "tail"
    if index >= turns:
        return "turns"
    return "documents" if index else "system"


def as_sent(value: Any) -> str:
    """Write JSON in the order in which it is sent."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=repr)


def _chained(before: str, sent: list[Any]) -> str:
    body = before + as_sent(sent)
    return hashlib.blake2b(body.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _text(message: Message) -> str:
    calls = "".join(f"\n{call.name}{call.arguments}" for call in message.tool_calls)
    return message.text + calls


def _blocks(message: Message) -> int:
    content = message.extra.get("content") if isinstance(message.extra, dict) else None
    return len(content) if isinstance(content, list) else 1 + len(message.tool_calls)


def _sent(message: Message) -> list[Any]:
    return [message.role, message.text, [[c.id, c.name, c.arguments] for c in message.tool_calls], message.extra]
