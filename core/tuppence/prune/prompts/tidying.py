"""A prompt without what says nothing: spare whitespace, paragraphs that stand twice, JSON laid out for people.

What counts as saying nothing is written down in `whitespace`, `repeats` and the payloads' `compacting`; no word goes
that does not stand elsewhere in the prompt. Tidying twice changes nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass

from tuppence.prune.audit import DEFAULT_MODEL, Audit, Cut, TokenCounter, counter_for, untouched
from tuppence.prune.payloads.compacting import json_spans, replaced
from tuppence.prune.prompts.repeats import repeats
from tuppence.prune.prompts.whitespace import without_spare_whitespace


@dataclass(frozen=True, slots=True)
class Tidied:
    """A text in fewer tokens, and what went."""

    text: str
    audit: Audit


def tidied(text: str, *, model: str = DEFAULT_MODEL, source: str = "prompt") -> Tidied:
    """Return a text without what says nothing; the text itself where that would not save a token of `model`'s.

    `source` names the text in the audit. Kinds of cuts are `repeat`, `JSON` and `whitespace`.
    """
    count = counter_for(model)
    before = count(text)
    shorter, cuts = text, list[Cut]()
    for step in (_with_compact_json, _with_less_whitespace, _without_repeats):
        found, named = step(shorter, source, count)
        if found.strip() and count(found) <= count(shorter):
            shorter, cuts = found, cuts + [cut for cut in named if cut.tokens > 0]
    after = count(shorter)
    if after >= before:
        return Tidied(text, untouched(before, "nothing to leave out"))
    return Tidied(shorter, Audit(before, after, tuple(cuts)))


def _with_compact_json(text: str, source: str, count: TokenCounter) -> tuple[str, list[Cut]]:
    spans = json_spans(text)
    cuts = []
    for span in spans:
        was = text[span.start : span.end]
        cuts.append(Cut("JSON", source, "written compact", count(was) - count(span.compact), was))
    return replaced(text, spans), cuts


def _with_less_whitespace(text: str, source: str, count: TokenCounter) -> tuple[str, list[Cut]]:
    found = without_spare_whitespace(text)
    tokens = count(text) - count(found)
    return found, [Cut("whitespace", source, "blanks at the ends of lines, runs of empty lines", tokens)]


def _without_repeats(text: str, source: str, count: TokenCounter) -> tuple[str, list[Cut]]:
    """Comes last: paragraphs may differ in nothing but their whitespace."""
    pieces, cuts, at = [], [], 0
    for one in repeats(text):
        pieces.append(text[at : one.start])
        at = one.end
        cuts.append(Cut("repeat", source, "stands before, word for word", count(text[one.start : at]), one.text))
    return without_spare_whitespace("".join([*pieces, text[at:]])), cuts
