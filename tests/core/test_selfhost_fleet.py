"""Several servers behind one address, queues that spill over, and tiers that stand in for each other."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tuppence.attempts import Result, Verdict
from tuppence.clients import result_of, via, wrap
from tuppence.drivers import run, stream
from tuppence.errors import ConfigError, SpendLimitReached
from tuppence.flow import plan
from tuppence.policy import Policy, Retries
from tuppence.ports import Port
from tuppence.prices import token_rate
from tuppence.request import Message, Reply, Request
from tuppence.routes import by_size, only, start_at
from tuppence.selfhost import AsyncLeastWaiting, LeastWaiting, SelfHostError, Servers, SpillOver, servers
from tuppence.selfhost.fleet import http_clients
from tuppence.selfhost.servers import Server
from tuppence.spend import SqliteLedger
from tuppence.spend.cells import cells
from tuppence.testing import Fault, ProviderServer, Turn
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Health, Tier

from .own_servers import OwnServer, page

pytest.importorskip("prometheus_client")

CHEAP, DEAR = token_rate(input="1", output="2"), token_rate(input="10", output="20")
NO_WAIT = Retries(base_s=0.0)
DEAR_LIMIT = Decimal("0.01")
"""A thousand unlimited tokens of the cheap tier, and not of the dear one."""
ASK: Any = [{"role": "user", "content": "Say it."}]
SLOW_MS = 3_600_000
"""Looks that come no second time within a test."""

Start = Callable[[], OwnServer]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(OwnServer())


def sdk(*servers: OwnServer | str, **options: Any) -> openai.OpenAI:
    """Make a real client, its own retries off, before several servers."""
    known = servers_of(*servers, **options)
    return openai.OpenAI(base_url=known.base_url, api_key="x", max_retries=0, http_client=http_clients(known)[0])


def servers_of(*servers: OwnServer | str, **options: Any) -> Servers:
    urls = [one if isinstance(one, str) else one.url for one in servers]
    return Servers(urls, **{"look_every_ms": SLOW_MS, **options})


def say(client: openai.OpenAI) -> str | None:
    return client.chat.completions.create(model="small", messages=ASK).choices[0].message.content


def asked(server: ProviderServer) -> int:
    return sum(one.api == "chat" for one in server.served)


def seen(known: Servers, *servers: OwnServer) -> Servers:
    """Have every server looked at once, and wait until that is known."""
    known.in_order()
    for server in servers:
        server.await_looks(1)
    # The page has been sent; that it has been read is told by the thread that asked for it.
    for thread in threading.enumerate():
        if thread.name == "tuppence-look":
            thread.join()
    return known


def seen_anew(known: Servers, server: OwnServer) -> None:
    """Have a server looked at that was before."""
    before = server.looks
    while server.looks == before:
        known.in_order()
    seen(known)


def gone() -> str:
    """Return an address at which nobody answers any more."""
    with OwnServer() as server:
        return server.url


# -- several servers, one address


def test_the_least_busy_server_is_asked(start: Start) -> None:
    """By what their own metrics say: waiting and running."""
    busy, idle = start(), start()
    busy.page, idle.page = page(running=4, waiting=2), page(running=5)
    known = seen(servers_of(busy, idle), busy, idle)
    with httpx.Client(transport=LeastWaiting(known)) as http:
        say(openai.OpenAI(base_url=busy.base_url, api_key="x", http_client=http))
    assert (asked(busy), asked(idle)) == (0, 1)


def test_of_equals_the_first_is_asked(start: Start) -> None:
    """One after the other they all find the same prefix cache warm."""
    first, second = start(), start()
    with sdk(first, second) as client:
        for _ in range(3):
            say(client)
    assert (asked(first), asked(second)) == (3, 0)


def test_without_metrics_calls_under_way_are_counted(start: Start) -> None:
    """Streams count until they are closed, whether or not they are read to the end."""
    servers = [start(), start(), start()]
    for server in servers:
        server.page = None
    with sdk(*servers) as client:
        streams = [client.chat.completions.create(model="small", messages=ASK, stream=True) for _ in range(3)]
        assert [asked(server) for server in servers] == [1, 1, 1]
        streams[1].close()
        say(client)
        assert [asked(server) for server in servers] == [1, 2, 1]
        for one in streams:
            one.close()
        say(client)
        assert [asked(server) for server in servers] == [2, 2, 1]


async def test_async_clients_choose_alike(start: Start) -> None:
    busy, idle = start(), start()
    busy.page = page(waiting=1)
    known = seen(servers_of(busy, idle), busy, idle)
    async with httpx.AsyncClient(transport=AsyncLeastWaiting(known)) as http:
        client = openai.AsyncOpenAI(base_url=known.base_url, api_key="x", http_client=http, max_retries=0)
        async with await client.chat.completions.create(model="small", messages=ASK, stream=True) as chunks:
            assert "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices])
        busy.stop()
        await client.chat.completions.create(model="small", messages=ASK)
        idle.model("small", replies=Fault(status=503))
        with pytest.raises(openai.APIConnectionError):
            await client.chat.completions.create(model="small", messages=ASK)
    assert (asked(busy), asked(idle)) == (0, 3)


def test_a_server_that_is_not_there_is_passed_over(start: Start) -> None:
    """Nobody notices, and it is left alone until it is seen again."""
    there = start()
    known = servers_of(gone(), there)
    with httpx.Client(transport=LeastWaiting(known)) as http:
        client = openai.OpenAI(base_url=known.base_url, api_key="x", http_client=http, max_retries=0)
        assert say(client) and say(client)
    assert asked(there) == 2
    assert str(known.in_order()[0].url) == there.url


def test_a_server_that_is_seen_again_is_asked_again(start: Start) -> None:
    """No call has to find that out: the next look does."""
    first, second = start(), start()
    known = seen(servers_of(first, second, look_every_ms=1, rest_s=3_600), first, second)
    known._servers[0].health.failed(10**12)
    seen_anew(known, first)
    assert str(known.in_order()[0].url) == first.url


def test_a_full_server_is_passed_over_and_only_the_last_is_heard(start: Start) -> None:
    """A 503 was not begun, so it may be sent elsewhere; where all are full the caller is told."""
    full, free = start(), start()
    full.model("small", replies=Fault(status=503))
    with sdk(full, free) as client:
        assert say(client)
        free.model("small", replies=Fault(status=503))
        with pytest.raises(openai.InternalServerError):
            say(client)
    assert (asked(full), asked(free)) == (2, 2)


def test_a_call_that_was_begun_is_never_sent_twice(start: Start) -> None:
    """Whether it may be billed twice is not for a transport to decide; but the next call goes elsewhere."""
    dying, other = start(), start()
    dying.model("small", replies=Fault.disconnect())
    with sdk(dying, other) as client:
        with pytest.raises(openai.APIConnectionError):
            say(client)
        assert (asked(dying), asked(other)) == (1, 0)
        assert say(client)
    assert (asked(dying), asked(other)) == (1, 1)


def test_a_look_begun_before_a_failure_does_not_end_it(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page was on its way while a call failed: the server is left alone until it is seen again."""
    one = Server(start().url, rest_s=3_600.0)

    class WhileACallFails:
        def get(self, url: str) -> httpx.Response:
            one.failed()
            return httpx.get(url)

    with monkeypatch.context() as patched:
        patched.setattr(servers, "_client", lambda _: WhileACallFails())
        look(one)
    assert not one.health.allows(time.time())
    look(one)
    assert one.health.allows(time.time())


