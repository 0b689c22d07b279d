"""The digest: its parts add up to the change exactly, and each change of the traffic shows in its own driver."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tuppence.attempts import Result
from tuppence.cli import digest as command
from tuppence.errors import LedgerError
from tuppence.spend.digest import as_fields, as_sentence, digest
from tuppence.spend.digest.decomposition import by_driver, decompose, reconciled
from tuppence.spend.digest.segments import Period, Segment, merged
from tuppence.spend.digest.weights import token_weights
from tuppence.usage import Usage

from .small_calls import small_call, written

WEIGHTS = {"m": (2.0, 0.5, 8.0)}
"""Pico-dollars a token, in these tests: read fresh, from the prompt cache, written."""


def segment(
    *, endpoint: str = "/chat", tier: str = "small", calls: int = 1000, price: float = 1.0, **changes: int
) -> Segment:
    """A thousand calls at one price, of which some is changed."""
    one = Segment(endpoint, tier, "m", calls, 0, calls, 0, 600_000, 200_000, 90_000, 0, 0)
    one = replace(one, **changes)
    paid = (one.input_tokens - one.cached_tokens) * 2.0 + one.cached_tokens * 0.5 + one.output_tokens * 8.0
    return replace(one, pico_usd=round(paid * price))


WEEK = Period((segment(), segment(endpoint="/search", tier="large")), users=50, chats=400)


@pytest.mark.parametrize(
    ("driver", "after"),
    [
        ("users", replace(WEEK, users=100, chats=800, segments=tuple(
            replace(one, **{name: 2 * getattr(one, name) for name in (
                "calls", "attempts", "input_tokens", "cached_tokens", "output_tokens", "pico_usd")})
            for one in WEEK.segments))),
        ("prompt", replace(WEEK, segments=(segment(input_tokens=900_000, cached_tokens=300_000), WEEK.segments[1]))),
        ("prefix_cache", replace(WEEK, segments=(segment(cached_tokens=0), WEEK.segments[1]))),
        ("output", replace(WEEK, segments=(segment(output_tokens=180_000), WEEK.segments[1]))),
        ("price", replace(WEEK, segments=(segment(price=1.5), WEEK.segments[1]))),
        ("attempts", replace(WEEK, segments=(
            segment(attempts=2000, input_tokens=1_200_000, cached_tokens=400_000, output_tokens=180_000),
            WEEK.segments[1]))),
        ("retries", replace(WEEK, segments=(
            segment(attempts=2000, retries=1000, input_tokens=1_200_000, cached_tokens=400_000, output_tokens=180_000),
            WEEK.segments[1]))),
    ],
)  # fmt: skip
def test_what_changed_alone_is_the_whole_of_the_change(driver: str, after: Period) -> None:
    """One factor of the product moves: its driver has all of it, the others have nothing."""
    found = by_driver(decompose(WEEK, after, WEIGHTS))
    change = after.pico_usd - WEEK.pico_usd
    assert change
    assert found.pop(driver) == pytest.approx(change, abs=20)
    assert all(abs(pico) <= 20 for pico in found.values())


def test_failures_that_are_billed_are_retries_and_not_longer_prompts() -> None:
    """A retry storm bills prompts of calls that nobody answered."""
    stormy = segment(attempts=1400, failures=400)
    stormy = replace(stormy, pico_usd=stormy.pico_usd + 10**6, failed_pico=10**6)
    found = by_driver(decompose(WEEK, replace(WEEK, segments=(stormy, WEEK.segments[1])), WEIGHTS))
    assert found["retries"] == pytest.approx(10**6, abs=20)
    assert abs(found["prompt"]) <= 20


def test_repeats_on_one_tier_move_no_other_tiers_share() -> None:
    """An answer that is asked for again is a retry where it happens, and no shift of the tiers."""
    both = Period((segment(), segment(tier="large", price=10.0)))
    again = segment(
        tier="large", price=10.0, attempts=1500, retries=500, input_tokens=900_000, cached_tokens=300_000,
        output_tokens=135_000,
    )  # fmt: skip
    found = by_driver(decompose(both, Period((segment(), again)), WEIGHTS))
    assert found["retries"] == pytest.approx(again.pico_usd - both.segments[1].pico_usd, abs=20)
    assert abs(found["tiers"]) <= 20


def test_a_tier_that_is_new_counts_for_the_tiers_and_an_endpoint_that_is_new_for_the_mix() -> None:
    """What was nothing before has no ratio: the factor that was zero takes the whole term."""
    alone = Period((segment(),))
    dear = replace(segment(tier="large", calls=0, price=30.0), attempts=500)
    assert by_driver(decompose(alone, Period((*alone.segments, dear)), WEIGHTS))["tiers"] > dear.pico_usd / 2
    launched = segment(endpoint="/new")
    found = decompose(alone, Period((*alone.segments, launched)), WEIGHTS)
    assert found["mix", "/new"] == pytest.approx(launched.pico_usd, abs=20)


counts = st.integers(0, 10**7)


@st.composite
def periods(draw: st.DrawFn) -> Period:
    found = []
    for endpoint in (None, "/a"):
        for tier in ("small", "large"):
            attempts = draw(counts)
            pico = draw(st.integers(0, 10**16))
            found.append(Segment(
                endpoint, tier, "m", draw(counts), draw(counts), attempts, draw(st.integers(0, attempts)), draw(counts),
                0, draw(counts), pico, draw(st.integers(0, pico)),
            ))  # fmt: skip
    return Period(tuple(found), draw(st.integers(0, 9)), draw(st.integers(0, 9)))


@given(periods(), periods())
@settings(max_examples=50)
def test_the_parts_add_up_to_the_pico_dollar_whatever_the_counts(before: Period, after: Period) -> None:
    """Also where counts contradict each other, as those of calls cut by midnight do."""
    assert sum(decompose(before, after, WEIGHTS).values()) == after.pico_usd - before.pico_usd


@given(st.dictionaries(st.tuples(st.text(max_size=3), st.none()), st.floats(-1e15, 1e15), min_size=1), st.integers())
@settings(max_examples=50)
def test_rounding_keeps_any_total(effects: dict[tuple[str, None], float], total: int) -> None:
    """The rest goes round."""
    assert sum(reconciled(dict(effects), total).values()) == total


def test_no_order_of_the_periods_is_favoured() -> None:
    """Back again costs what there cost, driver by driver."""
    after = Period(
        (segment(input_tokens=900_000, calls=1500, price=1.2), segment(endpoint="/new")), users=80, chats=500
    )
    there, back = by_driver(decompose(WEEK, after, WEIGHTS)), by_driver(decompose(after, WEEK, WEIGHTS))
    assert all(abs(there[name] + back[name]) <= 4 for name in there)


def test_prices_by_kind_are_read_off_the_sums() -> None:
    """A model that no list knows, at a user's own prices."""
    days = [
        replace(segment(input_tokens=100_000 * day, cached_tokens=1_000 * day**2, output_tokens=70_000 + 900 * day))
        for day in range(1, 15)
    ]
    fresh, cached, written = token_weights({"house-model": days})["house-model"]
    assert (cached / fresh, written / fresh) == (pytest.approx(0.25, rel=1e-3), pytest.approx(4.0, rel=1e-3))


