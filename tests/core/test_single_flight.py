"""Of equal calls that run at the same time, one asks and the others wait, but not for ever."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.cache import ExactCache, MemoryStore
from tuppence.cache.flights import Flight, Flights, Seat
from tuppence.effects import Hit, Lease
from tuppence.request import Reply

# Far longer than any test takes: who waits that long was forgotten.
LONG_S = 60.0
TEA = Reply("2 pence")


def new_cache(wait_s: float = LONG_S) -> ExactCache:
    return ExactCache(MemoryStore(), wait_s=wait_s)


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def seated(cache: ExactCache, count: int) -> list[asyncio.Task[Hit | Lease]]:
    """Start `count` tasks that wait behind the leader, in this order."""
    tasks = [asyncio.create_task(cache.alookup("k")) for _ in range(count)]
    await settle()
    return tasks


def led(outcome: Hit | Lease) -> Lease:
    assert isinstance(outcome, Lease)
    return outcome


def test_two_hundred_threads_and_two_hundred_tasks_make_one_call() -> None:
    """One lease is given out; the other 399 get its answer, each a reply of its own."""
    cache = new_cache()
    all_came, came, count = threading.Event(), threading.Lock(), iter(range(1, 401))

    def come() -> None:
        with came:
            if next(count) == 400:
                all_came.set()

    def in_thread() -> Hit | Lease:
        come()
        outcome = cache.lookup("k")
        if isinstance(outcome, Lease):
            assert all_came.wait(LONG_S)
            cache.remember(outcome, TEA, origin="call-1")
        return outcome

    async def in_task() -> Hit | Lease:
        come()
        outcome = await cache.alookup("k")
        if isinstance(outcome, Lease):
            assert await asyncio.to_thread(all_came.wait, LONG_S)
            cache.remember(outcome, TEA, origin="call-1")
        return outcome

    async def everybody() -> list[Hit | Lease]:
        with ThreadPoolExecutor(200) as pool:
            loop = asyncio.get_running_loop()
            threads = [loop.run_in_executor(pool, in_thread) for _ in range(200)]
            return await asyncio.gather(*threads, *(in_task() for _ in range(200)))

    outcomes = asyncio.run(everybody())
    hits = [outcome for outcome in outcomes if isinstance(outcome, Hit)]
    assert len(outcomes) - len(hits) == 1
    assert {(hit.reply.text, hit.origin) for hit in hits} == {("2 pence", "call-1")}
    assert len({id(hit.reply) for hit in hits}) == 399


def test_different_keys_do_not_wait_for_each_other() -> None:
    """Only equal calls share a flight."""
    cache = new_cache()
    assert isinstance(cache.lookup("k"), Lease)
    assert isinstance(cache.lookup("l"), Lease)


async def test_a_failed_leader_hands_over_to_one() -> None:
    """The one that waited longest asks next; the others go on waiting, and get its answer."""
    cache = new_cache()
    lease = led(await cache.alookup("k"))
    first, second, third = await seated(cache, 3)
    cache.remember(lease, None, origin="call-1")
    await settle()
    assert [task.done() for task in (first, second, third)] == [True, False, False]
    cache.remember(led(first.result()), TEA, origin="call-2")
    hits = await asyncio.gather(second, third)
    assert [hit.origin for hit in hits if isinstance(hit, Hit)] == ["call-2", "call-2"]


async def test_a_lease_closed_twice_hands_over_once() -> None:
    """Whoever closes a second time has no say any more."""
    cache = new_cache()
    lease = led(await cache.alookup("k"))
    tasks = await seated(cache, 3)
    cache.remember(lease, None, origin="call-1")
    cache.remember(lease, None, origin="call-1")
    await settle()
    assert sum(task.done() for task in tasks) == 1
    cache.close()
    await asyncio.gather(*tasks)


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    """The lead goes to the next one who still wants it."""
    cache = new_cache()
    lease = led(await cache.alookup("k"))
    first, second = await seated(cache, 2)
    first.cancel()
    await settle()
    cache.remember(lease, None, origin="call-1")
    assert isinstance(await second, Lease)
    assert first.cancelled()


async def test_a_waiter_cancelled_as_it_gets_the_lead_passes_it_on() -> None:
    """The lead is not lost between being given and being taken."""
    cache = new_cache()
    lease = led(await cache.alookup("k"))
    first, second = await seated(cache, 2)
    cache.remember(lease, None, origin="call-1")
    first.cancel()
    assert isinstance(await asyncio.wait_for(second, LONG_S / 2), Lease)
    assert first.cancelled()


def test_an_interrupted_thread_passes_the_lead_on() -> None:
    """Leaving a wait by any exception gives the seat back."""
    flights = Flights(wait_s=LONG_S)
    lead, first, second = flights.board("k"), flights.board("k"), flights.board("k")
    assert isinstance(lead, Flight)
    assert isinstance(first, Seat)
    assert isinstance(second, Seat)

    def interrupted(_timeout: float | None = None) -> None:
        flights.hand_over(lead)
        raise KeyboardInterrupt

    result, first.future.result = first.future.result, lambda timeout=None: interrupted() if timeout else result()  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        flights.wait(first)
    assert isinstance(second.future.result(timeout=0), Flight)


async def test_an_answer_not_worth_keeping_frees_all() -> None:
    """Nobody queues up behind a prompt whose answers are always cut short."""
    cache = new_cache()
    lease = led(await cache.alookup("k"))
    tasks = await seated(cache, 3)
    cache.remember(lease, Reply("2 pen", finish="length"), origin="call-1")
    outcomes = await asyncio.gather(*tasks)
    assert all(isinstance(outcome, Lease) for outcome in outcomes)


async def test_a_slow_leader_is_waited_for_no_longer_than_allowed() -> None:
    """Then a task and a thread go alone, and the first answer that comes counts."""
    cache = new_cache(wait_s=0.02)
    slow = led(await cache.alookup("k"))
    alone = led(await cache.alookup("k"))
    also_alone = led(await asyncio.to_thread(cache.lookup, "k"))
    cache.remember(alone, TEA, origin="call-2")
    hit = await cache.alookup("k")
    assert isinstance(hit, Hit)
    assert hit.origin == "call-2"
    for late in (also_alone, slow):
        cache.remember(late, None, origin="call-1")
    assert isinstance(await cache.alookup("k"), Hit)


async def test_whoever_answers_first_answers_all() -> None:
    """A caller that went alone and was faster than the leader wakes those who wait for the leader."""
    cache = new_cache()
    led(await cache.alookup("k"))
    tasks = await seated(cache, 2)
    cache.remember(Lease("k"), TEA, origin="call-2")
    assert all(isinstance(outcome, Hit) for outcome in await asyncio.gather(*tasks))


def test_a_leader_that_never_returns_is_replaced() -> None:
    """After `wait_s` the next caller leads at once, and the lost leader's return changes nothing."""
    now = [0.0]
    flights = Flights(wait_s=30, clock=lambda: now[0])
    lost, waiting = flights.board("k"), flights.board("k")
    assert isinstance(lost, Flight)
    assert isinstance(waiting, Seat)
    now[0] = 29.9
    assert isinstance(flights.board("k"), Seat)
    now[0] = 30.0
    successor = flights.board("k")
    assert isinstance(successor, Flight)
    assert isinstance(flights.board("k"), Seat)
    flights.hand_over(lost)
    assert not waiting.future.done()
    flights.disperse(lost)
    assert not waiting.future.done()
    flights.land("k", b"value")
    assert waiting.future.result(timeout=0) == b"value"