def look(one: Server) -> None:
    one.look(0.0)
    for thread in threading.enumerate():
        if thread.name == "tuppence-look":
            thread.join()


def test_servers_may_lie_under_a_path() -> None:
    """Behind a gateway each has a path of its own, and the client was given one of them."""
    paths: list[str] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        paths.append(f"{request.headers['host']}{request.url.path}")
        return httpx.Response(503)

    known = Servers(["http://gw/small-a/v1", "http://gw:81/b", "https://c"], look_every_ms=SLOW_MS)
    with httpx.Client(transport=LeastWaiting(known, inner=httpx.MockTransport(gateway))) as http:
        http.post(f"{known.base_url}/chat/completions")
    assert paths == ["gw/small-a/v1/chat/completions", "gw:81/b/v1/chat/completions", "c/v1/chat/completions"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Servers([]), "give an address"),
        (lambda: Servers("here:8000"), "'here:8000'"),
        (lambda: Servers("http://h", look_every_ms=0), "every 0 ms"),
        (lambda: SpillOver("http://h", waiting=0), "waiting is 0"),
    ],
)
def test_settings_without_sense_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(SelfHostError, match=words):
        make()


# -- how long the queue is


def test_a_tier_is_full_when_its_queue_is_long(start: Start) -> None:
    server = start()
    for waiting, told in ((7, None), (8, "8 waiting"), (30, "30 waiting")):
        server.page = page(running=16, waiting=waiting)
        assert SpillOver(seen(servers_of(server), server), waiting=8).full() == told


