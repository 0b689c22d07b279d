"""Prices: exact to the pico-dollar, dated, explained, and absent rather than guessed."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import timeit
import warnings
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.errors import PriceError, TuppenceError
from tuppence.prices import PriceBook, Rate, TokenRate, gpu_hour_rate, pico_usd, token_rate, usd
from tuppence.prices.listing import Listing
from tuppence.usage import Usage

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 1)
BOOK = PriceBook.default()
MILLION = 1_000_000


def rate(model: str, provider: str | None = None, at: date | datetime = TODAY) -> Rate:
    """Look a model up that must be there."""
    found = BOOK.rate(model, provider=provider, at=at)
    assert found is not None, model
    return found


def dollars(model: str, usage: Usage, **options: Any) -> Decimal | None:
    """Price a usage in dollars."""
    cost = rate(model, **options).cost(usage)
    return None if cost is None else usd(cost)


# --- the arithmetic -------------------------------------------------------------------------------------------

counts = st.integers(0, 10**9)
prices = st.decimals(0, 1000, places=9)


@given(counts, counts, counts, prices, prices, prices)
def test_cost_is_the_exact_sum_rounded_once(
    fresh: int, cached: int, answer: int, a: Decimal, b: Decimal, c: Decimal
) -> None:
    """Against exact fractions: the sum of count times price, half to even at the pico-dollar."""
    own = token_rate(input=a, cache_read=b, output=c)
    exact = (fresh * Fraction(a) + cached * Fraction(b) + answer * Fraction(c)) * 10**12 / MILLION
    assert own.cost(Usage(input=fresh, cache_read=cached, output=answer)) == round(exact)


@pytest.mark.parametrize(("nano", "tokens", "pico"), [(1, 500, 0), (1, 1500, 2), (1, 501, 1), (1, 2500, 2)])
def test_halves_go_to_even(nano: int, tokens: int, pico: int) -> None:
    """Rounding is unbiased: 0.5 becomes 0, 1.5 becomes 2."""
    own = token_rate(input=Decimal(nano).scaleb(-9), output=0)
    assert own.cost(Usage(input=tokens)) == pico


@given(counts, counts)
def test_lines_explain_the_whole_cost(fresh: int, answer: int) -> None:
    """The lines hold everything that a reader needs to redo the sum."""
    found = rate("gpt-4o")
    usage = Usage(input=fresh, output=answer, calls=(("web_search", 2),))
    femto = sum(Fraction(line.qty * line.nano_usd * 1000, line.per) for line in found.lines(usage))
    assert found.cost(usage) == round(femto)


@given(st.integers(0, 10**18))
def test_dollars_and_pico_dollars_are_one_amount(pico: int) -> None:
    """Nothing is lost between the ledger's integers and the API's decimals."""
    assert pico_usd(usd(pico)) == pico


def test_nothing_used_costs_nothing() -> None:
    """An empty usage is free, priced or not by GPU time."""
    assert rate("gpt-4o").cost(Usage()) == 0
    assert gpu_hour_rate("2.49").cost(Usage()) == 0


def test_a_cost_takes_about_a_microsecond() -> None:
    """Every attempt is priced inline; measured 1.3 µs, and a busy machine gets a wide margin."""
    found, usage = rate("gpt-4o"), Usage(input=1000, cache_read=50, output=100)
    best = min(timeit.repeat(lambda: found.cost(usage), number=2000, repeat=5)) / 2000
    assert best < 20e-6


# --- the list -------------------------------------------------------------------------------------------------

VARIANTS = [
    ("gpt-5", Usage(input=MILLION), "1.25"),
    ("gpt-5", Usage(input=MILLION, processing="flex"), "0.625"),
    ("gpt-5", Usage(input=MILLION, processing="priority"), "2.5"),
    ("gpt-5", Usage(cache_read=MILLION, processing="batch"), "0.0625"),
    ("gpt-4o", Usage(cache_read=MILLION, processing="batch"), "1.25"),
    ("claude-sonnet-4-6", Usage(cache_write_5m=MILLION), "3.75"),
    ("claude-sonnet-4-6", Usage(cache_write_1h=MILLION), "6"),
    ("claude-sonnet-4-6", Usage(cache_write_1h=MILLION, processing="batch"), "3"),
    ("claude-sonnet-4-6", Usage(output=MILLION, geo="us"), "16.5"),
    ("claude-sonnet-4-6", Usage(output=MILLION, geo="us", processing="batch"), "8.25"),
    ("claude-opus-5", Usage(output=MILLION, processing="fast"), "50"),
    ("gpt-5.4", Usage(input=100_000, geo="eu"), "0.275"),
    ("gpt-audio", Usage(audio_input=MILLION, audio_output=MILLION), "96"),
    ("gemini-2.5-flash", Usage(audio_input=MILLION, audio_cache_read=MILLION), "1.1"),
    ("gemini-2.5-flash", Usage(input=MILLION, processing="priority"), "0.54"),
    ("gemini-2.5-flash", Usage(media=(("image_input", MILLION),)), "0.3"),
    ("claude-sonnet-4-6", Usage(calls=(("web_search", 3),)), "0.03"),
    ("gemini-2.5-pro", Usage(calls=(("web_search", 2),)), "0.07"),
    ("gpt-4.1", Usage(calls=(("web_search_preview", 1),)), "0.025"),
    ("gpt-5", Usage(calls=(("file_search", 2), ("web_search_preview", 1))), "0.015"),
    ("text-embedding-3-small", Usage(input=MILLION), "0.02"),
]


@pytest.mark.parametrize(("model", "usage", "price"), VARIANTS)
def test_listed_variants(model: str, usage: Usage, price: str) -> None:
    """Batch, flex, priority, fast, lifetimes, places, audio and tools, each from the provider's own page."""
    assert dollars(model, usage) == Decimal(price)


