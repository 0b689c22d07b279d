"""The price of one model, resolved for a moment and then asked for every call.

`cost` is on the hot path (about a microsecond). It answers None, never 0 and never another kind's price, when
any part of a usage has no price; `why_unpriced` then says which part, in words a person can act on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from tuppence.prices.money import PicoUSD, nano_per_million, rounded
from tuppence.prices.sheet import BUCKETS, Price, Sheet, quantities, rare_quantities, scaled
from tuppence.usage import Usage


@dataclass(frozen=True, slots=True)
class Line:
    """Explain one part of a cost: `qty` units at `nano_usd` for each `per` of them."""

    unit: str
    """The bucket, for example `input`, `cache_read>200000` (priced above a step) or `call:web_search`."""
    qty: int
    """Tokens, calls or milliseconds."""
    nano_usd: int
    """Price in 1e-9 USD for `per` units."""
    per: int
    """A million tokens or calls; the milliseconds of an hour for GPU time."""

    @property
    def pico(self) -> PicoUSD:
        """Return this line's cost alone, rounded; a call's cost is rounded once over all lines."""
        return rounded(self.qty * self.nano_usd * 1000, self.per)


class Rate(Protocol):
    """Price usage: what every tier carries."""

    @property
    def version(self) -> str:
        """Name the list, model and date that the price came from, for the ledger."""

    def at(self, moment: float) -> Rate:
        """Return the rate in force at a moment (Unix seconds), the same one where the price never changes."""

    def cost(self, usage: Usage) -> PicoUSD | None:
        """Return the cost, or None when any part of the usage has no price."""

    def lines(self, usage: Usage) -> tuple[Line, ...]:
        """Explain the cost; parts without a price are left out."""

    def why_unpriced(self, usage: Usage) -> str | None:
        """Say why `cost` is None, or None when it is not."""


@dataclass(frozen=True, slots=True)
class GeoRule:
    """Multiply token prices where a provider was bound to a place that matches."""

    pattern: str
    numerator: int
    denominator: int


class TokenRate:
    """Prices by the token and by the call, for each kind of processing that has a list price."""

    __slots__ = ("_geo", "_plain", "_prices", "_sheets", "_unpriceable", "version")

    def __init__(
        self,
        version: str,
        prices: Mapping[str, Mapping[str, Price]],
        *,
        max_input: Mapping[str, int] | None = None,
        geo: tuple[GeoRule, ...] = (),
        unpriceable: str | None = None,
    ) -> None:
        self.version = version
        self._prices = dict(prices)
        self._geo = geo
        self._unpriceable = unpriceable
        caps = max_input or {}
        self._sheets: dict[tuple[str, str | None], Sheet | None] = {
            (kind, None): Sheet(listed, max_input=caps.get(kind)) for kind, listed in prices.items()
        }
        self._plain = None if unpriceable else _plain(self._sheets.get(("standard", None)))

    def __repr__(self) -> str:
        return f"TokenRate({self.version!r})"

    def at(self, moment: float) -> TokenRate:
        """Return this rate: these prices are resolved."""
        return self

    def cost(self, usage: Usage) -> PicoUSD | None:
        """Return the cost in pico-USD, rounded once, or None when any part has no price."""
        plain = self._plain
        if plain is not None and _is_plain(usage):
            femto = usage.input * plain[0] + usage.output * plain[1] + usage.cache_read * plain[2]
            return rounded(femto, 1000)
        sheet = self._sheets.get((usage.processing, usage.geo)) or self._sheet(usage)
        if sheet is None or self._unpriceable:
            return None
        at = sheet.level(usage.input_tokens) if sheet.steps or sheet.max_input else 0
        if sheet.max_input is not None and usage.input_tokens > sheet.max_input:
            return None
        femto = 0
        for qty, nano in zip(quantities(usage), sheet.levels[at]):  # noqa: B905 (strict costs 5% here)
            if qty:
                if nano is None:
                    return None
                femto += qty * nano
        if usage.calls or usage.media:
            rare = sheet.rare[at]
            for name, qty in rare_quantities(usage):
                if name not in rare:
                    return None
                femto += qty * rare[name]
        return rounded(femto, 1000)

    def lines(self, usage: Usage) -> tuple[Line, ...]:
        """Explain the cost line by line; parts without a price are left out."""
        return tuple(Line(unit, qty, nano, 1_000_000) for unit, qty, nano in self._parts(usage) if nano is not None)

    def why_unpriced(self, usage: Usage) -> str | None:
        """Say why `cost` is None, or None when it is not."""
        if self._unpriceable:
            return f"{self.version}: {self._unpriceable}"
        sheet = self._sheet(usage)
        if usage.processing not in self._prices:
            listed = ", ".join(sorted(self._prices))
            return f"{self.version} has no list price for {usage.processing!r} processing (listed: {listed})"
        if sheet is None:
            return f"{self.version} has no list price for calls bound to {usage.geo!r}"
        if sheet.max_input is not None and usage.input_tokens > sheet.max_input:
            return (
                f"{self.version} has no {usage.processing} list price above {sheet.max_input} input tokens, "
                f"got {usage.input_tokens}"
            )
        missing = [f"{qty} of {unit}" for unit, qty, nano in self._parts(usage) if nano is None]
        return f"{self.version} has no price for {', '.join(missing)}; add it as an override" if missing else None

    def _sheet(self, usage: Usage) -> Sheet | None:
        """Find or make the sheet for a usage's processing and place."""
        key = (usage.processing, usage.geo)
        if key not in self._sheets:
            self._sheets[key] = self._bound_sheet(usage.processing, usage.geo)
        return self._sheets[key]

    def _bound_sheet(self, kind: str, geo: str | None) -> Sheet | None:
        """Make the sheet for a place; None where the list says nothing of it."""
        free = self._sheets.get((kind, None))
        rule = next((rule for rule in self._geo if geo is not None and re.search(rule.pattern, geo)), None)
        if free is None or rule is None:
            return None
        return Sheet(scaled(self._prices[kind], rule.numerator, rule.denominator), max_input=free.max_input)

    def _parts(self, usage: Usage) -> list[tuple[str, int, int | None]]:
        """List unit, quantity and nano-USD per million of all that was used."""
        sheet = self._sheet(usage)
        if sheet is None:
            return []
        at = sheet.level(usage.input_tokens)
        above = f">{sheet.steps[at - 1]}" if at else ""
        parts: list[tuple[str, int, int | None]] = [
            (bucket + above, qty, nano)
            for bucket, qty, nano in zip(BUCKETS, quantities(usage), sheet.levels[at], strict=True)
            if qty
        ]
        parts += [(name, qty, sheet.rare[at].get(name)) for name, qty in rare_quantities(usage)]
        return parts


