"""A listed model's price as of any moment: what a tier holds for as long as its process runs.

A price looked up once grows old: the list holds changes to come, and some providers charge by the hour of the day.
This room must never answer for one moment with the price of another.
"""

from __future__ import annotations

import time

from tuppence.prices.listing import Model
from tuppence.prices.money import PicoUSD
from tuppence.prices.rate import Line, TokenRate
from tuppence.usage import Usage


class ListedRate:
    """The dated prices of one listed model; a question without a moment is answered as of now."""

    __slots__ = ("_held", "_model", "_version")

    def __init__(self, model: Model, version: str) -> None:
        self._model = model
        self._version = version
        self._held: tuple[float, float, TokenRate] | None = None
        """From when, until when and at which price. One tuple, swapped whole: threads read it without a lock."""

    def __repr__(self) -> str:
        return f"ListedRate('{self._version}/{self._model.provider}/{self._model.id}')"

    def __reduce__(self) -> tuple[type[ListedRate], tuple[Model, str]]:
        """Travel with this model's own prices: small, and the same in a process that has another list."""
        return ListedRate, (self._model, self._version)

    @property
    def version(self) -> str:
        """Name list, provider, model and today's date (UTC)."""
        return self.at(time.time()).version

    def at(self, moment: float) -> TokenRate:
        """Return the prices in force at a moment (Unix seconds); `PriceError` where that is no date of this world."""
        held = self._held
        if held is not None and held[0] <= moment < held[1]:
            return held[2]
        start, end = self._model.span(moment)
        # At the start of the span: a moment just before its end would be rounded to a microsecond past it.
        rate = self._model.rate(start, self._version)
        self._held = start.timestamp(), end.timestamp(), rate
        return rate

    def cost(self, usage: Usage) -> PicoUSD | None:
        """Return the cost as of now, or None when any part of the usage has no price."""
        return self.at(time.time()).cost(usage)

    def lines(self, usage: Usage) -> tuple[Line, ...]:
        """Explain the cost as of now; parts without a price are left out."""
        return self.at(time.time()).lines(usage)

    def why_unpriced(self, usage: Usage) -> str | None:
        """Say why `cost` is None, or None when it is not."""
        return self.at(time.time()).why_unpriced(usage)