def test_calls_since_the_last_look_wait_too(start: Start) -> None:
    """A burst between two looks is counted behind those that waited already."""
    server = start()
    server.page = page(running=4, waiting=5)
    queue = SpillOver(seen(servers_of(server), server), waiting=8)
    assert [queue.full() for _ in range(4)] == [None, None, None, "8 waiting"]


def test_a_queue_is_as_long_as_that_of_all_servers_together(start: Start) -> None:
    """One long queue beside an idle server is no reason to go elsewhere: the idle one is asked."""
    long, idle = start(), start()
    long.page = page(waiting=9)
    assert SpillOver(seen(servers_of(long, idle), long, idle), waiting=8).full() is None


def test_what_is_not_known_is_not_full(start: Start) -> None:
    blind = start()
    blind.page = None
    assert SpillOver(seen(servers_of(blind), blind), waiting=1).full() is None
    assert SpillOver(gone(), waiting=1).full() is None


def test_settings_travel_and_what_was_seen_does_not(start: Start) -> None:
    server = start()
    server.page = page(waiting=9)
    queue = SpillOver(seen(servers_of(server), server), waiting=8)
    there = pickle.loads(pickle.dumps(queue))
    assert queue.full() == "9 waiting"
    # A look of its own may be answered before it is asked.
    server.page = None
    assert there.servers.urls == (server.url,)
    assert there.full() is None


# -- the flow


class Queue:
    """An admission that is told what to say."""

    def __init__(self, *says: str | None) -> None:
        self.says = list(says)
        self.calls = 0

    def full(self) -> str | None:
        self.calls += 1
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]


class Full(Exception):
    status_code = 503


def own(admission: Queue | None = None, **options: Any) -> Tier:
    return Tier("own", model="o", rate=CHEAP, self_hosted=True, admission=admission, **options)


LARGE = Tier("large", model="l", rate=DEAR)


def call(models: ScriptedModels, *tiers: Tier, check: Any = None, **options: Any) -> Result:
    policy = Policy(tiers=tiers, check=check, **{"retries": NO_WAIT, **options})
    return run(plan(Request((Message("user", "?"),), received_at=1_000.0), policy), Port(models))


def story(result: Result) -> list[tuple[str, str, str]]:
    return [(a.tier, a.cause, a.outcome) for a in result.attempts]


def test_a_full_tier_spills_over_without_being_asked() -> None:
    models = ScriptedModels(own="never", large="yes")
    result = call(models, own(Queue("9 waiting")), LARGE)
    assert story(result) == [("large", "spill_over", "accepted")]
    assert result.decision.route == "cheapest first; own is full: 9 waiting; spilled over"


def test_a_tier_with_room_is_asked() -> None:
    result = call(ScriptedModels(own="yes", large="never"), own(Queue(None)), LARGE)
    assert story(result) == [("own", "draft", "accepted")]


