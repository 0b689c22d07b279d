"""Keeps of retrieved passages the sentences that a question needs, whole and in order, within one budget of tokens.

It must never return nothing, never more tokens than it was given, and never raise for what it is given: where something
breaks, everything is kept and the audit says why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import SupportsFloat, SupportsIndex

from tuppence.errors import ConfigError
from tuppence.prune.audit import DEFAULT_MODEL, Audit, TokenCounter, counter_for, untouched
from tuppence.prune.passages.choice import choose
from tuppence.prune.passages.cuts import cuts_of
from tuppence.prune.passages.duplicates import repeated
from tuppence.prune.passages.likelihoods import Likelihoods
from tuppence.prune.passages.material import Material, Sentence, read_material
from tuppence.prune.passages.passage import (
    KeptPassage,
    Passage,
    PrunedPassages,
    as_sent,
    shortened,
    untouched_passages,
)
from tuppence.prune.passages.scorers import LearnedScorer, Scorer

KEEP_PROBABILITY = 0.95
"""Without a budget so much of what may be needed is kept."""


class PassagePruner:
    """Prune passages: `PassagePruner(share=0.3).prune(question, passages)`.

    `max_tokens` or `share` (of the tokens given) is a ceiling for all passages together, titles included.
    `keep_probability` stops below it as soon as the kept sentences hold what the question needs with that probability,
    as the scorer sees it; without a ceiling it is .95. Where the scorer is unsure the stop does not apply: everything
    that fits the ceiling is kept, which is the whole input where none was set.
    """

    def __init__(
        self,
        *,
        max_tokens: int | None = None,
        share: float | None = None,
        keep_probability: float | None = None,
        scorer: Scorer | None = None,
        model: str = DEFAULT_MODEL,
        count: TokenCounter | None = None,
    ) -> None:
        """`model` says whose tokens are counted; `count` counts in its place. Raises `ConfigError`."""
        _refuse(max_tokens, share, keep_probability, scorer)
        self._max_tokens = max_tokens
        self._share = share
        if keep_probability is None:
            keep_probability = KEEP_PROBABILITY if max_tokens is None and share is None else 1.0
        # Likelihoods may add up to 1 before the last sentence: where nothing is to stop it, nothing does.
        self._until = keep_probability if keep_probability < 1 else math.inf
        self._scorer = scorer or LearnedScorer()
        self._count = count or counter_for(model)

    def prune(self, question: str, passages: Sequence[Passage]) -> PrunedPassages:
        """Return what of `passages` is worth sending for `question`; never raises."""
        try:
            return self._prune(question, passages)
        except Exception as failure:  # noqa: BLE001 - an optimisation must not fail a call; the audit says what broke
            return _everything(passages, 0, f"the pruner failed ({type(failure).__name__}: {failure})")

    def _prune(self, question: str, passages: Sequence[Passage]) -> PrunedPassages:
        before = [self._count(as_sent(one.title, one.text)) for one in passages]
        ceiling = self._ceiling(sum(before))
        if self._until == math.inf and sum(before) <= ceiling:
            return _everything(passages, sum(before), "everything fits")
        material = read_material(question, passages, self._count)
        if not material.sentences:
            return _everything(passages, sum(before), "there is no text to choose from")
        likelihoods = self._scored(material)
        if likelihoods.unsure and sum(before) <= ceiling:
            return _everything(passages, sum(before), likelihoods.unsure)
        return self._chosen(_Sheet(passages, before, material, likelihoods, ceiling))

    def _scored(self, material: Material) -> Likelihoods:
        try:
            return self._scorer(material)
        except Exception as failure:  # noqa: BLE001 - a reranker's or an embedder's service may be down: words still count
            own = LearnedScorer()(material)
            return replace(own, unsure=f"the scorer failed ({type(failure).__name__}: {failure})")

    def _ceiling(self, tokens: int) -> int:
        if self._max_tokens is not None:
            return self._max_tokens
        return tokens if self._share is None else int(self._share * tokens)

    def _chosen(self, sheet: _Sheet) -> PrunedPassages:
        material, likelihoods = sheet.material, sheet.likelihoods
        repeats = repeated(material.sentences, likelihoods.sentences)
        until = math.inf if likelihoods.unsure else self._until
        chosen = choose(material, likelihoods, sheet.ceiling, until=until, barred=repeats).sentences
        kept, counts = self._fitted(sheet, chosen)
        if counts > sum(sheet.before):
            return _everything(sheet.passages, sum(sheet.before), "shortening would have made it longer")
        cuts = cuts_of(material, likelihoods, {one.number for one in chosen}, repeats, sheet.before)
        return PrunedPassages(kept, Audit(sum(sheet.before), counts, cuts, likelihoods.unsure))

    def _fitted(self, sheet: _Sheet, chosen: list[Sentence]) -> tuple[tuple[KeptPassage, ...], int]:
        """Drop the last of `chosen` until they fit the ceiling, and return what is then kept, with its tokens.

        Sentences were counted apart; joined, they may be a token more, here and there.
        """
        by_source: dict[int, list[Sentence]] = {}
        for one in chosen:
            by_source.setdefault(one.source, []).append(one)
        kept = {at: _shortened(sheet.passages[at], at, own) for at, own in by_source.items()}
        counts = {at: self._count(one.sent) for at, one in kept.items()}
        while sum(counts.values()) > sheet.ceiling and len(chosen) > 1:
            at = chosen.pop().source
            by_source[at].pop()
            if by_source[at]:
                kept[at] = _shortened(sheet.passages[at], at, by_source[at])
                counts[at] = self._count(kept[at].sent)
            else:
                del kept[at], counts[at]
        return tuple(kept[at] for at in sorted(kept)), sum(counts.values())


def _refuse(max_tokens: object, share: object, keep_probability: object, scorer: object) -> None:
    """Raise `ConfigError` for options that cannot work."""
    if max_tokens is not None and share is not None:
        raise ConfigError(f"max_tokens={max_tokens} and share={share} are both ceilings: give one of them")
    if max_tokens is not None and not (isinstance(max_tokens, SupportsIndex) and int(max_tokens) >= 1):
        raise ConfigError(f"max_tokens is {max_tokens!r}: give at least 1")
    if share is not None and not _is_part(share):
        raise ConfigError(f"share is {share!r}: give a share of the tokens above 0, up to 1, such as 0.3")
    if keep_probability is not None and not _is_part(keep_probability):
        raise ConfigError(f"keep_probability is {keep_probability!r}: give a probability above 0, up to 1")
    if scorer is not None and (isinstance(scorer, type) or not callable(scorer)):
        raise ConfigError(f"scorer is {scorer!r}: give a scorer, such as Bm25Scorer()")


def _is_part(value: object) -> bool:
    return isinstance(value, SupportsFloat) and 0 < float(value) <= 1


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One prune's givens."""

    passages: Sequence[Passage]
    before: Sequence[int]
    """Tokens of each passage as given."""
    material: Material
    likelihoods: Likelihoods
    ceiling: int


def _everything(passages: Sequence[Passage], tokens: int, why: str) -> PrunedPassages:
    return PrunedPassages(untouched_passages(passages), untouched(tokens, why))


def _shortened(passage: Passage, index: int, sentences: Sequence[Sentence]) -> KeptPassage:
    return shortened(index, passage, [one.span for one in sorted(sentences, key=lambda one: one.number)])
