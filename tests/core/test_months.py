"""The made-up months are what they say: rows and hours agree, money is the price book's, the truth adds up."""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tuppence.attempts import Result
from tuppence.spend import SqliteLedger

pytest.importorskip("numpy")
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import months  # noqa: E402
from months.ladder import rate_of  # noqa: E402

HOUR_US = 3_600_000_000
SEEDS = (1, 4, 7, 10)


def small(seed: int, days: int = 5, **more: Any) -> months.Month:
    return months.month(seed, days=days, calls_a_day=150, **more)


def answers(result: Result) -> bool:
    return any(a.outcome in ("accepted", "hit") for a in result.attempts)


def sums(result: Result, key: str) -> Iterator[tuple[tuple[int, str], Counter[str]]]:
    """Count one result as a reader of rows would."""
    for n, a in enumerate(result.attempts, 1):
        hour = int(a.started_at * 1e6) // HOUR_US * HOUR_US
        label = result.tags[key] if key in result.tags else str(getattr(a, key))
        yield (hour, label), Counter({
            "calls": n == 1 and not result.decision.again, "attempts": a.outcome != "hit", "hits": a.outcome == "hit",
            "failures": a.outcome == "failed", "retries": a.cause in ("retry", "validation_retry"),
            "input_tokens": a.usage.input_tokens, "cached_tokens": a.usage.cache_read,
            "output_tokens": a.usage.output_tokens, "pico_usd": a.pico_usd or 0, "unpriced": a.pico_usd is None,
        })  # fmt: skip


@pytest.mark.parametrize("key", ["tier", "endpoint", "cause", "session"])
def test_its_hours_are_the_sums_of_its_rows(key: str) -> None:
    """Big simulations and the real ledger see the same month."""
    for seed in SEEDS:
        made = small(seed, days=3)
        rows: dict[tuple[int, str], Counter[str]] = {}
        for result in made.results():
            for at, figures in sums(result, key):
                rows.setdefault(at, Counter()).update(figures)
        cells = {(cell.start_us, cell.key[0]): cell for cell in made.cells(by=(key,))}
        assert cells.keys() == rows.keys()
        for at, figures in rows.items():
            assert {name: getattr(cells[at], name) for name in figures} == figures
        assert sum(cell.pico_usd for cell in made.cells(by=(), every="day")) == made.truth.paid


def test_money_is_what_the_price_book_says() -> None:
    """Every attempt, to the pico-dollar; before a change of price."""
    for seed in SEEDS:
        made = small(seed)
        rates = {tier.name: rate_of(tier) for tier in made.world.tiers}
        top = rates[made.world.tiers[made.world.ladder - 1].name]
        assert top is not None
        for attempt in (a for result in made.results() for a in result.attempts if a.outcome != "hit"):
            rate = rates[attempt.tier]
            assert attempt.pico_usd == (None if rate is None else rate.cost(attempt.usage))
            if attempt.outcome == "accepted" and attempt.usage.processing == "standard":
                assert attempt.baseline_pico == top.cost(attempt.usage)


@pytest.mark.parametrize("seed", range(12))
def test_its_truth_adds_up_to_what_was_paid(seed: int) -> None:
    """Baseline less every saving plus every overhead is what the compared calls cost, to the pico-dollar."""
    truth = small(seed, days=8).truth
    compared = truth.baseline - sum(truth.levers.values()) + sum(truth.overhead.values())
    assert compared + truth.not_compared == truth.paid == sum(truth.daily()) == sum(w.pico_usd for w in truth.weeks)


def test_its_truth_is_that_of_its_rows() -> None:
    """The levers of the columns are those that stand on the answers."""
    for seed in SEEDS:
        made = small(seed)
        calls: dict[str, list[Result]] = {}
        for result in made.results():
            calls.setdefault(result.call_id, []).append(result)
        levers: Counter[str] = Counter()
        for results in calls.values():
            attempts = [a for result in results for a in result.attempts]
            answer = next((a for a in attempts if a.outcome in ("accepted", "hit")), None)
            if answer is None or answer.baseline_pico is None or any(a.pico_usd is None for a in attempts):
                continue
            levers["compared"] += 1
            if answer.outcome == "hit":
                levers["cache"] += answer.baseline_pico
            for name in ("prune", "output", "batch", "self_host"):
                levers[name] += 0 if answer.levers is None else getattr(answer.levers, name)
        assert levers.pop("compared") == made.truth.compared_calls
        assert {name: made.truth.levers[name] for name in levers} == levers


