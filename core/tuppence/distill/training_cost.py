"""What a training costs before it is begun: at a provider by its tokens, on one's own machine by its time.

No price of training is in any list that tuppence has, and how fast a machine trains only a measurement tells: both are
asked of the user, and never guessed.
"""

from __future__ import annotations

from decimal import Decimal

from tuppence.distill.errors import DistillError

_MILLION = 1_000_000
_HOUR_S = 3_600


def hosted_usd(tokens: int, *, epochs: int, usd_per_mtok: Decimal) -> Decimal:
    """Return tokens of an epoch x epochs x price of a million training tokens / 1,000,000."""
    _positive(epochs=epochs, usd_per_mtok=usd_per_mtok)
    return Decimal(tokens) * epochs * usd_per_mtok / _MILLION


def local_usd(tokens: int, *, epochs: int, tokens_per_s: Decimal, usd_per_hour: Decimal) -> Decimal:
    """Return tokens of an epoch x epochs / tokens a second / 3,600 x price of an hour."""
    _positive(epochs=epochs, tokens_per_s=tokens_per_s, usd_per_hour=usd_per_hour)
    return Decimal(tokens) * epochs / tokens_per_s / _HOUR_S * usd_per_hour


def _positive(**given: Decimal | int) -> None:
    for name, value in given.items():
        if value < 0 or (value == 0 and name != "usd_per_hour"):
            raise DistillError(f"{name} is {value}: give a number above 0")
