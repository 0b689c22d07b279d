"""What a provider's prefix cache did to one call's price: what reads took off, and what writes put on.

Exact, by the rate that the call was billed at. A part without a price leaves both unknown, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tuppence.prices.money import PicoUSD
from tuppence.prices.rate import Rate
from tuppence.usage import Usage


@dataclass(frozen=True, slots=True)
class CacheMoney:
    """One call against the same call without a cache; both are 0 or more wherever a read costs less than input."""

    reads_saved_pico: PicoUSD
    """What the tokens read would have cost more as ordinary input."""
    writes_extra_pico: PicoUSD
    """What the tokens written cost more than ordinary input."""


def cache_money(usage: Usage, rate: Rate | None) -> CacheMoney | None:
    """Price what was read from and written to the cache; None where nothing was, or where a part has no price.

    Text and audio tokens are counted. Reads are compared with the same call had it read nothing, writes with the same
    call had it written nothing, each priced as a whole, since long-context prices depend on all its input.
    """
    read = usage.cache_read or usage.audio_cache_read
    written = usage.cache_write_5m + usage.cache_write_1h
    if rate is None or not (read or written):
        return None
    unread = replace(
        usage, input=usage.input + usage.cache_read, cache_read=0,
        audio_input=usage.audio_input + usage.audio_cache_read, audio_cache_read=0,
    )  # fmt: skip
    plain = replace(unread, input=unread.input + written, cache_write_5m=0, cache_write_1h=0)
    real, without_reads, without_cache = rate.cost(usage), rate.cost(unread), rate.cost(plain)
    if real is None or without_reads is None or without_cache is None:
        return None
    return CacheMoney(without_reads - real, without_reads - without_cache)
