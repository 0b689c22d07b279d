"""OpenAI's embeddings through the real SDK: the vectors, the limits, and exact usage on the books."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from tuppence.clients import wrap
from tuppence.context import spend
from tuppence.embed import OpenAIEmbedder
from tuppence.errors import ConfigError
from tuppence.prices import PriceBook, token_rate, usd
from tuppence.spend import SqliteLedger, report
from tuppence.testing import Fault, ProviderServer
from tuppence.testing.openai_embeddings import embedding

RATE = token_rate(input="1", output="0")
TEXTS = ["two pence for tea", "tea for two", "a harbour"]


@pytest.fixture
def client(server: ProviderServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(server: ProviderServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as client:
        yield client


def embedder(client: Any, **options: Any) -> OpenAIEmbedder:
    return OpenAIEmbedder(client, "vectors", **{"rate": RATE, **options})


def billed(server: ProviderServer) -> int:
    return sum(one.usage["prompt_tokens"] for one in server.served if one.usage is not None)


def test_vectors_are_the_providers(server: ProviderServer, client: openai.OpenAI) -> None:
    """One call, one row a text, in the texts' order."""
    vectors = embedder(client).embed(TEXTS)
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, [embedding(text) for text in TEXTS], atol=1e-6)
    assert len(server.served) == 1


async def test_an_async_client_gives_the_same(server: ProviderServer, async_client: openai.AsyncOpenAI) -> None:
    """`aembed` awaits the SDK."""
    vectors = await embedder(async_client).aembed(TEXTS)
    assert np.allclose(vectors, [embedding(text) for text in TEXTS], atol=1e-6)


async def test_a_sync_client_serves_a_loop(client: openai.OpenAI) -> None:
    """From a thread: the loop goes on meanwhile."""
    model = embedder(client)
    assert (await model.aembed(TEXTS) == model.embed(TEXTS)).all()


async def test_an_async_client_cannot_serve_a_thread(async_client: openai.AsyncOpenAI) -> None:
    """Its connections belong to a loop: the error says which client to give."""
    with pytest.raises(ConfigError, match=r"AsyncOpenAI is async: use aembed\(\)"):
        embedder(async_client).embed(TEXTS)


def test_dimensions_are_asked_for_and_named(server: ProviderServer, client: openai.OpenAI) -> None:
    """Vectors of other lengths are another model's, as far as keys go."""
    short = embedder(client, dimensions=64)
    assert short.embed(TEXTS).shape == (3, 64)
    assert server.served[-1].request["dimensions"] == 64
    assert (short.name, embedder(client).name) == ("vectors@64", "vectors")


def test_usage_is_on_the_books_as_reported(server: ProviderServer, client: openai.OpenAI, tmp_path: Path) -> None:
    """The response says what was used: `spend()` and the ledger have it to the token, as exact."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger, spend() as block:
        embedder(client, ledger=ledger).embed(TEXTS)
    (attempt,) = block.attempts
    assert (attempt.usage.input, attempt.status, attempt.model) == (billed(server), "exact", "vectors")
    assert block.usd == usd(billed(server) * 1_000_000)
    assert report(path).total.pico_usd == attempt.pico_usd


async def test_async_usage_is_on_the_books(server: ProviderServer, async_client: openai.AsyncOpenAI) -> None:
    """The blocks are those around the call, also on a loop."""
    with spend() as block:
        await embedder(async_client).aembed(TEXTS)
    assert block.tokens == billed(server) > 0


def test_a_listed_model_has_its_price(client: openai.OpenAI) -> None:
    """Without a rate the price list is asked."""
    with spend() as block:
        OpenAIEmbedder(client, "text-embedding-3-small").embed(TEXTS)
    (attempt,) = block.attempts
    listed = PriceBook.default().rate("text-embedding-3-small")
    assert listed is not None
    assert attempt.pico_usd == listed.cost(attempt.usage) != 0


def test_a_wrapped_client_is_not_booked_twice(client: openai.OpenAI) -> None:
    """`wrap` accounts for all that its client sends."""
    prices = PriceBook.default().with_overrides({"vectors": {"input": "1", "output": "0"}})
    wrapped = wrap(client, ledger=None, prices=prices)
    with spend() as block:
        vectors = embedder(wrapped).embed(TEXTS)
    assert vectors.shape == (3, 256)
    assert len(block.attempts) == 1


def test_more_than_openai_takes_goes_in_several_calls(server: ProviderServer, client: openai.OpenAI) -> None:
    """At most 2,048 texts a call, and long ones in calls of their own; the rows stay in order."""
    texts = [f"text {number}" for number in range(2049)]
    assert np.allclose(embedder(client).embed(texts)[[0, -1]], [embedding("text 0"), embedding("text 2048")], atol=1e-6)
    assert [len(one.request["input"]) for one in server.served] == [2048, 1]
    embedder(client).embed(["word " * 120_000, "word " * 120_000])
    assert [len(one.request["input"]) for one in server.served[2:]] == [1, 1]


def test_no_texts_make_no_call(server: ProviderServer, client: openai.OpenAI) -> None:
    """The provider would refuse an empty list."""
    assert embedder(client, dimensions=64).embed([]).shape == (0, 64)
    assert server.served == []


def test_a_failure_is_the_sdks_own(server: ProviderServer, client: openai.OpenAI) -> None:
    """Code that catches the SDK's errors keeps working, and what was refused is not billed."""
    server.model("vectors", replies=Fault(status=429, message="slow down"))
    with spend() as block, pytest.raises(openai.RateLimitError):
        embedder(client).embed(TEXTS)
    assert block.attempts == []


@pytest.mark.parametrize(("given", "complaint"), [("no client", "give a client of the OpenAI SDK"), (None, "openai")])
def test_what_is_no_client_is_refused(given: Any, complaint: str) -> None:
    """At once, not at the first text."""
    with pytest.raises(ConfigError, match=complaint):
        embedder(given)


def test_a_nameless_model_is_refused(client: openai.OpenAI) -> None:
    """A name is part of every key."""
    with pytest.raises(ConfigError, match="name an embedding model"):
        OpenAIEmbedder(client, " ")
