"""Hours of made-up traffic for the tests of alerts: steady but for what a test changes."""

import random
from collections.abc import Callable

from tuppence.spend.alerts.facts import SUMS, Facts, Run, Totals
from tuppence.spend.digest.segments import Segment

DAYS = 42
Change = Callable[[int, Segment], Segment]


def unchanged(_: int, segment: Segment) -> Segment:
    return segment


def facts(change: Change = unchanged, *, days: int = DAYS, seed: int = 0, calls: int = 200) -> Facts:
    """Two endpoints on two tiers, some five percent of noise an hour, weekends at a third."""
    random_ = random.Random(seed)
    made = Facts(first=480_000)
    for endpoint in ("/chat", "/search"):
        for tier, share, price in (("small", 0.8, 1), ("large", 0.2, 12)):
            columns: list[list[int]] = [[] for _ in SUMS]
            for hour in range(days * 24):
                volume = calls * share * (0.33 if hour // 24 % 7 >= 5 else 1.0) * random_.uniform(0.9, 1.1)
                count = round(volume)
                tokens = round(count * 500 * random_.uniform(0.95, 1.05))
                hits = count // 5 if tier == "small" else 0
                base = Segment(
                    endpoint, tier, f"{tier}-1", count, hits, count - hits, 0, tokens, tokens // 2, tokens // 5,
                    price * 1000 * (tokens // 2 + tokens // 20 + tokens), 0,
                )  # fmt: skip
                segment = change(hour, base)
                for column, name in zip(columns, SUMS, strict=True):
                    column.append(getattr(segment, name))
            made.sums[endpoint, tier, f"{tier}-1"] = tuple(map(Totals, columns))
    made.users = [{f"u{user}": random_.randrange(800, 1200) for user in range(20)} for _ in range(days * 24)]
    scores = [random_.gauss(0.8, 0.1) for _ in range(days * 24)]
    made.scores = Totals(scores), Totals([1] * len(scores))
    return made


def runs(power: float, *, begin: int, end: int, seed: int = 0, constant: int = 1500) -> list[Run]:
    """A run an hour whose calls go with its items to a power; its first prompt begins with constant instructions."""
    random_ = random.Random(seed)
    made = []
    for hour in range(begin, end):
        items = max(2, round(random_.lognormvariate(2.3, 0.7)))
        calls = max(1, round(items**power * random_.lognormvariate(0, 0.1)))
        made.append(Run("reports", hour, constant + 250 * items, calls))
    return made