UNPRICED = [
    ("claude-sonnet-4-6", Usage(input=1, processing="flex"), "no list price for 'flex'"),
    ("claude-sonnet-4-6", Usage(input=1, processing="priority"), "no list price for 'priority'"),
    ("gpt-4o", Usage(input=1, processing="unlisted"), "no list price for 'unlisted'"),
    ("claude-haiku-4-5", Usage(input=1, geo="us"), "bound to 'us'"),
    ("claude-sonnet-4-6", Usage(input=1, geo="mars"), "bound to 'mars'"),
    ("gpt-4o", Usage(input=1, audio_input=5), "5 of audio_input"),
    ("gpt-5", Usage(cache_write_1h=5), "5 of cache_write_1h"),
    ("claude-sonnet-4-6", Usage(input=1, calls=(("teleport", 1),)), "1 of call:teleport"),
    ("gpt-5.4", Usage(input=300_000, processing="priority"), "above 272000 input tokens"),
    ("gemini-2.5-flash", Usage(media=(("image_output", 9),)), "9 of image_output"),
    ("sonar-pro", Usage(input=1), "fee per request"),
]


@pytest.mark.parametrize(("model", "usage", "reason"), UNPRICED)
def test_what_has_no_price_is_unpriced_and_says_why(model: str, usage: Usage, reason: str) -> None:
    """Never 0, and never quietly the standard price."""
    found = rate(model, provider="perplexity" if model == "sonar-pro" else None)
    assert found.cost(usage) is None
    assert reason in (found.why_unpriced(usage) or "")


def test_what_has_a_price_gives_no_reason() -> None:
    """`why_unpriced` and `cost` agree."""
    for model, usage, _ in VARIANTS:
        assert rate(model).why_unpriced(usage) is None


THRESHOLDS = [
    ("gpt-5.4", 272_000, "2.5", "5", "15", "22.5"),
    ("claude-sonnet-4-5", 200_000, "3", "6", "15", "22.5"),
    ("gemini-2.5-pro", 200_000, "1.25", "2.5", "10", "15"),
    ("claude-haiku-5-5", 100_000, "0.1", "0.5", "0.5", "2.5"),
]


