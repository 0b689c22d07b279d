"""Turn token log-probabilities into one confidence for the whole answer."""

from __future__ import annotations

import math
from collections.abc import Sequence


def sequence_probability(logprobs: Sequence[float]) -> float:
    """Return the geometric mean of the token probabilities, in [0, 1]: exp(mean of the natural logarithms).

    The mean, not the product: a product falls with every token and would mostly measure length. N. Gupta et al.,
    "Language Model Cascades: Token-level Uncertainty and Beyond" (ICLR 2024) call it Chow-Average. Empty gives 0.
    """
    if not logprobs:
        return 0.0
    probability = math.exp(min(0.0, math.fsum(logprobs) / len(logprobs)))
    return 0.0 if math.isnan(probability) else probability
