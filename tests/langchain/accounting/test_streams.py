"""Streams: the first token leaves before the last arrives; who leaves half-way is billed by a flagged estimate."""

import asyncio
import gc
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from tuppence.attempts import Verdict
from tuppence.request import Reply, Request
from tuppence.testing import Fault, Turn

from . import money
from .script import Says, Step, good_text, pieces, say
from .situations import FALLBACK, LARGE, REJECTED, SMALL, Line, failed
from .streams import ASYNC, SYNC, Source
from .world import World, cached

QUESTION = "When was it built?"
ANSWER = good_text(QUESTION)
PIECES = pieces(ANSWER)
PATIENCE_S = 10.0  # A stream that shows nothing until it ends would wait for ever; so it fails.


@dataclass(frozen=True)
class Place:
    """Who answers, and what was tried before."""

    name: str
    tiers: tuple[str, ...]
    before: tuple[Says, ...]
    """What the small tier says, where it is not the one that answers."""
    attempts: tuple[Line, ...]
    """The last of them is the one that answers."""


PLACES = (
    Place("checked", ("small", "large"), (), (SMALL,)),
    Place("alone", ("small",), (), (SMALL,)),
    Place("after_a_refusal", ("small", "large"), (Step.BAD,), (REJECTED, LARGE)),
    Place("after_failures", ("small", "large"), (Fault(status=503),), (*failed("small", "draft"), FALLBACK)),
)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Give what the provider waits for before it goes on; set in the end, whatever happens."""
    event = threading.Event()
    timer = threading.Timer(PATIENCE_S, event.set)
    timer.start()
    yield event
    event.set()
    timer.cancel()


def script(world: World, place: Place, *turns: Says) -> None:
    """Let the tier that answers say `turns`, one for each time it is asked."""
    if place.before:
        say(world.server, "small-model", place.before)
    say(world.server, "large-model" if place.before else "small-model", turns)


def places_and(sources: tuple[Source, ...]) -> list[Any]:
    return [
        pytest.param(source, place, "oa" if (i + j) % 2 else "ao", id=f"{source.name}-{place.name}")
        for i, source in enumerate(sources)
        for j, place in enumerate(PLACES)
    ]


def ways_and(sources: Sequence[Source], ways: Sequence[str]) -> list[Any]:
    """Leave every source in every way, at a place and with an order of providers that differ from the neighbour's."""
    return [
        pytest.param(source, PLACES[(i + j) % 4], "oa" if (i + j // 2) % 2 else "ao", way, id=f"{source.name}-{way}")
        for i, source in enumerate(sources)
        for j, way in enumerate(ways)
    ]


# -- the first token


def held_at_the_last(gate: threading.Event) -> Turn:
    return Turn(pieces=PIECES, hold=gate, hold_after=len(PIECES) - 1, cached_tokens=3)


@pytest.mark.parametrize(("source", "place", "order"), places_and(SYNC))
def test_the_first_token_leaves_before_the_last_arrives(
    world: World, gate: threading.Event, source: Source, place: Place, order: str
) -> None:
    """The user reads while the provider still holds its last piece; in the end the bill is exact."""
    script(world, place, held_at_the_last(gate))
    texts = source.open(world.llm(order=order, tiers=place.tiers), QUESTION, world.config)
    first = next(text for text in texts if text)
    early = not gate.is_set()
    gate.set()
    assert first + "".join(texts) == ANSWER
    assert early
    assert world.lines() == Counter([place.attempts])
    world.audit()


@pytest.mark.parametrize(("source", "place", "order"), places_and(ASYNC))
def test_the_first_token_leaves_before_the_last_arrives_async(
    world: World, gate: threading.Event, source: Source, place: Place, order: str
) -> None:
    """On an event loop too."""
    script(world, place, held_at_the_last(gate))

    async def read() -> tuple[str, bool]:
        seen, early = "", False
        async for text in source.open(world.llm(order=order, tiers=place.tiers), QUESTION, world.config):
            early = early or (bool(text) and not gate.is_set())
            seen += text
            if text:
                gate.set()
        return seen, early

    assert asyncio.run(read()) == (ANSWER, True)
    assert world.lines() == Counter([place.attempts])
    world.audit()


# -- leaving half-way


def audit_left(world: World, place: Place) -> None:
    """The attempt that was left is on the books, flagged, near to what the provider made; the rest is exact."""
    *before, (tier, cause, _) = place.attempts
    deadline = time.monotonic() + 30
    # A framework's own thread may still hold the stream for a moment.
    while not (lines := world.lines()) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert lines == Counter([(*before, (tier, cause, "abandoned"))])
    world.audit()
    world.audit_calls(1)
    *exact, left = world.rows()
    assert [row["status"] for row in exact] == ["exact"] * len(exact)
    assert left["status"] == "estimated"
    assert left["pico_usd"] > 0
    *_, served = world.server.await_finished(len(place.attempts))
    assert not served.completed
    told = money.bill(served)
    assert told.sent / 2 <= left["input"] <= told.sent * 2
    assert 0 < left["output"] <= sum(len(text) for text in PIECES)


def held_half_way(gate: threading.Event) -> Turn:
    return Turn(pieces=PIECES, hold=gate, hold_after=len(PIECES) - 2)


CLOSED_AT_ONCE = [one for one in SYNC if not one.waits]


@pytest.mark.parametrize(("source", "place", "order", "way"), ways_and(CLOSED_AT_ONCE, ["close", "break"] * 2))
def test_a_stream_that_is_left(
    world: World, gate: threading.Event, source: Source, place: Place, order: str, way: str
) -> None:
    """Closing a stream and dropping it are the same, and the next who asks the same waits for nobody."""
    script(world, place, held_half_way(gate), Step.PLAIN)
    llm = world.llm(order=order, tiers=place.tiers, cache=cached())
    texts = source.open(llm, QUESTION, world.config)
    for text in texts:
        if text:
            break
    if way == "close":
        texts.close()
    del texts
    gc.collect()
    assert not gate.is_set()
    audit_left(world, place)
    assert llm.invoke(QUESTION, world.config).text == ANSWER
    world.audit()


@pytest.mark.parametrize(("source", "place", "order", "way"), ways_and(ASYNC, ["aclose", "break", "cancel", "timeout"]))
def test_an_async_stream_that_is_left(
    world: World, gate: threading.Event, source: Source, place: Place, order: str, way: str
) -> None:
    """Closed, dropped, cancelled or out of time: it is the same."""
    script(world, place, held_half_way(gate))
    llm = world.llm(order=order, tiers=place.tiers, cache=cached())
    asyncio.run(left(LEAVING[way], source.open(llm, QUESTION, world.config), world))
    assert not gate.is_set()
    audit_left(world, place)


Leave = Callable[[AsyncIterator[str]], Coroutine[None, None, None]]
HELD_BACK = "".join(PIECES[-2:])


async def until_it_waits(texts: AsyncIterator[str]) -> None:
    """Read all that the provider has sent: a chunk that meets a cancellation makes the OpenAI SDK lose it."""
    seen = ""
    async for text in texts:
        seen += text
        if seen + HELD_BACK == ANSWER:
            return
    raise AssertionError("the stream ended")


async def left(leave: Leave, texts: AsyncIterator[str], world: World) -> None:
    """Leave, and let the loop live on: what chains and SDKs do not close, Python closes by tasks of its own, layer
    after layer.
    """
    await leave(texts)
    del texts
    finished = asyncio.ensure_future(asyncio.to_thread(world.server.await_finished, len(world.server.served)))
    while not finished.done():
        gc.collect()
        await asyncio.wait({finished}, timeout=0.05)
    await finished
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)


async def leave_by_aclose(texts: AsyncIterator[str]) -> None:
    async with aclosing(texts) as source:  # type: ignore[type-var]
        await until_it_waits(source)


async def leave_by_break(texts: AsyncIterator[str]) -> None:
    await until_it_waits(texts)


async def leave_by_cancel(texts: AsyncIterator[str]) -> None:
    """Cancel the reader while it waits for a piece that the provider holds."""
    waits = asyncio.Event()

    async def read() -> None:
        async with aclosing(texts) as source:  # type: ignore[type-var]
            await until_it_waits(source)
            waits.set()
            await anext(source)

    task = asyncio.create_task(read())
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def leave_by_timeout(texts: AsyncIterator[str]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(None) as limit, aclosing(texts) as source:  # type: ignore[type-var]
            await until_it_waits(source)
            limit.reschedule(asyncio.get_running_loop().time())
            await anext(source)

    with pytest.raises(TimeoutError):
        await limited()


LEAVING = {"aclose": leave_by_aclose, "break": leave_by_break, "cancel": leave_by_cancel, "timeout": leave_by_timeout}


class Looks:
    """A check that never opens a stream early, and says when so much of it has come."""

    def __init__(self, text: str, come: asyncio.Event) -> None:
        self.text, self.come = text, come

    def __call__(self, request: Request, reply: Reply) -> Verdict:
        return Verdict(1.0, "good")

    def opens(self, request: Request, text: str) -> bool:
        if text == self.text:
            self.come.set()
        return False


@pytest.mark.parametrize("source", ASYNC, ids=lambda source: source.name)
def test_a_draft_that_is_left_is_billed_unseen(world: World, gate: threading.Event, source: Source) -> None:
    """Cancelled while the draft is still held back: its tokens were made, and are in the estimate."""
    say(world.server, "small-model", [Turn(pieces=PIECES, hold=gate, hold_after=3)])
    shown: list[str] = []

    async def leave(texts: AsyncIterator[str]) -> None:
        async def read() -> None:
            async with aclosing(texts) as opened:  # type: ignore[type-var]
                async for text in opened:
                    shown.append(text)

        task = asyncio.create_task(read())
        await come.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    come = asyncio.Event()
    llm = world.llm(check=Looks("".join(PIECES[:3]), come))
    asyncio.run(left(leave, source.open(llm, QUESTION, world.config), world))
    assert "".join(shown) == ""
    audit_left(world, PLACES[0])
