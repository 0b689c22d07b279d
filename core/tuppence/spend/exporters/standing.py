"""How budgets stand, as gauges that are read when Prometheus asks."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tuppence.errors import BudgetError
from tuppence.spend.budgets import Budgets

log = logging.getLogger("tuppence.exporters")

MOST_COUNTERS = 1_000
"""A budget for each user may have a million counters: those with the least left are told."""


class BudgetCollector(Collector):
    """Reads the counters of budgets; where they cannot be read, there are no such series, rather than old ones."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets

    def describe(self) -> list[GaugeMetricFamily]:
        """Name what there may be, without reading it: registering must not wait for a store."""
        return list(_families().values())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            standing = self._budgets.standing()
        except BudgetError as error:
            log.warning("budgets are missing from the metrics: %s", error)
            return
        families = _families()
        limited = (one for one in standing if one.left_usd is not None)
        for one in sorted(limited, key=lambda one: one.left_usd or 0)[:MOST_COUNTERS]:
            labels = (one.budget, one.counter)
            families["spent"].add_metric(labels, float(one.spent_usd))
            families["held"].add_metric(labels, float(one.held_usd))
            families["limit"].add_metric(labels, float(one.limit_usd or 0))
            families["left"].add_metric(labels, float(one.left_usd or 0))
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    words = {
        "spent": "Dollars spent of a budget in its period",
        "held": "Dollars that calls under way may yet cost",
        "limit": "Dollars that may be spent",
        "left": "Dollars that a call could still reserve",
    }
    return {
        name: GaugeMetricFamily(f"tuppence_budget_{name}_usd", text, labels=("budget", "counter"))
        for name, text in words.items()
    }
