"""The demo's ledger: passes every settled call on to a real one, and keeps the calls of the question under way.

Calls of the unchanged chain are only observed, so nobody has yet put a price on their compute time: that is done here,
at the same rate and by the same clock as for a tier.
"""

from __future__ import annotations

from dataclasses import replace

from tuppence.attempts import Attempt, Result
from tuppence.prices import GpuHourRate, PriceBook
from tuppence.spend import Ledger


class Recorder:
    """A `Ledger` in front of another one."""

    def __init__(self, ledger: Ledger, prices: PriceBook) -> None:
        self._ledger = ledger
        self._prices = prices
        self._results: list[Result] = []

    def write(self, result: Result) -> None:
        for attempt in result.attempts:
            self._price_compute(attempt)
        self._results.append(result)
        self._ledger.write(result)

    def flush(self, timeout_s: float = 10.0) -> None:
        self._ledger.flush(timeout_s)

    def close(self) -> None:
        self._ledger.close()

    def taken(self) -> list[Result]:
        """Return the calls settled since this was asked last."""
        results, self._results = self._results, []
        return results

    def _price_compute(self, attempt: Attempt) -> None:
        if attempt.cause != "observed" or attempt.pico_usd is not None:
            return
        rate = self._prices.rate(attempt.model)
        if isinstance(rate, GpuHourRate):
            attempt.usage = replace(attempt.usage, gpu_ms=round(attempt.latency_ms))
            attempt.pico_usd = rate.cost(attempt.usage)
            attempt.status = "exact"
            attempt.price_version = rate.version
