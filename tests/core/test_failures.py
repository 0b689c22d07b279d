"""What an exception says of what the failed call used: read where the provider's answer is in it, never guessed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tuppence.clients import wrap
from tuppence.failures import failed, usage_told
from tuppence.prices import token_rate
from tuppence.spend import SqliteLedger
from tuppence.testing import Fault, ProviderServer
from tuppence.tiers import Tier
from tuppence.usage import read_usage

ASK: list[Any] = [{"role": "user", "content": "What is six by seven?"}]
RATE = token_rate(input="1", output="2")


class Sum(BaseModel):
    total: int


def rows(ledger: SqliteLedger) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(ledger.path)) as database:
        return list(database.execute("SELECT status, pico_usd FROM attempts"))


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        server.model("small", replies='{"total": 42, "because": "six sevens are forty-two"}')
        yield server


@pytest.fixture
def client(server: ProviderServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        yield client


def test_an_answer_that_was_cut_off_while_it_was_to_be_parsed_tells_its_usage(
    server: ProviderServer, client: openai.OpenAI
) -> None:
    """The OpenAI SDK raises, and hands the paid answer on in the exception."""
    with pytest.raises(openai.LengthFinishReasonError) as cut:
        client.chat.completions.parse(model="small", messages=ASK, max_tokens=3, response_format=Sum)
    (served,) = server.served
    assert failed(cut.value).usage == read_usage("chat", served.usage)
    assert served.usage is not None
    assert served.usage["completion_tokens"] == 3


def test_a_stream_that_was_cut_off_does_not_know_its_usage(client: openai.OpenAI) -> None:
    """The SDK raises before the chunk that would have told it: the call is left to be estimated."""
    with (
        pytest.raises(openai.LengthFinishReasonError) as cut,
        client.chat.completions.stream(model="small", messages=ASK, max_tokens=3, response_format=Sum) as stream,
    ):
        stream.get_final_completion()
    failure = failed(cut.value)
    assert failure.usage is None
    assert failure.begun


def test_a_refusal_tells_no_usage(server: ProviderServer, client: openai.OpenAI) -> None:
    """What was refused was not begun."""
    server.model("small", replies=Fault(status=400))
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="small", messages=ASK)
    assert failed(refused.value).usage is None


@pytest.mark.parametrize("completion", [None, "cut off", {"usage": {"tokens": 3}}, object()])
def test_an_exception_that_only_looks_like_it_tells_nothing(completion: object) -> None:
    """Others name an attribute `completion` too, and a payload may be no usage."""
    error = RuntimeError("no")
    error.completion = completion  # type: ignore[attr-defined]
    assert usage_told(error) is None


def test_a_payload_that_is_not_usage_tells_nothing() -> None:
    """A server that is only like OpenAI's may say anything."""

    error = RuntimeError("no")
    error.completion = SimpleNamespace(usage={"completion_tokens": -1})  # type: ignore[attr-defined]
    assert usage_told(error) is None


def test_a_wrapped_clients_parse_is_billed_exactly(
    server: ProviderServer, client: openai.OpenAI, tmp_path: Path
) -> None:
    """The SDK's own exception comes out, and the ledger has what the provider billed."""
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ours = wrap(client, tiers=[Tier("small", model="small", rate=RATE)], ledger=ledger)
    with pytest.raises(openai.LengthFinishReasonError):
        ours.chat.completions.parse(model="auto", messages=ASK, max_tokens=3, response_format=Sum)
    ledger.close()
    (served,) = server.served
    assert rows(ledger) == [("exact", RATE.cost(read_usage("chat", served.usage)))]
