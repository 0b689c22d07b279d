"""Sentences that say again what another says: found by runs of three words, kept once.

Two sentences are one only if their numbers and negations are the same: those change what is said, and shingles hardly
notice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tuppence.prune.passages.material import Sentence

ALIKE = 0.75
"""Share of three-word runs in common (Jaccard) from which two sentences are one: one changed word of 25 leaves 20 of 26
runs (.77), two apart leave 17 of 29 (.59)."""
_FEWEST_WORDS = 5
"""Shorter ones are headings and table cells, which belong to what stands around them."""
_DECIDES = re.compile(r"\d+|\b(?:not?|never|none|nor|neither|without|\w+n['’]t|cannot|except|unless)\b", re.IGNORECASE)


def repeated(sentences: Sequence[Sentence], worth: Sequence[float]) -> dict[int, int]:
    """Map the number of each sentence that repeats another to that other's: the worthier one, else the earlier."""
    texts = {one.number: one.text for one in sentences}
    order = sorted(sentences, key=lambda one: (-worth[one.number], one.number))
    # Each run leads to the first sentence that had it: enough to find what shares most of them, in one look each.
    first: dict[tuple[str, str, str], int] = {}
    sizes: dict[int, int] = {}
    repeats: dict[int, int] = {}
    for one in order:
        if len(one.words) < _FEWEST_WORDS:
            continue
        runs = dict.fromkeys(zip(one.words, one.words[1:], one.words[2:], strict=False))
        for other, both in Counter(map(first.get, runs)).most_common(2):
            alike = other is not None and both >= ALIKE * (len(runs) + sizes[other] - both)
            if other is not None and alike and _decisive(texts[other]) == _decisive(one.text):
                repeats[one.number] = other
        if one.number not in repeats:
            sizes[one.number] = len(runs)
            for run in runs:
                first.setdefault(run, one.number)
    return repeats


def _decisive(text: str) -> Counter[str]:
    return Counter(found.lower() for found in _DECIDES.findall(text))
