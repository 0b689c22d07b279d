"""What the packaged list says of a model's kinds of tokens: how their prices relate, and how many tokens more or less
some are worth because they are put into the prompt cache, or go through a discounted lane.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from tuppence.errors import PriceError
from tuppence.prices import PriceBook, Rate
from tuppence.spend.digest.segments import LIKE_A_LIST, Segment, segment
from tuppence.usage import Usage

if TYPE_CHECKING:
    from tuppence.spend.cells import Cell

# So few that no model's price for long contexts is met.
_TOKENS = 1_000
_KINDS = Usage(input=_TOKENS), Usage(cache_read=_TOKENS), Usage(output=_TOKENS)
_PUT = Usage(cache_write_5m=_TOKENS), Usage(cache_write_1h=_TOKENS)
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Listed:
    """Prices of a model, in any unit; as those of current models relate where the list does not know them."""

    weights: tuple[float, float, float] = LIKE_A_LIST
    """A token read fresh, read from the prompt cache, and written."""
    written_5m: float = 1.25
    """A token put into the prompt cache for five minutes, as a multiple of one read fresh."""
    written_1h: float = 2.0
    discounted: tuple[float, float, float] = (_HALF, _HALF, _HALF)
    """Each of the three in a discounted lane, as a multiple of what it costs at once."""


@lru_cache(maxsize=1024)
def listed(model: str) -> Listed | None:
    """Return what the list says today; None where it does not know the model, or it is free."""
    try:
        rate = PriceBook.default().rate(model)
    except PriceError:
        return None
    if rate is None:
        return None
    fresh, cached, written = map(rate.cost, _KINDS)
    if not fresh or written is None:
        return None
    # Where it has no price of that, putting tokens into the cache costs what reading them does.
    for_5m, for_1h = ((rate.cost(put) or fresh) / fresh for put in _PUT)
    weights = float(fresh), float(cached or fresh), float(written)
    return Listed(weights, for_5m, for_1h, _discounted(rate, weights))


def _discounted(rate: Rate, weights: tuple[float, float, float]) -> tuple[float, float, float]:
    """Take all lanes that answer later for the batch lane: where a provider has several, they cost the same."""
    costs = [rate.cost(replace(usage, processing="batch")) for usage in _KINDS]
    fresh, cached, written = (
        _HALF if cost is None or not weight else cost / weight for cost, weight in zip(costs, weights, strict=True)
    )
    return fresh, cached, written


def by_price(cell: Cell) -> Segment:
    """Read a cell like `segment`, with what the list says of its tokens' places and lanes."""
    one = segment(cell)
    prices = listed(one.model) or Listed()
    fresh = one.input_tokens - one.cached_tokens
    put = (prices.written_5m - 1) * cell.cache_write_5m + (prices.written_1h - 1) * cell.cache_write_1h
    kinds = (
        (fresh, put, cell.discounted_fresh), (one.cached_tokens, 0.0, cell.discounted_cached),
        (one.output_tokens, 0.0, cell.discounted_output),
    )  # fmt: skip
    surcharges = (
        (tokens + more) * (1 + (factor - 1) * discounted / tokens) - tokens if tokens else 0.0
        for (tokens, more, discounted), factor in zip(kinds, prices.discounted, strict=True)
    )
    of_fresh, of_cached, of_output = map(round, surcharges)
    return replace(one, fresh_surcharge=of_fresh, cached_surcharge=of_cached, output_surcharge=of_output)
