"""How often a provider is asked: soon at first, then ever less, never in step with others."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tuppence.errors import ConfigError

_GROWTH = 1.6
_JITTER = 0.2
"""Share by which a wait is shorter or longer, at random: jobs begun together must not ask together for ever."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Waits between two looks at the same batch."""

    first_s: float = 2.0
    most_s: float = 60.0
    """Batches take minutes to hours: a minute late is nothing, and asking costs the provider's rate limit."""

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.most_s:
            raise ConfigError(f"Pace({self.first_s}, {self.most_s}): give seconds above 0, the first the shorter")

    def wait_s(self, looks: int) -> float:
        """Return how long to wait after so many looks that brought nothing."""
        grown = self.first_s * _GROWTH ** min(looks, 64)
        return min(self.most_s, grown) * random.uniform(1 - _JITTER, 1 + _JITTER)
