"""What a cache that processes share promises about equal calls that run at the same time, wherever the cache lies.

Processes are real ones; the provider's own log says how often it was asked.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from tuppence.cache import ExactCache, Store
from tuppence.cache.leases import LEASE_S, Claims, Leases
from tuppence.clients import result_of, wrap
from tuppence.effects import Hit, Lease
from tuppence.request import Reply
from tuppence.testing import Fault, ProviderServer, Turn

# Far longer than any test takes: who waits that long was forgotten.
LONG_S = 300.0
TEA = Reply("2 pence")

OpenShared = Callable[[], Store]

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "How much is tea?"}]}
PRICES: dict[str, Any] = {"m": {"input": "1", "output": "2"}}

# Asks `count` times at once, in tasks or threads. Says when it begins, when it first has to wait for another process,
# and in the end what came back and why.
CALLER = """
import asyncio, json, sys
from concurrent.futures import Future, ThreadPoolExecutor
import openai
from tuppence import tags
from tuppence.assembly import open_cache
from tuppence.clients import result_of, wrap
url, cache, kind, count, tenant = sys.argv[1:]
cache = open_cache(cache)
store, waits = cache._store, []
claim, aclaim = store.claim, store.aclaim
def noted(answer):
    if answer is False and not waits:
        waits.append(True)
        print("waits", flush=True)
    return answer
async def anoted(*arguments):
    return noted(await aclaim(*arguments))
store.claim, store.aclaim = lambda *arguments: noted(claim(*arguments)), anoted
ASK = {"model": "m", "messages": [{"role": "user", "content": "How much is tea?"}]}
PRICES = {"m": {"input": "1", "output": "2"}}
options = {"base_url": url, "api_key": "test"}
def told(answer):
    return [answer.choices[0].message.content, result_of(answer).decision.cache]
async def in_tasks():
    client = wrap(openai.AsyncOpenAI(**options), cache=cache, ledger=None, check=None, prices=PRICES)
    return [told(a) for a in await asyncio.gather(*(client.chat.completions.create(**ASK) for _ in range(int(count))))]
def in_threads():
    client = wrap(openai.OpenAI(**options), cache=cache, ledger=None, check=None, prices=PRICES)
    def ask(_):
        with tags(**({"tenant": tenant} if tenant else {})):
            return told(client.chat.completions.create(**ASK))
    with ThreadPoolExecutor(int(count)) as pool:
        return list(pool.map(ask, range(int(count))))
print("begins", flush=True)
if kind == "tasks":
    with tags(**({"tenant": tenant} if tenant else {})):
        said = asyncio.run(in_tasks())
else:
    said = in_threads()
print(json.dumps(said), flush=True)
"""


@contextmanager
def calling(
    server: ProviderServer, cache: str, *, kind: str = "tasks", count: int = 1, tenant: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """Run a process that calls; it is killed in the end if it still runs."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", CALLER]
    with subprocess.Popen(
        [*command, server.base_url, cache, kind, str(count), tenant],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "begins\n", process.communicate()[1]
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> list[tuple[str, str]]:
    """Return what each call of a process got, and what its decision said of the cache."""
    output, errors = process.communicate(timeout=LONG_S)
    assert process.returncode == 0, errors
    return [(text, why) for text, why in json.loads(output.splitlines()[-1])]


class CrowdSuite:
    """A thousand equal calls of one process are one; inherit it, and give it a fixture `cache`, the word for one."""

    @pytest.fixture
    def held(self, server: ProviderServer) -> threading.Event:
        """Set it, and the model answers."""
        release = threading.Event()
        server.model("m", replies=Turn("2 pence", hold=release))
        return release

    def test_a_thousand_threads_make_one_call(self, server: ProviderServer, held: threading.Event, cache: str) -> None:
        """The provider's own log has one request; all thousand have its answer, and those that waited say so."""
        with openai.OpenAI(base_url=server.base_url, api_key="test") as plain, ThreadPoolExecutor(1000) as pool:
            client = wrap(plain, cache=cache, ledger=None, check=None, prices=PRICES)
            asked = [pool.submit(client.chat.completions.create, **ASK) for _ in range(1000)]
            server.await_arrived(1, timeout_s=LONG_S)
            held.set()
            answers = [one.result(LONG_S) for one in asked]
        assert len(server.served) == 1
        assert {answer.choices[0].message.content for answer in answers} == {"2 pence"}
        assert any(result_of(answer).decision.cache.endswith("for an equal call under way") for answer in answers)

    async def test_a_thousand_tasks_make_one_call(
        self, server: ProviderServer, held: threading.Event, cache: str
    ) -> None:
        """The same on one event loop."""
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="test") as plain:
            client = wrap(plain, cache=cache, ledger=None, check=None, prices=PRICES)
            asked = [asyncio.create_task(client.chat.completions.create(**ASK)) for _ in range(1000)]
            await asyncio.to_thread(server.await_arrived, 1, timeout_s=LONG_S)
            held.set()
            answers = await asyncio.gather(*asked)
        assert len(server.served) == 1
        assert {answer.choices[0].message.content for answer in answers} == {"2 pence"}
        assert any(result_of(answer).decision.cache.endswith("for an equal call under way") for answer in answers)


