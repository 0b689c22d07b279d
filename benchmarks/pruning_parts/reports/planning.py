"""What a report will say where, before it is written: which facts its summary repeats, and what fills its body."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from pruning_parts.reports.drawing import Draws
from pruning_parts.reports.recipes import Recipe, Section

FACT = re.compile(r"\[\[(\w+): (.*?)\]\]|\(\((.*?)\)\)")
Skipped = set[tuple[str, int]]
"""Facts' names and the numbers of sections that leave them out."""

_SUMMING = frozenset(("summary", "conclusion"))
_BODY = frozenset(("body", "methods", "results", "findings", "discussion"))
# The shares below were chosen so that, of facts in reports with a summary, 25 to 35% stand in the body alone.
_SUMMED_UP = 0.75
"""How often a summary or conclusion states what the recipe states in the body alone."""
_STATED = (("all", 0.5), ("first", 0.25), ("last", 0.25))
"""Where a fact with several mentions is stated: authors repeat about half of theirs."""
_MIXED = 0.6
"""How often two sentences of filling go into a paragraph that says something."""


def planned(recipe: Recipe, draws: Draws, *, with_summary: bool) -> tuple[list[Section], Skipped]:
    """Copy the recipe's sections, summed up and filled, and say what each leaves out."""
    sections = [
        replace(one, paragraphs=[list(lines) for lines in one.paragraphs if lines])
        for one in recipe.sections
        if with_summary or one.kind not in _SUMMING
    ]
    _sum_up(sections, draws)
    _fill_up(sections, recipe, draws)
    return sections, _skipped(sections, draws)


def _sum_up(sections: list[Section], draws: Draws) -> None:
    """Add sentences of the body to the summary, or more rarely to a conclusion."""
    summing = [one for one in sections if one.kind in _SUMMING]
    said = {name for one in summing for name in _named(one)}
    for line in (line for one in sections for lines in one.paragraphs for line in lines):
        match = FACT.match(line)
        # Only what begins a sentence can stand by itself.
        if match and match[1] and match[1] not in said and summing and draws.random.random() < _SUMMED_UP:
            _add(draws.random.choices(summing, [4, 1, 1, 1][: len(summing)])[0], f"{match[0]}.")


def _add(section: Section, sentence: str) -> None:
    """Append a sentence to a section's first paragraph, or to its bullets where it has them."""
    bullets = [lines for lines in section.paragraphs if lines[-1].removeprefix("? ").startswith("- ")]
    if bullets:
        bullets[0].append(f"- {sentence}")
    else:
        section.paragraphs[0].append(sentence)


def _fill_up(sections: list[Section], recipe: Recipe, draws: Draws) -> None:
    """Spread the details of the kind, and prose that several kinds share, over the body."""
    body = [one for one in sections if one.kind in _BODY]
    pools = recipe.head.get("filling", "process, context, governance").split(", ")
    details = draws.random.sample(recipe.lists["detail"], len(recipe.lists["detail"]))
    for number, section in enumerate(body):
        share = details[number :: len(body)]
        pool = draws.random.choice(pools)
        share += filter(None, (draws.spare(pool) for _ in range(draws.random.randint(3, 5))))
        draws.random.shuffle(share)
        prose = [lines for lines in section.paragraphs if not lines[0].startswith(("!", "- "))]
        if prose and draws.random.random() < _MIXED:
            draws.random.choice(prose)[1:1] = share[:2]
            share = share[2:]
        there = len(section.paragraphs)
        section.paragraphs.insert(draws.random.randint(min(1, there), there), share)


def _skipped(sections: list[Section], draws: Draws) -> Skipped:
    mentions: dict[str, list[int]] = {}
    for number, section in enumerate(sections):
        for name in dict.fromkeys(_named(section)):
            mentions.setdefault(name, []).append(number)
    skipped = set()
    for name, numbers in mentions.items():
        way = draws.random.choices([way for way, _ in _STATED], [share for _, share in _STATED])[0]
        kept = {"all": numbers, "first": numbers[:1], "last": numbers[-1:]}[way]
        skipped |= {(name, number) for number in numbers if number not in kept}
    return skipped


def _named(section: Section) -> Iterator[str]:
    return (m[1] for lines in section.paragraphs for line in lines for m in FACT.finditer(line) if m[1])
