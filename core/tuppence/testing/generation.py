"""What a scripted model reads and what it generates, before any wire spells it.

`Inbound` is a request as the model sees it; `generate` turns a `Turn` into the pieces that leave the model
one by one, cut by stop sequences and by the output limit, so that what an aborted stream has cost is the sum
over the pieces that left. It must never look at JSON of a provider.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Literal, TypeAlias, cast

from tuppence.testing.script import Fault, Turn, tokens_of

# OpenAI's cookbook counts three tokens around every chat message and three that prime the answer.
_TOKENS_AROUND_A_MESSAGE = 3
_TOKENS_OF_PRIMING = 3

# A low-detail image in OpenAI's pricing guide; the scripted provider looks at no picture.
TOKENS_OF_A_MEDIUM = 85

PieceKind: TypeAlias = Literal["thinking", "text", "call", "arguments"]


@dataclass(frozen=True, slots=True)
class Said:
    """A message, flattened: who said it, its text, how many images or files it has, its tool calls."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    media: int = 0
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A request as the model sees it."""

    model: str
    said: tuple[Said, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """`auto`, `none`, `any`, or `=name` for the one tool that must be called."""
    parallel: bool = True
    json_wanted: bool = False
    schema: Mapping[str, Any] | None = None
    """The JSON schema the answer must meet; with `json_wanted` and no schema any JSON object will do."""
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    samples: int = 1
    stream: bool = False
    raw: Mapping[str, Any]

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the messages (three around each), of tools and schema as JSON, and three of priming."""
        said = sum(
            len(tokens_of(message.text))
            + sum(len(tokens_of(call)) for call in message.calls)
            + message.media * TOKENS_OF_A_MEDIUM
            + _TOKENS_AROUND_A_MESSAGE
            for message in self.said
        )
        tools = sum(len(tokens_of(tool.name + tool.description + json.dumps(tool.schema))) for tool in self.tools)
        schema = len(tokens_of(json.dumps(self.schema))) if self.schema is not None else 0
        return said + tools + schema + _TOKENS_OF_PRIMING


class Rejected(Exception):
    """The request is one that the provider refuses to serve, with this fault."""

    def __init__(self, message: str, *, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.fault = Fault(status=status, code=code, message=message)


@dataclass(frozen=True, slots=True)
class Piece:
    """What leaves the model at once: a token of text, thinking or arguments, or a tool call's opening."""

    kind: PieceKind
    value: str
    tokens: int = 1
    call: int = 0
    logprob: float = 0.0


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model generated for one request; a prefix of it is what had been generated at some moment."""

    turn: Turn
    pieces: tuple[Piece, ...]
    finish: str
    """`stop`, `stop_sequence`, `length` or `tool_calls`; else the turn's own word."""
    stop_sequence: str | None = None
    whole: bool = True

    def first(self, count: int) -> Generation:
        """Give what had been generated when `count` pieces had left."""
        return replace(self, pieces=self.pieces[:count], whole=count >= len(self.pieces))

    def joined(self, kind: PieceKind, call: int = 0) -> str:
        return "".join(p.value for p in self.pieces if p.kind == kind and p.call == call)

    @property
    def text(self) -> str:
        return self.joined("text")

    @property
    def calls(self) -> list[tuple[str, str]]:
        """The calls made, as (tool name, arguments as JSON, perhaps cut short)."""
        opened = [piece for piece in self.pieces if piece.kind == "call"]
        return [(piece.value, self.joined("arguments", piece.call)) for piece in opened]

    @property
    def text_pieces(self) -> list[Piece]:
        return [piece for piece in self.pieces if piece.kind == "text"]

    @property
    def reasoning_tokens(self) -> int:
        return self.turn.reasoning_tokens + sum(p.tokens for p in self.pieces if p.kind == "thinking")

    @property
    def tokens(self) -> int:
        """Output tokens, the hidden ones among them."""
        return self.turn.reasoning_tokens + sum(piece.tokens for piece in self.pieces)


def generate(turn: Turn, *, stop: Sequence[str] = (), max_tokens: int | None = None) -> Generation:
    """Generate a turn piece by piece, ending at the first stop sequence or at the output limit."""
    texts, found = _stopped(list(_text_pieces(turn)), stop)
    pieces = [Piece("thinking", token) for token in tokens_of(turn.thinking)] + texts
    if found is None:
        pieces += _call_pieces(turn)
    finish = "stop_sequence" if found is not None else "tool_calls" if turn.tool_calls else "stop"
    spent = list(accumulate((p.tokens for p in pieces), initial=turn.reasoning_tokens))
    if max_tokens is not None and spent[-1] > max_tokens:
        pieces = [piece for piece, total in zip(pieces, spent[1:], strict=True) if total <= max_tokens]
        finish, found = "length", None
    return Generation(turn, tuple(pieces), turn.finish or finish, found)


def _text_pieces(turn: Turn) -> Iterator[Piece]:
    texts = turn.text_pieces
    given = turn.logprobs
    if given is None:
        logprobs = [-(zlib.crc32(text.encode()) % 500) / 1000 for text in texts]
    elif isinstance(given, Sequence):
        logprobs = list(given)
    else:
        logprobs = [given] * len(texts)
    for text, logprob in zip(texts, logprobs, strict=True):
        yield Piece("text", text, logprob=logprob)


def _stopped(pieces: list[Piece], stop: Sequence[str]) -> tuple[list[Piece], str | None]:
    text = "".join(piece.value for piece in pieces)
    places = [(text.find(sequence), sequence) for sequence in stop if sequence and sequence in text]
    if not places:
        return pieces, None
    end, found = min(places)
    starts = accumulate((len(piece.value) for piece in pieces), initial=0)
    kept = [(piece, end - start) for piece, start in zip(pieces, starts, strict=False) if start < end]
    return [replace(piece, value=piece.value[:room]) for piece, room in kept], found


def _call_pieces(turn: Turn) -> list[Piece]:
    pieces: list[Piece] = []
    for index, (name, arguments) in enumerate(turn.tool_calls):
        pieces.append(Piece("call", name, tokens=len(tokens_of(name)), call=index))
        written = json.dumps(arguments, ensure_ascii=False)
        pieces += [Piece("arguments", token, call=index) for token in tokens_of(written)]
    return pieces


def billed(counted: Mapping[str, Any], generation: Generation, *, input_key: str, output_key: str) -> dict[str, Any]:
    """Lay the turn's usage override over the counted usage; of a cut answer the output stays as counted.

    A `total_tokens` that is not given is the sum of the input and the output.
    """
    override = generation.turn.usage or {}
    out = _overlaid(counted, override)
    if not generation.whole:
        out[output_key] = counted[output_key]
    if "total_tokens" in counted and not (generation.whole and "total_tokens" in override):
        out["total_tokens"] = out[input_key] + out[output_key]
    return out


def _overlaid(counted: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(counted)
    for key, value in override.items():
        known = out.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        out[key] = _overlaid(cast("Mapping[str, Any]", known), value) if both else value
    return out
