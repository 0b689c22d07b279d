"""How much of the day's budget is gone: arithmetic, no statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tuppence.prices import usd
from tuppence.spend.alerts.facts import Facts
from tuppence.spend.alerts.finding import Finding
from tuppence.spend.alerts.measure import EVERYTHING
from tuppence.spend.alerts.rules import AlertRules


def budget_findings(facts: Facts, rules: AlertRules, now: int) -> Iterator[Finding]:
    """Yield each part of the daily budget that today, a day in UTC, has passed."""
    budget = rules.daily_budget
    if budget is None:
        return
    # At midnight it is still the day that ends.
    hours = (facts.first + now - 1) % 24 + 1
    keys = tuple(facts.sums)
    spent = facts.summed("pico_usd", keys)(now - hours, now)
    today = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=facts.first + now - 1)
    for share in sorted(rules.budget_shares):
        if spent >= share * budget:
            part = f"{share:.0%} of ${usd(budget):f} on {today:%Y-%m-%d}"
            yield Finding("budget", part, EVERYTHING, hours, spent / budget, share, keys, math.inf)