async def test_a_thread_that_runs_a_loop_does_not_wait_for_its_own_task() -> None:
    """A blocking call inside async code would stop the very leader it waits for."""
    cache = new_cache()
    led(await cache.alookup("k"))
    started = time.monotonic()
    assert isinstance(cache.lookup("k"), Lease)
    assert time.monotonic() - started < LONG_S / 2


async def test_without_a_wait_everybody_asks() -> None:
    """`wait_s=0` turns single flight off."""
    cache = new_cache(wait_s=0)
    outcomes = [await cache.alookup("k") for _ in range(3)]
    assert all(isinstance(outcome, Lease) for outcome in outcomes)


async def test_closing_the_cache_frees_all() -> None:
    """Nobody waits for a cache that is gone."""
    cache = new_cache()
    led(await cache.alookup("k"))
    tasks = await seated(cache, 2)
    cache.close()
    assert all(isinstance(outcome, Lease) for outcome in await asyncio.gather(*tasks))


# -- when the parts around break


class Faulty(MemoryStore):
    """A store that breaks when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: Callable[[str], bool] = lambda _operation: False

    def get(self, key: str) -> tuple[bytes, float] | None:
        if self.fails("get"):
            raise OSError("store gone")
        return super().get(key)

    def put(self, *what: Any, **about: Any) -> None:
        if self.fails("put"):
            raise OSError("store gone")
        super().put(*what, **about)


async def test_a_store_that_breaks_on_writing_still_lets_waiters_share() -> None:
    """The error is raised for the record, and the answer that was paid for is not lost."""
    store = Faulty()
    cache = ExactCache(store, wait_s=LONG_S)
    lease = led(await cache.alookup("k"))
    tasks = await seated(cache, 2)
    store.fails = lambda operation: operation == "put"
    with pytest.raises(OSError, match="store gone"):
        cache.remember(lease, TEA, origin="call-1")
    assert all(isinstance(outcome, Hit) for outcome in await asyncio.gather(*tasks))


async def test_a_reply_that_cannot_be_frozen_frees_all() -> None:
    """An error in the integration's own `freeze` strands nobody."""
    cache = new_cache()
    lease = led(await cache.alookup("k"))
    tasks = await seated(cache, 2)
    with pytest.raises(TypeError, match="not JSON serializable"):
        cache.remember(lease, TEA, origin="call-1", freeze=lambda _reply: object())
    assert all(isinstance(outcome, Lease) for outcome in await asyncio.gather(*tasks))


