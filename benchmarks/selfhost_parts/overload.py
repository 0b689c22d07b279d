"""More calls than a server can take: who answers them, and how much later."""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai

from tuppence import SqliteLedger, token_rate
from tuppence.clients import via, wrap
from tuppence.selfhost import Servers, SpillOver, http_clients
from tuppence.spend.cells import cells
from tuppence.testing import ProviderServer, Turn

WORDS = "Your parcel is on its way and will be with you by tomorrow noon at the latest, as the carrier says today."
SYSTEM = (
    "You are the assistant of a parcel service. Answer in one or two short sentences, friendly and to the point. " * 4
)
SMALL, LARGE = token_rate(input="0.05", output="0.20"), token_rate(input="2.50", output="10")


@dataclass(frozen=True)
class Load:
    """What is sent."""

    answer_tokens: int
    times: float
    """Arrivals for each call that the server can answer."""
    seconds: float
    at_once: int
    """Calls that keep the server busy."""
    waiting: int | None
    """Queue from which calls spill over; None: only what the server turns away does."""


def question(number: int) -> list[Any]:
    asked = f"Question {number}: where is parcel {number * 7919 % 10007}?"
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]


async def _answered(client: Any, model: str, number: int, load: Load) -> float:
    """Ask, and say how long it took."""
    started = time.perf_counter()
    await client.chat.completions.create(model=model, messages=question(number), max_tokens=load.answer_tokens)
    return time.perf_counter() - started


async def _capacity(client: Any, load: Load) -> float:
    """Measure how many calls a second the server answers when it always has enough of them."""
    numbers = iter(range(10_000, 10_000 + 6 * load.at_once))

    async def one_after_the_other() -> None:
        for number in numbers:
            await _answered(client, "small", number, load)

    started = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(load.at_once)))
    return 6 * load.at_once / (time.perf_counter() - started)


async def _arriving(client: Any, load: Load, rate: float) -> tuple[list[float], list[BaseException]]:
    """Send calls as they come, whether or not those before are answered: a Poisson stream of a fixed seed."""
    chance = random.Random(7)
    calls: list[asyncio.Task[float]] = []
    end = time.perf_counter() + load.seconds
    while time.perf_counter() < end:
        calls.append(asyncio.create_task(_answered(client, "auto", len(calls), load)))
        await asyncio.sleep(chance.expovariate(rate))
    ended = await asyncio.gather(*calls, return_exceptions=True)
    return [one for one in ended if isinstance(one, float)], [one for one in ended if isinstance(one, BaseException)]


async def overloaded(urls: Sequence[str], load: Load) -> dict[str, Any]:
    """Measure the server alone, then send it `load.times` of what it can take, with a provider behind it."""
    servers = Servers(urls)
    http = http_clients(servers)[1]
    with ProviderServer() as provider, tempfile.TemporaryDirectory() as folder:
        ours = openai.AsyncOpenAI(base_url=servers.base_url, api_key="none", max_retries=0, http_client=http)
        theirs = openai.AsyncOpenAI(base_url=provider.base_url, api_key="none", max_retries=0)
        async with ours, theirs:
            alone = statistics.median([await _answered(ours, "small", number, load) for number in range(9)])
            capacity = await _capacity(ours, load)
            # As fast as the server alone: what is added is queueing and spilling over, and not another model's pace.
            pieces = len(Turn(WORDS).text_pieces)
            provider.model("large", replies=Turn(WORDS, chunk_delay_s=alone / pieces))
            place = Path(folder) / "ledger.sqlite"
            ledger = SqliteLedger(place)
            queue = None if load.waiting is None else SpillOver(servers, waiting=load.waiting)
            own = via(ours, "small", rate=SMALL, self_hosted=True, admission=queue)
            client = wrap(theirs, tiers=[own, via(theirs, "large", rate=LARGE)], ledger=ledger, check=None)
            times, failures = await _arriving(client, load, load.times * capacity)
            ledger.close()
            return {**_told(times, failures, alone), "capacity_per_s": round(capacity, 2), **_booked(place, len(times))}


def _told(times: Sequence[float], failures: Sequence[BaseException], alone: float) -> dict[str, Any]:
    told = {
        "sent": len(times) + len(failures), "failed": len(failures), "alone_ms_p50": round(alone * 1000, 1),
        "added_ms_p50": round((statistics.median(times) - alone) * 1000, 1),
        "added_ms_p95": round((statistics.quantiles(times, n=20)[-1] - alone) * 1000, 1),
    }  # fmt: skip
    return told if not failures else {**told, "first_failure": repr(failures[0])[:300]}


def _booked(place: Path, answered: int) -> dict[str, Any]:
    """Read from the ledger who answered, and why."""
    rows = {cell.key: cell.attempts for cell in cells(place, by=("tier", "cause", "outcome"))}
    summed: dict[str, int] = {}
    for (tier, cause, outcome), attempts in rows.items():
        key = "turned_away" if outcome == "failed" and tier == "small" else f"{cause} {outcome}"
        summed[key] = summed.get(key, 0) + attempts
    spilled = summed.get("spill_over accepted", 0)
    return {
        "spilled_share": round(spilled / answered, 4), "turned_away": summed.get("turned_away", 0),
        "kept_from_the_queue": spilled - summed.get("turned_away", 0), "attempts": sum(rows.values()),
    }  # fmt: skip