class FlightSuite(CrowdSuite):
    """Inherit it, and give it two fixtures: `cache`, the word that opens a cache, and `open_shared`, which opens a
    store of the same place again and again, as each process does.
    """

    def test_a_thousand_equal_calls_in_four_processes_are_one(self, cache: str, server: ProviderServer) -> None:
        """Two processes of tasks, two of threads; the one that asks is held until the others have begun."""
        all_began = threading.Event()
        server.model("m", replies=Turn("2 pence", hold=all_began))
        a, b, c, d = (calling(server, cache, kind=kind, count=250) for kind in ("tasks", "tasks", "threads", "threads"))
        with a as first, b as second, c as third, d as fourth:
            server.await_arrived(1, timeout_s=LONG_S)
            all_began.set()
            outcomes = [outcome for process in (first, second, third, fourth) for outcome in told(process)]
        assert len(server.served) == 1
        assert [text for text, _ in outcomes] == ["2 pence"] * 1000
        assert sorted(why == "miss" for _, why in outcomes) == [False] * 999 + [True]

    @pytest.mark.parametrize("kind", ["tasks", "threads"])
    def test_a_killed_leader_is_replaced_before_long(self, cache: str, server: ProviderServer, kind: str) -> None:
        """kill -9 of the process that asks: its lease runs out, and one of those that wait asks instead."""
        server.model("m", replies=[Fault.hang(), Turn("2 pence")])
        with calling(server, cache) as leader:
            server.await_arrived(1, timeout_s=LONG_S)
            with calling(server, cache, kind=kind, count=3) as waiting:
                assert waiting.stdout is not None
                assert waiting.stdout.readline() == "waits\n"
                leader.kill()
                killed_at = time.monotonic()
                outcomes = told(waiting)
                took_s = time.monotonic() - killed_at
        assert len(server.served) == 2
        assert [text for text, _ in outcomes] == ["2 pence"] * 3
        assert sum("of another process, which brought no answer" in why for _, why in outcomes) == 1
        # The lease, and what a busy machine takes to start a process and to answer.
        assert took_s < LEASE_S + 10

    def test_two_tenants_never_share(self, cache: str, server: ProviderServer) -> None:
        """Equal questions at the same time, two processes, two tenants: each pays for its own."""
        both_asked = threading.Event()
        server.model("m", replies=[Turn("ann's", hold=both_asked), Turn("bob's", hold=both_asked)])
        with calling(server, cache, count=5, tenant="ann") as ann:
            server.await_arrived(1, timeout_s=LONG_S)
            with calling(server, cache, count=5, tenant="bob") as bob:
                server.await_arrived(2, timeout_s=LONG_S)
                both_asked.set()
                assert {text for text, _ in told(ann)} == {"ann's"}
                assert {text for text, _ in told(bob)} == {"bob's"}
        assert len(server.served) == 2

    # -- two caches of one place are two processes in all but name

    def test_a_follower_gets_the_answer_and_is_told_why(self, open_shared: OpenShared) -> None:
        """What one cache remembers wakes who waits at the other, in threads and in tasks."""
        ours, other = ExactCache(open_shared()), open_shared()
        theirs, turned_away = ExactCache(other), watched(other)
        lease = ours.lookup("k")
        assert isinstance(lease, Lease)
        with following(theirs) as waiting:
            assert turned_away.wait(LONG_S)
            ours.remember(lease, TEA, origin="call-1")
            hit = waiting.result(LONG_S)
        assert isinstance(hit, Hit)
        assert (hit.reply.text, hit.origin) == ("2 pence", "call-1")
        assert hit.why.startswith("waited ")
        assert hit.why.endswith(" s for an equal call of another process")
        for cache in (ours, theirs):
            cache.close()

    async def test_a_follower_on_an_event_loop_leaves_it_free(self, open_shared: OpenShared) -> None:
        """The leader is a task of the same loop: were the loop blocked, it would never answer."""
        ours, other = ExactCache(open_shared(), wait_s=LONG_S), open_shared()
        theirs, turned_away = ExactCache(other, wait_s=LONG_S), watched(other)
        lease = await ours.alookup("k")
        assert isinstance(lease, Lease)
        follower = asyncio.create_task(theirs.alookup("k"))
        assert await asyncio.to_thread(turned_away.wait, LONG_S)
        ours.remember(lease, TEA, origin="call-1")
        assert isinstance(await asyncio.wait_for(follower, LONG_S / 2), Hit)
        for cache in (ours, theirs):
            cache.close()

    def test_a_leader_that_gives_up_lets_the_next_one_ask_at_once(self, open_shared: OpenShared) -> None:
        """Cancelled or failed, it releases its lease: nobody waits for that to run out."""
        ours, other = ExactCache(open_shared()), open_shared()
        theirs, turned_away = ExactCache(other), watched(other)
        lease = ours.lookup("k")
        assert isinstance(lease, Lease)
        with following(theirs) as waiting:
            assert turned_away.wait(LONG_S)
            gave_up_at = time.monotonic()
            ours.remember(lease, None, origin="call-1")
            next_one = waiting.result(LONG_S)
        assert isinstance(next_one, Lease)
        assert next_one.why.endswith("of another process, which brought no answer")
        assert time.monotonic() - gave_up_at < LEASE_S / 2
        theirs.remember(next_one, None, origin="call-2")
        for cache in (ours, theirs):
            cache.close()

    async def test_a_cancelled_follower_leaves_no_lease_behind(self, open_shared: OpenShared) -> None:
        """Whoever comes after it need not wait for one that nobody holds."""
        ours, other = ExactCache(open_shared()), open_shared()
        theirs, turned_away = ExactCache(other), watched(other)
        lease = await ours.alookup("k")
        assert isinstance(lease, Lease)
        follower = asyncio.create_task(theirs.alookup("k"))
        assert await asyncio.to_thread(turned_away.wait, LONG_S)
        follower.cancel()
        with pytest.raises(asyncio.CancelledError):
            await follower
        ours.remember(lease, None, origin="call-1")
        started = time.monotonic()
        again = await theirs.alookup("k")
        assert isinstance(again, Lease)
        assert time.monotonic() - started < LEASE_S / 2
        theirs.remember(again, None, origin="call-2")
        for cache in (ours, theirs):
            cache.close()

    def test_a_slow_leader_is_waited_for_no_longer_than_allowed(self, open_shared: OpenShared) -> None:
        """Then the other process goes alone, and says so."""
        ours, theirs = ExactCache(open_shared()), ExactCache(open_shared(), wait_s=0.1)
        slow = ours.lookup("k")
        alone = theirs.lookup("k")
        assert isinstance(slow, Lease)
        assert isinstance(alone, Lease)
        assert alone.why == "waited 0.1 s for an equal call of another process, which brought no answer"
        theirs.remember(alone, TEA, origin="call-2")
        ours.remember(slow, None, origin="call-1")
        for cache in (ours, theirs):
            cache.close()

    def test_a_blocking_call_on_an_event_loop_goes_alone(self, open_shared: OpenShared) -> None:
        """Waiting there would stop every task of the loop, the leader among them."""
        ours, theirs = ExactCache(open_shared()), ExactCache(open_shared())
        lease = ours.lookup("k")

        async def blocking() -> Hit | Lease:
            return theirs.lookup("k")

        started = time.monotonic()
        alone = asyncio.run(blocking())
        assert isinstance(alone, Lease)
        assert time.monotonic() - started < LEASE_S
        for cache, given in ((ours, lease), (theirs, alone)):
            assert isinstance(given, Lease)
            cache.remember(given, None, origin="x")
            cache.close()

    def test_a_cut_answer_is_shared_with_nobody(self, open_shared: OpenShared) -> None:
        """The other process asks for itself."""
        ours, theirs = ExactCache(open_shared()), ExactCache(open_shared())
        lease = ours.lookup("k")
        assert isinstance(lease, Lease)
        ours.remember(lease, Reply("2 pen", finish="length"), origin="call-1")
        other = theirs.lookup("k")
        assert isinstance(other, Lease)
        theirs.remember(other, None, origin="call-2")
        for cache in (ours, theirs):
            cache.close()

    # -- the leases themselves

    def test_a_lease_lasts_while_its_holder_lives_and_no_longer(self, open_shared: OpenShared) -> None:
        """Extended over and over while it is held; once released it can be had at once."""
        store, other = open_shared(), open_shared()
        assert isinstance(store, Claims)
        assert isinstance(other, Claims)
        leases = Leases(store, wait_s=LONG_S, lasting_s=LEASE_S)
        held = taken(leases, store)
        until = time.monotonic() + 1.5 * LEASE_S
        while time.monotonic() < until:
            assert other.claim("k", "other", 1.0) is False
            time.sleep(0.05)
        leases.release(held)
        await_claim(other, within_s=LONG_S)
        leases.close()

    def test_a_lost_holder_stops_extending(self, open_shared: OpenShared) -> None:
        """A lease that nobody closes is kept for as long as anybody would wait for it, and then runs out."""
        store, other = open_shared(), open_shared()
        assert isinstance(store, Claims)
        assert isinstance(other, Claims)
        leases = Leases(store, wait_s=0.3, lasting_s=0.2)
        taken(leases, store)
        await_claim(other, within_s=LONG_S)
        leases.close()

    def test_only_the_holder_extends_and_releases(self, open_shared: OpenShared) -> None:
        """A token that has lost its lease changes nothing of its successor's."""
        store = open_shared()
        assert isinstance(store, Claims)
        assert store.claim("k", "mine", 60.0) is True
        store.release(("k", "another's"))
        store.extend([("k", "another's")], 0.001)
        store.flush()
        assert store.claim("k", "third", 60.0) is False
        store.release(("k", "mine"))
        store.flush()
        assert store.claim("k", "third", 60.0) is True

    def test_a_claim_finds_the_value(self, open_shared: OpenShared) -> None:
        """Where there is an answer there is nothing to lease."""
        store, other = open_shared(), open_shared()
        assert isinstance(store, Claims)
        assert isinstance(other, Claims)
        store.put("k", b"{}", 60)
        store.flush()
        found = other.claim("k", "token", 60.0)
        assert isinstance(found, tuple)
        assert found[0] == b"{}"