def test_a_longer_month_begins_as_a_shorter_one() -> None:
    """Each day is drawn by itself."""
    short, long = small(4, days=4), small(4, days=12)
    end = short.start.timestamp() + 3 * 86_400
    assert [r.attempts for r in short.results() if r.attempts[0].started_at < end] == [
        r.attempts for r in long.results() if r.attempts[0].started_at < end
    ]


@pytest.mark.parametrize("kind", months.KINDS)
def test_what_is_injected_is_felt_from_its_moment_on(kind: str) -> None:
    """Before it, the month is that without it; after it, something differs."""
    made = months.month(5, days=18, calls_a_day=120, faults=(kind,))
    (change,) = made.changes
    assert 14 * 24 <= change.start_hour < 18 * 24
    first_day = made.start.timestamp() + change.start_hour // 24 * 86_400
    (before, after), (control_before, control_after) = (parted(one, first_day) for one in (made, made.control))
    assert before == control_before
    assert after != control_after


def parted(made: months.Month, moment: float) -> tuple[list[Any], list[Any]]:
    """Return what happened before a moment and from it on, judges' scores behind it."""
    seen: tuple[list[Any], list[Any]] = ([], [])
    for result in made.results():
        seen[result.attempts[0].started_at >= moment].append((result.tags, result.attempts))
    for said in made.feedback():
        seen[said.at_us / 1e6 >= moment].append(said)
    return seen


def test_the_structure_differs_from_seed_to_seed() -> None:
    """Not only the noise: volumes, endpoints, ladders, nights and days without a record."""
    worlds = [months.month(seed).world for seed in range(60)]
    volumes = [sum(one.sessions_a_day for one in world.endpoints) for world in worlds]
    assert max(volumes) > 20 * min(volumes)
    assert {len(world.endpoints) for world in worlds} >= {1, 2, 3, 4, 6, 8}
    assert {world.ladder for world in worlds} == {2, 3}
    assert any(world.missing for world in worlds)
    assert any(world.launches for world in worlds)
    assert any(one.night < 0.02 for world in worlds for one in world.endpoints)


def test_the_real_ledger_takes_a_month(tmp_path: Path) -> None:
    """Every attempt is stored once, with its money."""
    made = small(6)
    file = tmp_path / "month.sqlite"
    ledger = SqliteLedger(file)
    for result in made.results():
        ledger.write(result)
    ledger.close()
    with closing(sqlite3.connect(file)) as connection:
        (rows, paid, owns) = connection.execute(
            "SELECT COUNT(*), SUM(pico_usd), COUNT(DISTINCT call_id) FROM attempts"
        ).fetchone()
    assert (rows, paid) == (sum(len(r.attempts) for r in made.results()), made.truth.paid)
    assert owns == sum(week.calls for week in made.truth.weeks)


def test_what_the_ledger_says_of_a_month_is_its_truth(tmp_path: Path) -> None:
    """The waterfall and the cells of the written rows, against sums that never saw them."""
    from tuppence.spend.cells import cells
    from tuppence.spend.waterfall import waterfall

    for seed in (4, 7, 8):
        made = small(seed, days=3)
        file = tmp_path / f"{seed}.sqlite"
        ledger = SqliteLedger(file)
        for result in made.results():
            ledger.write(result)
        ledger.close()
        told, truth = waterfall(file), made.truth
        assert {step.name: step.pico_usd for step in told.steps} == truth.levers
        assert told.overhead == truth.overhead
        assert (told.full_baseline, told.not_compared, told.paid) == (truth.baseline, truth.not_compared, truth.paid)
        for by in (("tier",), ("endpoint", "cause")):
            counted = [
                {name: getattr(cell, name) for name in months.HourCell.__slots__ if name != "latency_ms"}
                for cell in (*cells(file, by=by), *made.cells(by=by))
            ]
            assert counted[: len(counted) // 2] == counted[len(counted) // 2 :]


def test_it_is_the_generator_that_was_judged_on() -> None:
    """Others are measured on these months: a change of the generator changes what was reported."""
    digest = hashlib.sha256()
    for file in sorted((BENCHMARKS / "months").glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    frozen = (BENCHMARKS / "months" / "FROZEN").read_text(encoding="utf-8").split()[0]
    assert digest.hexdigest() == frozen
