"""Calls that were only watched: priced as of their end, by time where time is the price, rerankers by their unit."""

from datetime import UTC, datetime

import pytest

from tuppence.attempts import Attempt
from tuppence.observed import observed, rerank_usage
from tuppence.prices import PriceBook, Rate, gpu_hour_rate, token_rate
from tuppence.tokens import count_tokens
from tuppence.usage import Usage

BY_SEARCH = token_rate(input="0", output="0", calls={"rerank": "2"})
BY_TOKEN = token_rate(input="0.05", output="0")
# Any token is at most four letters in the estimate for models without a public vocabulary.
WORD = "word"


def watched(usage: Usage | None, rate: Rate | None, *, started_at: float = 0.0, took_s: float = 1.5) -> Attempt:
    result = observed("id", usage, rate, model="m", started_at=started_at, ended_at=started_at + took_s)
    (attempt,) = result.attempts
    return attempt


def units(query: str, documents: list[str]) -> int:
    usage = rerank_usage(query, documents, model="reranker", rate=BY_SEARCH)
    ((name, count),) = usage.calls
    assert (name, usage.total_tokens) == ("rerank", 0)
    return count


def document(tokens: int) -> str:
    """Return a text of exactly so many tokens as rerankers' are counted."""
    text = WORD * tokens
    assert count_tokens(text, "reranker").tokens == tokens
    return text


def test_compute_time_is_priced_to_the_millisecond_begun() -> None:
    """1.5 s of 2.40 USD an hour are exactly 0.001 USD; a tenth of a millisecond more is the next millisecond's."""
    rate = gpu_hour_rate("2.40")
    attempt = watched(Usage(input=10, output=2), rate)
    assert (attempt.pico_usd, attempt.usage.gpu_ms, attempt.status) == (10**9, 1500, "exact")
    assert watched(Usage(input=10), rate, took_s=1.5001).usage.gpu_ms == 1501


def test_compute_time_has_a_price_where_nobody_told_the_tokens() -> None:
    """The hour costs the same whatever was generated in it; tokens that nobody told cost nobody knows what."""
    assert watched(None, gpu_hour_rate("2.40")).pico_usd == 10**9
    unknown = watched(None, BY_TOKEN)
    assert (unknown.pico_usd, unknown.status, unknown.usage) == (None, "unpriced", Usage())


def test_tokens_are_not_timed_where_tokens_are_what_costs() -> None:
    """The time is the attempt's latency, and no usage."""
    attempt = watched(Usage(input=1_000_000), BY_TOKEN)
    assert (attempt.usage.gpu_ms, attempt.latency_ms, attempt.pico_usd) == (0, 1500.0, 5 * 10**10)


def test_a_clock_that_is_set_back_gives_no_negative_time() -> None:
    """Nor a negative price."""
    attempt = watched(Usage(), gpu_hour_rate("2.40"), took_s=-5.0)
    assert (attempt.latency_ms, attempt.pico_usd) == (0.0, 0)


@pytest.mark.parametrize(("day", "pico"), [(datetime(2025, 6, 1), 10**13), (datetime(2025, 7, 1), 2 * 10**12)])
def test_the_price_is_that_of_the_calls_own_day(day: datetime, pico: int) -> None:
    """A million tokens into o3 cost 10 USD before its cut of June 2025, and 2 USD after."""
    started_at = day.replace(tzinfo=UTC).timestamp()
    attempt = watched(Usage(input=1_000_000), PriceBook.default().rate("o3"), started_at=started_at)
    assert attempt.pico_usd == pico
    assert attempt.price_version.endswith(f"@{day:%Y-%m-%d}")


def test_a_model_without_a_price_is_unpriced() -> None:
    """Never zero."""
    attempt = watched(Usage(input=3), None)
    assert (attempt.pico_usd, attempt.status, attempt.price_version) == (None, "unpriced", "")


@pytest.mark.parametrize(
    ("asked", "sizes", "count"),
    [
        (10, [100], 1),
        (10, [100] * 100, 1),
        (10, [100] * 101, 2),
        # With the query, 500 tokens are one chunk and 501 are two.
        (10, [490] * 100, 1),
        (10, [490] * 99 + [491], 2),
        (100, [4000] * 10, 1),
        (100, [4001] * 10, 2),
        # A query beyond 256 tokens is cut off there: 244 are left to each chunk.
        (5000, [244] * 100, 1),
        (5000, [245] * 50, 1),
        (5000, [245] * 51, 2),
        (10, [0] * 101, 2),
        (0, [], 1),
    ],
)
def test_search_units_are_counted_as_cohere_does(asked: int, sizes: list[int], count: int) -> None:
    """One query with up to 100 documents; the chunks of a long document count as documents."""
    assert units(document(asked), [document(size) for size in sizes]) == count


def test_rerankers_paid_by_the_token_read_the_query_once_a_document() -> None:
    """Query tokens times documents, plus the documents' tokens, as Voyage AI bills."""
    usage = rerank_usage(document(7), [document(30), document(40)], model="reranker", rate=BY_TOKEN)
    assert usage == Usage(input=2 * 7 + 30 + 40)


def test_a_reranker_that_nobody_has_a_price_for_is_counted_by_searches() -> None:
    """The unit that most rerankers are sold by; a GPU-hour's price takes any."""
    for rate in (None, gpu_hour_rate("2.40")):
        assert rerank_usage("q", ["a"], model="reranker", rate=rate) == Usage(calls=(("rerank", 1),))
