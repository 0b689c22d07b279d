"""Questions that look alike and want different answers, made by rule from real ones: a number, a unit, a date, a name,
a direction, a negation or a quantifier is changed. Only changes that must change the answer are kept.

    cd benchmarks && python -m semantic.traps --data DIR [--each 1200] [--show 5]  # how many of each kind, and examples
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from semantic import trap_words as words
from semantic.data import rows


@dataclass(frozen=True, slots=True)
class Trap:
    """A real question, and one that its answer must not be served for."""

    question: str
    changed: str
    kind: str


Change = Callable[[str, random.Random], str | None]
LONGEST_CHARS = 300

_IDIOMS = re.compile(
    r"24\s*[/x]\s*7|9/11|50\s*[/-]\s*50|\b101\b|\b[1-5]\s?[dg]\b|\bcatch.22\b|\b\d+\s*[:/]\s*\d+|\b3\.5 ?mm\b"
    r"|[\\^=<>\[\]{}]|\bmath\b",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"(?<![\w.,/:$#-])(\d{1,6})(?![\w:/-]|[.,]\d)")
_YEAR = re.compile(r"(?<![\w.,$-])(19[5-9]\d|20[0-3]\d)(?![\w-]|[.,]\d)")
_SPELLED_COUNT = re.compile(
    rf"\b({'|'.join(words.SPELLED)}) (?=(?:{'|'.join(words.COUNTED)})\b)",
    re.IGNORECASE,
)
_BEFORE_UNIT = r"(\b(?:\d[\d.,]*|how many|in|per|two|three|four|five|six|seven|eight|nine|ten|few|several)\s*)"
_RHETORICAL = re.compile(
    r"^\s*(?:\w+n't|\w+nt|is not|are not|can not|cannot|why not|how not)\b|or not|not only|whether"
    r"|don'?t (?:know|you|we)|not sure|why (?:don'?t|doesn'?t) (?:you|we|quora)|if not|not just|no longer"
    r"|can'?t (?:find|seem)",
    re.IGNORECASE,
)
_WHY = re.compile(
    r"^(?:why|which|what)\b.{0,40}?\b(do|does|did|is|are|was|were|can|should|would|will) "
    r"((?:the |some |most |many |my |people in )?\w+) (?=\w+)",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(?:not|never|no)\b|n't", re.IGNORECASE)
_NEGATION = re.compile(r"\b(is|are|was|were|does|do|did|would|will|could|should|has|have)(?:n't| not) ")
_NO_QUANTIFIER = re.compile(
    r"not all|after all|at all|all time|all over|best of all|all about|first of all|all of a sudden|half-|if only"
    r"|only if|every time|every day|every other|all the best|what all|almost|all the (?:way|time)|once and for all",
    re.IGNORECASE,
)
_WITH_SOMETHING_ELSE = re.compile(
    r"\b(?:deal|do|wrong|happen|fall|falling|sex|sleep|break|up|compare|start|begin|come|go|problem|relationship|cope"
    r"|love|agree|talk|date|dating) $"
)


def _number(question: str, rng: random.Random) -> str | None:
    if _IDIOMS.search(question):
        return None
    found = [m for m in _WHOLE.finditer(question) if not re.fullmatch(r"1[5-9]\d\d|20\d\d|[01]", m[1])]
    if found:
        chosen = rng.choice(found)
        old = int(chosen[1])
        others = (old + 1, old + 3, old * 2, old * 10, max(2, old // 2), old - 1)
        return _with(question, chosen, str(rng.choice([n for n in others if n > 1 and n != old])), group=1)
    spelled = _SPELLED_COUNT.search(question)
    if not spelled:
        return None
    return _with(question, spelled, rng.choice([word for word in words.SPELLED if word != spelled[1].lower()]), group=1)


def _unit(question: str, rng: random.Random) -> str | None:
    options = []
    for old, new in _present(words.UNITS, question):
        for found in re.finditer(rf"{_BEFORE_UNIT}({old})\b", question, re.IGNORECASE):
            if found[1].strip().lower() not in ("in", "per") or old in words.UNITS_OF_THEIR_OWN:
                options.append(_with(question, found, new, group=2))
    return rng.choice(options) if options else None


def _date(question: str, rng: random.Random) -> str | None:
    options = []
    for found in _YEAR.finditer(question):
        options.append(_with(question, found, str(int(found[1]) + rng.choice((-2, -1, 1, 2)))))
    for group in (words.MONTHS, words.DAYS):
        for found in re.finditer(rf"\b({'|'.join(group)})\b", question):
            options.append(_with(question, found, rng.choice([name for name in group if name != found[1]])))
    for old, new in _present(words.RELATIVE, question):
        for found in re.finditer(rf"\b{old}\b(?!')", question, re.IGNORECASE):
            options.append(_with(question, found, new))
    return rng.choice(options) if options else None


def _entity(question: str, rng: random.Random) -> str | None:
    options = []
    for group in words.ENTITIES:
        names = group.split()
        pattern = rf"(?<![-.'])\b({'|'.join(names)})\b(?!['-]\w*-)"
        matches = list(re.finditer(pattern, question, re.IGNORECASE))
        present = {name for name in names if matches and re.search(rf"\b{name}\b", question, re.IGNORECASE)}
        for found in matches:
            if found[1].islower() and found[1] in words.WORDS_TOO:
                continue
            other = rng.choice([name for name in names if name not in present])
            options.append(_with(question, found, other.lower() if found[1].islower() else other))
    return rng.choice(options) if options else None


def _direction(question: str, rng: random.Random) -> str | None:
    options = [*_exchanged(question)]
    for old, new in _present(_both_ways(words.DIRECTIONS), question):
        if re.search(rf"\b{new}\b", question, re.IGNORECASE):
            continue
        found = re.search(rf"\b{old}\b(?! (?:of all|time|or|and|to go|hand|name|step)\b)", question, re.IGNORECASE)
        if found and (old not in words.OF_MANY_USES or _means_its_opposite(question, found, old)):
            options.append(_with(question, found, new))
    return rng.choice(options) if options else None


def _exchanged(question: str) -> Iterator[str]:
    """Yield the question with the two ends of a way, or the two sides of a comparison, exchanged."""
    if found := re.search(r"\bfrom (\w+) to (\w+)\b(?! \w+ (?:to|from)\b)", question):
        ends = {found[1].lower(), found[2].lower()}
        if len(ends) == 2 and not ends & words.NO_PLACES:
            yield f"{question[: found.start(1)]}{found[2]} to {found[1]}{question[found.end(2) :]}"
    if found := re.search(r"\b([A-Z]\w+) (\w+er|more \w+|less \w+|better|worse) than ([A-Z]\w+)\b", question):
        yield f"{question[: found.start(1)]}{found[3]} {found[2]} than {found[1]}{question[found.end(3) :]}"


def _means_its_opposite(question: str, found: re.Match[str], old: str) -> bool:
    """Tell whether a word of many uses is used in the sense that its opposite has."""
    after = question[found.end() :].lstrip().lower()
    if old in ("over", "under"):
        return after[:1].isdigit() or after[:1] in "$€₹"
    if old == "with":
        is_tool = re.match(r"(?:a|an|my|any) \w+|\w+ing\b", after)
        return bool(is_tool) and not _WITH_SOMETHING_ELSE.search(question[: found.start()].lower())
    if old in ("first", "last"):
        told = r"(?:president|man|woman|king|emperor|person|country|episode|season|movie|book|world war|prime)"
        return bool(re.match(told, after))
    return False


def _negation(question: str, rng: random.Random) -> str | None:
    if _RHETORICAL.search(question):
        return None
    options = []
    for old, new in _present(chain(words.ADJECTIVES, (pair[::-1] for pair in words.ADJECTIVES)), question):
        found = re.search(rf"\b{old}\b(?! or\b)", question, re.IGNORECASE)
        idiom = rf"\b{new}\b|(?:more|most|well|be|far|as|how|lesser) {old}\b|if possible"
        if found and not re.search(idiom, question, re.IGNORECASE):
            options.append(_with(question, found, new))
    if (found := _WHY.search(question)) and question.split()[0].lower() == "why" and not _NEGATED.search(question):
        options.append(f"{question[: found.end(2)]} not{question[found.end(2) :]}")
    if found := re.search(r"^(what|which) (?:\w+ ){0,3}(should|can|must) (\w+) (?=\w+)", question, re.IGNORECASE):
        options.append(f"{question[: found.end(3)]} not{question[found.end(3) :]}")
    if (found := _NEGATION.search(question)) and re.match(r"\s*(?:why|what|which|how|who)", question, re.IGNORECASE):
        options.append(f"{question[: found.end(1)]} {question[found.end() :]}")
    if found := re.search(r"^should (\w+) (?=\w+)", question, re.IGNORECASE):
        options.append(f"{question[: found.end(1)]} never{question[found.end(1) :]}")
    return rng.choice(options) if options else None


def _quantifier(question: str, rng: random.Random) -> str | None:
    if _NO_QUANTIFIER.search(question):
        return None
    options = []
    for pattern, new in words.QUANTIFIERS:
        if found := re.search(pattern, question, re.IGNORECASE):
            options.append(_with(question, found, new))
    return rng.choice(options) if options else None


def _with(question: str, found: re.Match[str], new: str, *, group: int = 0) -> str:
    """Put `new` in the place of what was found."""
    return question[: found.start(group)] + new + question[found.end(group) :]


def _present(pairs: Iterable[tuple[str, str]], question: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs whose first half may be in the question: a pattern costs fifty times as much to try."""
    small = question.lower()
    return (pair for pair in pairs if pair[0] in small)


