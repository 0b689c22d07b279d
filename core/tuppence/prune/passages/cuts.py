"""Writes down what a passage pruner left out: whole passages as one cut, else each sentence, with why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from tuppence.prune.audit import Cut
from tuppence.prune.passages.likelihoods import Likelihoods
from tuppence.prune.passages.material import Material, Source


def cuts_of(
    material: Material,
    likelihoods: Likelihoods,
    kept: Collection[int],
    repeats: Mapping[int, int],
    tokens: Sequence[int],
) -> tuple[Cut, ...]:
    """List the cuts in order; `kept` has the numbers of the sentences that stay, `tokens` those of each passage."""
    return tuple(
        cut
        for source in material.sources
        for cut in (
            _sentence_cuts(material, source, likelihoods, kept, repeats)
            if any(one.number in kept for one in source.sentences)
            else [_passage_cut(source, likelihoods, tokens[source.number])]
        )
    )


def source_name(source: Source) -> str:
    """Name a passage as its owner knows it."""
    return source.passage.id or source.passage.title or f"passage {source.number}"


def _passage_cut(source: Source, likelihoods: Likelihoods, tokens: int) -> Cut:
    why = (
        f"less likely to be needed than what was kept ({likelihoods.passages[source.number]:.1%})"
        if source.sentences
        else "it has no text"
    )
    return Cut("passage", source_name(source), why, tokens, source.passage.text, (0, len(source.passage.text)))


def _sentence_cuts(
    material: Material, source: Source, likelihoods: Likelihoods, kept: Collection[int], repeats: Mapping[int, int]
) -> Iterator[Cut]:
    for one in source.sentences:
        if one.number in kept:
            continue
        why = f"less likely to be needed than what was kept ({likelihoods.sentences[one.number]:.1%})"
        if (other := repeats.get(one.number)) in kept and other is not None:
            again = source_name(material.sources[material.sentences[other].source])
            why = f"says again what was kept of {again}"
        yield Cut("sentence", source_name(source), why, one.tokens, one.text, (one.span.start, one.span.end))
