"""What a server of one's own says it did, and what a token then costs: to the pico-dollar, idle hours included."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tuppence.cli import app
from tuppence.errors import PriceError
from tuppence.selfhost import SelfHostError
from tuppence.selfhost.amortised import Amortised, MeteredRate, amortised
from tuppence.selfhost.meter import Meter
from tuppence.selfhost.metrics import Scrape, parsed, scrape
from tuppence.selfhost.readings import Reading, ReadingLog, Served, begun, between, followed
from tuppence.usage import Usage

from .own_servers import OwnServer, page

pytest.importorskip("prometheus_client")

PAGES = Path(__file__).parent / "vllm_pages"
HOUR = 3600.0
START = 1_795_400_040.0
"""A whole minute."""


def recorded(name: str, at: float = START) -> Scrape:
    return parsed((PAGES / f"{name}.txt").read_text(), server="http://own", at=at)


def counted(at: float, started: float | None = START, **counts: float) -> Scrape:
    """A scrape with these counts, and prompt and answer tokens of 0 where not given."""
    return Scrape("http://own", at, started, {"prompt_tokens": 0.0, "generation_tokens": 0.0, **counts})


def served(seconds: float = HOUR, **counts: float) -> Served:
    return Served("http://own", START, START + seconds, {"prompt_tokens": 0.0, "generation_tokens": 0.0, **counts})


BUSY = {
    "prompt_tokens": 9_000_000.0, "source:local_compute": 6_000_000.0, "generation_tokens": 1_000_000.0,
    "prefill_s": 1_000.0, "decode_s": 3_000.0,
}  # fmt: skip


# -- a page of metrics


def test_a_real_page_is_read() -> None:
    """vLLM 0.32 after 20 requests, 22 turned away, two thirds of the prompts found in the prefix cache."""
    found = recorded("served")
    assert found.started_at == 1_795_320_133.25
    assert (found.running, found.waiting, found.kv_usage) == (0, 0, 0)
    did = between(begun(recorded("started"))[-1], begun(found)[-1])
    assert (did.prompt_tokens, did.computed_tokens, did.generated_tokens) == (1_742, 526, 368)
    assert did.prompt_tokens_by_source == {"local_compute": 526, "local_cache_hit": 1_216, "external_kv_transfer": 0}
    assert did.prefix_hit_share == 1_216 / 1_742
    assert did.refused == 22
    assert did.inter_token_s == pytest.approx(32.5699 / 348, rel=1e-4)
    assert did.prefill_s is not None
    assert 0 < did.prefill_s < 2 < (did.decode_s or 0)


def test_a_page_of_an_older_version_lacks_what_it_lacks() -> None:
    """Old names are understood; what was not counted then is None and not 0."""
    found = recorded("old")
    assert (found.running, found.waiting, found.kv_usage, found.started_at) == (2, 1, 0.25, None)
    did = between(begun(replace(found, at=START - 1, counts=dict.fromkeys(found.counts, 0.0)))[-1], begun_at(found))
    assert (did.prompt_tokens, did.generated_tokens, did.inter_token_s) == (9_000, 1_000, 0.02)
    assert did.computed_tokens is did.prefill_s is did.decode_s is did.prefix_hit_share is did.refused is None


def begun_at(found: Scrape) -> Reading:
    return Reading(found.server, found.at, found.counts)


def test_several_engines_are_one_server() -> None:
    """Counts and queues add up over data-parallel engines; a cache is as full as the fullest."""
    one = (PAGES / "old.txt").read_text()
    two = "".join(line.replace("{", '{engine="1",') + "\n" for line in one.splitlines() if not line.startswith("#"))
    both = parsed(one.replace("{", '{engine="0",') + two.replace("0.25", "0.75"), server="http://own", at=START)
    assert (both.counts["prompt_tokens"], both.waiting, both.kv_usage) == (18_000, 2, 0.75)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no vllm:prompt_tokens_total"),
        ("<html>502 Bad Gateway</html>", "give the address of a vLLM server"),
        ("vllm:prompt_tokens_total{model_name=", "cut off"),
        ("vllm:prompt_tokens_total 5\nvllm:generation_tokens_total five\n", "cut off"),
    ],
)
def test_what_is_no_page_of_vllms_is_said_so(text: str, words: str) -> None:
    with pytest.raises(SelfHostError, match=words):
        parsed(text, server="http://own", at=START)


def test_a_server_is_asked_over_http() -> None:
    """With or without `/v1`, as people have it at hand; one that is not there is named."""
    with OwnServer() as own:
        own.page = page(prompt=7, generated=3)
        assert scrape(own.base_url, at=START).counts["prompt_tokens"] == 7
        assert scrape(own.url, at=START).server == own.url
        own.page = None
        with pytest.raises(SelfHostError, match="404"):
            scrape(own.url, at=START)
        address = own.url
    with pytest.raises(SelfHostError, match=address):
        scrape(address, at=START)
    with pytest.raises(SelfHostError, match="'own:8000'"):
        scrape("own:8000", at=START)


# -- readings


def test_a_restart_does_not_turn_the_meter_back() -> None:
    """A new process counts from 0: told by its start, or by counters that went back where it does not say."""
    for started in ((START, START + 50), (None, None)):
        first = begun(counted(START + 10, started[0], prompt_tokens=100))[-1]
        before = counted(START + 10, started[0], prompt_tokens=100)
        after = followed(first, before, counted(START + 60, started[1], prompt_tokens=30))
        assert after.totals["prompt_tokens"] - first.totals["prompt_tokens"] == 30
    # As busy as before within a minute: only its start tells.
    quick = followed(
        first, counted(START + 10, START, prompt_tokens=100), counted(START + 60, START + 20, prompt_tokens=130)
    )
    assert quick.totals["prompt_tokens"] - first.totals["prompt_tokens"] == 130


def test_a_count_that_begins_or_ends_in_between_is_unknown() -> None:
    """An upgrade brings metrics and takes others away: neither is made up for the time without."""
    before, first = counted(START, None, old=5.0), begun(counted(START, None, old=5.0))[-1]
    after = followed(first, before, counted(START + 9, None, new=7.0))
    assert set(after.totals) == {"prompt_tokens", "generation_tokens"}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10**9)), min_size=1, max_size=12))
def test_the_meter_shows_all_that_any_process_counted(steps: list[tuple[bool, int]]) -> None:
    """Whatever restarts between scrapes, the total is the sum of what was counted, and never falls."""
    start, count, whole = START, 0, 0
    before = counted(START + 1, start, prompt_tokens=0)
    reading = begun(before)[-1]
    for number, (restarts, tokens) in enumerate(steps, start=2):
        if restarts:
            start, count = START + number * 10 - 5, 0
        count, whole = count + tokens, whole + tokens
        now = counted(START + number * 10, start, prompt_tokens=count)
        after = followed(reading, before, now)
        assert after.totals["prompt_tokens"] >= reading.totals["prompt_tokens"]
        before, reading = now, after
    assert reading.totals["prompt_tokens"] == whole


def test_idle_hours_before_a_restart_count(tmp_path: Path) -> None:
    """The file remembers: a day idle, then a new process and a new program; the price is of all the hours."""
    place = tmp_path / "readings.sqlite"
    ReadingLog(place).add(counted(START + 60, START, **BUSY))
    ReadingLog(place).add(counted(START + 24 * HOUR, START + 23 * HOUR, **dict.fromkeys(BUSY, 0.0)))
    did = ReadingLog(place).served("http://own")
    assert did is not None
    assert did.seconds == 24 * HOUR
    assert did.prompt_tokens == 9_000_000
    assert amortised(did, "2").pico_usd == 48 * 10**12


def test_a_window_is_cut_at_the_readings_next_to_it(tmp_path: Path) -> None:
    log = ReadingLog(tmp_path / "readings.sqlite")
    for hour in range(1, 6):
        log.add(counted(START + hour * HOUR, START, prompt_tokens=hour * 100.0))
    inside = log.served("http://own", since=START + 1.5 * HOUR, until=START + 3.5 * HOUR)
    assert inside is not None
    assert (inside.since, inside.until, inside.prompt_tokens) == (START + HOUR, START + 3 * HOUR, 200)
    assert log.served("http://own", until=START + HOUR - 1) is None
    assert log.served("http://other") is None
    assert log.servers() == ["http://own"]


def test_a_scrape_that_comes_late_changes_nothing(tmp_path: Path) -> None:
    """Two programs may read one server into one file."""
    log = ReadingLog(tmp_path / "readings.sqlite")
    kept = log.add(counted(START + 20, START, prompt_tokens=50.0))
    assert log.add(counted(START + 10, START, prompt_tokens=40.0)).totals == kept.totals
    assert log.add(counted(START + 30, START, prompt_tokens=60.0)).totals["prompt_tokens"] == 60


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database, and long enough to be sure of that" * 9)
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SelfHostError, match=str(place)):
            ReadingLog(place).add(counted(START))


# -- the price


def test_the_price_is_the_hours_over_the_tokens() -> None:
    """Worked by hand: $2.50 for the hour, a quarter of the time read 6 million tokens, the rest wrote a million."""
    found = amortised(served(**BUSY), "2.50")
    assert found.usd_per_million == Decimal("0.25")
    rate = found.rate()
    assert rate.cost(Usage(input=1_000_000)) == round(Decimal("2.50") / 4 / 6 * 10**9) * 1000
    assert rate.cost(Usage(output=1_000_000)) == Decimal("2.50") * 3 / 4 * 10**12
    assert rate.cost(Usage(cache_read=1_000_000)) == 0
    assert rate.version == "selfhost/own/2026-11-23T02:14Z--2026-11-23T03:14Z"


def test_idle_time_makes_every_token_dearer() -> None:
    busy, idle = amortised(served(HOUR, **BUSY), "2.50"), amortised(served(10 * HOUR, **BUSY), "2.50")
    assert idle.usd_per_million == 10 * busy.usd_per_million


def test_servers_of_one_tier_have_one_price() -> None:
    """Their hours and their tokens add up; each may have several GPUs."""
    two = amortised([served(**BUSY), served(3 * HOUR, prompt_tokens=1e6, prefill_s=0.0, decode_s=0.0)], "1", gpus=2)
    assert (two.gpu_hours, two.pico_usd) == (8, 8 * 10**12)
    assert two.usd_per_million == round(Decimal(8) / 11, 9)


def test_without_a_word_on_the_cache_all_prompt_tokens_cost_the_same() -> None:
    """A server whose callers are not told of cached tokens, or whose metrics do not tell them apart."""
    whole = amortised(served(**BUSY), "2.50").rate_for_whole_prompts()
    old = amortised(served(**{k: v for k, v in BUSY.items() if not k.startswith("source:")}), "2.50").rate()
    for rate in (whole, old):
        assert rate.cost(Usage(input=9_000_000)) == rate.cost(Usage(input=1_000_000, cache_read=8_000_000))
        assert abs((rate.cost(Usage(input=9_000_000)) or 0) - 25 * 10**12 // 40) <= 9_000_000


def test_without_measured_times_a_ratio_is_stated_and_not_guessed() -> None:
    untimed = served(prompt_tokens=6e6, generation_tokens=1e6)
    with pytest.raises(SelfHostError, match="output_per_input"):
        amortised(untimed, "2.50").rate()
    rate = amortised(untimed, "2.50", output_per_input="4").rate()
    assert rate.cost(Usage(input=6_000_000)) == Decimal("1.5") * 10**12
    assert rate.cost(Usage(output=1_000_000)) == 10**12


def test_what_was_only_read_or_only_written_bears_the_whole_cost() -> None:
    read = amortised(served(prompt_tokens=1e6, **{"source:local_compute": 1e6}), "2").rate()
    written = amortised(served(generation_tokens=1e6), "2").rate()
    assert read.cost(Usage(input=1_000_000)) == written.cost(Usage(output=1_000_000)) == 2 * 10**12


counts = st.integers(1, 10**12)


@given(
    computed=counts, cached=st.integers(0, 10**12), generated=counts, prefill=st.floats(1e-3, 1e9),
    decode=st.floats(1e-3, 1e9), hours=st.integers(1, 10**5), price=st.integers(1, 10**6),
)  # fmt: skip
def test_the_calls_together_cost_what_the_machine_costs(
    computed: int, cached: int, generated: int, prefill: float, decode: float, hours: int, price: int
) -> None:
    """Nothing is lost and nothing counted twice: half a nano-dollar for a million tokens is all that rounding takes."""
    did = served(
        hours * HOUR, prompt_tokens=float(computed + cached), generation_tokens=float(generated), prefill_s=prefill,
        decode_s=decode, **{"source:local_compute": float(computed)},
    )  # fmt: skip
    found = amortised(did, Decimal(price).scaleb(-3))
    for rate in (found.rate(), found.rate_for_whole_prompts(), replace(found, output_per_input=Fraction(3)).rate()):
        cost = rate.cost(Usage(input=computed, cache_read=cached, output=generated))
        assert cost is not None
        assert abs(cost - found.pico_usd) <= (computed + cached + generated) * 1e-3 / 2 + 2


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: amortised(served(), "2").rate(), SelfHostError, "no token was served"),
        (lambda: amortised(served(), "2").usd_per_million, SelfHostError, "no token was served"),
        (lambda: amortised([], "2"), SelfHostError, "at least one server"),
        (lambda: amortised(served(), "2", gpus=0), SelfHostError, "0 GPUs"),
        (lambda: amortised(served(), "-2"), PriceError, "-2"),
        (lambda: amortised(served(), "2", output_per_input="0"), SelfHostError, "output_per_input is 0"),
        (lambda: Meter([], "x"), SelfHostError, "give an address"),
        (lambda: Meter("http://own", "x", every_s=0), SelfHostError, "every 0 s"),
        (lambda: Meter("http://own", "x").rate("2", window_s=0), SelfHostError, "window_s is 0"),
        (lambda: Meter("http://own", "x").rate("free"), PriceError, "free"),
    ],
)
def test_numbers_without_sense_are_refused(make: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


# -- the rate of a tier


def metered(log: ReadingLog, **options: object) -> MeteredRate:
    return MeteredRate(log, ["http://own"], "2.50", **options)  # type: ignore[arg-type]


def test_a_tiers_rate_follows_the_readings(tmp_path: Path) -> None:
    """Dated: each moment has the price of the window before it, whatever was read since."""
    log = ReadingLog(tmp_path / "readings.sqlite")
    rate = metered(log)
    log.add(counted(START + HOUR, START, **BUSY))
    log.add(counted(START + 2 * HOUR, START, **BUSY))
    busy, idle = rate.at(START + HOUR), rate.at(START + 2 * HOUR)
    output = Usage(output=1_000_000)
    assert busy.cost(output) == Decimal("2.50") * 3 / 4 * 10**12
    assert idle.cost(output) == 2 * (busy.cost(output) or 0)
    assert busy.version != idle.version
    assert rate.at(START + HOUR).version == busy.version


def test_before_there_are_readings_calls_are_unpriced(tmp_path: Path) -> None:
    """Never free: there is no price until there is one, and it says why."""
    rate = metered(ReadingLog(tmp_path / "readings.sqlite"))
    assert rate.cost(Usage(input=1)) is None
    assert "is a Meter running?" in (rate.why_unpriced(Usage(input=1)) or "")
    assert rate.lines(Usage(input=1)) == ()
    assert rate.version == "selfhost"


def test_old_hours_leave_the_window(tmp_path: Path) -> None:
    """A price is of the last week, or of whatever window is asked for."""
    log = ReadingLog(tmp_path / "readings.sqlite")
    log.add(counted(START + 100 * HOUR, START, **BUSY))
    log.add(counted(START + 101 * HOUR, START, **{name: 2 * value for name, value in BUSY.items()}))
    found = metered(log, window_s=HOUR).at(START + 101 * HOUR)
    assert found.cost(Usage(output=1_000_000)) == Decimal("2.50") * 3 / 4 * 10**12


def test_a_rate_travels_to_other_processes(tmp_path: Path) -> None:
    log = ReadingLog(tmp_path / "readings.sqlite")
    log.add(counted(START + HOUR, START, **BUSY))
    there = pickle.loads(pickle.dumps(metered(log)))
    assert there.at(START + HOUR).version == metered(log).at(START + HOUR).version


def test_a_meter_reads_at_once_and_when_it_stops(tmp_path: Path) -> None:
    """A server that does not answer is passed over; what the others said is kept."""
    with OwnServer() as own, OwnServer() as gone:
        gone.page = None
        own.page = page(prompt=10, generated=5)
        with Meter([own.url, gone.url], tmp_path / "readings.sqlite", every_s=3600) as meter:
            own.await_looks(1)
            gone.await_looks(1)
            own.page = page(prompt=30, generated=9)
        did = meter.readings.served(own.url)
        assert did is not None
        assert (did.since, did.prompt_tokens, did.generated_tokens) == (1.0, 30, 9)
        assert meter.readings.servers() == [own.url]
        with pytest.raises(SelfHostError, match=gone.url):
            meter.read()


# -- the command


def price(*words: str) -> str:
    done = CliRunner().invoke(app, ["selfhost", "price", *words])
    return done.output if done.exit_code == 0 else f"{done.exit_code}: {done.output}{done.exception}"


def test_the_command_prices_a_server_since_its_start(tmp_path: Path) -> None:
    """One look is enough: a server says since when it counts."""
    with OwnServer() as own:
        own.page = page(prompt=9e6, computed=6e6, generated=1e6, prefill_s=1000, decode_s=3000)
        told = json.loads(
            price(own.url, "--gpu-hour", "2.50", "--place", str(tmp_path / "r.sqlite"), "--format", "json")
        )
    hours = Decimal(told["gpu_hours"])
    assert hours > 400_000  # since the second second of 1970
    assert Decimal(told["usd"]) == pytest.approx(hours * Decimal("2.50"), rel=Decimal("1e-9"))
    assert Decimal(told["usd_per_mtok"]) == pytest.approx(hours * Decimal("0.25"), rel=Decimal("1e-6"))
    assert Decimal(told["output"]) == pytest.approx(hours * Decimal("1.875"), rel=Decimal("1e-6"))
    assert (told["prompt_tokens"], told["computed_tokens"], told["generated_tokens"]) == (
        9_000_000,
        6_000_000,
        1_000_000,
    )


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    place = ("--place", str(tmp_path / "r.sqlite"))
    with OwnServer() as own:
        assert "no token was served" in price(own.url, "--gpu-hour", "2.50", *place)
        assert "'free'" in price(own.url, "--gpu-hour", "free", *place)
        own.page = page(prompt=9, generated=1)
        assert "$" in price(own.url, "--gpu-hour", "2.50", "--output-per-input", "4", *place)
        assert "yesterdayish" in price(own.url, "--gpu-hour", "2.50", "--since", "yesterdayish", *place)


def test_readings_are_plain_data() -> None:
    """What is frozen stays so."""
    assert isinstance(recorded("served").counts, MappingProxyType)
    assert isinstance(amortised(served(**BUSY), "1"), Amortised)
