"""Which passages lead to which: by the title of one in the text of another, and by the rare names that two share.

A question of two steps names the first passage; the second is named by the first. What is likely already is passed
along those links, one step.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence

from tuppence.prune.passages.asked import Asked
from tuppence.prune.passages.features import Signs
from tuppence.prune.passages.likelihoods import log_share
from tuppence.prune.passages.material import Material

_IN_BRACKETS = re.compile(r"\s*\(.*?\)")
_LEADERS = 3
"""From so many of the likeliest passages names are followed: questions of more steps than that are rare."""
_ENOUGH_RARE = 8.0
"""Shared names count up to this sum of inverse frequencies (natural logarithm): some three names that only two of
twenty passages have."""
_SHORTEST_TITLE = 3
_REACH = 20
"""Of more passages only those named by, or naming, the likeliest are linked: all pairs of a thousand take a second."""


def link_features(asked: Asked, material: Material, signs: Signs, likely: Sequence[float]) -> list[dict[str, float]]:
    """Return each passage's features; `likely` says how likely each is by itself, and sums to 1."""
    best = max(likely, default=0.0) or 1.0
    strength = [one / best for one in likely]
    named_by = _naming(material, set(sorted(range(len(likely)), key=lambda at: -likely[at])[:_REACH]))
    names = [[named for named, others in enumerate(named_by) if at in others] for at in range(len(named_by))]
    shared = _shared_names(asked, material, signs, strength)
    return [
        {
            "likely": strength[at],
            "log likely": log_share(likely[at]),
            "named by likely": max((strength[other] for other in named_by[at]), default=0.0),
            "names likely": max((strength[other] for other in names[at]), default=0.0),
            "shares names": shared[at],
        }
        for at in range(len(material.sources))
    ]


def _naming(material: Material, likeliest: Collection[int]) -> list[set[int]]:
    """Find, for each passage, the others whose text names it, where one of the two is among the likeliest."""
    texts = [f"{one.passage.title}\n{one.passage.text}".lower() for one in material.sources]
    found: list[set[int]] = []
    for source in material.sources:
        title = _IN_BRACKETS.sub("", source.passage.title).lower().strip()
        found.append(set())
        if len(title) < _SHORTEST_TITLE:
            continue
        for other in range(len(texts)) if source.number in likeliest else likeliest:
            if other != source.number and title in texts[other] and _stands_alone(title, texts[other]):
                found[-1].add(other)
    return found


def _stands_alone(title: str, text: str) -> bool:
    """Say whether `title` is in `text` as words of its own."""
    at = text.find(title)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(title) : at + len(title) + 1]
        if not (before.isalnum() or after.isalnum()):
            return True
        at = text.find(title, at + len(title))
    return False


def _shared_names(asked: Asked, material: Material, signs: Signs, strength: Sequence[float]) -> list[float]:
    """Say how much each passage shares of the rare names in the likeliest others."""
    sources = material.sources
    holding = Counter(term for one in sources for term in one.distinct)
    rare = max(2.0, len(sources) / 4)
    shared = [0.0] * len(sources)
    for leader in sorted(range(len(sources)), key=lambda at: -strength[at])[:_LEADERS]:
        names = set(sources[leader].title_terms).union(*(signs.names[x.number] for x in sources[leader].sentences))
        names = {name for name in names if name not in asked.weights and 1 < holding[name] <= rare}
        for source in sources:
            if source.number != leader and (both := names & source.distinct):
                worth = sum(math.log(len(sources) / holding[name]) for name in sorted(both))
                value = strength[leader] * min(1.0, worth / _ENOUGH_RARE)
                shared[source.number] = max(shared[source.number], value)
    return shared
