"""A ledger of made-up traffic: days and weeks with a season, a cascade, hits, retries, judges, unpriced oddities.

Rows go straight into the table, as a million of them through the writer would take minutes; they are what it writes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from tuppence.spend.ledger.schema import bring_up
from tuppence.spend.ledger.sums_kept import fill
from tuppence.spend.ledger.tables import attempts

DAY_US = 86_400_000_000
COLUMNS = [column.name for column in attempts.columns if column.name != "id"]
ENDPOINTS = (
    "/chat", "/search", "/summarise", "/extract", "/draft-reply", "/classify", "/translate", "/plan-trip",
    "/tools/weather", "/tools/maps", "/tools/sql", "/tools/crm", "/tools/mail", "/tools/diary", "/tools/ocr",
    "/tools/code", "/tools/notes", "/tools/faq", "/tools/bank", "/tools/hr",
)  # fmt: skip
# Tier, model, nano-USD per million tokens: input, read from the cache, output; the last is the baseline.
TIERS = (
    ("small", "gpt-4.1-nano", 100_000_000, 25_000_000, 400_000_000),
    ("middle", "gpt-4.1-mini", 400_000_000, 100_000_000, 1_600_000_000),
    ("large", "gpt-4.1", 2_000_000_000, 500_000_000, 8_000_000_000),
)
BATCH = 1_000


def price(tier: int, tokens: dict[str, int]) -> int:
    """Pico-USD of these tokens, rounded down: any rule will do for made-up traffic, as long as it is one."""
    _, _, read_in, read_cached, write_out = TIERS[tier]
    femto = tokens["input"] * read_in + tokens["cache_read"] * read_cached + tokens["output"] * write_out
    return femto // 1_000


class Traffic:
    """Calls from `start_us` on, spread over `days` as people work."""

    def __init__(self, seed: int, *, start_us: int, days: int, users: int = 500) -> None:
        self.random = random.Random(seed)
        self.start_us, self.days = start_us, days
        self.users = [f"user-{n:03}" for n in range(users)]
        self.user_weights = list(self._sums(1 / (n + 1) ** 0.9 for n in range(users)))
        self.endpoint_weights = list(self._sums(1 / (n + 1) for n in range(len(ENDPOINTS))))
        hours = range(days * 24)
        self.hour_weights = list(self._sums(self._busy(hour) for hour in hours))

    @staticmethod
    def _sums(values: Iterator[float]) -> Iterator[float]:
        total = 0.0
        for value in values:
            total += value
            yield total

    @staticmethod
    def _busy(hour: int) -> float:
        day, of_day = divmod(hour, 24)
        weekday = 0.35 if day % 7 in (5, 6) else 1.0
        return weekday * (1 + 0.01 * day) * (0.15 + math.exp(-(((of_day - 14) / 4.5) ** 2)))

    def rows(self, calls: int) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of so many calls, about 1.15 a call, in the order of their hours."""
        draw = self.random
        hours = sorted(draw.choices(range(self.days * 24), cum_weights=self.hour_weights, k=calls))
        for number, hour in enumerate(hours):
            at = self.start_us + hour * DAY_US // 24 + draw.randrange(DAY_US // 24)
            for row in self.call(f"made-{number:x}", at):
                yield tuple(row.get(name) for name in COLUMNS)

    def call(self, call_id: str, at: int) -> list[dict[str, Any]]:
        """Make one logical call with all its attempts."""
        draw = self.random
        user = draw.choices(self.users, cum_weights=self.user_weights)[0]
        endpoint = draw.choices(ENDPOINTS, cum_weights=self.endpoint_weights)[0]
        common = {
            "call_id": call_id, "again": 0, "status": "exact", "user": user, "endpoint": endpoint, "mode": "live",
            "tenant": f"tenant-{len(user) % 3}", "policy_version": "p1", "baseline": "large",
        }  # fmt: skip
        tokens = dict.fromkeys(("input", "cache_read", "output"), 0)
        long = 4 if endpoint in ("/summarise", "/plan-trip") else 1
        tokens["input"] = 40 + int(draw.lognormvariate(6.3, 0.8)) * long
        tokens["output"] = 10 + int(draw.lognormvariate(4.8, 0.7))
        baseline = price(2, tokens)
        if draw.random() < 0.17:
            return [self._hit(common, at, baseline)]
        if draw.random() < 0.45:
            tokens["cache_read"] = tokens["input"] * draw.randrange(30, 90) // 100
            tokens["input"] -= tokens["cache_read"]
        return self._asked(common, at, tokens)

    def _hit(self, common: dict[str, Any], at: int, baseline: int) -> dict[str, Any]:
        exact = self.random.random() < 0.7
        return self._row(common, 1, at, {}) | {
            "tier": "cache" if exact else "similar", "model": "", "cause": "hit", "outcome": "hit", "pico_usd": 0,
            "latency_ms": self.random.uniform(0.2, 2) if exact else self.random.uniform(4, 15),
            "baseline_pico": baseline,
        }  # fmt: skip

    def _asked(self, common: dict[str, Any], at: int, tokens: dict[str, int]) -> list[dict[str, Any]]:
        draw = self.random
        tier, rows = draw.choices((0, 1, 2), (62, 28, 10))[0], list[dict[str, Any]]()
        if draw.random() < 0.02:
            rows.append(self._ask(common, 1, at, tier, "draft", "failed", {}) | {"error": "RateLimitError"})
        if tier < 2 and draw.random() < 0.14:
            cause = "retry" if rows else "draft"
            rows.append(self._ask(common, len(rows) + 1, at, tier, cause, "rejected", tokens) | {"score": 0.3})
            tier += 1
        cause = ("escalation" if rows[-1]["outcome"] == "rejected" else "retry") if rows else "draft"
        answer = self._ask(common, len(rows) + 1, at, tier, cause, "accepted", tokens)
        answer |= {"score": 0.9, "baseline_pico": price(2, tokens)}
        if draw.random() < 0.3:
            answer["prune_pico"] = draw.randrange(100, 900) * TIERS[2][2] // 1_000
        if draw.random() < 0.2:
            answer["output_pico"] = draw.randrange(10, 120) * TIERS[tier][4] // 1_000
        if draw.random() < 0.003:
            answer |= {"pico_usd": None, "status": "unpriced", "model": "my-finetune"}
        if draw.random() < 0.01:
            answer["status"] = "estimated"
        rows.append(answer)
        if draw.random() < 0.03:
            rows.append(self._ask(common, len(rows) + 1, at, 1, "judge", "consulted", tokens))
        return rows

    def _ask(
        self, common: dict[str, Any], n: int, at: int, tier: int, cause: str, outcome: str, tokens: dict[str, int]
    ) -> dict[str, Any]:
        row = self._row(common, n, at, tokens)
        took = (300, 550, 1100)[tier] * self.random.lognormvariate(0, 0.45)
        return row | {
            "tier": TIERS[tier][0], "model": TIERS[tier][1], "cause": cause, "outcome": outcome,
            "latency_ms": round(took + 6 * tokens.get("output", 0), 3),
            "pico_usd": price(tier, tokens) if tokens else 0,
        }  # fmt: skip

    def _row(self, common: dict[str, Any], n: int, at: int, tokens: dict[str, int]) -> dict[str, Any]:
        none = dict.fromkeys((name for name in COLUMNS if not attempts.c[name].nullable), 0)
        return none | common | {"n": n, "started_us": at + n} | tokens


def write_ledger(path: Path, calls: int, *, seed: int = 1, start_us: int, days: int = 30, users: int = 500) -> None:
    """Write a ledger of so many calls, with the sums that programs leave behind when they have a moment."""
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _fast)
    insert = f"INSERT INTO attempts ({', '.join(_quoted())}) VALUES ({', '.join('?' * len(COLUMNS))})"
    rows = Traffic(seed, start_us=start_us, days=days, users=users).rows(calls)
    with engine.begin() as connection:
        bring_up(connection, 0)
        while batch := list(islice(rows, BATCH)):
            connection.exec_driver_sql(insert, batch)
        fill(connection)
    engine.dispose()


def _quoted() -> list[str]:
    return [f'"{name}"' for name in COLUMNS]


def _fast(connection: DBAPIConnection, _: object) -> None:
    """A ledger that can be made again may be lost."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.close()
