"""Questions that arrive one after the other, sent through the flow itself: what is served, and how much of it wrongly.

The model's answer to a question is its group, and a hit is right if it serves the same group.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from semantic.data import Embedded, Row
from tuppence import Message, Policy, Reply, Request, Tier, Usage, token_rate
from tuppence.cache import Calibration, MemorySimilarStore, MemoryStore, SemanticCache
from tuppence.drivers import run
from tuppence.effects import Ask
from tuppence.flow import plan
from tuppence.ports import Port
from tuppence.testing.models import ScriptedModels

PROMISED = 0.05


def streamed(stream: Sequence[Row], embedded: Embedded, calibration: Calibration | None = None) -> Row:
    """Send a stream through the flow at shipped settings; shares are of its requests unless a name says otherwise."""
    groups = {row["text"]: row["group"] for row in stream}
    usage = Usage(input=20, output=20)

    def answer(ask: Ask) -> Reply:
        return Reply(groups[ask.request.question], finish="stop", usage=usage, model="m")

    # Room for every text: a repeat that the exact cache had thrown out would be counted as a similar one.
    exact_store = MemoryStore(max_entries=len(stream))
    cache = SemanticCache(
        embedded, similar=MemorySimilarStore(), store=exact_store, calibration=calibration, ttl_s=None
    )
    policy = Policy(tiers=(Tier("model", model="m", rate=token_rate(input="1", output="1")),), check=None, cache=cache)
    port = Port(ScriptedModels(model=answer), cache=cache)
    exact = similar = wrong = wrong_in_all = 0
    for row in stream:
        result = run(plan(Request((Message("user", row["text"]),)), policy), port)
        assert result.reply is not None
        if calibration is not None:
            # An audit is made beside the call; the next question waits for it, as if it came a second later.
            cache.flush()
        right = result.reply.text == row["group"]
        wrong_in_all += not right
        exact += result.tier == "cache"
        similar += result.tier == "similar"
        wrong += result.tier == "similar" and not right
    cache.close()
    return shares(len(stream), exact, similar, wrong, wrong_in_all)


def shares(requests: int, exact: int, similar: int, wrong: int, wrong_in_all: int) -> Row:
    """Make the figures of a stream from counts; `wrong` are those of the similar hits."""
    return {
        "exact_hit_rate": exact / requests,
        "semantic_hit_rate": similar / requests,
        "false_share_of_semantic": wrong / max(1, similar),
        "error_per_request": wrong_in_all / requests,
        "n": requests,
    }


def all_streamed(streams: Mapping[str, Sequence[Row]], folder: Path) -> Row:
    """Send every stream, side by side; vectors come from `folder`, where `Embedded.save` left them."""
    with _processes() as processes:
        sent = {name: processes.submit(_as_it_is, stream, folder) for name, stream in streams.items()}
        return {name: one.result() for name, one in sent.items()}


def calibrated(stream: Sequence[Row], folder: Path, orders: int) -> Row:
    """Say in how many random orders of a stream the promised share of wrong hits was kept."""
    with _processes() as processes:
        found = list(processes.map(partial(_in_order, stream, folder), range(orders)))
    return {
        "promised": PROMISED,
        "held_share": sum(one["false_share_of_semantic"] <= PROMISED for one in found) / orders,
        "hit_rate": statistics.median(one["semantic_hit_rate"] for one in found),
        "orders": orders,
    }


@contextmanager
def _processes() -> Iterator[ProcessPoolExecutor]:
    """Start one process a core, each with one thread for products of matrices: more would wait for one another."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as processes:
        yield processes
    del os.environ["OPENBLAS_NUM_THREADS"]


def _as_it_is(stream: Sequence[Row], folder: Path) -> Row:
    return streamed(stream, _loaded(folder))


def _in_order(stream: Sequence[Row], folder: Path, order: int) -> Row:
    """Send the distinct questions of a shuffled stream, in the order in which each comes first.

    A repeat of a text is an exact hit, which is neither compared nor audited, so that it changes nothing that is
    counted here; the rates are of all requests all the same.
    """
    shuffled = list(stream)
    random.Random(order).shuffle(shuffled)
    distinct: dict[str, Row] = {}
    for row in shuffled:
        distinct.setdefault(row["text"], row)
    first = list(distinct.values())
    figures = streamed(first, _loaded(folder), Calibration(max_wrong_share=PROMISED))
    return figures | {"semantic_hit_rate": figures["semantic_hit_rate"] * len(first) / len(stream)}


_embedded: Embedded | None = None


def _loaded(folder: Path) -> Embedded:
    """Load the vectors once a process."""
    global _embedded
    if _embedded is None:
        _embedded = Embedded.load(folder)
    return _embedded