def test_a_queue_that_cannot_be_told_is_gone_round() -> None:
    """An admission of one's own that breaks fails no call."""

    class Broken(Queue):
        def full(self) -> str | None:
            raise RuntimeError("no idea")

    result = call(ScriptedModels(own="yes", large="never"), own(Broken(None)), LARGE)
    assert story(result) == [("own", "draft", "accepted")]
    assert result.decision.faults == ["admission: RuntimeError: no idea"]


def test_the_last_tier_is_asked_however_full() -> None:
    """There is nobody left to spill over to, and it is not even asked how long its queue is."""
    queue = Queue("99 waiting")
    assert story(call(ScriptedModels(own="yes"), own(queue))) == [("own", "draft", "accepted")]
    assert queue.calls == 0
    # The same where the one above it cannot do what is needed, or rests.
    ill = Health(trip_after=1)
    ill.failed(1_000.0)
    resting = Tier("large", model="l", rate=DEAR, health=ill)
    assert story(call(ScriptedModels(own="yes", large="never"), own(queue), resting))[0][0] == "own"


def test_a_strongest_tier_of_ones_own_is_not_left_for_a_weaker_one() -> None:
    """Spilling over goes up the ladder: a weaker answer is not what was asked for."""
    small = Tier("small", model="s", rate=CHEAP)
    models = ScriptedModels(small="bad", own="good")
    check = lambda _request, reply: Verdict(float(reply.text == "good"), "")  # noqa: E731
    assert story(call(models, small, own(Queue("99 waiting")), check=check))[-1] == ("own", "escalation", "accepted")


def test_several_full_tiers_are_all_passed() -> None:
    second = Tier("second", model="o", rate=CHEAP, admission=Queue("2 waiting"))
    result = call(ScriptedModels(own="no", second="no", large="yes"), own(Queue("1 waiting")), second, LARGE)
    assert story(result) == [("large", "spill_over", "accepted")]


def test_being_turned_away_spills_over_at_once() -> None:
    """A 503 of one's own server is not waited out: no retry, no back-off, nothing billed, no harm to health."""
    tier = own(health=Health(trip_after=1))
    models = ScriptedModels(own=[Full(), "yes"], large="yes")
    result = call(models, tier, LARGE, retries=Retries(base_s=3_600.0))
    assert story(result) == [("own", "draft", "failed"), ("large", "spill_over", "accepted")]
    assert result.attempts[0].pico_usd == 0
    assert tier.health.allows(1_000.0)
    assert "own is full: it turned the call away; spilled over" in result.decision.route


def test_a_providers_503_is_retried_as_before() -> None:
    hosted = Tier("hosted", model="h", rate=CHEAP)
    assert story(call(ScriptedModels(hosted=[Full(), "yes"], large="no"), hosted, LARGE)) == [
        ("hosted", "draft", "failed"), ("hosted", "retry", "accepted"),
    ]  # fmt: skip


def test_alone_a_full_server_is_waited_for() -> None:
    """With nobody to spill over to, a 503 is retried with back-off, and does not make the tier rest."""
    tier = own(health=Health(trip_after=1))
    assert story(call(ScriptedModels(own=[Full(), Full(), "yes"]), tier)) == [
        ("own", "draft", "failed"), ("own", "retry", "failed"), ("own", "retry", "accepted"),
    ]  # fmt: skip
    assert tier.health.allows(1_000.0)


@pytest.mark.parametrize("queue", [Queue("9 waiting"), None])
def test_better_a_queue_than_no_answer(queue: Queue | None) -> None:
    """Where the provider behind a full server fails, the full server is asked after all."""

    class Down(Exception):
        status_code = 500

    models = ScriptedModels(own="yes" if queue else [Full(), "yes"], large=Down())
    result = call(models, own(queue), LARGE, retries=Retries(per_tier=0))
    assert story(result)[-2:] == [("large", "spill_over", "failed"), ("own", "fallback", "accepted")]
    assert result.error is None


def test_better_a_queue_than_a_limit() -> None:
    """A call that may not cost what the provider takes waits for the server that it can pay."""
    limit = {"max_usd_per_call": DEAR_LIMIT}
    result = call(ScriptedModels(own="yes", large="never"), own(Queue("9 waiting")), LARGE, **limit)
    assert story(result) == [("own", "fallback", "accepted")]
    with pytest.raises(SpendLimitReached):
        call(ScriptedModels(large="never"), LARGE, **limit)


