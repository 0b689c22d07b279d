"""Colours and patterns of series, the same in pictures and legends.

Each colour stands out from the page's light and dark backgrounds at 3:1 or more (WCAG 2.2, 1.4.11), and what it says
is also said by a pattern, a dash or a sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tuppence.spend.page.sections import Share, Split
from tuppence.spend.page.wording import REST, label

SERIES = ("#b8622c", "#2f8a86", "#6a78c9", "#93832a", "#b5527a", "#4f8f4a", "#8a68b5", "#3f86b8", "#a0705a")
REST_COLOUR = "#857f78"
PATTERNS = ("", "/", "", "\\", "", ".", "", "x", "")
"""Plotly's names for them; neighbours in a stack differ."""
DASHES, SYMBOLS = ("solid", "dash", "dot"), ("circle", "diamond", "square")
SAVES, COSTS, SUM = SERIES[1], SERIES[0], REST_COLOUR


@dataclass(frozen=True, slots=True)
class Layer:
    """One series of a stack."""

    name: str
    share: Share
    colour: str
    pattern: str


def layers(split: Split) -> Iterator[Layer]:
    """Yield the series of a stack from the bottom up, the rest on top."""
    for i, share in enumerate(split.shares):
        yield Layer(label(share.label), share, SERIES[i % len(SERIES)], PATTERNS[i % len(PATTERNS)])
    if split.rest is not None:
        yield Layer(f"{REST} ({split.members - len(split.shares):,})", split.rest, REST_COLOUR, "")
