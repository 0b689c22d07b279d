"""Why this week cost more than the last one: the change of spending by what drove it, exact to the pico-dollar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tuppence.prices import PicoUSD, usd
from tuppence.spend.digest.decomposition import Key, by_driver, decompose
from tuppence.spend.digest.reading import read_periods
from tuppence.spend.digest.segments import Period


@dataclass(frozen=True, slots=True)
class Digest:
    """Two periods of the same length, one after the other, and what lies between them."""

    since: datetime
    """Beginning of the later period."""
    until: datetime
    days: int
    by: str
    """Tag that spending is kept apart by."""
    before: Period
    after: Period
    effects: Mapping[Key, PicoUSD]
    """By driver and value of the tag; adds up to the change exactly."""
    unpriced: int
    """Attempts of both periods whose price nobody knows: they are in no figure of money."""

    @property
    def change_pico(self) -> PicoUSD:
        return self.after.pico_usd - self.before.pico_usd

    @property
    def change_usd(self) -> Decimal:
        return usd(self.change_pico)

    @property
    def change_share(self) -> float | None:
        """The change as a part of what was spent before; None where that was nothing."""
        return self.change_pico / self.before.pico_usd if self.before.pico_usd else None

    @property
    def drivers(self) -> dict[str, PicoUSD]:
        """What each driver added, over all values of the tag."""
        return by_driver(self.effects)


def digest(
    place: str | Path,
    *,
    at: datetime | None = None,
    weeks: int = 1,
    by: str = "endpoint",
    where: Mapping[str, str] | None = None,
) -> Digest:
    """Explain how the `weeks` up to `at` (now; without a zone, UTC) differ from as many before.

    Raises `LedgerError` for a place that is not a ledger, and for a tag that it does not keep.
    """
    until = at or datetime.now(UTC)
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    length = timedelta(weeks=weeks)
    found = read_periods(place, by, (until - 2 * length, until - length, until), where or {})
    effects = decompose(found.before, found.after, found.weights)
    return Digest(until - length, until, 7 * weeks, by, found.before, found.after, effects, found.unpriced)
