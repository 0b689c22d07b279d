"""A forecast, and what would be otherwise, are the same from PostgreSQL as from an SQLite file with the same calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("psycopg")

from tuppence.attempts import Attempt, Decision, Result
from tuppence.spend import SqliteLedger
from tuppence.spend.forecasts import forecast, what_if
from tuppence.spend.ledger import PostgresLedger
from tuppence.usage import Usage

FIRST = datetime(2026, 6, 1, 9, tzinfo=UTC)


def call(number: int) -> Result:
    tier, model, pico = (("small", "gpt-4o-mini", 150_000_000), ("large", "gpt-4o", 2_500_000_000))[number % 2]
    moment = FIRST + timedelta(hours=7 * number)
    answer = Attempt(
        tier, model, "draft", "accepted", Usage(input=1000), pico if number % 9 else None, "exact", "v",
        moment.timestamp(), 5.0,
    )  # fmt: skip
    return Result(f"c{number}", None, [answer], Decision("optimise"), {"endpoint": f"/{number % 3}"})


def test_both_databases_say_the_same(postgres_address: str, tmp_path: Path) -> None:
    """To the pico-dollar, in all and by endpoint."""
    file = tmp_path / "ledger.sqlite"
    for ledger in (SqliteLedger(file), PostgresLedger(postgres_address)):
        for number in range(60):
            ledger.write(call(number))
        ledger.close()
    at = FIRST + timedelta(days=16)
    here, there = (forecast(place, at=at, by=("endpoint",)) for place in (file, postgres_address))
    assert here == there
    assert here.total.expected is not None
    assert here.unpriced > 0
    supposed = [what_if(place, at=at, tiers={"small": 1}, cache_rate="10%") for place in (file, postgres_address)]
    assert supposed[0] == supposed[1]
    assert supposed[0].factor < 1
