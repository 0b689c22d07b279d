"""The metrics of a whole machine, or of many: read from the ledger that all its programs write to.

The same names as `PrometheusMetrics`, less what single calls alone can tell: there is no histogram of times.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from tuppence.prices import usd
from tuppence.spend.cells import Cell, cells

REFRESH_S = 30.0
"""How old an answer may be: a ledger of a million rows takes a second to add up."""

_BY = ("tier", "model", "cause", "outcome", "endpoint", "task", "mode")
_FAMILIES = {
    "calls": ("Logical calls", ("endpoint", "task", "mode")),
    "attempts": ("Provider calls", ("tier", "model", "cause", "outcome")),
    "cost_usd": ("Dollars paid", ("tier", "model", "cause", "endpoint")),
    "unpriced_attempts": ("Provider calls of unknown price", ("tier", "model")),
    "tokens": ("Tokens by kind; no token is in two", ("tier", "model", "kind")),
    "cache_requests": ("What caches answered", ("result",)),
    "baseline_usd": ("Dollars on the baseline alone, of calls that can be compared", ("tier",)),
    "compared_cost_usd": ("Dollars paid for calls that can be compared", ("tier",)),
}
_Sums = dict[str, dict[tuple[str, ...], float]]


class LedgerCollector(Collector):
    """Adds the ledger at `place` up when Prometheus asks, at most every half minute."""

    def __init__(self, place: str | Path) -> None:
        self._place = place
        self._read_at = -REFRESH_S
        self._sums: _Sums = {}

    def describe(self) -> list[CounterMetricFamily]:
        """Name what there is, without reading it."""
        return list(self._families({}))

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the counters; raises `LedgerError`, which fails the scrape, where the ledger cannot be read."""
        now = time.monotonic()
        if now - self._read_at >= REFRESH_S:
            self._sums, self._read_at = _sums(cells(self._place, by=_BY, every="day")), now
        yield from self._families(self._sums)

    def _families(self, sums: _Sums) -> Iterator[CounterMetricFamily]:
        for name, (words, labels) in _FAMILIES.items():
            family = CounterMetricFamily(f"tuppence_{name}", words, labels=labels)
            for values, amount in sums.get(name, {}).items():
                family.add_metric(values, amount)
            yield family


def _sums(found: list[Cell]) -> _Sums:
    sums: _Sums = {}
    for cell in found:
        for name, values, amount in _of_cell(cell):
            if amount:
                family = sums.setdefault(name, {})
                family[values] = family.get(values, 0.0) + amount
    return sums


def _of_cell(cell: Cell) -> Iterator[tuple[str, tuple[str, ...], float]]:
    tier, model, cause, outcome, endpoint, task, mode = (value or "" for value in cell.key)
    yield "calls", (endpoint, task, mode), cell.calls
    yield "attempts", (tier, model, cause, outcome), cell.attempts + cell.hits
    yield "cost_usd", (tier, model, cause, endpoint), float(usd(cell.pico_usd))
    yield "unpriced_attempts", (tier, model), cell.unpriced
    kinds = {
        "input": cell.input_tokens - cell.cached_tokens, "cache_read": cell.cached_tokens, "output": cell.output_tokens,
    }  # fmt: skip
    for kind, tokens in kinds.items():
        yield "tokens", (tier, model, kind), tokens
    yield "cache_requests", ("similar" if tier == "similar" else "exact",), cell.hits
    yield "baseline_usd", (tier,), float(usd(cell.baseline_pico))
    yield "compared_cost_usd", (tier,), float(usd(cell.compared_pico))
