"""One model's prices for one kind of processing and one place, laid out for the hot path.

A sheet knows long-context steps: a call whose input is larger than a step pays that step's price for every
token, and at the step exactly still the one below (https://platform.claude.com/docs/en/about-claude/pricing,
and Google's and OpenAI's pages alike). It must never fill a missing price with another bucket's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from tuppence.errors import PriceError
from tuppence.usage import Usage

Price = int | list[Any]
"""Nano-USD per million, or `[base, [above_tokens, nano_usd], ...]`."""

BUCKETS = (
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "audio_cache_read",
    "audio_output",
)
_MEDIA_FALLBACK = {
    "image_input": "input",
    "video_input": "input",
    "image_cache_read": "cache_read",
    "video_cache_read": "cache_read",
}
"""Image and video tokens are billed as text input unless the list prices them apart, as OpenAI, Anthropic and
Google document. Generated images have no such rule and stay unpriced."""


class Sheet:
    """Price lists by input size; `levels[i]` holds up to and including `steps[i]` input tokens."""

    __slots__ = ("levels", "max_input", "rare", "steps")

    def __init__(self, prices: Mapping[str, Price], *, max_input: int | None = None) -> None:
        starts = {start for price in prices.values() if isinstance(price, list) for start, _ in price[1:]}
        self.steps: tuple[int, ...] = tuple(sorted(starts))
        self.max_input = max_input
        flat = [{name: _at(price, start) for name, price in prices.items()} for start in (0, *self.steps)]
        self.levels = tuple(tuple(level.get(bucket) for bucket in BUCKETS) for level in flat)
        self.rare: tuple[dict[str, int], ...] = tuple(_rare(level) for level in flat)

    def level(self, input_tokens: int) -> int:
        """Return the index of the price level for a call of this input size."""
        return bisect_left(self.steps, input_tokens)


def _at(price: Price, start: int) -> int:
    """Return the price just above `start` input tokens."""
    if isinstance(price, int):
        return price
    base: int = price[0]
    return next((nano for above, nano in reversed(price[1:]) if above <= start and start), base)


def _rare(level: Mapping[str, int]) -> dict[str, int]:
    """Collect per-call and media prices of one level."""
    rare = {name: nano for name, nano in level.items() if name not in BUCKETS}
    for media, text in _MEDIA_FALLBACK.items():
        if text in level:
            rare.setdefault(media, level[text])
    return rare


quantities: Callable[[Usage], tuple[int, ...]] = attrgetter(*BUCKETS)
"""Return the common buckets of a usage in the order of `BUCKETS`."""


def rare_quantities(usage: Usage) -> list[tuple[str, int]]:
    """Return media tokens and per-call tools under their price names."""
    return [*usage.media, *((f"call:{name}", qty) for name, qty in usage.calls)]


def scaled(prices: Mapping[str, Price], numerator: int, denominator: int) -> dict[str, Price]:
    """Multiply token prices by a fraction, exactly; prices by the call keep their value."""
    return {
        name: price if name.startswith("call:") else _scaled(price, numerator, denominator)
        for name, price in prices.items()
    }


def _scaled(price: Price, numerator: int, denominator: int) -> Price:
    if isinstance(price, list):
        steps = [[start, _scaled(nano, numerator, denominator)] for start, nano in price[1:]]
        return [_scaled(price[0], numerator, denominator), *steps]
    whole, rest = divmod(price * numerator, denominator)
    if rest:
        raise PriceError(
            f"price {price} nano-USD times {numerator}/{denominator} is not whole; list it in a finer unit"
        )
    return whole
