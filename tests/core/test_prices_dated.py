"""Prices as of each call: one policy, one rate, and a list whose prices change by date and by the hour."""

from __future__ import annotations

import pickle
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.attempts import Attempt, Decision, Result
from tuppence.books import Books
from tuppence.cache import ExactCache, MemoryStore
from tuppence.drivers import run
from tuppence.effects import Failed
from tuppence.errors import PriceError, SpendLimitReached
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.prices import PriceBook, Rate, gpu_hour_rate, pico_usd, token_rate
from tuppence.prices.catalogue import price_rows
from tuppence.prices.listing import Listing, packaged_listing
from tuppence.request import Message, Reply, Request
from tuppence.spend import SqliteLedger
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier
from tuppence.usage import Usage

MILLION = Usage(input=1_000_000)
NANO = 10**9


def entry(name: str, *prices: dict[str, Any], **variants: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": name, "match": ["equals", name], "prices": list(prices), "variants": variants}


def costs(dollars: int, **when: Any) -> dict[str, Any]:
    return {**when, "prices": {"input": dollars * NANO, "output": dollars * NANO}}


LISTING = Listing(
    {
        "version": "test-list",
        "geo": [],
        "providers": [
            {
                "id": "acme",
                "owns": ["contains", ""],
                "models": [
                    entry("steady", costs(1)),
                    entry("stepped", costs(2), costs(3, **{"from": "2030-06-02"})),
                    entry("hourly", costs(4), costs(8, daily=["06:00", "10:00"])),
                    entry("nightly", costs(5), costs(1, daily=["16:30", "00:30"])),
                    entry("halved", costs(6), batch=[{"from": "2030-06-02", "factor": [1, 2]}]),
                    entry("happy", costs(6), batch=[{"daily": ["06:00", "10:00"], "factor": [1, 2]}]),
                ],
            }
        ],
    }
)
NAMES = ("steady", "stepped", "hourly", "nightly", "halved", "happy")
BOOK = PriceBook(listing=LISTING)


def at(text: str) -> float:
    """Unix seconds of a UTC time of 2030-06, written `DD HH:MM[:SS]`."""
    return datetime.fromisoformat(f"2030-06-{text}+00:00").timestamp()


def rate(model: str) -> Rate:
    found = BOOK.rate(model)
    assert found is not None
    return found


def tier(model: str) -> Tier:
    return Tier(model, model=model, rate=rate(model))


def asked(policy: Policy, moment: float, **port: Any) -> Result:
    """Run one call that comes in at `moment`: a million tokens in, one out."""
    usage = MILLION + Usage(output=1)
    models = ScriptedModels(**{one.name: Reply("good", finish="stop", usage=usage) for one in policy.tiers})
    request = Request((Message("user", "a question"),), received_at=moment)
    return run(plan(request, policy), Port(models, cache=policy.cache, **port))


def paid(dollars: int) -> int:
    """What `asked` costs at so many dollars a million tokens, in pico-USD."""
    return pico_usd(dollars) + dollars * 10**6


# --- calls ----------------------------------------------------------------------------------------------------


def test_one_policy_follows_a_change_of_date() -> None:
    """A process that was started before the change pays the new price from midnight UTC on."""
    policy = Policy(tiers=(tier("stepped"),))
    before, after = asked(policy, at("01 23:59")), asked(policy, at("02 00:00"))
    assert (before.pico_usd, after.pico_usd) == (paid(2), paid(3))


@pytest.mark.parametrize(
    ("model", "moment", "dollars"),
    [
        ("hourly", "01 05:59", 4),
        ("hourly", "01 06:00", 8),
        ("hourly", "01 09:59", 8),
        ("hourly", "01 10:00", 4),
        ("nightly", "01 16:29", 5),
        ("nightly", "01 16:30", 1),
        ("nightly", "01 23:59", 1),
        ("nightly", "02 00:00", 1),
        ("nightly", "02 00:30", 5),
    ],
)
def test_one_policy_follows_the_hours_of_a_day(model: str, moment: str, dollars: int) -> None:
    """The window's first moment is in it, its last is not, and one that spans midnight is whole."""
    assert asked(Policy(tiers=(tier(model),)), at(moment)).pico_usd == paid(dollars)


def written(moment: float, latency_ms: float, write: Callable[[Books, Tier, Request], None]) -> Attempt:
    """Write one outcome of a call to the hourly model into fresh books; return its attempt."""
    request = Request((Message("user", "a question"),), received_at=moment)
    result = Result("a-call", None, [], Decision("optimise"), {})
    write(Books(request, result, tier("hourly")), tier("hourly"), request)
    (attempt,) = result.attempts
    assert attempt.latency_ms == latency_ms
    return attempt


def test_a_call_is_priced_by_when_it_is_complete() -> None:
    """DeepSeek's rule: what begins before the dear hours and ends in them is dear."""

    def answered(books: Books, one: Tier, request: Request) -> None:
        books.replied(one, "draft", Reply("good", usage=MILLION, latency_ms=2_000), request)

    def broken(books: Books, one: Tier, request: Request) -> None:
        books.failed(one, "draft", Failed(OSError("reset"), "connection", text="some", latency_ms=2_000), request)

    for outcome in (answered, broken):
        cheap, dear = written(at("01 05:59:57"), 2_000, outcome), written(at("01 05:59:59"), 2_000, outcome)
        assert cheap.pico_usd
        assert dear.pico_usd == 2 * cheap.pico_usd
        assert dear.started_at == at("01 05:59:59")


def test_an_attempt_after_another_has_its_own_price() -> None:
    """The second try of one call may fall into other hours than the first."""
    request = Request((Message("user", "a question"),), received_at=at("01 05:59:58"))
    result = Result("a-call", None, [], Decision("optimise"), {})
    books = Books(request, result, tier("hourly"))
    for _ in range(2):
        books.replied(tier("hourly"), "draft", Reply("poor", usage=MILLION, latency_ms=1_500), request)
    assert [a.pico_usd for a in result.attempts] == [pico_usd(4), pico_usd(8)]


def test_the_baseline_is_of_the_same_moment() -> None:
    """What the strongest tier would have cost then, not what it cost when the program started."""
    policy = Policy(tiers=(tier("steady"), tier("hourly")), check=None)
    for moment, dollars in (("01 05:00", 4), ("01 07:00", 8), ("01 11:00", 4)):
        (attempt,) = asked(policy, at(moment)).attempts
        assert (attempt.pico_usd, attempt.baseline_pico) == (paid(1), paid(dollars))


def test_a_cached_answer_spares_the_price_of_its_own_moment() -> None:
    """The answer was bought at night; what the hit saves is the day's price."""
    policy = Policy(tiers=(tier("hourly"),), cache=ExactCache(MemoryStore()))
    assert asked(policy, at("01 05:00")).pico_usd == paid(4)
    hit = asked(policy, at("01 07:00"))
    assert (hit.pico_usd, [a.baseline_pico for a in hit.attempts]) == (0, [paid(8)])


def test_a_limit_is_held_against_the_price_of_the_hour() -> None:
    """What may be asked at night can be too dear by day."""
    tokens = 1024 + 32  # the longest answer assumed, and more than the short prompt has
    policy = Policy(tiers=(tier("hourly"),), max_usd_per_call=Decimal(6 * tokens).scaleb(-6))
    models = ScriptedModels(hourly="good")

    def ask(moment: str) -> Result:
        return run(plan(Request((Message("user", "a question"),), received_at=at(moment)), policy), Port(models))

    assert ask("01 05:00").attempts
    with pytest.raises(SpendLimitReached):
        ask("01 07:00")


def test_the_ledger_names_the_price_of_each_call(tmp_path: Path) -> None:
    """A row's version is that of its own day, for models whose price never changes too."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    for model in ("stepped", "steady"):
        for day in ("01", "02"):
            asked(Policy(tiers=(tier(model),)), at(f"{day} 12:00"), ledger=ledger)
    ledger.flush()
    ledger.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as rows:
        found = rows.execute("SELECT price_version, pico_usd FROM attempts ORDER BY id").fetchall()
    assert found == [
        ("test-list/acme/stepped@2030-06-01", paid(2)),
        ("test-list/acme/stepped@2030-06-02", paid(3)),
        ("test-list/acme/steady@2030-06-01", paid(1)),
        ("test-list/acme/steady@2030-06-02", paid(1)),
    ]


# --- rates ----------------------------------------------------------------------------------------------------

moments = st.floats(at("01 00:00") - 2 * 86_400, at("03 00:00"))


@given(st.sampled_from(NAMES), st.lists(moments, min_size=1, max_size=6))
def test_a_kept_price_is_the_price(model: str, asked_at: list[float]) -> None:
    """Whatever was asked before: as if it were looked up afresh, in every kind of processing."""
    kept, looked_up = rate(model), LISTING.find(model, None)
    assert looked_up is not None
    for moment in asked_at:
        # Whole seconds, because a datetime rounds what is finer, and rounds it up to the next price.
        then = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment // 1)
        found, fresh = kept.at(moment), looked_up.rate(then, "test-list")
        assert found.version == fresh.version
        for usage in (MILLION, Usage(input=1_000_000, processing="batch")):
            assert found.cost(usage) == fresh.cost(usage)


def test_a_moment_just_before_a_change_is_not_rounded_past_it() -> None:
    """A tenth of a microsecond is less than a datetime can tell."""
    change = at("01 06:00")
    before = change - 2e-7
    assert before < change
    fresh = PriceBook(listing=LISTING).rate("hourly")
    assert fresh is not None
    assert [fresh.at(moment).cost(MILLION) for moment in (before, change)] == [pico_usd(4), pico_usd(8)]


def test_dates_and_hours_of_other_processing_count_too() -> None:
    """A batch price may come or go while the standard price stays."""
    batch = Usage(input=1_000_000, processing="batch")
    costs_of = [rate("halved").at(at(when)).cost(batch) for when in ("01 12:00", "02 12:00")]
    assert costs_of == [None, pico_usd(3)]
    costs_of = [rate("happy").at(at(when)).cost(batch) for when in ("01 05:00", "01 07:00", "01 11:00")]
    assert costs_of == [None, pico_usd(3), None]


def test_nothing_is_resolved_twice_between_two_changes() -> None:
    """On the hot path a call only compares two numbers."""
    kept = rate("hourly")
    assert kept.at(at("01 06:00")) is kept.at(at("01 09:59:59"))


def test_threads_that_ask_for_different_moments_do_not_mix_them_up() -> None:
    """One rate serves all threads of a process, without a lock."""
    kept, wrong = rate("hourly"), list[object]()

    def ask(moment: float, want: int) -> None:
        wrong.extend(cost for _ in range(300) if (cost := kept.at(moment).cost(MILLION)) != want)

    threads = [
        threading.Thread(target=ask, args=one)
        for one in [(at("01 05:00"), pico_usd(4)), (at("01 07:00"), pico_usd(8))] * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_without_a_moment_the_price_is_that_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks a rate as it is gets today's price, tomorrow too."""
    kept = rate("stepped")
    for day, dollars in (("01", 2), ("02", 3)):
        monkeypatch.setattr("time.time", lambda day=day: at(f"{day} 12:00"))
        assert kept.version == f"test-list/acme/stepped@2030-06-{day}"
        assert kept.cost(MILLION) == pico_usd(dollars)
        assert [line.nano_usd for line in kept.lines(MILLION)] == [dollars * NANO]
        assert [row.usd for row in price_rows(kept)] == [dollars, dollars]
        assert "1 of call:search" in (kept.why_unpriced(Usage(calls=(("search", 1),))) or "")


@pytest.mark.parametrize("moment", [date(2030, 6, 2), datetime(2030, 6, 2, 12), datetime(2030, 6, 2, 12, tzinfo=UTC)])
def test_a_look_up_for_a_moment_is_final(moment: date) -> None:
    """Dates, times and Unix seconds name the same moment; its price answers the same for ever."""
    found, again = BOOK.rate("stepped", at=moment), BOOK.rate("stepped", at=at("02 12:00"))
    assert found is not None
    assert again is not None
    assert found.version == again.version == "test-list/acme/stepped@2030-06-02"
    assert found.at(at("01 12:00")).cost(MILLION) == pico_usd(3)


def test_an_unknown_model_has_no_rate_at_any_moment() -> None:
    """Its calls are unpriced, with no version."""
    assert BOOK.rate("unlisted") is None
    (attempt,) = asked(Policy(tiers=(Tier("unlisted", rate=BOOK.rate("unlisted")),)), at("01 12:00")).attempts
    assert (attempt.pico_usd, attempt.status, attempt.price_version) == (None, "unpriced", "")


def test_prices_of_ones_own_never_change() -> None:
    """An agreed price holds at any hour, and GPU time costs the same at noon and at midnight."""
    own = BOOK.with_overrides({"hourly": {"input": "7", "output": "7"}}).rate("hourly")
    assert own is not None
    for one in (own, token_rate(input="1", output="1"), gpu_hour_rate("2.49")):
        assert one.at(at("01 05:00")) is one.at(at("01 07:00")) is one
    policy = Policy(tiers=(Tier("hourly", rate=own),))
    assert {asked(policy, at(when)).pico_usd for when in ("01 05:00", "01 07:00", "02 05:00")} == {paid(7)}


def test_a_rate_travels_with_its_own_prices_only() -> None:
    """A worker prices by the dates and hours that were sent, however large the list is and whatever list it has."""
    kept = rate("hourly")
    kept.at(at("01 07:00"))
    sent = pickle.dumps(kept)
    assert b"stepped" not in sent
    there = pickle.loads(sent)
    for when in ("01 05:00", "01 07:00", "02 05:00"):
        assert there.at(at(when)).cost(MILLION) == kept.at(at(when)).cost(MILLION)
        assert there.at(at(when)).version == kept.at(at(when)).version
    listed = PriceBook(listing=packaged_listing()).rate("gpt-4o")
    assert len(pickle.dumps(listed)) < 4_000


@pytest.mark.parametrize("moment", [1.9e12, float("nan"), float("inf"), -1e18])
def test_what_is_no_moment_is_refused(moment: float) -> None:
    """Milliseconds for seconds would be priced by the year 60,000."""
    with pytest.raises(PriceError, match="Unix seconds") as caught:
        rate("hourly").at(moment)
    assert repr(moment) in str(caught.value)