async def test_a_store_that_breaks_on_the_second_look_keeps_no_lead() -> None:
    """An error between boarding and answering gives the lead back."""
    store = Faulty()
    cache = ExactCache(store, wait_s=LONG_S)
    looks = iter([False, True])
    store.fails = lambda _operation: next(looks, False)
    with pytest.raises(OSError, match="store gone"):
        await cache.alookup("k")
    assert isinstance(await asyncio.wait_for(cache.alookup("k"), LONG_S / 2), Lease)


async def test_an_answer_stored_between_the_look_and_the_boarding_is_found() -> None:
    """Who leads looks once more, and tells those who came behind."""
    store = Faulty()
    cache = ExactCache(store, wait_s=LONG_S)
    loop, behind = asyncio.get_running_loop(), list[asyncio.Task[Hit | Lease]]()
    looks = iter(range(9))

    async def come_behind() -> None:
        behind.append(asyncio.create_task(cache.alookup("k", Reply)))
        await settle()

    def answered_by_another_process(operation: str) -> bool:
        if operation == "get" and next(looks) == 1:
            asyncio.run_coroutine_threadsafe(come_behind(), loop).result(LONG_S)
            MemoryStore.put(store, "k", b'{"v":1,"origin":"other","reply":"2 pence"}', None)
        return False

    store.fails = answered_by_another_process
    hits = [await asyncio.to_thread(cache.lookup, "k", Reply), await behind[0]]
    assert [hit.origin for hit in hits if isinstance(hit, Hit)] == ["other", "other"]


def test_a_forked_child_does_not_wait_for_the_parents_leader() -> None:
    """The parent's calls answer nobody in the child."""
    script = """
import os
from tuppence.cache import ExactCache, MemoryStore
from tuppence.effects import Lease
cache = ExactCache(MemoryStore(), wait_s=3600)
assert isinstance(cache.lookup("k"), Lease)
pid = os.fork()
if pid == 0:
    assert isinstance(cache.lookup("k"), Lease)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr


@given(steps=st.lists(st.sampled_from(["come", "come", "leave", "fail", "fail and leave", "cut"]), max_size=30))
def test_while_anybody_waits_exactly_one_leads(steps: list[str]) -> None:
    """In whatever order callers come, leave and fail, no lead is lost and none is doubled."""

    async def play() -> None:
        cache, waiting, leads = new_cache(), list[asyncio.Task[Hit | Lease]](), list[Lease]()
        for step in steps:
            if step == "come":
                waiting.append(asyncio.create_task(cache.alookup("k")))
            if step.startswith("fail") and leads:
                cache.remember(leads.pop(), None, origin="x")
            if step.endswith("leave") and waiting:
                waiting[0].cancel()
            if step == "cut" and leads:
                cache.remember(leads.pop(), Reply("2 pen", finish="length"), origin="x")
                await settle()
                assert all(task.done() for task in waiting)
                waiting.clear()
            await settle()
            done = [task for task in waiting if task.done()]
            waiting = [task for task in waiting if not task.done()]
            leads += [led(task.result()) for task in done if not task.cancelled()]
            assert len(leads) <= 1
            assert leads or not waiting
        cache.close()
        await asyncio.gather(*waiting)

    asyncio.run(play())
