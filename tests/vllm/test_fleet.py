"""What a real server says of its work: what its tokens cost, how busy it is, and what it turns away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai
import pytest

from tuppence.clients import result_of, via, wrap
from tuppence.policy import Retries
from tuppence.selfhost import Meter, Servers, SpillOver, VllmServer, amortised, http_clients
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer
from tuppence.usage import Usage, read_usage

from .conftest import ANSWER, LARGE, SMALL, Rows

RULES = "You are the assistant of a parcel service. Answer in one short sentence, kindly and to the point. " * 6


def ask(number: int) -> list[Any]:
    return [{"role": "system", "content": RULES}, {"role": "user", "content": f"Where is parcel {number}?"}]


@pytest.fixture
def own(server: VllmServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        yield client


def layered(own: openai.OpenAI, provider: ProviderServer, ledger: SqliteLedger, **tier: Any) -> Any:
    """The server's tier before an API, by real SDK clients; a retry would wait for an hour."""
    api = openai.OpenAI(base_url=provider.base_url, api_key="x")
    tiers = [via(own, "small", rate=SMALL, self_hosted=True, **tier), via(api, "large-model", name="large", rate=LARGE)]
    return wrap(api, tiers=tiers, ledger=ledger, check=None, retries=Retries(base_s=3_600.0))


def test_all_calls_together_cost_what_the_machine_costs(server: VllmServer, own: openai.OpenAI, tmp_path: Path) -> None:
    """By the usage that each caller was told, cached prompt tokens apart, and the server's own count: to the token."""
    with Meter(server.url, tmp_path / "readings.sqlite") as meter:
        since = meter.read()[0].at
        answers = [own.chat.completions.create(model="small", messages=ask(n), max_tokens=12) for n in range(3)]
        until = meter.read()[0].at
    served = meter.readings.served(server.url, since=since, until=until)
    assert served is not None
    used = [read_usage("chat", answer) for answer in answers]
    assert served.generated_tokens == sum(one.output for one in used)
    assert served.computed_tokens == sum(one.input for one in used)
    assert served.prompt_tokens - served.computed_tokens == sum(one.cache_read for one in used) > 0
    price = amortised(served, "2.50")
    assert price.pico_usd == pytest.approx((until - since) / 3600 * 2.5e12, rel=1e-6)
    assert sum(price.rate().cost(one) or 0 for one in used) == pytest.approx(price.pico_usd, rel=1e-6)
    # The time before, when nobody asked, makes the same tokens dearer.
    longer = meter.readings.served(server.url, until=until)
    assert longer is not None
    assert longer.since < since
    assert amortised(longer, "2.50").pico_usd > price.pico_usd
    assert meter.rate("2.50").at(until + 60).cost(Usage(output=1_000)) is not None


def test_what_a_full_server_turns_away_is_answered_elsewhere(
    server: VllmServer, own: openai.OpenAI, provider: ProviderServer, ledger: SqliteLedger, rows: Rows
) -> None:
    """More calls than it takes, all at once: nobody sees an error, nothing is billed twice, and the ledger knows."""
    client = layered(own, provider, ledger)

    def call(number: int) -> str:
        answer = client.chat.completions.create(
            model="auto", messages=ask(number), max_tokens=40, extra_body={"ignore_eos": True}
        )
        return str(result_of(answer).attempts[-1].cause)

    with ThreadPoolExecutor(14) as pool:
        causes = list(pool.map(call, range(14)))
    spilled = causes.count("spill_over")
    assert 0 < spilled < 14
    told = [(row["tier"], row["cause"], row["outcome"]) for row in rows()]
    assert told.count(("small", "draft", "failed")) == told.count(("large", "spill_over", "accepted")) == spilled
    assert told.count(("small", "draft", "accepted")) == 14 - spilled
    assert all(row["pico_usd"] == 0 for row in rows() if row["outcome"] == "failed")
    assert server.healthy()


def test_a_long_queue_is_seen_before_it_is_joined(
    server: VllmServer, own: openai.OpenAI, provider: ProviderServer, ledger: SqliteLedger
) -> None:
    """Four answers are under way and one waits: the next call goes to the API without asking; later, it is asked."""
    servers = Servers(server.url, look_every_ms=20)
    client = layered(own, provider, ledger, admission=SpillOver(servers, waiting=1))
    with ExitStack() as under_way:
        for number in range(5):
            long = own.chat.completions.create(
                model="small", messages=ask(100 + number), max_tokens=1200, stream=True, extra_body={"ignore_eos": True}
            )
            under_way.enter_context(long)
        await_waiting(servers, least=1)
        answer = client.chat.completions.create(model="auto", messages=ask(1), max_tokens=60)
        assert answer.choices[0].message.content == ANSWER
        (attempt,) = result_of(answer).attempts
        assert (attempt.tier, attempt.cause) == ("large", "spill_over")
        assert "waiting; spilled over" in result_of(answer).decision.route
    await_waiting(servers, least=0)
    answer = client.chat.completions.create(model="auto", messages=ask(2), max_tokens=8)
    assert [one.tier for one in result_of(answer).attempts] == ["small"]


def await_waiting(servers: Servers, *, least: int) -> None:
    """Wait until so many are seen to wait, or none."""
    give_up_at = time.monotonic() + 120
    while (told := servers.waiting()) is None or (told[0] < least if least else told[0] > 0):
        assert time.monotonic() < give_up_at, f"the queue is {told}, not {least}"
        time.sleep(0.01)


def test_a_server_that_is_not_there_is_not_missed(server: VllmServer) -> None:
    """Two addresses, at one of which nobody listens: the real server answers, streamed too, with its usage."""
    with ProviderServer() as gone:
        vacant = gone.anthropic_url
    sync, _ = http_clients([vacant, server.url])
    with openai.OpenAI(base_url=f"{vacant}/v1", api_key="x", max_retries=0, http_client=sync) as client:
        *_, last = client.chat.completions.create(
            model="small", messages=ask(1), max_tokens=8, stream=True, stream_options={"include_usage": True}
        )
    assert last.usage is not None
    assert 0 < last.usage.completion_tokens <= 8
    assert last.usage.prompt_tokens > 100
