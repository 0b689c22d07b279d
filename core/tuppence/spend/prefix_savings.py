"""What providers' prompt caches gave, by tier: the share of the input that was read, the money saved, the money lost.

Everything is as it was billed: each attempt's saving was priced with it. A write that nobody read is found by the
provider's own counts, so that what is said to be lost is lost at least.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tuppence.prices import PicoUSD, usd
from tuppence.spend.sums import INPUT, exact_sum, joined

# No provider promises to keep an ordinary write for longer than OpenAI's half hour (data/prefix_caches.json).
_ORDINARY_US = 1_800_000_000
_HOUR_US = 3_600_000_000
_READ, _WRITTEN = "cache_read + audio_cache_read", "cache_write_5m + cache_write_1h"


@dataclass(frozen=True, slots=True)
class PrefixLine:
    """One tier's calls, or all of them."""

    tier: str
    input_tokens: int = 0
    read_tokens: int = 0
    """Those of them that were read from the provider's cache."""
    written_tokens: int = 0
    reads_saved_pico: PicoUSD = 0
    """What the tokens read would have cost more as ordinary input."""
    writes_extra_pico: PicoUSD = 0
    """What the tokens written cost more than ordinary input."""
    unread_pico: PicoUSD = 0
    """The part of `writes_extra_pico` that was paid for writes of which no later call can have read anything."""
    unpriced: int = 0
    """Calls that used the cache and have no price: they are missing from the sums of money."""

    @property
    def cached_share(self) -> Fraction:
        return Fraction(self.read_tokens, self.input_tokens) if self.input_tokens else Fraction(0)

    @property
    def saved_usd(self) -> Decimal:
        """What reads saved less what writes cost, below 0 where caching cost more than it gave."""
        return usd(self.reads_saved_pico - self.writes_extra_pico)

    @property
    def unread_usd(self) -> Decimal:
        return usd(self.unread_pico)

    def __add__(self, other: PrefixLine) -> PrefixLine:
        return PrefixLine(self.tier, *(getattr(self, name) + getattr(other, name) for name in _ADDITIVE))


_ADDITIVE = tuple(one.name for one in fields(PrefixLine) if one.name != "tier")


@dataclass(frozen=True, slots=True, order=True)
class _Write:
    read_tokens: int
    """What the same call read: who reads more later may have read this write."""
    expires_us: int
    tier: str | None = field(compare=False)
    """None where the report does not ask for the write."""
    extra_pico: PicoUSD = field(compare=False)


def prefix_lines(
    connection: sqlite3.Connection, condition: str, values: Sequence[str | int], *, now: float
) -> tuple[PrefixLine, ...]:
    """Add up the attempts that meet `condition`, in order of tiers; empty where no cache was used.

    Whether a write was read is looked for among all calls of the ledger, and decided `now` (Unix seconds).
    """
    lines = {line.tier: line for line in _totals(connection, condition, values)}
    if not any(line.read_tokens or line.written_tokens for line in lines.values()):
        return ()
    for found in _money(connection.execute(_CACHED.format(condition=condition), values), int(now * 1e6)):
        lines[found.tier] += found
    return tuple(lines[tier] for tier in sorted(lines))


def total_of(lines: Sequence[PrefixLine]) -> PrefixLine:
    """Add lines up."""
    return sum(lines, PrefixLine("total"))


_CACHED = f"""
    SELECT tier, model, tenant, started_us, started_us + CAST(COALESCE(latency_ms, 0) * 1000 AS INTEGER), {_READ},
        {_WRITTEN}, cache_write_1h, extra, ({{condition}})
    FROM attempts WHERE {_READ} > 0 OR {_WRITTEN} > 0
    ORDER BY started_us, id
"""


def _totals(connection: sqlite3.Connection, condition: str, values: Sequence[str | int]) -> Iterator[PrefixLine]:
    sums = ", ".join(f"{exact_sum(value, 'TRUE')}" for value in (INPUT, _READ, _WRITTEN))
    query = f"SELECT tier, {sums} FROM attempts WHERE {condition} AND outcome <> 'hit' GROUP BY tier"
    for tier, *parts in connection.execute(query, values):
        tokens, read, written = (joined(*parts[i : i + 2]) for i in range(0, len(parts), 2))
        if tokens:
            yield PrefixLine(tier, tokens, read, written)


def _money(rows: Iterable[tuple[Any, ...]], now_us: int) -> Iterator[PrefixLine]:
    """Yield what each selected call saved and cost, and each write of theirs that expired unread."""
    pending: dict[tuple[str | None, str], list[_Write]] = {}
    for tier, model, tenant, started_us, ended_us, read, written, written_1h, extra, selected in rows:
        told = json.loads(extra).get("prefix") if extra else None
        saved, cost = (told["reads_saved_pico"], told["writes_extra_pico"]) if told else (0, 0)
        if selected:
            yield PrefixLine(tier, reads_saved_pico=saved, writes_extra_pico=cost, unpriced=int(not told))
        writes = pending.setdefault((tenant, model), [])
        # Calls come in order of time: a write is closed by the first one that read further than its own call had.
        while writes and writes[0].read_tokens < read:
            yield from _lost(heapq.heappop(writes), started_us)
        if written:
            expires_us = ended_us + (_HOUR_US if written_1h else _ORDINARY_US)
            heapq.heappush(writes, _Write(read, expires_us, tier if selected else None, cost))
    for writes in pending.values():
        for write in writes:
            yield from _lost(write, now_us)


def _lost(write: _Write, at_us: int) -> Iterator[PrefixLine]:
    """Yield a write that had expired by the moment at which it might have been read."""
    if write.tier is not None and write.expires_us < at_us:
        yield PrefixLine(write.tier, unread_pico=write.extra_pico)
