"""What the digest knows of kinds of tokens that cost more or less than others of their kind, and of machines."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import pytest

from tuppence.prices import PriceBook
from tuppence.spend import SqliteLedger
from tuppence.spend.cells import Cell, cells
from tuppence.spend.digest.decomposition import by_driver, decompose
from tuppence.spend.digest.listed import by_price, listed
from tuppence.spend.digest.segments import Period, Segment
from tuppence.spend.digest.weights import token_weights
from tuppence.usage import Usage

BY = ("endpoint", "tier", "model", "outcome", "cause")
CLAUDE = "claude-sonnet-4-6"


def cell(*used: Usage, model: str = CLAUDE) -> Cell:
    """A day of one endpoint, at list prices, as a ledger adds it up."""
    rate = PriceBook.default().rate(model)
    assert rate is not None
    made = Cell(0, ("/chat", "large", model, "accepted", "draft"), calls=len(used), attempts=len(used))
    for one in used:
        fresh = one.input_tokens - one.cache_read
        made.pico_usd += rate.cost(one) or 0
        made.input_tokens += one.input_tokens
        made.cached_tokens += one.cache_read
        made.cache_write_5m += one.cache_write_5m
        made.cache_write_1h += one.cache_write_1h
        made.output_tokens += one.output
        if one.processing == "batch":
            made.discounted_fresh += fresh
            made.discounted_cached += one.cache_read
            made.discounted_output += one.output
    return made


def explained(before: list[Cell], after: list[Cell]) -> dict[str, int]:
    """Split what lies between two weeks."""
    weeks = [tuple(map(by_price, days)) for days in (before, after)]
    models = [{CLAUDE: week} for week in weeks]
    return by_driver(decompose(Period(weeks[0]), Period(weeks[1]), token_weights(*models)))


@pytest.mark.parametrize("bucket", ["cache_write_5m", "cache_write_1h"])
def test_what_is_put_into_the_prompt_cache_is_told_from_what_is_written(bucket: str) -> None:
    """Answers twice as long cost what their tokens cost on the list, whatever was put into the cache beside them."""

    def week(longer: int) -> list[Cell]:
        return [
            cell(replace(Usage(input=1000 * day, cache_read=700, output=100 * longer * day**2), **{bucket: put}))
            for day, put in enumerate((9_000, 100, 4_000, 7_000, 0, 2_000, 5_000), 1)
        ]

    longer = sum(100 * day**2 for day in range(1, 8)) * 15_000_000
    assert explained(week(1), week(2)) == {
        "output": pytest.approx(longer, abs=10), **dict.fromkeys(("calls", "mix", "answer_cache"), 0),
        **dict.fromkeys(("attempts", "tiers", "retries", "prompt", "prefix_cache", "price"), pytest.approx(0, abs=10)),
    }  # fmt: skip


def test_calls_of_a_batch_lane_lend_their_price_to_no_others() -> None:
    """Half of the calls go through it, without the prompt cache: the other half's cached tokens cost what they did."""
    now = [Usage(input=2_000, cache_read=8_000, output=500)] * 10
    later = [Usage(input=10_000, output=500, processing="batch")] * 10
    longer = [Usage(input=2_000, cache_read=18_000, output=500)] * 10
    found = explained([cell(*now, *later)], [cell(*longer, *later)])
    one, other = by_price(cell(*now, *later)), by_price(cell(*longer, *later))
    assert one.worth == (2_000 * 10 + 5_000 * 10, 8_000 * 10, 500 * 10 + 250 * 10)
    assert other.pico_usd == pytest.approx(sum(a * b for a, b in zip(other.worth, (3e6, 3e5, 15e6), strict=True)))
    assert sum(found.values()) == 10 * 10_000 * 300_000
    # Only the shares of both kinds and what a prompt holds have changed.
    assert found["prompt"] + found["prefix_cache"] == pytest.approx(sum(found.values()), abs=10)


def test_a_discount_and_a_prompt_cache_apply_together() -> None:
    """In a batch lane what is put into the cache costs more than what is read, and half."""
    used = Usage(input=1_000, cache_write_5m=4_000, cache_write_1h=2_000, output=300, processing="batch")
    assert by_price(cell(used)).worth == (5_000, 0, 150)


def test_prices_for_long_contexts_are_no_models_usual_ones() -> None:
    """Beyond 200,000 tokens of input this model's input costs twice as much, its output not twice."""
    known = listed("gemini-2.5-pro")
    assert known is not None
    assert known.weights[2] / known.weights[0] == 8.0


def test_a_model_that_nobody_lists_is_taken_for_a_usual_one() -> None:
    """With a batch lane at half the price, and a prompt cache that costs a quarter to fill."""
    made = Cell(0, ("/chat", "large", "house-model", "accepted", "draft"), attempts=1)
    made.input_tokens = made.cache_write_5m = 400
    made.output_tokens = made.discounted_output = 100
    assert by_price(made).worth == (500, 0, 50)


def test_a_machine_takes_time_for_each_answer_beside_its_tokens() -> None:
    """A second each, and a millisecond a token that is written: short answers make no prompt dear."""
    days = [
        Segment(None, "own", "house-model", 100 * day, 0, 100 * day, 0, 30_000 * day + 900 * day**2, 0,
                4_000 * day + 700 * (day % 3), 1_000_000 * (100 * day) + 1_000 * (4_000 * day + 700 * (day % 3)), 0)
        for day in range(1, 15)
    ]  # fmt: skip
    fresh, _, written = token_weights({"house-model": days})["house-model"]
    assert abs(fresh) < written / 1000


def test_made_up_weeks_are_what_a_ledger_adds_up(tmp_path: Path) -> None:
    """What the digest is measured on, against the cells of the written rows: lanes and the prompt cache too."""
    pytest.importorskip("numpy")
    sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    import months
    from digest_parts.sums import day_cells

    seen = Cell(0, ())
    for seed in (3, 4):
        made = months.month(seed, days=3, calls_a_day=150)
        place = tmp_path / f"{seed}.sqlite"
        with closing(SqliteLedger(place)) as ledger:
            for result in made.results():
                ledger.write(result)
        told = {(one.start_us, one.key): one for one in day_cells(made, list(made.days()), BY)}
        for one in cells(place, by=BY, every="day"):
            other = told.pop((one.start_us, one.key))
            one.latency_ms = other.latency_ms
            assert one == other
            for name in (field.name for field in fields(Cell) if field.name not in ("start_us", "key")):
                setattr(seen, name, getattr(seen, name) + getattr(one, name))
        assert told == {}
    assert seen.cache_write_5m and seen.discounted_fresh and seen.discounted_output
