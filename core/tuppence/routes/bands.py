"""Route by a score of the question: low scores start low, high ones at the top."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuppence.effects import Choice
from tuppence.errors import ConfigError
from tuppence.request import Request
from tuppence.routes.compose import Composable
from tuppence.routes.rungs import Rung, start_on
from tuppence.signals import Complexity, complexity
from tuppence.tiers import Tier


@dataclass(frozen=True, slots=True)
class ByComplexity(Composable):
    """Start below the first band's edge on the lowest tier, up to the second's in the middle, above it at the top."""

    bands: tuple[float, float]
    score: Callable[[str], Complexity]

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice:
        found = self.score(request.question)
        low, high = self.bands
        rung: Rung = "lowest" if found.score < low else "middle" if found.score <= high else "highest"
        return start_on(ladder, rung, f"complexity {found.score:.2f} ({found.reason})")


def by_complexity(
    *, bands: tuple[float, float] = (0.3, 0.7), score: Callable[[str], Complexity] = complexity
) -> ByComplexity:
    """Start by how complex the last question looks, in [0, 1]; `bands` are the edges between the three rungs.

    The built-in score is a hand-set prior (see `tuppence.signals.complexity`), not a trained router.
    """
    low, high = bands
    if not 0.0 <= low <= high <= 1.0:
        raise ConfigError(f"bands are {bands}: give two scores between 0 and 1, the lower first")
    return ByComplexity(bands, score)
