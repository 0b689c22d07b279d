"""RouterArena's score: accuracy and cost in one number, so that a router can be placed on its public leaderboard.

Lu et al., "RouterArena: An Open Platform for Comprehensive Comparison of LLM Routers", 2025, arXiv:2510.00202; the
constants are those of the project's own evaluation.
"""

from __future__ import annotations

import math

from tuppence.errors import ConfigError

BETA = 0.1
"""Weight of the cost: small, so that accuracy decides among routers of like cost."""
DEAREST_USD = 200.0
CHEAPEST_USD = 0.0044
"""What 1,000 of its questions cost with the dearest and with the cheapest model that it knows."""


def arena_score(accuracy: float, usd_per_1000: float, *, beta: float = BETA) -> float:
    """Return the weighted harmonic mean of accuracy and C, (1 + beta) A C / (beta A + C), in [0, 1].

    C is the cost's place between the dearest (0) and the cheapest (1) on a logarithmic scale:
    (log2 200 - log2 cost) / (log2 200 - log2 0.0044), with the cost in USD for 1,000 questions. Costs beyond either end
    are counted as that end. Raises `ConfigError` for an accuracy outside [0, 1] or a cost that is not positive.
    """
    if not 0.0 <= accuracy <= 1.0:
        raise ConfigError(f"accuracy is {accuracy}: give a share between 0 and 1")
    if not usd_per_1000 > 0.0:
        raise ConfigError(f"1,000 questions cost {usd_per_1000} USD: the score is only defined for a positive cost")
    bounded = min(max(usd_per_1000, CHEAPEST_USD), DEAREST_USD)
    cheapness = math.log2(DEAREST_USD / bounded) / math.log2(DEAREST_USD / CHEAPEST_USD)
    weighted = beta * accuracy + cheapness
    return 0.0 if weighted == 0.0 else (1.0 + beta) * accuracy * cheapness / weighted
