"""Calls that compete for a budget: threads of several processes, some of which are killed; and what became of it.

Every call costs at most what was reserved for it, or up to a given share more. A process notes each cost in a file of
its own before it tells the budgets, so that what was really spent is known whatever they say.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from budget_parts.contenders import Contender, open_contender
from tuppence.prices import PicoUSD

ESTIMATES_USD = (0.001, 0.02)
CALL_S = (0.005, 0.05)
"""How long a call's answer is waited for."""
CANCELLED, FAILED = 0.1, 0.1
"""Shares of calls that are given up half-way, and billed for a part, or that fail and cost nothing."""
DEMAND = 2.5
"""How many times the limit the calls would come to together."""
LEASE_S = 900.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one process is told to do."""

    contender: str
    place: str
    limit: PicoUSD
    underestimate: float
    """Largest share by which a call may cost more than was reserved for it."""
    threads: int
    calls: int
    """Of each thread."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of it, in pico-USD."""

    counted: PicoUSD
    tallied: PicoUSD
    """What was really spent."""
    held: PicoUSD
    """After the sweep: leaked."""
    refused: int
    calls: int
    killed: int


def run(
    contender: str, place: str, *, limit: PicoUSD, underestimate: float, processes: int, threads: int, kills: int
) -> Ended:
    """Let them compete until they have asked for far more than there is; kill some processes on the way."""
    mean = sum(ESTIMATES_USD) / 2 * 1e12
    calls = max(4, round(DEMAND * limit / mean / processes / threads))
    load = Load(contender, place, limit, underestimate, threads, calls)
    with tempfile.TemporaryDirectory() as folder:
        killed = 0
        if processes == 1 and not kills:
            work(load, folder, 0)
        else:
            killed = _processes(load, folder, processes, kills)
        tallies = [line.split() for path in Path(folder).iterdir() for line in path.read_text().splitlines()]
    store = open_contender(contender, place, limit)
    counted, held = store.end(time.time() + 10 * LEASE_S)
    costs = [int(words[1]) for words in tallies if len(words) == 2 and words[0] == "spent"]
    refused = sum(words[0] == "refused" for words in tallies)
    return Ended(counted, sum(costs), held, refused, len(costs) + refused, killed)


def _processes(load: Load, folder: str, processes: int, kills: int) -> int:
    """Run them, kill one now and then, and put another in its place."""
    spawn = multiprocessing.get_context("spawn")
    dice = random.Random(7)
    started = 0

    def start() -> multiprocessing.process.BaseProcess:
        nonlocal started
        started += 1
        process = spawn.Process(target=work, args=(load, folder, started))
        process.start()
        return process

    running = [start() for _ in range(processes)]
    killed = 0
    while killed < kills:
        victim = dice.randrange(processes)
        # Killed in the midst of its calls, not while it starts; one that was done before begins anew.
        tally = Path(folder) / f"{running[victim].pid}.tally"
        while not tally.exists() and running[victim].is_alive():
            time.sleep(0.01)
        time.sleep(dice.uniform(0.02, 0.2))
        if running[victim].is_alive():
            running[victim].kill()
            killed += 1
        running[victim].join()
        running[victim] = start()
    for process in running:
        process.join()
    return killed


def work(load: Load, folder: str, seed: int) -> None:
    """Make the calls of one process."""
    store = open_contender(load.contender, load.place, load.limit)
    tally = os.open(Path(folder) / f"{os.getpid()}.tally", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with ThreadPoolExecutor(load.threads) as pool:
        seeds = range(seed * 10_000, seed * 10_000 + load.threads)
        for outcome in [pool.submit(_calls, store, load, tally, one) for one in seeds]:
            outcome.result()
    store.close()
    os.close(tally)


def _calls(store: Contender, load: Load, tally: int, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(load.calls):
        estimate = round(dice.uniform(*ESTIMATES_USD) * 1e9) * 1000
        tags = {"user": f"user-{dice.randrange(4)}"}
        ticket = store.ask(tags, estimate)
        if ticket is None:
            os.write(tally, b"refused\n")
            continue
        time.sleep(dice.uniform(*CALL_S))
        cost = _cost(dice, estimate, load.underestimate)
        os.write(tally, f"spent {cost}\n".encode())
        store.settle(ticket, cost)


def _cost(dice: random.Random, estimate: PicoUSD, underestimate: float) -> PicoUSD:
    fate = dice.random()
    if fate < FAILED:
        return 0
    # Estimated too low, all of them are.
    low, high = (1.0, 1 + underestimate) if underestimate else (0.2, 1.0)
    cost = int(estimate * dice.uniform(low, high))
    return cost // 3 if fate < FAILED + CANCELLED else cost
