"""Traffic as the ledger recorded it, and what it would cost elsewhere: each recorded call is priced anew, none averaged
first, because prices may depend on a call's size. Reads numbers only; there is no text in a ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from tuppence.errors import LedgerError, PriceError
from tuppence.estimate.calculator import Leg, batched_leg
from tuppence.prices import PicoUSD, Rate, usd
from tuppence.prices.amounts import Amount
from tuppence.prices.spelling import Step, dollars
from tuppence.spend import report
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.places import shown_place
from tuppence.usage import Processing, Usage

# A call's workload is what its answer used: drafts and judges are the policy's doing, not the traffic's.
_ANSWERS = """
    SELECT input, cache_read, cache_write_5m, cache_write_1h, audio_input, audio_cache_read, output, audio_output,
        media_input + media_output, COUNT(*)
    FROM attempts
    WHERE id IN (
        SELECT MAX(id) FROM attempts
        WHERE outcome IN ('accepted', 'observed') AND started_us >= :since AND started_us < :until GROUP BY call_id
    )
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""
_FIRST = "SELECT MIN(started_us) FROM attempts WHERE started_us >= :since AND started_us < :until"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What came in during some days."""

    days: int
    answered: Mapping[Usage, int]
    """Calls that a model answered, by what the answer used."""
    hits: int
    """Calls that the cache answered."""
    left_out: int
    """Calls whose answer used images or the like: only their sum is on record, and it has no one price."""
    paid_pico: PicoUSD
    """What was really paid, drafts, judges and failures included."""
    unpriced: int
    """Attempts that are missing from what was paid."""
    first: datetime | None
    """When the first of the recorded calls was made."""
    until: datetime

    @property
    def calls(self) -> int:
        """Calls answered by a model whose tokens can be priced anew."""
        return sum(self.answered.values())

    @property
    def requests_per_day(self) -> Fraction:
        return Fraction(self.calls + self.hits, self.days)

    @property
    def hit_rate(self) -> Fraction:
        return Fraction(self.hits, self.calls + self.hits)

    @property
    def span(self) -> timedelta:
        """How much of the days the recorded calls cover."""
        return timedelta() if self.first is None else self.until - self.first


def recorded(place: str | Path, *, days: int, until: datetime | None = None) -> Traffic:
    """Read the traffic of the last `days` days from a ledger, a file or `postgresql://...`.

    Raises `LedgerError` where there is none.
    """
    until = until or datetime.now(UTC)
    since = until - timedelta(days=days)
    total = report(place, by=(), since=since, until=until).total
    answered, left_out, first_us = _answered(place, since, until)
    if not answered:
        raise LedgerError(
            f"the ledger {shown_place(place)} has no answered calls in the last {days} days: ask for more days, or "
            "give the volumes yourself (--requests-per-day, --input-tokens, --output-tokens)"
        )
    first = datetime.fromtimestamp(first_us / 1_000_000, UTC)
    return Traffic(days, answered, total.hits, left_out, total.pico_usd, total.unpriced, first, until)


def _answered(place: str | Path, since: datetime, until: datetime) -> tuple[Counter[Usage], int, int]:
    """Count calls by what their answers used, and those of no one price; and say when the first call began."""
    from sqlalchemy import text

    bounds = {"since": int(since.timestamp() * 1_000_000), "until": int(until.timestamp() * 1_000_000)}
    answered: Counter[Usage] = Counter()
    left_out = 0
    with reading(place) as rows:
        for *tokens, media, calls in rows.execute(text(_ANSWERS), bounds):
            if media:
                left_out += calls
            else:
                answered[_usage(tokens)] += calls
        first_us = rows.scalar(text(_FIRST), bounds)
    return answered, left_out, first_us or 0


def repriced_leg(name: str, rate: Rate, traffic: Traffic, *, share: Amount = 1, batch_share: Amount = 0) -> Leg:
    """Price what was recorded as if `rate` had served all of it; the leg holds the average over its calls.

    Token counts are those of the models that answered: another tokenizer counts otherwise, so this is an estimate even
    where every price is exact. Raises `PriceError` where the rate has no price for what is used.
    """
    standard, step = _average(name, rate, traffic, "standard")
    batch = Fraction(batch_share)
    if not batch:
        return Leg(name, Fraction(share), standard, standard, (step,))
    reduced, batch_step = _average(name, rate, traffic, "batch")
    return batched_leg(name, share, standard, reduced, batch, (step, batch_step))


def _average(name: str, rate: Rate, traffic: Traffic, processing: Processing) -> tuple[Fraction, Step]:
    total = 0
    for usage, calls in traffic.answered.items():
        used = usage if processing == usage.processing else replace(usage, processing=processing)
        cost = rate.cost(used)
        if cost is None:
            raise PriceError(f"{name}: {rate.why_unpriced(used)}")
        total += calls * cost
    whole = Fraction(usd(total))
    average = whole / traffic.calls
    label = f"a request on {name}" + ("" if processing == "standard" else f", {processing}")
    return average, Step(
        label, f"{dollars(whole)} for the recorded {traffic.calls:,} calls / {traffic.calls:,}", average
    )


def _usage(tokens: list[int | None]) -> Usage:
    read = [count or 0 for count in tokens]
    return Usage(
        input=read[0], cache_read=read[1], cache_write_5m=read[2], cache_write_1h=read[3], audio_input=read[4],
        audio_cache_read=read[5], output=read[6], audio_output=read[7],
    )  # fmt: skip