@pytest.mark.parametrize(("model", "step", "base", "above", "out", "out_above"), THRESHOLDS)
def test_thresholds_reprice_the_whole_call(
    model: str, step: int, base: str, above: str, out: str, out_above: str
) -> None:
    """At the threshold every token has the base price, one token more and every token has the higher one."""
    for tokens, price, answer in ((step, base, out), (step + 1, above, out_above)):
        want = (tokens * Decimal(price) + 10 * Decimal(answer)) / MILLION
        assert dollars(model, Usage(input=tokens, output=10)) == want


@pytest.mark.parametrize(
    "usage",
    [Usage(input=200_000), Usage(cache_read=200_000), Usage(cache_write_5m=200_000), Usage(cache_write_1h=200_000)],
)
def test_every_kind_of_input_counts_to_the_threshold(usage: Usage) -> None:
    """Cached and written tokens are part of the prompt's size; output is not."""
    answer, one_more = Usage(output=1000), Usage(input=1, output=1000)
    at, above = (
        next(line for line in rate("claude-sonnet-4-5").lines(usage + more) if line.unit.startswith("output"))
        for more in (answer, one_more)
    )
    assert (at.unit, at.nano_usd) == ("output", 15 * 10**9)
    assert (above.unit, above.nano_usd) == ("output>200000", 22_500_000_000)


DATED = [
    ("o3", date(2025, 6, 9), Usage(input=MILLION), "10"),
    ("o3", date(2025, 6, 10), Usage(input=MILLION), "2"),
    ("o3", date(2025, 5, 1), Usage(cache_read=MILLION), "2.5"),
    ("claude-opus-4-6", date(2026, 3, 12), Usage(input=MILLION), "10"),
    ("claude-opus-4-6", date(2026, 3, 13), Usage(input=MILLION), "5"),
    ("mistral-large-latest", date(2025, 12, 1), Usage(input=MILLION), "2"),
    ("mistral-large-latest", date(2025, 12, 2), Usage(input=MILLION), "0.5"),
    ("gpt-3.5-turbo-0613", date(2023, 6, 18), Usage(input=MILLION), "1.5"),
    ("gpt-4o", date(2024, 9, 1), Usage(input=MILLION, processing="batch"), "1.25"),
    ("claude-3-5-haiku-20241022", date(2025, 3, 1), Usage(cache_read=MILLION, processing="batch"), "0.04"),
    ("deepseek-v4-pro", datetime(2026, 11, 1, 2, tzinfo=UTC), Usage(input=MILLION), "1.32"),
    ("deepseek-v4-pro", datetime(2026, 11, 1, 5, tzinfo=UTC), Usage(input=MILLION), "0.66"),
]


@pytest.mark.parametrize(("model", "at", "usage", "price"), DATED)
def test_prices_are_those_of_the_day(model: str, at: date, usage: Usage, price: str) -> None:
    """A call is priced by when it was made: cuts, moved aliases and hours of the day."""
    assert dollars(model, usage, at=at) == Decimal(price)