def _plain(sheet: Sheet | None) -> tuple[int, int, int] | None:
    """Return the prices of text in, text out and cached text where they depend on nothing else.

    Nine calls in ten are priced by these alone, in a quarter of the time of the whole sheet.
    """
    if sheet is None or sheet.steps or sheet.max_input is not None:
        return None
    text, answer, cached = sheet.levels[0][:3]
    return None if text is None or answer is None or cached is None else (text, answer, cached)


def _is_plain(usage: Usage) -> bool:
    return usage.processing == "standard" and usage.geo is None and not (
        usage.cache_write_5m or usage.cache_write_1h or usage.audio_input or usage.audio_output
        or usage.audio_cache_read or usage.calls or usage.media
    )  # fmt: skip


_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class GpuHourRate:
    """Price calls by GPU time, whatever their tokens."""

    nano_usd_per_hour: int
    version: str = "user"

    def at(self, moment: float) -> GpuHourRate:
        """Return this rate: its price never changes."""
        return self

    def cost(self, usage: Usage) -> PicoUSD | None:
        """Return the cost of the GPU time in pico-USD; None when tokens were used but no time measured."""
        if not usage.gpu_ms and usage.total_tokens:
            return None
        return rounded(usage.gpu_ms * self.nano_usd_per_hour * 1000, _HOUR_MS)

    def lines(self, usage: Usage) -> tuple[Line, ...]:
        """Explain the cost in one line of milliseconds."""
        return (Line("gpu_ms", usage.gpu_ms, self.nano_usd_per_hour, _HOUR_MS),) if usage.gpu_ms else ()

    def why_unpriced(self, usage: Usage) -> str | None:
        """Say that the GPU time is missing."""
        if usage.gpu_ms or not usage.total_tokens:
            return None
        return f"{self.version} is priced by GPU time but gpu_ms is 0; measure the call's compute time"


def token_rate(
    *,
    input: Decimal | str | int,  # noqa: A002 (the bucket's name)
    output: Decimal | str | int,
    cache_read: Decimal | str | int | None = None,
    cache_write_5m: Decimal | str | int | None = None,
    cache_write_1h: Decimal | str | int | None = None,
    audio_input: Decimal | str | int | None = None,
    audio_cache_read: Decimal | str | int | None = None,
    audio_output: Decimal | str | int | None = None,
    calls: Mapping[str, Decimal | str | int] | None = None,
    version: str = "user",
) -> TokenRate:
    """Make a rate from prices of one's own, in USD per million tokens (`calls`: USD per thousand calls).

    Without `cache_read`, tokens read from a cache cost as much as other input: no discount was agreed. Any
    other price left out stays unpriced. Raises `PriceError` for floats, negative numbers and prices finer
    than 1e-9 USD.
    """
    given = {
        "input": input,
        "output": output,
        "cache_read": input if cache_read is None else cache_read,
        "cache_write_5m": cache_write_5m,
        "cache_write_1h": cache_write_1h,
        "audio_input": audio_input,
        "audio_cache_read": audio_cache_read,
        "audio_output": audio_output,
    }
    prices: dict[str, Price] = {
        name: nano_per_million(price, name) for name, price in given.items() if price is not None
    }
    for name, price in (calls or {}).items():
        prices[f"call:{name}"] = nano_per_million(price, name) * 1000
    return TokenRate(version, {"standard": prices})


def gpu_hour_rate(usd_per_hour: Decimal | str | int, *, version: str = "user") -> GpuHourRate:
    """Make a rate that prices a call by its GPU time (`Usage.gpu_ms`), in USD per GPU-hour.

    Raises `PriceError` for floats, negative numbers and prices finer than 1e-9 USD.
    """
    return GpuHourRate(nano_per_million(usd_per_hour, "usd_per_hour"), version)
