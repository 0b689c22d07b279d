"""What prefix caches really gave: the cached share of the input, and the money that it saved or cost.

Read from the usage that providers billed, priced call by call as it was. A call without a price is counted, never taken
for free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Protocol, TypeVar

from tuppence.prices import PicoUSD, Rate, usd
from tuppence.usage import Usage


class Row(Protocol):
    """One provider call, such as an `Attempt`."""

    @property
    def model(self) -> str: ...
    @property
    def usage(self) -> Usage: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Realised:
    """One model's calls, or all of them."""

    calls: int = 0
    input_tokens: int = 0
    read_tokens: int = 0
    written_tokens: int = 0
    reads_saved_pico: PicoUSD = 0
    """What the tokens read would have cost more as ordinary input."""
    writes_cost_pico: PicoUSD = 0
    """What the tokens written cost more than ordinary input."""
    unpriced: int = 0
    """Calls that used a cache and have no price: they are missing from the two sums."""

    @property
    def cached_share(self) -> Fraction:
        """Tokens read from the cache, of all input tokens."""
        return Fraction(self.read_tokens, self.input_tokens) if self.input_tokens else Fraction(0)

    @property
    def saved_usd(self) -> Decimal:
        """What reads saved less what writes cost, below 0 where caching cost more than it gave."""
        return usd(self.reads_saved_pico - self.writes_cost_pico)

    def __add__(self, other: Realised) -> Realised:
        return Realised(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            read_tokens=self.read_tokens + other.read_tokens,
            written_tokens=self.written_tokens + other.written_tokens,
            reads_saved_pico=self.reads_saved_pico + other.reads_saved_pico,
            writes_cost_pico=self.writes_cost_pico + other.writes_cost_pico,
            unpriced=self.unpriced + other.unpriced,
        )


def realised(rows: Iterable[R], rate_of: Callable[[R], Rate | None]) -> dict[str, Realised]:
    """Add up what prefix caches gave, by model; `rate_of` returns the rate that a row was billed at.

    Text and audio tokens are counted. Reads are compared with the same call had it read nothing, writes with the same
    call had it written nothing, each priced as a whole, since long-context prices depend on all its input.
    """
    found: dict[str, Realised] = {}
    for row in rows:
        found[row.model] = found.get(row.model, Realised()) + _of(row.usage, rate_of(row))
    return found


def _of(usage: Usage, rate: Rate | None) -> Realised:
    read = usage.cache_read + usage.audio_cache_read
    written = usage.cache_write_5m + usage.cache_write_1h
    counted = Realised(1, usage.input_tokens, read, written)
    if not read and not written:
        return counted
    unread = replace(
        usage, input=usage.input + usage.cache_read, cache_read=0,
        audio_input=usage.audio_input + usage.audio_cache_read, audio_cache_read=0,
    )  # fmt: skip
    plain = replace(unread, input=unread.input + written, cache_write_5m=0, cache_write_1h=0)
    costs = [None if rate is None else rate.cost(one) for one in (usage, unread, plain)]
    real, without_reads, without_cache = costs
    if real is None or without_reads is None or without_cache is None:
        return replace(counted, unpriced=1)
    return replace(counted, reads_saved_pico=without_reads - real, writes_cost_pico=without_reads - without_cache)
