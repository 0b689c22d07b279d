"""What the packaged list holds, for people to look through: names of models, and one rate laid out row by row.

For reading only. No call is priced from here.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from tuppence.prices.listing import packaged_listing
from tuppence.prices.rate import GpuHourRate, Rate, TokenRate
from tuppence.prices.sheet import Price

_STANDARD = "standard"
_NANO = 9


@dataclass(frozen=True, slots=True, order=True)
class Listed:
    """One model of the list."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One price of a rate."""

    processing: str
    """`standard`, `batch`, `flex`, `priority` or `fast`."""
    unit: str
    """A bucket, such as `input`, or a tool paid by the call, such as `call:web_search`."""
    above_tokens: int
    """The price holds for calls with more input tokens than this."""
    usd: Decimal
    """Dollars for a million tokens, a thousand calls, or one GPU-hour."""


def listed(provider: str | None = None, *, containing: str = "") -> tuple[Listed, ...]:
    """List models by provider and name; `provider` takes the names that frameworks use, `containing` any case."""
    listing = packaged_listing()
    wanted = None if provider is None else listing._provider(provider)
    if provider is not None and wanted is None:
        return ()
    text = containing.lower()
    return tuple(
        Listed(pid, entry["id"])
        for pid, of_provider in listing._providers.items()
        if wanted in (None, pid)
        for entry in of_provider["models"]
        if text in entry["id"].lower() or text in f"{pid}/{entry['id']}".lower()
    )


def resembling(model: str, provider: str | None = None, *, limit: int = 3) -> list[str]:
    """Name listed models that were perhaps meant, the likeliest first."""
    names = {one.model.lower(): one.model for one in listed(provider)}
    bare = model.lower().rpartition("/")[2]
    return [names[name] for name in difflib.get_close_matches(bare, names, n=limit, cutoff=0.6)]


def price_rows(rate: Rate) -> tuple[PriceRow, ...]:
    """Lay a rate out as of now: standard prices first, each bucket with its long-context steps."""
    rate = rate.at(time.time())
    if isinstance(rate, GpuHourRate):
        return (PriceRow(_STANDARD, "gpu_hour", 0, _usd(rate.nano_usd_per_hour)),)
    if not isinstance(rate, TokenRate):
        return ()
    kinds = sorted(rate._prices, key=lambda kind: (kind != _STANDARD, kind))
    return tuple(
        PriceRow(kind, unit, above, _usd(nano // 1000 if unit.startswith("call:") else nano))
        for kind in kinds
        for unit, price in rate._prices[kind].items()
        for above, nano in _steps(price)
    )


def input_limits(rate: Rate) -> dict[str, int]:
    """Return the kinds of processing that have no price above so many input tokens, as of now."""
    rate = rate.at(time.time())
    if not isinstance(rate, TokenRate):
        return {}
    sheets = ((kind, sheet) for (kind, geo), sheet in rate._sheets.items() if geo is None and sheet is not None)
    return {kind: sheet.max_input for kind, sheet in sheets if sheet.max_input is not None}


def _steps(price: Price) -> Iterator[tuple[int, int]]:
    if isinstance(price, int):
        yield 0, price
        return
    yield 0, price[0]
    yield from ((above, nano) for above, nano in price[1:])


def _usd(nano: int) -> Decimal:
    return Decimal(nano).scaleb(-_NANO)