def taken(leases: Leases, store: Claims) -> Any:
    """Take the lease of "k", which must be free."""
    steps = leases.take("k")
    step = next(steps)
    with pytest.raises(StopIteration) as done:
        steps.send(store.claim(step.key, step.token, step.for_s))
    held, waited = done.value.value
    assert waited == 0.0
    return held


@contextmanager
def following(cache: ExactCache) -> Iterator[Future[Hit | Lease]]:
    """Look "k" up in a thread, which may have to wait."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(cache.lookup, "k")


def watched(store: Any) -> threading.Event:
    """Return what is set once somebody asked `store` for a lease that another has, and so waits."""
    turned_away = threading.Event()
    claim, aclaim = store.claim, store.aclaim

    def noted(answer: tuple[bytes, float] | bool) -> tuple[bytes, float] | bool:
        if answer is False:
            turned_away.set()
        return answer

    async def anoted(*arguments: Any) -> tuple[bytes, float] | bool:
        return noted(await aclaim(*arguments))

    store.claim, store.aclaim = lambda *arguments: noted(claim(*arguments)), anoted
    return turned_away


def await_claim(store: Claims, *, within_s: float) -> None:
    until = time.monotonic() + within_s
    while store.claim("k", "other", 1.0) is not True:
        assert time.monotonic() < until