NAMES = [
    ("gpt-4o-2024-11-20", None, "openai/gpt-4o"),
    ("openai/gpt-4o", None, "openai/gpt-4o"),
    ("openai:gpt-4o".replace(":", "/"), None, "openai/gpt-4o"),
    ("GPT-4o", "OpenAI", "openai/gpt-4o"),
    ("claude-sonnet-4-6-20260217", None, "anthropic/claude-sonnet-4-6"),
    ("anthropic/claude-haiku-4-5-20251001", None, "anthropic/claude-haiku-4-5"),
    ("models/gemini-2.5-flash", "google_genai", "google/gemini-2.5-flash"),
    ("gemini/gemini-2.5-pro", None, "google/gemini-2.5-pro"),
    ("vertex_ai/gemini-2.5-pro", None, "google/gemini-2.5-pro"),
    ("claude-sonnet-4-5@20250929", "vertex_ai", "google/claude-sonnet-4-5"),
    (
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        None,
        "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    (
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock_converse",
        "aws/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    ("gpt-4o", "azure", "azure/gpt-4o"),
    ("gpt-5.4-20260305", None, "openai/gpt-5.4"),
    ("text-embedding-3-small", None, "openai/text-embedding-3-small"),
    ("mistral-large-2512", "mistralai", "mistral/mistral-large-2512"),
    ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", None, "together/meta-llama/Llama-3.3-70B-Instruct-Turbo"),
]


@pytest.mark.parametrize(("model", "provider", "listed"), NAMES)
def test_names_as_callers_write_them(model: str, provider: str | None, listed: str) -> None:
    """Prefixes, dated suffixes, case, and the provider names of LangChain, LlamaIndex and LiteLLM."""
    assert rate(model, provider).version == f"{BOOK.version}/{listed}@{TODAY.isoformat()}"


@pytest.mark.parametrize(
    ("model", "provider"),
    [("my-finetune", None), ("gpt-4o", "nobody"), ("gpt-99-mega", "openai"), ("claude", None), ("llama", "openai")],
)
def test_unknown_models_have_no_rate(model: str, provider: str | None) -> None:
    """No similar model's price stands in."""
    assert BOOK.rate(model, provider=provider, at=TODAY) is None


def test_resold_models_have_standard_prices_only() -> None:
    """Azure sells OpenAI's models at list price; its batch prices are not on OpenAI's list."""
    found = rate("gpt-4o", "azure")
    assert found.cost(Usage(input=MILLION)) == pico_usd("2.5")
    assert found.cost(Usage(input=MILLION, processing="batch")) is None


def test_rates_pickle() -> None:
    """Tiers travel to worker processes."""
    for made in (rate("gpt-5.4"), token_rate(input="0.15", output="0.6"), gpu_hour_rate("2.49")):
        copy = pickle.loads(pickle.dumps(made))
        usage = Usage(input=300_000, gpu_ms=5)
        assert (copy.version, copy.cost(usage)) == (made.version, made.cost(usage))


# --- prices of one's own --------------------------------------------------------------------------------------


def test_overrides_replace_the_list() -> None:
    """A contract's prices win over the list's, for that model only, in a new book."""
    book = BOOK.with_overrides({"gpt-4o": {"input": "2.00", "output": "8.00"}})
    own, other = book.rate("gpt-4o"), book.rate("gpt-4o-mini")
    assert own is not None
    assert other is not None
    assert (own.version, own.cost(Usage(input=MILLION))) == ("user/gpt-4o", pico_usd("2"))
    assert other.version.startswith("genai-prices")
    assert dollars("gpt-4o", Usage(input=MILLION)) == Decimal("2.5")


def test_overrides_by_provider_kind_and_tool() -> None:
    """One model may have another price at another provider, in batch, and for its tools."""
    book = BOOK.with_overrides(
        {
            "azure/gpt-4o": {
                "input": Decimal("3"),
                "output": "12",
                "batch": {"input": "1.5", "output": "6"},
                "calls": {"web_search": "14"},
            }
        }
    )
    own = book.rate("gpt-4o", provider="azure")
    assert own is not None
    assert own.cost(Usage(input=MILLION, processing="batch")) == pico_usd("1.5")
    assert own.cost(Usage(calls=(("web_search", 1),), processing="batch")) == pico_usd("0.014")
    assert own.cost(Usage(input=MILLION, processing="flex")) is None
    listed = book.rate("gpt-4o")
    assert listed is not None
    assert listed.version.startswith("genai-prices")


def test_without_an_agreed_discount_cached_tokens_cost_as_input() -> None:
    """Cache writes stay unpriced: nobody gives them for the price of input."""
    own = token_rate(input="1", output="2")
    assert own.cost(Usage(cache_read=MILLION)) == pico_usd("1")
    assert own.cost(Usage(cache_write_5m=1)) is None


def test_free_is_a_price_when_a_user_says_so() -> None:
    """A model on hardware that is paid anyway may cost 0; an unknown one may not."""
    assert token_rate(input=0, output=0).cost(Usage(input=10, output=10)) == 0


@pytest.mark.parametrize(
    ("per_hour", "ms", "pico"),
    [("2.49", 36_000, 24_900_000_000), ("1.99", 28_000, 15_477_777_778), ("3.6", 1, 1_000_000), ("0", 5, 0)],
)
def test_gpu_hours(per_hour: str, ms: int, pico: int) -> None:
    """An hour's price times the time, tokens or not, rounded once."""
    assert gpu_hour_rate(per_hour).cost(Usage(input=999, output=999, gpu_ms=ms)) == pico


def test_gpu_time_that_was_not_measured_is_unpriced() -> None:
    """Tokens without time cannot be free."""
    own = gpu_hour_rate("2.49")
    assert own.cost(Usage(input=10)) is None
    assert "gpu_ms" in (own.why_unpriced(Usage(input=10)) or "")


BAD = [
    (lambda: token_rate(input="-1", output="1"), "-1"),
    (lambda: token_rate(input=0.15, output="1"), "0.15"),  # type: ignore[arg-type]
    (lambda: token_rate(input="cheap", output="1"), "cheap"),
    (lambda: token_rate(input="NaN", output="1"), "NaN"),
    (lambda: token_rate(input="Infinity", output="1"), "Infinity"),
    (lambda: token_rate(input="0.0000000001", output="1"), "0.0000000001"),
    (lambda: gpu_hour_rate("-2"), "-2"),
    (lambda: BOOK.with_overrides({"m": {"inputs": "1", "output": "1"}}), "inputs"),
    (lambda: BOOK.with_overrides({"m": {"output": "1"}}), "input"),
    (lambda: BOOK.with_overrides({"m": {"gpu_hour": "1", "input": "1"}}), "gpu_hour"),
    (lambda: BOOK.with_overrides({"m": {"input": "1", "batch": "0.5"}}), "batch"),
    (lambda: BOOK.rate(" "), "' '"),
    (lambda: pico_usd("0.0000000000001"), "0.0000000000001"),
]


@pytest.mark.parametrize(("make", "value"), BAD)
def test_bad_prices_are_refused_with_the_value(make: Any, value: str) -> None:
    """The message holds what was wrong, under the one root."""
    with pytest.raises(PriceError) as caught:
        make()
    assert value in str(caught.value)
    assert isinstance(caught.value, TuppenceError)


# --- where the list comes from --------------------------------------------------------------------------------


def test_the_packaged_list_is_what_compiles() -> None:
    """The committed list is the pinned genai-prices plus our corrections, and nothing typed in by hand."""
    pytest.importorskip("genai_prices")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "compile_prices.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_list_agrees_with_genai_prices_but_for_the_corrections() -> None:
    """Every model of the list, at two sizes and two dates, priced by both."""
    genai = pytest.importorskip("genai_prices.data")
    types = pytest.importorskip("genai_prices.types")
    corrected = {"o3", "mistral-large"}
    compared = 0
    for at in (datetime(2025, 9, 1, 12, tzinfo=UTC), datetime(2026, 11, 1, 12, tzinfo=UTC)):
        for provider in genai.providers:
            for model in provider.models:
                unpriceable = provider.id == "perplexity" and model.id.startswith("sonar")
                if provider.find_model(model.id) is not model or model.id in corrected or unpriceable:
                    continue
                listed = model.get_prices(at)
                if listed.input_mtok is None or listed.output_mtok is None:
                    continue
                for tokens in (1000, 300_000):
                    cached = tokens // 2 if listed.cache_read_mtok is not None else 0
                    theirs = types.Usage(input_tokens=tokens, cache_read_tokens=cached, output_tokens=77)
                    with warnings.catch_warnings(action="ignore"):
                        want = listed.calc_price(theirs)["total_price"]
                    ours = Usage(input=tokens - cached, cache_read=cached, output=77)
                    got = dollars(model.id, ours, provider=provider.id, at=at)
                    assert got is not None, model.id
                    # genai-prices keeps repeating decimals, the list whole nano-dollars per million.
                    assert abs(got - want) <= Decimal("1e-9"), (provider.id, model.id, at)
                    compared += 1
    assert compared > 7000


def test_every_correction_names_its_source() -> None:
    """A price without a source and a day is a rumour."""
    data = json.loads((ROOT / "core" / "tuppence" / "data" / "price_corrections.json").read_text())
    rules = [rule for kind in data.values() if isinstance(kind, list) for rule in kind]
    assert rules
    for rule in rules:
        assert rule["source"].startswith("https://"), rule
        date.fromisoformat(rule["read"])


def test_every_listed_price_can_be_bound_and_halved_exactly() -> None:
    """No discount or uplift of the list leaves whole nano-dollars, for any model, place and kind."""
    data = json.loads((ROOT / "core" / "tuppence" / "data" / "prices.json").read_text())
    book = PriceBook(listing=Listing(data))
    sheets = 0
    for provider in data["providers"]:
        for entry in provider["models"]:
            found = book.rate(entry["id"], provider=provider["id"], at=TODAY)
            if not isinstance(found, TokenRate):
                continue
            for kind in ("standard", "batch", "flex", "priority", "fast"):
                for geo in (None, "us", "eu"):
                    found.cost(Usage(processing=kind, geo=geo))
                    sheets += 1
    assert sheets > 20_000


def test_import_is_light() -> None:
    """Prices are data: neither genai-prices nor pydantic is imported to read them."""
    code = (
        "import sys; from tuppence.prices import PriceBook; PriceBook.default().rate('gpt-4o');"
        "print({'genai_prices', 'pydantic', 'httpx', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- the vectors ----------------------------------------------------------------------------------------------

VECTORS = [
    json.loads(line) for line in (ROOT / "benchmarks" / "data" / "billing_vectors.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_vectors_add_up_by_themselves(vector: dict[str, Any]) -> None:
    """Quantity times the page's price, summed: the amount does not come from the code that it tests."""
    exact = sum(
        (Fraction(line["qty"]) * Fraction(line["usd_per"]) / line["per"] for line in vector["lines"]), Fraction(0)
    )
    if vector["pico_usd"] is None:
        assert vector["lines"] == []
        return
    assert int(vector["pico_usd"]) == round(exact * 10**12)
    assert Decimal(vector["usd"]) == usd(int(vector["pico_usd"]))


def run_benchmark(vectors: Path) -> tuple[int, dict[str, Any]]:
    """Run the benchmark as a user would; return its exit status and verdict."""
    script = str(ROOT / "benchmarks" / "billing.py")
    done = subprocess.run([sys.executable, script, "--vectors", str(vectors)], capture_output=True, text=True)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_our_vectors_are_exact() -> None:
    """All of them, to the pico-dollar."""
    status, verdict = run_benchmark(ROOT / "benchmarks" / "data" / "billing_vectors.jsonl")
    assert verdict == {"vectors": len(VECTORS), "exact": len(VECTORS), "wrong": []}
    assert status == 0


def test_the_benchmark_finds_a_pico_dollar(tmp_path: Path) -> None:
    """One unit too many is wrong, and so is a price for what must be unpriced."""
    priced = next(v for v in VECTORS if v["pico_usd"] is not None)
    unpriced = next(v for v in VECTORS if v["pico_usd"] is None)
    broken = [
        {**priced, "id": "off-by-one", "pico_usd": str(int(priced["pico_usd"]) + 1)},
        {**unpriced, "id": "should-be-none", "pico_usd": "0"},
        priced,
    ]
    file = tmp_path / "vectors.jsonl"
    file.write_text("\n".join(json.dumps(vector) for vector in broken))
    assert run_benchmark(file) == (1, {"vectors": 3, "exact": 1, "wrong": ["off-by-one", "should-be-none"]})
