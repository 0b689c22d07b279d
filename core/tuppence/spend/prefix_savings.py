"""What providers' prompt caches gave, by tier: the share of the input that was read, the money saved, the money lost.

Everything is as it was billed: each attempt's saving was priced with it. A write that nobody read is found by the
provider's own counts, so that what is said to be lost is lost at least.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, FromClause, Select, and_, case, or_, select

from tuppence.prices import PicoUSD, usd
from tuppence.spend.hours import summed_up
from tuppence.spend.ledger.sums_kept import prefix_told
from tuppence.spend.ledger.tables import attempts
from tuppence.spend.selection import Selection
from tuppence.spend.sums import Adding, tokens_in, total

# No provider promises to keep an ordinary write for longer than OpenAI's half hour (data/prefix_caches.json).
_ORDINARY_US = 1_800_000_000
_HOUR_US = 3_600_000_000


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


def prefix_lines(connection: Connection, selection: Selection, *, now: float) -> tuple[PrefixLine, ...]:
    """Add up the selected attempts, in order of tiers; empty where no cache was used.

    Whether a write was read is looked for among all calls of the ledger, and decided `now` (Unix seconds).
    """
    lines = {line.tier: line for line in _totals(connection, selection)}
    if not any(line.read_tokens or line.written_tokens for line in lines.values()):
        return ()
    if any(line.written_tokens for line in lines.values()):
        for found in _unread(connection.execute(_cached(selection)), int(now * 1e6)):
            lines[found.tier] += found
    return tuple(lines[tier] for tier in sorted(lines))


def total_of(lines: Sequence[PrefixLine]) -> PrefixLine:
    """Add lines up."""
    return sum(lines, PrefixLine("total"))


_C = attempts.c
_READ, _WRITTEN = _C.cache_read + _C.audio_cache_read, _C.cache_write_5m + _C.cache_write_1h


def _totals(connection: Connection, selection: Selection) -> Iterator[PrefixLine]:
    """Yield each tier's tokens, and what its calls saved and cost."""

    def question(rows: FromClause, adding: Adding) -> Select[Any]:
        c = rows.c
        read, written = c.cache_read + c.audio_cache_read, c.cache_write_5m + c.cache_write_1h
        unpriced = c.prefix_used - c.prefix_priced
        figures = (tokens_in(rows), read, written, c.reads_saved_pico, c.writes_extra_pico, unpriced)
        return select(c.tier, *map(adding, figures)).where(c.outcome != "hit").group_by(c.tier)

    found: dict[str, PrefixLine] = {}
    for tier, *sums in summed_up(connection, selection, question):
        tokens, read, written, saved, extra, unpriced = map(total, sums)
        line = PrefixLine(tier, tokens, read, written, saved, extra, unpriced=unpriced)
        found[tier] = found.get(tier, PrefixLine(tier)) + line
    yield from (line for line in found.values() if line.input_tokens)


def _cached(selection: Selection) -> Select[Any]:
    """Spell the calls that may tell whether a write was read: those to models whose cache was ever written to."""
    writer = attempts.alias("writer")
    written = select(writer.c.model).where(writer.c.cache_write_5m + writer.c.cache_write_1h > 0)
    extra = case((_WRITTEN > 0, prefix_told("writes_extra_pico")))
    return (
        select(
            _C.tier, _C.model, _C.tenant, _C.started_us, _C.latency_ms, _READ, _WRITTEN, _C.cache_write_1h, extra,
            and_(selection.met_by(attempts), _C.outcome != "hit"),
        )
        .where(or_(_READ > 0, _WRITTEN > 0), _C.model.in_(written))
        .order_by(_C.started_us, _C.id)
    )  # fmt: skip


def _unread(rows: Iterable[Any], now_us: int) -> Iterator[PrefixLine]:
    """Yield each selected write that expired unread."""
    pending: dict[tuple[str | None, str], list[_Write]] = {}
    for tier, model, tenant, started_us, latency_ms, read, written, written_1h, cost, selected in rows:
        writes = pending.setdefault((tenant, model), [])
        # Calls come in order of time: a write is closed by the first one that read further than its own call had.
        while writes and writes[0].read_tokens < read:
            yield from _lost(heapq.heappop(writes), started_us)
        if written:
            expires_us = started_us + int((latency_ms or 0) * 1000) + (_HOUR_US if written_1h else _ORDINARY_US)
            heapq.heappush(writes, _Write(read, expires_us, tier if selected else None, cost or 0))
    for writes in pending.values():
        for write in writes:
            yield from _lost(write, now_us)


def _lost(write: _Write, at_us: int) -> Iterator[PrefixLine]:
    """Yield a write that had expired by the moment at which it might have been read."""
    if write.tier is not None and write.expires_us < at_us:
        yield PrefixLine(write.tier, unread_pico=write.extra_pico)
