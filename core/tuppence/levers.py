"""What an answer would have cost more without pruning, without shorter output, without a discounted lane, and at a
provider: one price after another, so that the steps add up to the pico-dollar.
"""

from __future__ import annotations

from dataclasses import replace

from tuppence.attempts import Levers
from tuppence.prices import PicoUSD, Rate
from tuppence.tiers import Tier
from tuppence.usage import Usage

DISCOUNTED = ("batch", "flex")
"""Kinds of processing that cost less than the standard one, for an answer that may come later."""


def spares(tier: Tier, usage: Usage) -> bool:
    """Say whether where or when a call was made spared money."""
    return tier.reference is not None or usage.processing in DISCOUNTED


def undiscounted(usage: Usage) -> Usage:
    """Return the same tokens, answered at once."""
    return replace(usage, processing="standard") if usage.processing in DISCOUNTED else usage


def levers(
    usage: Usage, paid: PicoUSD, rate: Rate, baseline: Rate, *, reference: Rate | None, pruned: int, spared: int
) -> Levers:
    """Price what one answer of `usage`, for which `paid` was due at `rate`, was spared.

    `baseline` prices the pruned tokens, `reference` is what the same model costs at a provider that serves it. A step
    whose price is unknown is 0: what nobody knows is not claimed.
    """
    at_once = undiscounted(usage)
    standard = paid if at_once is usage else _known(rate.cost(at_once), paid)
    hosted = standard if reference is None else _known(reference.cost(replace(at_once, gpu_ms=0)), standard)
    dearer = rate if reference is None else reference
    return Levers(
        prune=_more(baseline, at_once, replace(at_once, input=at_once.input + pruned)),
        output=_more(dearer, at_once, replace(at_once, output=at_once.output + spared)),
        batch=standard - paid,
        self_host=hosted - standard,
    )


def _known(cost: PicoUSD | None, otherwise: PicoUSD) -> PicoUSD:
    return otherwise if cost is None else cost


def _more(rate: Rate, usage: Usage, longer: Usage) -> PicoUSD:
    """Return what the longer usage costs more."""
    less, more = rate.cost(replace(usage, gpu_ms=0)), rate.cost(replace(longer, gpu_ms=0))
    return 0 if less is None or more is None else more - less
