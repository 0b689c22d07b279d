"""From which similarity on two passages are on the same topic: found on the user's own passages at a rate of false
merges that the user states, never a constant of ours.

Passages that are known to be on different topics, say of different documents, form a null distribution: how alike
unrelated passages look here. The threshold is the quantile of it that split conformal prediction takes (Vovk, Gammerman
and Shafer, "Algorithmic Learning in a Random World", 2005; Angelopoulos and Bates, arXiv:2107.07511, section 1): with n
unrelated pairs and rate a, the ceil((n + 1)(1 - a))-th smallest similarity. A new unrelated pair then links with chance
at most a, if it is exchangeable with those. Pairs that share a passage depend on each other, so the rate holds on
average over sets, not in each. Documents that share a topic after all put true pairs into the null: that makes the
threshold stricter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from tuppence.errors import ConfigError
from tuppence.prune.passages import Passage
from tuppence.prune.topics.similarity import Similarity, TermSimilarity


@dataclass(frozen=True, slots=True)
class Linking:
    """A threshold, what it was found for, and on how much."""

    threshold: float
    """Passages more alike than this are linked."""
    similarity: str
    """Name of the similarity that it holds for."""
    false_merge_rate: float
    """Chance that two unrelated passages are linked, as asked for."""
    unrelated_pairs: int
    related_pairs: int = 0
    linked_share: float | None = None
    """How many of the related pairs are linked: what the rate costs. None where none were given."""


def linking_at(
    false_merge_rate: float, unrelated: Sequence[float], related: Sequence[float] = (), *, similarity: str
) -> Linking:
    """Find the threshold from similarities of pairs that are known, or labelled, to be unrelated, and related.

    Raises `ConfigError` where the pairs are too few for the rate: 1% needs 99.
    """
    if not 0 < false_merge_rate < 1:
        raise ConfigError(f"false_merge_rate={false_merge_rate!r} is no rate: give one between 0 and 1, such as 0.01")
    rank = math.ceil((len(unrelated) + 1) * (1 - false_merge_rate) - 1e-9)
    if rank > len(unrelated):
        needed = math.ceil(1 / false_merge_rate - 1e-9) - 1
        raise ConfigError(
            f"{len(unrelated)} unrelated pairs are too few for a false-merge rate of {false_merge_rate}: give at least "
            f"{needed}, or allow a higher rate"
        )
    threshold = sorted(unrelated)[rank - 1]
    linked = sum(value > threshold for value in related) / len(related) if related else None
    return Linking(threshold, similarity, false_merge_rate, len(unrelated), len(related), linked)


def calibrate_linking(
    sets: Iterable[Sequence[Passage]],
    *,
    topic_of: Callable[[Passage], Hashable],
    false_merge_rate: float = 0.01,
    similarity: Similarity | None = None,
) -> Linking:
    """Find the threshold on sets of passages such as those that the merger will be given: one retrieval, one report.

    `topic_of` says what a passage is about as far as that is known: a label, or the document that it was cut from.
    Pairs of one set with different topics are the null distribution, pairs with the same one say how many true pairs
    link.
    """
    compared = similarity or TermSimilarity()
    unrelated, related = compared_pairs(sets, topic_of=topic_of, similarity=compared)
    return linking_at(false_merge_rate, unrelated, related, similarity=compared.name)


def compared_pairs(
    sets: Iterable[Sequence[Passage]], *, topic_of: Callable[[Passage], Hashable], similarity: Similarity
) -> tuple[list[float], list[float]]:
    """Compare each two passages of a set; return how alike those of different topics are, and those of the same."""
    unrelated: list[float] = []
    related: list[float] = []
    for passages in sets:
        topics = [topic_of(passage) for passage in passages]
        for i, row in enumerate(similarity.compare([passage.text for passage in passages])):
            for j in range(i):
                (related if topics[i] == topics[j] else unrelated).append(row[j])
    return unrelated, related
