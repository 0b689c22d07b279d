"""Turn token log-probabilities into one confidence for the whole answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

# Far below any real log-probability, and small enough that no sum of them overflows.
_IMPOSSIBLE = -1e6


def sequence_probability(logprobs: Sequence[float]) -> float:
    """Return the geometric mean of the token probabilities, in [0, 1]: exp(mean of the natural logarithms).

    The mean, not the product: a product falls with every token and would mostly measure length. N. Gupta et al.,
    "Language Model Cascades: Token-level Uncertainty and Beyond" (ICLR 2024) call it Chow-Average. Without logprobs,
    or with one that is not a number, it is 0: nothing vouches for the answer.
    """
    if not logprobs or any(map(math.isnan, logprobs)):
        return 0.0
    mean = math.fsum(max(p, _IMPOSSIBLE) for p in logprobs) / len(logprobs)
    return math.exp(min(0.0, mean))
