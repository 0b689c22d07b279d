"""What of a text still stands after it was written shorter, found without anybody's labels: its numbers, dates, names,
negations and quotations, by rules.

What stands is necessary and not sufficient: a text may keep every number and say something else. What is lost is named,
so that a person can judge.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tuppence.prune.abstractive.dates import dates
from tuppence.prune.lexical import terms
from tuppence.prune.sentences import sentences
from tuppence.signals import names, numbers

Kind = Literal["number", "date", "name", "negation", "quotation"]

_NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|without|cannot|except|unless|only|\w+n['’]t|"
    r"kein\w*|nicht|nie|ohne|pas|jamais|sans|nunca|sin|non|senza|niet|geen)\b",
    re.IGNORECASE,
)
"""Words that turn a statement round or bound it."""
_QUOTED = re.compile(r'"([^"\n]{2,300})"|“([^”\n]{2,300})”|«([^»\n]{2,300})»|„([^“”\n]{2,300})[“”]')
_WORD = re.compile(r"[^\W_][\w'’-]*")


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a shorter text must still say."""

    kind: Kind
    text: str
    """A number or date written alike wherever it stands, a name or quotation without case, a negated word."""


@dataclass(frozen=True, slots=True)
class Survival:
    """Which facts of a text stand in a shorter one."""

    kept: tuple[Fact, ...]
    lost: tuple[Fact, ...]
    invented: tuple[Fact, ...] = ()
    """Numbers, dates and quotations of the shorter text that the longer one does not have."""

    @property
    def share(self) -> float:
        """Of the facts, how many stand; 1 where there were none."""
        facts = len(self.kept) + len(self.lost)
        return len(self.kept) / facts if facts else 1.0

    def by_kind(self) -> dict[Kind, tuple[int, int]]:
        """Count the facts that stand and those that there were, by kind."""
        counts: dict[Kind, tuple[int, int]] = {}
        for fact, stands in [(f, 1) for f in self.kept] + [(f, 0) for f in self.lost]:
            kept, of = counts.get(fact.kind, (0, 0))
            counts[fact.kind] = (kept + stands, of + 1)
        return counts


def survival(text: str, shorter: str) -> Survival:
    """Compare a text with what it was made into, whatever made it."""
    facts, left = facts_of(text), set(facts_of(shorter))
    words = {_bare(word) for word in _WORD.findall(shorter)}
    flat = _flat(shorter)
    kept: list[Fact] = []
    lost: list[Fact] = []
    for fact in facts:
        stands = fact in left
        if fact.kind == "name":
            # A name that opens a sentence is not told from a common word, so any place will do.
            stands = stands or fact.text in words
        elif fact.kind == "quotation":
            stands = stands or fact.text in flat
        (kept if stands else lost).append(fact)
    return Survival(tuple(kept), tuple(lost), _invented(text, facts, left))


def facts_of(text: str) -> list[Fact]:
    """List the facts of a text, each once."""
    dated, undated = dates(text)
    found = [Fact("date", date) for date in dated]
    found += [Fact("number", number) for number in numbers(undated)]
    found += [Fact("name", _bare(name)) for name in names(undated)]
    found += [Fact("negation", word) for word in _negated(text)]
    found += [Fact("quotation", _flat("".join(quoted))) for quoted in _QUOTED.findall(text)]
    return list(dict.fromkeys(found))


def joined_survival(parts: Sequence[Survival]) -> Survival:
    """Add up what stands of several texts."""
    return Survival(
        tuple(fact for part in parts for fact in part.kept),
        tuple(fact for part in parts for fact in part.lost),
        tuple(fact for part in parts for fact in part.invented),
    )


def _negated(text: str) -> list[str]:
    """List the first content word after each negation, or before it where none follows in its sentence."""
    found: list[str] = []
    for span in sentences(text):
        sentence = span.of(text)
        for negation in _NEGATION.finditer(sentence):
            after, before = terms(sentence[negation.end() :]), terms(sentence[: negation.start()])
            found += after[:1] or before[-1:] or [negation[0].casefold()]
    return found


def _invented(text: str, facts: Sequence[Fact], left: set[Fact]) -> tuple[Fact, ...]:
    # A part of a date, its year say, is a number of the text all the same.
    figures, flat = set(numbers(text)), _flat(text)
    told = [fact.text for fact in facts if fact.kind == "date"]
    new = [
        fact
        for fact in left
        if (fact.kind == "number" and fact.text not in figures)
        or (fact.kind == "quotation" and fact.text not in flat)
        or (fact.kind == "date" and not any(_less_exact(fact.text, date) for date in told))
    ]
    return tuple(sorted(new, key=lambda fact: (fact.kind, fact.text)))


def _less_exact(date: str, told: str) -> bool:
    """Say whether `date` is what was told, or that without its day or year."""
    parts, others = date.split("-"), told.split("-")
    return len(parts) == len(others) and all(part in (other, "?") for part, other in zip(parts, others, strict=True))


def _bare(word: str) -> str:
    return re.sub(r"['’]s?\Z", "", word.casefold())


def _flat(text: str) -> str:
    return " ".join(text.casefold().split())