def _both_ways(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for pair in pairs:
        yield pair
        yield pair[::-1]


CHANGES: dict[str, Change] = {
    "number": _number, "unit": _unit, "date": _date, "entity": _entity, "direction": _direction, "negation": _negation,
    "quantifier": _quantifier,
}  # fmt: skip


def traps(questions: Sequence[str], *, each: int, seed: int = 0) -> Iterator[Trap]:
    """Make up to `each` traps of every kind, one a question, from `questions` in an order that `seed` fixes."""
    order = sorted(set(questions))
    random.Random(seed).shuffle(order)
    for kind, change in CHANGES.items():
        rng = random.Random(f"{seed} {kind}")
        made = 0
        for question in order:
            if made == each:
                break
            changed = change(question, rng) if len(question) < LONGEST_CHARS else None
            if changed and changed.casefold() != question.casefold():
                made += 1
                yield Trap(question, changed, kind)


def main() -> None:
    """Print some traps of each kind, and how many there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds pairs.jsonl.gz")
    parser.add_argument("--each", type=int, default=1200)
    parser.add_argument("--show", type=int, default=5)
    options = parser.parse_args()
    pairs = [row for row in rows(options.data / "pairs.jsonl.gz") if row["source"] == "qqp"]
    made = list(traps([text for row in pairs for text in (row["a"], row["b"])], each=options.each))
    for kind in CHANGES:
        for trap in [trap for trap in made if trap.kind == kind][: options.show]:
            print(f"{kind}: {trap.question}  ->  {trap.changed}")
    print(json.dumps({"n": len(made), **Counter(trap.kind for trap in made)}))


if __name__ == "__main__":
    main()