def test_a_delivered_piece_forbids_spilling() -> None:
    """Once a user has seen a part of an answer nobody else answers."""

    class Broken(ScriptedModels):
        def stream(self, ask: Any) -> Iterator[Any]:
            yield from list(super().stream(ask))[:1]
            raise Full

    policy = Policy(tiers=(own(), LARGE), check=None, retries=NO_WAIT)
    request = Request((Message("user", "?"),), received_at=1_000.0, streaming=True)
    with pytest.raises(Full):
        list(stream(plan(request, policy), Port(Broken(own="yes no", large="never"))))


# -- stand-ins


def standing_in(name: str = "large-eu", of: str = "large", **options: Any) -> Tier:
    return Tier(name, model="l", rate=DEAR, stands_in_for=of, **options)


def good(_request: Request, reply: Reply) -> Verdict:
    return Verdict(float("good" in reply.text), "looked for good")


class Refused(Exception):
    status_code = 400


SMALL = Tier("small", model="s", rate=CHEAP)


def test_a_stand_in_answers_where_its_tier_fails() -> None:
    result = call(ScriptedModels(large=Refused(), **{"large-eu": "yes"}), LARGE, standing_in())
    assert story(result) == [("large", "draft", "failed"), ("large-eu", "fallback", "accepted")]


def test_a_stand_in_is_not_asked_for_a_better_answer() -> None:
    """It has the same model: a rejected answer goes on to the next place, past those that stand in for its author."""
    twin = Tier("small-eu", model="s", rate=CHEAP, stands_in_for="small")
    models = ScriptedModels(small="bad", large="good", **{"small-eu": "never"})
    assert story(call(models, SMALL, twin, LARGE, check=good)) == [
        ("small", "draft", "rejected"), ("large", "escalation", "accepted"),
    ]  # fmt: skip


def test_before_stand_ins_only_the_last_place_is_the_last() -> None:
    """Its answer is final, though another tier follows: nobody is left whose answer could be better."""
    models = ScriptedModels(small="bad", large="poor", **{"large-eu": "never"})
    assert story(call(models, SMALL, LARGE, standing_in(), check=good))[-1] == ("large", "escalation", "accepted")


def test_a_full_server_spills_over_to_its_stand_in_first() -> None:
    elsewhere = Tier("hosted", model="o", rate=CHEAP, stands_in_for="own")
    models = ScriptedModels(own="never", hosted="good", large="never")
    assert story(call(models, own(Queue("9 waiting")), elsewhere, LARGE, check=good)) == [
        ("hosted", "spill_over", "accepted")
    ]


def test_a_resting_tier_s_place_is_held() -> None:
    ill = Health(trip_after=1)
    ill.failed(1_000.0)
    resting = Tier("large", model="l", rate=DEAR, health=ill)
    result = call(ScriptedModels(large="never", **{"large-eu": "yes"}), resting, standing_in())
    assert story(result) == [("large-eu", "draft", "accepted")]
    assert result.decision.route == "cheapest first; large skipped: it rests after failures"


@pytest.mark.parametrize(
    "options", [{"mode": "off"}, {"mode": "observe"}, {"route": start_at("large")}, {"route": by_size()}]
)
def test_stand_ins_hold_in_every_mode_and_under_every_route(options: Any) -> None:
    """A route sees places, not tiers; whoever is chosen brings those that stand in for it."""
    models = ScriptedModels(small=Refused(), large=Refused(), **{"large-eu": "good"})
    result = call(models, SMALL, LARGE, standing_in(), check=good, **options)
    assert story(result)[-2:] == [("large", story(result)[-2][1], "failed"), ("large-eu", "fallback", "accepted")]
    assert result.attempts[-1].baseline_pico == result.pico_usd


