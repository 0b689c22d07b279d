"""Calls cancelled wherever they stand: what was under way is billed by a flagged estimate, the rest exactly."""

import asyncio
import contextvars
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import HumanMessage

from tuppence.checks import agrees_with, judged_by
from tuppence.testing import Fault, Turn

from .script import City, Says, Step, say
from .situations import BAD, GOOD, PLAIN, Line
from .surfaces import graph_of, structured
from .world import World, cached

QUESTION = "When was it built?"
HANG = Fault.hang()
DRAFT: Line = ("small", "draft", "abandoned")
REJECTED: Line = ("small", "draft", "rejected")


@dataclass(frozen=True)
class Moment:
    """Where the call stands when it is cancelled: its last attempt is the one under way."""

    name: str
    says: dict[str, tuple[Says, ...]]
    attempts: tuple[Line, ...]
    check: Any = None


MOMENTS = (
    Moment("the_draft", {"small": (HANG, PLAIN)}, (DRAFT,)),
    Moment(
        "the_retry", {"small": (Fault(status=500), HANG, PLAIN)},
        (("small", "draft", "failed"), ("small", "retry", "abandoned")),
    ),
    Moment(
        "the_escalation", {"small": (BAD,), "large": (HANG, PLAIN)}, (REJECTED, ("large", "escalation", "abandoned"))
    ),
    Moment(
        "the_fallback", {"small": (Fault(status=400),), "large": (HANG, PLAIN)},
        (("small", "draft", "failed"), ("large", "fallback", "abandoned")),
    ),
    Moment(
        "the_judge", {"small": (GOOD,), "large": (HANG, PLAIN)}, (DRAFT, ("large", "judge", "abandoned")),
        judged_by("large"),
    ),
    Moment(
        "the_second_opinion", {"small": (GOOD,), "large": (HANG, GOOD)}, (DRAFT, ("large", "agreement", "abandoned")),
        agrees_with("large"),
    ),
)  # fmt: skip

Ask = Callable[[Any, Any], Awaitable[Any]]
CALLS: dict[str, Ask] = {
    "ainvoke": lambda llm, config: llm.ainvoke(QUESTION, config),
    "abatch": lambda llm, config: llm.abatch([QUESTION], config),
    "agenerate": lambda llm, config: llm.agenerate([[HumanMessage(QUESTION)]], **config),
    "graph": lambda llm, config: graph_of(llm, "ainvoke").ainvoke({"messages": [("user", QUESTION)]}, config),
    "agent": lambda llm, config: create_agent(llm, tools=[]).ainvoke({"messages": [("user", QUESTION)]}, config),
}


async def cancel(asked: Awaitable[Any], world: World, arrived: int) -> None:
    task = asyncio.ensure_future(asked)
    await asyncio.to_thread(world.server.await_arrived, arrived)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def time_out(asked: Awaitable[Any], world: World, arrived: int) -> None:
    async def limited() -> None:
        async with asyncio.timeout(None) as limit:
            task = asyncio.ensure_future(asyncio.wait_for(asked, 60))
            await asyncio.to_thread(world.server.await_arrived, arrived)
            limit.reschedule(asyncio.get_running_loop().time())
            await task

    with pytest.raises(TimeoutError):
        await limited()


@pytest.mark.parametrize("way", [cancel, time_out])
@pytest.mark.parametrize("ask", CALLS)
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda one: one.name)
def test_a_cancelled_call_is_on_the_books(world: World, moment: Moment, ask: str, way: Any) -> None:
    """Cancelled or out of time, in every step and from every surface; and the next who asks waits for nobody."""
    order = "oa" if len(ask) % 2 else "ao"
    for name, steps in moment.says.items():
        say(world.server, f"{name}-model", steps)
    llm = world.llm(order=order, cache=cached(), **({"check": moment.check} if moment.check else {}))

    async def main() -> None:
        await way(CALLS[ask](llm, world.config), world, len(moment.attempts))
        audit_cancelled(world, moment)
        await CALLS[ask](llm, world.config)

    asyncio.run(main())
    world.audit()


def audit_cancelled(world: World, moment: Moment) -> None:
    world.server.await_finished(len(moment.attempts))
    assert world.lines() == Counter([moment.attempts])
    world.audit()
    world.audit_calls(1)
    *before, left = world.rows()
    assert {row["status"] for row in before} <= {"exact"}
    assert (left["status"], left["input"] > 0, left["pico_usd"] > 0) == ("estimated", True, True)


class Tells(AsyncCallbackHandler):
    """Says when a call of the facade has ended."""

    def __init__(self, ended: asyncio.Event) -> None:
        self.ended = ended

    async def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self.ended.set()


def test_every_call_of_a_cancelled_batch_is_on_the_books(world: World) -> None:
    """One is answered, two hang: the one is exact, the two are estimates."""
    questions = ["answered", "hanging", "hanging too"]
    world.server.model("small-model", replies=lambda r: HANG if "hang" in str(r["messages"]) else "Here it is.")

    async def main() -> None:
        asked = world.llm().abatch(questions, world.config)
        task = asyncio.ensure_future(asked)
        await asyncio.to_thread(world.server.await_arrived, 3)
        await asyncio.to_thread(world.server.await_finished, 1)
        await answered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    answered = asyncio.Event()
    world.config["callbacks"].append(Tells(answered))
    asyncio.run(main())
    assert world.lines() == Counter({(("small", "draft", "accepted"),): 1, (DRAFT,): 2})
    world.audit()


def test_a_structured_call_is_like_any_other(world: World) -> None:
    """A draft that hangs on one tier is billed when the caller's own limit ends it, and parsed when asked again."""
    say(world.server, "small-model", [HANG, Step.GOOD])
    llm = world.llm(cache=cached())

    async def main() -> None:
        await cancel(llm.with_structured_output(City).ainvoke(QUESTION, world.config), world, 1)

    asyncio.run(main())
    audit_cancelled(world, MOMENTS[0])
    assert structured(llm, QUESTION, world.config).parsed[0].name == "Porto"
    world.audit()


@pytest.mark.parametrize("order", ["oa", "ao"])
def test_a_program_that_ends_with_its_stream(world: World, order: str) -> None:
    """`break`, and the event loop ends at once: Python then closes all streams together, outer and inner alike."""
    gate = threading.Event()
    say(world.server, "small-model", [Turn(pieces=["word "] * 20, hold=gate, hold_after=15)])

    async def main() -> None:
        async for chunk in world.llm(order=order, tiers=["small"]).astream(QUESTION, world.config):
            if chunk.text:
                break

    asyncio.run(main())
    audit_cancelled(world, MOMENTS[0])


def test_a_block_counts_a_stream_that_is_closed_outside_of_it(world: World) -> None:
    """Who closes a stream (Python's collector in some thread, a server's worker) need not stand where it was opened."""
    gate = threading.Event()
    say(world.server, "small-model", [Turn(pieces=["word "] * 20, hold=gate, hold_after=15)])
    texts = world.llm(tiers=["small"]).stream(QUESTION, world.config)
    next(chunk for chunk in texts if chunk.text)
    contextvars.Context().run(texts.close)  # type: ignore[attr-defined]
    audit_cancelled(world, MOMENTS[0])
