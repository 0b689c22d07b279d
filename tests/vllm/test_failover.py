"""A server that is killed in the middle of everything: others answer, nothing is lost, nothing billed twice.

This folder's one test that kills: a server is started for it alone.
"""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from langchain_openai import ChatOpenAI

from langchain_tuppence import ChatTuppence
from langchain_tuppence import tier as tier_of
from tuppence import Retries
from tuppence.selfhost import RunningServer, VllmServer
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer

from .conftest import ANSWER, LARGE, SMALL, Rows, StartServer

QUESTION = "Tell me a very long story of a harbour."


@pytest.fixture
def killable(start_server: StartServer, provider: ProviderServer, ledger: SqliteLedger) -> tuple[VllmServer, Any]:
    """A server of this test's own before an API: its answers take half a minute, so they are under way when it dies."""
    server = start_server()
    small = ChatOpenAI(
        base_url=server.base_url, api_key="x", model="small",
        max_tokens=1500, extra_body={"ignore_eos": True},
    )  # fmt: skip
    large = ChatOpenAI(base_url=provider.base_url, api_key="x", model="large-model")
    tiers = [tier_of(small, name="small", rate=SMALL, self_hosted=True), tier_of(large, name="large", rate=LARGE)]

    def llm(**options: Any) -> ChatTuppence:
        return ChatTuppence(tiers=tiers, ledger=ledger, retries=Retries(base_s=0.0), **options)

    return server, llm


def running(server: RunningServer) -> int:
    """Read how many answers the server is working at."""
    lines = server.endpoint.get("/metrics").splitlines()
    return int(sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running{")))


def await_running(server: RunningServer, count: int) -> None:
    give_up_at = time.monotonic() + 120
    while running(server) < count:
        assert time.monotonic() < give_up_at, f"the server never worked at {count} answers at once"
        time.sleep(0.05)


def test_a_server_that_dies_in_mid_call_and_mid_stream_loses_nothing(
    killable: tuple[VllmServer, Any], provider: ProviderServer, rows: Rows
) -> None:
    """Who has seen nothing yet is answered by the API; who has seen a part is told; every ask is in the ledger once."""
    server, llm = killable
    with ThreadPoolExecutor(2) as pool:
        whole = pool.submit(lambda: llm().invoke(QUESTION))
        held = pool.submit(lambda: list(llm(check=lambda request, reply: 1.0).stream(QUESTION)))
        live = llm().stream(QUESTION)
        seen = next(chunk.content for chunk in live if chunk.content)
        await_running(server, 3)
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises((openai.APIError, httpx.TransportError)):
            seen += "".join(chunk.content for chunk in live)
        assert whole.result().content == ANSWER
        assert "".join(chunk.content for chunk in held.result()) == ANSWER
    assert llm().invoke(QUESTION).content == ANSWER  # nothing listens there any more

    calls = defaultdict(list)
    for row in rows():
        calls[row["call_id"]].append(row)
    answered = [row for row in rows() if row["outcome"] == "accepted"]
    assert len(calls) == 4
    assert [(row["tier"], row["status"]) for row in answered] == [("large", "exact")] * 3
    assert len({row["call_id"] for row in answered}) == len(provider.served) == 3

    (broken,) = [asked for asked in calls.values() if asked[-1]["outcome"] != "accepted"]
    (told,) = broken
    assert (told["tier"], told["outcome"], told["status"]) == ("small", "failed", "estimated")
    assert told["output"] > 0
    assert seen
    for asked in calls.values():
        # Of the server's asks one at most wrote anything; those that were never connected cost nothing.
        assert sum(row["output"] > 0 for row in asked if row["tier"] == "small") <= 1
        assert all(row["tier"] == "small" for row in asked[:-1])
