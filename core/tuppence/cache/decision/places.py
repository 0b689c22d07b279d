"""Who does what to whom: words that stand in each other's place, and words that another preposition leads to.

It goes by prepositions and order alone, without a grammar. It must never take a moved phrase for a swap: "in Excel, how
do I sum a column" asks what "how do I sum a column in Excel" asks.
"""

from __future__ import annotations

from collections.abc import Collection

from tuppence.cache.decision.reading import Reading

DIRECTED = frozenset({frozenset({"to", "from"}), frozenset({"for", "against"})})
"""Prepositions that turn a question round when they lead to the same word; elsewhere they are mere grammar."""


def redirected(first: Reading, second: Reading, shared: Collection[str]) -> tuple[str, str, str] | None:
    """Return a word of both that opposite prepositions lead to, and these two: "to my account", "from my account"."""
    for word in sorted(shared):
        mine, theirs = first.markers[word], second.markers[word]
        if mine != theirs and frozenset({mine, theirs}) in DIRECTED:
            return word, mine, theirs
    return None


def exchanged(first: Reading, second: Reading, shared: Collection[str]) -> set[str] | None:
    """Return two words of both that have changed places, or None.

    Each is led to by the preposition that led to the other ("media on culture"), or, all else being equal, stands where
    the other stood ("does Ann like Bob").
    """
    mine, theirs = first.markers, second.markers
    moved = [word for word in sorted(shared) if mine[word] != theirs[word]]
    for i, word in enumerate(moved):
        for other in moved[i + 1 :]:
            crossed = mine[word] == theirs[other] and theirs[word] == mine[other]
            if crossed and not (_describes(first, word, other) or _describes(second, word, other)):
                return {word, other}
    return _transposed(first, second, shared, moved)


def _transposed(first: Reading, second: Reading, shared: Collection[str], moved: Collection[str]) -> set[str] | None:
    if max(len(first.content_set), len(second.content_set)) > len(shared) or first.content == second.content:
        return None
    before, after = _order(first, shared), _order(second, shared)
    if before == after:
        return None
    out = [i for i, (x, y) in enumerate(zip(before, after, strict=True)) if x != y]
    pair = {before[out[0]], before[out[-1]]}
    if len(out) != 2 or pair in first.links or pair in second.links or pair & set(moved):
        return None
    # Side by side they are a noun and what describes it, unless both are names.
    return pair if out[1] - out[0] > 1 or pair <= first.names | second.names else None


def _describes(reading: Reading, word: str, other: str) -> bool:
    """Tell whether one of two words stands right beside the other, as in "the sandy beach"."""
    return abs(reading.ordered.index(word) - reading.ordered.index(other)) == 1


def _order(reading: Reading, shared: Collection[str]) -> list[str]:
    return [word for word in dict.fromkeys(reading.content) if word in shared]
