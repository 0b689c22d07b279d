"""SpendEmbeddings lives as long as its process: each call of it is priced as of when it ended."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from langchain_tuppence import SpendEmbeddings, spend
from tuppence.prices import PriceBook, token_rate
from tuppence.prices.listing import Listing

LISTING = Listing(
    {
        "version": "test-list",
        "geo": [],
        "providers": [
            {
                "id": "acme",
                "owns": ["equals", "embedder"],
                "models": [
                    {
                        "id": "embedder",
                        "match": ["equals", "embedder"],
                        "prices": [
                            {"prices": {"input": 1_000_000}},
                            {"from": "2030-06-02", "prices": {"input": 3_000_000}},
                        ],
                    }
                ],
            }
        ],
    }
)


def test_embeddings_follow_a_change_of_price(monkeypatch: pytest.MonkeyPatch) -> None:
    """One wrapper, two days: each row has its own day's price and says which it was."""
    book = PriceBook(listing=LISTING)
    wrapped = SpendEmbeddings(DeterministicFakeEmbedding(size=4), model="embedder", prices=book, ledger=None)
    with spend() as block:
        for day in (1, 2):
            moment = datetime(2030, 6, day, 12, tzinfo=UTC).timestamp()
            monkeypatch.setattr("time.time", lambda moment=moment: moment)
            wrapped.embed_query("one two three")
    before, after = block.attempts
    assert before.pico_usd
    assert after.pico_usd == 3 * before.pico_usd
    assert [a.price_version for a in block.attempts] == [f"test-list/acme/embedder@2030-06-0{day}" for day in (1, 2)]


def test_a_rate_of_ones_own_holds_for_embeddings_too() -> None:
    """An agreed price is taken as it was given."""
    own = token_rate(input="0.02", output="0")
    wrapped = SpendEmbeddings(DeterministicFakeEmbedding(size=4), model="embedder", rate=own, ledger=None)
    with spend() as block:
        wrapped.embed_query("one two three")
    (attempt,) = block.attempts
    assert (attempt.pico_usd, attempt.price_version) == (own.cost(attempt.usage), "user")