def test_a_guard_may_leave_only_the_stand_in() -> None:
    models = ScriptedModels(small="bad", large="never", **{"large-eu": "good"})
    result = call(models, SMALL, LARGE, standing_in(), check=good, guards=(only("small", "large-eu"),), route=by_size())
    assert story(result)[-1] == ("large-eu", "escalation", "accepted")


@pytest.mark.parametrize(
    ("tiers", "options", "words"),
    [
        ((standing_in(), LARGE), {}, "right behind that tier"),
        ((LARGE, SMALL, standing_in()), {}, "right behind that tier"),
        ((LARGE, standing_in(), standing_in("third", of="large-eu")), {}, "stands in for none itself"),
        (
            (LARGE, standing_in()),
            {"route": start_at("large-eu")},
            "the route names 'large-eu', which stands in for 'large'",
        ),
    ],
)
def test_stand_ins_out_of_place_are_refused(tiers: tuple[Tier, ...], options: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Policy(tiers=tiers, **options)


def test_savings_are_measured_against_the_tier_and_not_its_stand_in() -> None:
    assert Policy(tiers=(SMALL, LARGE, standing_in())).strongest is LARGE


# -- the real SDK, and the books


def test_the_share_that_spilled_over_is_in_the_ledger(start: Start, tmp_path: Path) -> None:
    """Turned away by a server or kept from a long queue: the calls that a provider answered instead can be counted."""
    server, provider, place = start(), start(), tmp_path / "spend.sqlite"
    ledger = SqliteLedger(place)
    known = servers_of(server, look_every_ms=1)
    client = openai.OpenAI(base_url=provider.base_url, api_key="x")
    ours = openai.OpenAI(base_url=known.base_url, api_key="x", http_client=http_clients(known)[0])
    queue = SpillOver(known, waiting=8)
    ladder = [
        via(ours, "small", rate=CHEAP, self_hosted=True, admission=queue, reference="openai/gpt-4o-mini"),
        via(client, "large", rate=DEAR),
    ]
    wrapped = wrap(client, tiers=ladder, ledger=ledger, retries=Retries(base_s=3_600.0))

    def ask() -> Result:
        return result_of(wrapped.chat.completions.create(model="auto", messages=ASK))

    server.model("small", replies=[Turn("Yes."), Fault(status=503), Turn("Yes.")])
    assert story(ask()) == [("small", "draft", "accepted")]
    assert story(ask()) == [("small", "draft", "failed"), ("large", "spill_over", "accepted")]
    server.page = page(waiting=20)
    seen_anew(known, server)
    assert story(ask()) == [("large", "spill_over", "accepted")]
    ledger.close()
    by_cause = {cell.key[0]: cell.attempts for cell in cells(place, by=("cause",))}
    assert by_cause == {"draft": 2, "spill_over": 2}


@pytest.mark.parametrize("streamed", [False, True])
async def test_async_calls_and_streams_spill_over_alike(start: Start, streamed: bool) -> None:
    server, provider = start(), start()
    server.model("small", replies=Fault(status=503))
    provider.model("large", replies="From afar.")
    async with (
        openai.AsyncOpenAI(base_url=provider.base_url, api_key="x") as client,
        openai.AsyncOpenAI(base_url=server.base_url, api_key="x", http_client=http_clients([server.url])[1]) as ours,
    ):
        tiers = [via(ours, "small", rate=CHEAP, self_hosted=True), via(client, "large", rate=DEAR)]
        wrapped = wrap(client, tiers=tiers, ledger=None, retries=Retries(base_s=3_600.0))
        answer = await wrapped.chat.completions.create(model="auto", messages=ASK, stream=streamed)
        if streamed:
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in answer if chunk.choices])
        else:
            text = answer.choices[0].message.content
    assert text == "From afar."
    assert (asked(server), asked(provider)) == (1, 1)


def test_a_reference_that_nobody_sells_is_refused() -> None:
    client = openai.OpenAI(base_url="http://own/v1", api_key="x")
    assert via(client, "o", reference=DEAR).reference is DEAR
    with pytest.raises(ConfigError, match="'nobody/nothing'"):
        via(client, "o", reference="nobody/nothing")