def test_a_price_that_changes_between_the_weeks_hides_no_kind() -> None:
    """Each week tells its own; together they would look like tokens of another worth."""

    def week(price: float) -> list[Segment]:
        return [
            segment(input_tokens=100_000 * day, cached_tokens=1_000 * day**2, output_tokens=70_000 + 900 * day,
                    price=price)
            for day in range(1, 15)
        ]  # fmt: skip

    weights = token_weights({"house-model": week(1.0)}, {"house-model": week(1.7)})["house-model"]
    assert weights[1] / weights[0] == pytest.approx(0.25, rel=1e-3)
    assert weights[2] / weights[0] == pytest.approx(4.0, rel=1e-3)


def test_segments_of_one_kind_are_added() -> None:
    """Days and outcomes fold into one piece."""
    (one,) = merged([segment(), segment()])
    assert (one.calls, one.pico_usd) == (2000, 2 * segment().pico_usd)


UNTIL = datetime(2026, 3, 16, tzinfo=UTC)


def results() -> Iterator[Result]:
    """Two weeks of three users: in the second their prompts are twice as long."""
    for hour in range(14 * 24):
        at = UNTIL - timedelta(days=14) + timedelta(hours=hour)
        usage = Usage(input=1000 if hour < 7 * 24 else 2000, output=100)
        yield small_call(f"c{hour}", at, usage, user=f"u{hour % 3}", session=f"s{hour // 4}", endpoint="/chat")


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return written(tmp_path / "ledger.db", results())


def test_a_ledger_says_why_the_week_cost_more(ledger: Path) -> None:
    """Longer prompts, and nothing else."""
    found = digest(ledger, at=UNTIL)
    assert (found.before.users, found.before.chats, found.before.calls) == (3, 42, 168)
    assert found.change_usd == Decimal("0.0252")
    assert sum(found.effects.values()) == found.change_pico
    assert found.drivers["prompt"] == found.change_pico
    assert as_sentence(found) == "$0.0353 -> $0.0605 (+71%): +$0.0252 longer prompts"


def test_tags_narrow_it(ledger: Path) -> None:
    """Only the calls that are asked for, kept apart by another tag."""
    found = digest(ledger, at=UNTIL, by="user", where={"user": "u1"})
    assert found.after.calls == 56
    assert {place for _, place in found.effects if place is not None} == {"u1"}
    with pytest.raises(LedgerError, match="kept apart by 'nonsense': use user"):
        digest(ledger, at=UNTIL, by="nonsense")


def test_nothing_before_is_no_division_by_nothing(ledger: Path) -> None:
    """The first week of a ledger."""
    found = digest(ledger, at=UNTIL - timedelta(days=7))
    assert found.change_share is None
    assert sum(found.effects.values()) == found.change_pico == found.after.pico_usd
    assert "%" not in as_sentence(found)
    assert as_fields(found)["change_share"] is None


def test_the_command_shows_a_table_and_every_digit_in_json(ledger: Path) -> None:
    """For a person and for a program."""
    app = typer.Typer()
    app.command()(command.digest)
    arguments = ["--ledger", str(ledger), "--until", "2026-03-16"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "longer prompts" in shown.output
    fields = json.loads(CliRunner().invoke(app, [*arguments, "--format", "json"]).output)
    assert sum(Decimal(amount) for amount in fields["drivers"].values()) == Decimal(fields["change_usd"])
