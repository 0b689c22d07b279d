"""What several passages say, said once: a sentence goes only where another one that stays says all of it.

All of it: its words, numbers and signs stand there too, as one unbroken run, with as many negations around them. Looser
rules were left out on purpose: two sentences that differ in `may`, in `was` or in a name are two statements. A sentence
that leans on the one before it, since it opens with `he` or is a bare `Yes.`, goes and stays together with that one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from tuppence.prune.sentences import Span, sentences

_PIECE = re.compile(r"\w+(?:['’]\w+)?|[^\w\s]")
_UNSAID = frozenset(".,;:!\"'“”‘’«»()[]{}*_#|>`–—…")
"""Marks that state nothing. A hyphen may be a minus, and a question is no statement: those stay."""
_NEGATIONS = frozenset(
    """no not never none nobody nothing neither nor without cannot hardly scarcely barely unless except false wrong deny
    denies denied kein keine nicht nie ohne pas jamais sans nunca sin ni non mai senza niet geen""".split()
)
"""Words that turn a statement round, or take part of it back."""
_LEANING = frozenset(
    """he she it they we this that these those his her its their our there here such both also then however but so or
    and er sie es dies diese il elle ils elles ce cette""".split()
)
"""First words by which a sentence speaks of the one before it."""
_WHOLE_PIECES = 4
"""A subject, a verb and an object, one of them with its article: what is shorter is a heading, an item or a `Yes.`."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage."""

    passage: int
    """Position of the passage among those given."""
    span: Span
    """Its characters in the passage's text."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A sentence that is left out, and the one that says it."""

    sentence: Sentence
    said_by: Sentence


def said_once(texts: Sequence[str], passages: Sequence[int]) -> tuple[list[Sentence], list[Repeat]]:
    """Return the sentences of the passages at these positions that stay, in order, and those that repeat one of them.

    Of two that say the same the longer stays, of two equally long ones the earlier.
    """
    found = [Sentence(at, span) for at in passages for span in sentences(texts[at])]
    pieces = [said(one.span.of(texts[one.passage])) for one in found]
    sayers = _sayers(pieces)
    for unit in _units(found, pieces):
        if not _goes(unit, sayers, found, pieces):
            for number in unit:
                sayers.pop(number, None)
    kept = [one for number, one in enumerate(found) if number not in sayers]
    return kept, [Repeat(found[number], found[by]) for number, by in sorted(sayers.items())]


def _sayers(pieces: Sequence[Sequence[str]]) -> dict[int, int]:
    """Find, for each sentence that another one says, by number, which one that is."""
    runs = [f" {' '.join(one)} " for one in pieces]
    turned = [_turned(one) for one in pieces]
    # Kept sentences by their runs of up to three: only those that have a sentence's first ones can say all of it.
    holding: dict[tuple[str, ...], list[int]] = {}
    sayers: dict[int, int] = {}
    for number in sorted(range(len(pieces)), key=lambda n: -len(pieces[n])):
        likely = holding.get(tuple(pieces[number][:3]), [])
        by = next((n for n in likely if turned[n] == turned[number] and runs[number] in runs[n]), None)
        if by is not None:
            sayers[number] = by
            continue
        heads = {tuple(pieces[number][at : at + n]) for at in range(len(pieces[number])) for n in (1, 2, 3)}
        for head in heads:
            holding.setdefault(head, []).append(number)
    return sayers


def _units(found: Sequence[Sentence], pieces: Sequence[Sequence[str]]) -> list[list[int]]:
    """Put each sentence together with those behind it that lean on it."""
    units: list[list[int]] = []
    for number, sentence in enumerate(found):
        if number and found[number - 1].passage == sentence.passage and _leans(pieces[number]):
            units[-1].append(number)
        else:
            units.append([number])
    return units


def _goes(
    unit: Sequence[int], sayers: dict[int, int], found: Sequence[Sentence], pieces: Sequence[Sequence[str]]
) -> bool:
    """Say whether a unit can be left out: another one says all of it in its order, and it leans on nothing else."""
    first = sayers.get(unit[0], -1)
    if first < 0 or _leans(pieces[unit[0]]):
        return False
    whole = all(sayers.get(number) == first + at for at, number in enumerate(unit))
    return whole and found[first].passage == found[first + len(unit) - 1].passage


def _leans(pieces: Sequence[str]) -> bool:
    return len(pieces) < _WHOLE_PIECES or pieces[0] in _LEANING


def said(text: str) -> list[str]:
    """Return the words, numbers and signs of a text, in order, without case and punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [piece for piece in _PIECE.findall(folded) if piece not in _UNSAID]


def _turned(pieces: Sequence[str]) -> tuple[int, bool]:
    """Say how often a sentence is turned round, and whether it asks."""
    negations = sum(piece in _NEGATIONS or piece.endswith(("n't", "n’t")) for piece in pieces)
    return negations, "?" in pieces
