"""A prompt piece by piece as it is sent, with what each piece counts: where two prompts part is read off here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuppence.prune.audit import TokenCounter
from tuppence.prune.history.view import Rendered, Shortened, View
from tuppence.request import Drop, Edits, Insert, Message, Replace

# OpenAI's cookbook ("How to count tokens with tiktoken"): every message adds 3 tokens, and its role is one more.
_TOKENS_PER_MESSAGE = 4
_THOUGHTS = ("thinking", "reasoning", "reasoning_content")


@dataclass(frozen=True, slots=True)
class Piece:
    """One message as it is sent."""

    before: int
    """Messages of the conversation up to and with this one."""
    told: tuple[str, str]
    """What it says, apart from what never changes."""
    tokens: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A prompt as it is sent."""

    edits: Edits
    shortened: tuple[Shortened, ...]
    """In order; without those that a later edit left out."""
    pieces: tuple[Piece, ...]
    lead: int
    """System messages at the beginning."""

    @property
    def tokens(self) -> int:
        return sum(piece.tokens for piece in self.pieces)

    def upto(self, messages: int) -> int:
        """Count what is sent of the first `messages` messages."""
        return sum(piece.tokens for piece in self.pieces if piece.before <= messages)

    def still_held(self, before: Layout, messages: int, *, marked: bool) -> int:
        """Count what is read of the first `messages` messages, which were sent as `before` lays them out.

        Where a provider holds what was marked, an edit leaves only the marks before it. That there is one at the end
        of the system message is all that is counted on: an earlier call's end is found again only from twenty blocks
        behind it (Anthropic), which a long history has passed.
        """
        held = before.upto(messages) if messages else 0
        shared = min(self.shared(before), held)
        return min(shared, self.upto(self.lead)) if marked and shared < held else shared

    def shared(self, other: Layout) -> int:
        """Count the tokens with which both begin."""
        total = 0
        for mine, theirs in zip(self.pieces, other.pieces, strict=False):
            if mine.told != theirs.told:
                return total
            total += mine.tokens
        return total


def as_given(view: View) -> Layout:
    """Lay out a conversation as it came."""
    pieces = tuple(_piece(view, index, message.text) for index, message in enumerate(view.messages))
    return Layout(Edits(), (), pieces, _lead(view))


def uncut_pieces(view: View) -> tuple[Piece, ...]:
    """Return a conversation's pieces, one a message, with results written shorter and nothing cut."""
    return tuple(_piece(view, index, text) for index, text in enumerate(view.texts))


def laid_out(view: View, uncut: Sequence[Piece], rendered: Sequence[Rendered]) -> Layout:
    """Lay out a conversation with what batches make of its uncut pieces; what one leaves out, none brings back."""
    shortened: dict[int, Shortened] = {}
    inserts: dict[int, list[Insert]] = {}
    for one in rendered:
        for change in one.shortened:
            known = shortened.get(change.index)
            if known is None or known.text is not None:
                shortened[change.index] = change
        for insert in one.inserts:
            inserts.setdefault(insert.index, []).append(insert)
    made = tuple(shortened[index] for index in sorted(shortened))
    edits, pieces = _edits(view, shortened, inserts), _pieces(view, uncut, shortened, inserts)
    return Layout(Edits(tuple(edits)), made, tuple(pieces), _lead(view))


def _lead(view: View) -> int:
    turns = (index for index, message in enumerate(view.messages) if message.role != "system")
    return next(turns, len(view.messages))


def _edits(
    view: View, shortened: Mapping[int, Shortened], inserts: Mapping[int, Sequence[Insert]]
) -> Iterator[Insert | Replace | Drop]:
    for index, message in enumerate(view.messages):
        yield from inserts.get(index, ())
        change = shortened.get(index)
        text = view.texts[index] if change is None else change.text
        if text is None:
            yield Drop(index)
        elif text != message.text:
            yield Replace(index, text)


def _pieces(
    view: View, uncut: Sequence[Piece], shortened: Mapping[int, Shortened], inserts: Mapping[int, Sequence[Insert]]
) -> Iterator[Piece]:
    for index, piece in enumerate(uncut):
        for insert in inserts.get(index, ()):
            tokens = view.count(insert.text) + _TOKENS_PER_MESSAGE
            yield Piece(index + 1, (insert.role, insert.text), tokens)
        change = shortened.get(index)
        if change is None:
            yield piece
        elif change.text is not None:
            yield _piece(view, index, change.text)


def _piece(view: View, index: int, text: str) -> Piece:
    message = view.messages[index]
    return Piece(index + 1, (str(index), text), view.count(text) + _beside(message, view.count) + _TOKENS_PER_MESSAGE)


def _beside(message: Message, count: TokenCounter) -> int:
    """Count what a message holds beside its text: calls and thoughts; pictures and sounds are not counted."""
    calls = sum(count(f"{call.name}{call.arguments}") for call in message.tool_calls)
    return calls + sum(count(text) for text in _thoughts(message.extra))


def _thoughts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            if name in _THOUGHTS and isinstance(part, str):
                yield part
            else:
                yield from _thoughts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _thoughts(part)
