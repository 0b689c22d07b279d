"""What a limit on answers gains and loses in money. A limit saves the end of the answers that run beyond it and costs a
second call for each of them, so it is worth only what runaway answers cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuppence.prices import PicoUSD, Rate
from tuppence.usage import Usage


@dataclass(frozen=True, slots=True)
class CapWorth:
    """One limit, over the calls that it was learned from."""

    calls: int
    cuts: int
    """Answers that it would have cut, and one more: the next call's may be the one (see `cap_worth`)."""
    saved_pico: PicoUSD
    """What these answers cost beyond the limit, those that were cut off even then by what they had come to."""
    retries_pico: PicoUSD
    """What asking again for each cut answer costs."""

    @property
    def net_pico(self) -> PicoUSD:
        """What the limit saves over these calls; below 0 where it costs more."""
        return self.saved_pico - self.retries_pico


def cap_worth(lengths: Sequence[int], cap: int, rate: Rate, *, input_tokens: int) -> CapWorth | None:
    """Weigh a limit of `cap` tokens against answers of these lengths; None where the rate has no price for them.

    A cut answer is asked for again without a limit, at the price of `input_tokens` and of a mean answer. m of n calls
    above a limit bound the chance that the next is above it by (m + 1)/(n + 1), hence the one more.
    """
    if not lengths:
        return CapWorth(0, 0, 0, 0)
    mean = -(-sum(lengths) // len(lengths))
    beyond = [length for length in lengths if length > cap]
    capped = rate.cost(Usage(input=input_tokens, output=cap))
    again = rate.cost(Usage(input=input_tokens, output=mean))
    whole = [rate.cost(Usage(input=input_tokens, output=length)) for length in beyond]
    if capped is None or again is None or None in whole:
        return None
    saved = sum(cost - capped for cost in whole if cost is not None)
    cuts = len(beyond) + 1
    return CapWorth(len(lengths), cuts, saved, cuts * again)
