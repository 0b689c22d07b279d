"""Wrong input and broken surroundings: a clear error or a recorded way round, and never a lost row.

Everything runs through a wrapped OpenAI client, as a program would: options, requests, providers, disks, signals.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from tuppence.attempts import Verdict
from tuppence.cache import ExactCache, MemoryStore, SqliteStore
from tuppence.clients import result_of, via, wrap
from tuppence.context import spend, tags
from tuppence.errors import CacheError, ConfigError, LedgerError, PriceError, RequestError, SpendLimitReached
from tuppence.policy import Retries
from tuppence.routes import start_at
from tuppence.spend import SqliteLedger
from tuppence.testing import Fault, ProviderServer, Turn
from tuppence.tiers import Tier

ASK: list[Any] = [{"role": "user", "content": "What is six by seven?"}]
PRICES = {"small": {"input": "1", "output": "2"}, "large": {"input": "10", "output": "20"}}
LONG = Turn("Forty-two is what six by seven comes to, and so it has always been, here and elsewhere.")
POSIX = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals, limits and fork")


@pytest.fixture
def client(server: ProviderServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="x") as client:
        yield client


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    yield ledger
    ledger.close()


def wrapped(client: Any, ledger: Any = None, **options: Any) -> Any:
    defaults: dict[str, Any] = {
        "tiers": ["small", "large"], "ledger": ledger, "retries": Retries(base_s=0.0), "prices": PRICES,
    }  # fmt: skip
    return wrap(client, **{**defaults, **options})


def create(client: Any, **options: Any) -> Any:
    return client.chat.completions.create(**{"model": "auto", "messages": ASK, **options})


def rows(ledger: SqliteLedger) -> list[tuple[str, str, str]]:
    """What is on disk: tier, outcome and status of every attempt."""
    ledger.flush()
    with closing(sqlite3.connect(ledger.path)) as connection:
        return connection.execute("SELECT tier, outcome, status FROM attempts ORDER BY id").fetchall()


# -- options that cannot work


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"tiers": []}, ConfigError, "no tiers"),
        ({"tiers": "gpt-4o"}, ConfigError, r"tiers is 'gpt-4o': give a list"),
        ({"tiers": [7]}, ConfigError, r"a tier is 7 \(int\)"),
        ({"tiers": [" "]}, ConfigError, r"a tier is ' '"),
        ({"tiers": {"": "small"}}, ConfigError, "empty name"),
        ({"tiers": [Tier("small", timeout_s=1), Tier("small")], "route": start_at("larg")}, ConfigError, "larg"),
        ({"threshold": float("nan")}, ConfigError, "threshold is nan"),
        ({"threshold": 1.5}, ConfigError, "threshold is 1.5"),
        ({"max_usd_per_call": "a lot"}, ConfigError, "max_usd_per_call is 'a lot'"),
        ({"max_usd_per_call": Decimal("NaN")}, ConfigError, "max_usd_per_call is NaN"),
        ({"max_usd_per_call": -1}, ConfigError, "max_usd_per_call is -1"),
        ({"mode": "optimize"}, ConfigError, "mode is 'optimize'.*'optimise'"),
        ({"on_exhausted": "cry"}, ConfigError, "on_exhausted is 'cry'"),
        ({"retries": -1}, ConfigError, "per_tier is -1"),
        ({"retries": True}, ConfigError, "retries is True"),
        ({"cache": 7}, ConfigError, "cache is 7"),
        ({"ledger": 7}, ConfigError, "ledger is 7"),
        ({"prices": {"small": {"input": "-1"}}}, PriceError, "-1"),
        ({"prices": {"small": {"input": "dear"}}}, PriceError, "dear"),
        ({"prices": {"small": {"inputs": "1"}}}, PriceError, "inputs"),
        ({"prices": {"small": {"gpu_hour": "2", "input": "1"}}}, PriceError, "gpu_hour"),
    ],
)
def test_options_that_cannot_work_are_refused_at_once(
    client: openai.OpenAI, options: dict[str, Any], error: type[Exception], says: str
) -> None:
    """When the client is wrapped, not when the first customer asks."""
    with pytest.raises(error, match=says):
        wrapped(client, **options)


@pytest.mark.parametrize("thing", [None, "gpt-4o", object(), openai.OpenAI])
def test_only_sdk_clients_can_be_wrapped(thing: Any) -> None:
    """A class, a name or nothing is no client."""
    with pytest.raises(ConfigError, match=r"give a client of the OpenAI or the Anthropic SDK"):
        wrap(thing)
    with pytest.raises(ConfigError, match=r"give a client of the OpenAI or the Anthropic SDK"):
        via(thing, "small")


def test_a_sync_client_is_no_tier_of_an_async_one(server: ProviderServer, client: openai.OpenAI) -> None:
    """It would block the event loop."""
    other = openai.AsyncOpenAI(base_url=server.base_url, api_key="x")
    with pytest.raises(ConfigError, match="all sync or all async"):
        wrapped(other, tiers=[via(client, "small"), "large"])


def test_a_model_without_a_price_is_said_so_and_recorded_as_unpriced(
    client: openai.OpenAI, ledger: SqliteLedger
) -> None:
    """Never zero, never a guess."""
    with pytest.warns(UserWarning, match=r"no price is known for model 'nobody-knows-it'.*prices="):
        tracked = wrapped(client, ledger, tiers=["nobody-knows-it"])
    assert result_of(create(tracked)).unpriced
    assert rows(ledger) == [("nobody-knows-it", "accepted", "unpriced")]


# -- requests that cannot be answered


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"messages": []}, "the request has no messages"),
        ({"messages": None}, r"messages is None \(NoneType\): give a list of messages"),
        ({"messages": "hello"}, r"messages is 'hello' \(str\): give a list of messages"),
        ({"messages": 7}, r"messages is 7 \(int\): give a list of messages"),
        ({"messages": [7]}, r"messages\[0\] is 7 \(int\): a message is a dict"),
        ({"messages": [*ASK, "hello"]}, r"messages\[1\] is 'hello' \(str\): a message is a dict"),
        ({"model": 7}, r"model is 7 \(int\): name it as text"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_requests_of_wrong_form_are_refused_before_anybody_is_asked(
    server: ProviderServer, client: openai.OpenAI, options: dict[str, Any], says: str, stream: bool
) -> None:
    """The error names the value, its type, and what to give."""
    with pytest.raises(RequestError, match=says):
        create(wrapped(client), **options, stream=stream)
    assert server.served == []


def test_tags_are_text() -> None:
    """A number would be another group than its text in every report."""
    with pytest.raises(RequestError, match=r"tag 'user' is 7 \(int\)"), tags(user=7):  # type: ignore[arg-type]
        pass


def test_an_unknown_model_is_the_providers_to_refuse(
    server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger
) -> None:
    """Its error surfaces, with a note that the name is no tier's; the attempt is on record."""
    server.model("larg", replies=Fault(status=404))
    with pytest.warns(UserWarning, match="no price"), pytest.raises(openai.NotFoundError) as caught:
        create(wrapped(client, ledger), model="larg")
    assert "tuppence: 'larg' is no tier of this client (small, large): it was asked for as a model" in (
        caught.value.__notes__
    )
    assert [row[:2] for row in rows(ledger)] == [("larg", "failed")]


def test_a_call_that_may_pass_its_limit_is_not_made(server: ProviderServer, client: openai.OpenAI) -> None:
    """The error names the tier and the ways out."""
    with pytest.raises(SpendLimitReached, match=r"asking 'small' could pass what one call may cost"):
        create(wrapped(client, max_usd_per_call="0.0000001"))
    assert server.served == []


# -- providers that fail


class Broken:
    """A tier's first answer or fault, and how the call goes on."""

    def __init__(self, fault: Any, *, tries: int = 1, timeout_s: float | None = None) -> None:
        self.fault = fault
        self.tries = tries
        """How often the tier is asked before the next."""
        self.timeout_s = timeout_s


PASSING = 3
"""One try and two retries."""
FAILURES = {
    "429 with a short wait": Broken(Fault(status=429, retry_after=0.001), tries=PASSING),
    "429 with a long wait": Broken(Fault(status=429, retry_after=3600)),
    "500": Broken(Fault(status=500), tries=PASSING),
    "503": Broken(Fault(status=503), tries=PASSING),
    "529 overloaded": Broken(Fault(status=529), tries=PASSING),
    "400": Broken(Fault(status=400)),
    "401": Broken(Fault(status=401)),
    "403": Broken(Fault(status=403)),
    "404": Broken(Fault(status=404)),
    "413 too long": Broken(Fault(status=413)),
    "422": Broken(Fault(status=422)),
    "the connection closes without a word": Broken(Fault.disconnect(), tries=PASSING),
    "the answer stops before its first piece": Broken(Fault.die_after(chunks=0), tries=PASSING),
    "no choices": Broken(Fault.empty()),
    "an empty answer": Broken(Turn("")),
    "it hangs": Broken(Fault.hang(), tries=PASSING, timeout_s=0.5),
}


def whole(client: Any) -> tuple[str, Any]:
    completion = create(client)
    return completion.choices[0].message.content, result_of(completion)


def streamed(client: Any) -> tuple[str, Any]:
    stream = create(client, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    return text, result_of(stream)


@pytest.mark.parametrize("how", [whole, streamed])
@pytest.mark.parametrize("broken", FAILURES.values(), ids=FAILURES.keys())
def test_the_next_tier_answers_for_one_that_fails(
    server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger, broken: Broken, how: Callable[..., Any]
) -> None:
    """The caller gets an answer, and every request that reached the provider is a row."""
    server.model("small", replies=broken.fault)
    server.model("large", replies=LONG)
    small = Tier("small", model="small", timeout_s=broken.timeout_s)
    text, result = how(wrapped(client, ledger, tiers=[small, "large"]))
    assert text == LONG.text and result.tier == "large"
    assert [a.tier for a in result.attempts] == ["small"] * broken.tries + ["large"]
    assert len(rows(ledger)) == len(server.served) == broken.tries + 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("broken", [FAILURES["500"], FAILURES["it hangs"], FAILURES["401"]], ids=["500", "hang", "401"])
async def test_the_same_holds_on_an_event_loop(
    server: ProviderServer, ledger: SqliteLedger, broken: Broken, stream: bool
) -> None:
    """Awaited and streamed."""
    server.model("small", replies=broken.fault)
    server.model("large", replies=LONG)
    small = Tier("small", model="small", timeout_s=broken.timeout_s)
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as native:
        answer = await create(wrapped(native, ledger, tiers=[small, "large"]), stream=stream)
        if stream:
            assert [chunk async for chunk in answer]
    assert result_of(answer).tier == "large"
    assert len(rows(ledger)) == len(server.served) == broken.tries + 1


def test_garbage_is_retried_and_gone_round(server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger) -> None:
    """A 200 that carries no JSON is a failure, not an answer."""
    server.model("small", replies=Fault.garbage())
    server.model("large", replies=LONG)
    assert whole(wrapped(client, ledger))[0] == LONG.text
    assert len(rows(ledger)) == len(server.served) == PASSING + 1


def test_garbage_from_the_last_tier_is_an_error_that_says_so(
    server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger
) -> None:
    """Never a string in place of a completion."""
    for name in ("small", "large"):
        server.model(name, replies=Fault.garbage())
    with pytest.raises(Exception, match=r"Expecting value|not a chat completion"):
        create(wrapped(client, ledger, retries=0))
    assert len(rows(ledger)) == 2


def test_a_wrong_key_is_the_sdks_own_error(ledger: SqliteLedger) -> None:
    """All tiers refuse: the caller catches what it always caught."""
    with ProviderServer(api_key="right") as server:
        native = openai.OpenAI(base_url=server.base_url, api_key="wrong")
        with pytest.raises(openai.AuthenticationError):
            create(wrapped(native, ledger))
    assert [row[:2] for row in rows(ledger)] == [("small", "failed"), ("large", "failed")]


def test_a_refused_connection_is_the_sdks_own_error(ledger: SqliteLedger) -> None:
    """Nobody listens: retried, asked elsewhere, and told."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    native = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="x")
    with pytest.raises(openai.APIConnectionError):
        create(wrapped(native, ledger, retries=0))
    assert [row[:2] for row in rows(ledger)] == [("small", "failed"), ("large", "failed")]


def test_a_stream_that_dies_unseen_is_answered_by_the_next_tier(
    server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger
) -> None:
    """What was held back nobody has seen: it is paid for, and the reader gets a whole answer."""
    server.model("small", replies=Fault.die_after(chunks=2, turn=Turn("I think that")))
    server.model("large", replies=LONG)
    text, result = streamed(wrapped(client, ledger, retries=0))
    assert text == LONG.text and [a.outcome for a in result.attempts] == ["failed", "accepted"]
    assert rows(ledger) == [("small", "failed", "estimated"), ("large", "accepted", "exact")]


@pytest.mark.parametrize("fault", [Fault.die_after(chunks=3, turn=LONG), Fault.error_after(chunks=3, turn=LONG)])
def test_a_stream_that_dies_in_sight_is_an_error(
    server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger, fault: Fault
) -> None:
    """A second answer after half of a first would be worse than none."""
    server.model("large", replies=fault)
    stream = create(wrapped(client, ledger), model="large", stream=True)
    seen = []
    with pytest.raises(Exception) as caught:
        seen += [chunk.choices[0].delta.content for chunk in stream]
    assert caught.type.__module__.partition(".")[0] in ("openai", "httpx")
    assert rows(ledger) == [("large", "failed", "estimated")] and len(server.served) == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_stream_that_stalls_in_sight_is_a_timeout(
    server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger, asynchronous: bool
) -> None:
    """`timeout_s` bounds the wait for each next piece, and the SDK's wait in the thread left behind."""
    server.model("large", replies=Turn(LONG.text, hold=threading.Event(), hold_after=3))
    tiers = [Tier("large", model="large", timeout_s=0.2)]

    def read() -> None:
        list(create(wrapped(client, ledger, tiers=tiers), stream=True))

    async def aread() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as native:
            async for _ in await create(wrapped(native, ledger, tiers=tiers), stream=True):
                pass

    with pytest.raises(Exception, match=r"(?i)timed out|timeout"):
        asyncio.run(aread()) if asynchronous else read()
    server.await_finished(1)
    assert rows(ledger) == [("large", "failed", "estimated")]


async def test_a_cancelled_call_is_on_record(server: ProviderServer, ledger: SqliteLedger) -> None:
    """The task ends as asyncio wants it, and what may have been bought is a flagged estimate."""
    server.model("small", replies=Fault.hang())
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as native:
        task = asyncio.create_task(create(wrapped(native, ledger)))
        await asyncio.to_thread(server.await_arrived, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert rows(ledger) == [("small", "abandoned", "estimated")]


# -- surroundings that fail


@pytest.mark.parametrize("place", ["file/inside", "proc"])
def test_a_ledger_or_cache_that_cannot_be_opened_is_refused_at_once(
    client: openai.OpenAI, tmp_path: Path, place: str
) -> None:
    """A folder that is a file, and one that nobody may write, root neither."""
    (tmp_path / "file").write_text("no folder")
    path = tmp_path / "file" / "x.sqlite" if place != "proc" else Path("/proc/x.sqlite")
    with pytest.raises(LedgerError, match="cannot be opened"):
        wrapped(client, ledger=path)
    with pytest.raises(CacheError):
        wrapped(client, cache=path)


def test_files_that_are_something_else_are_refused_at_once(client: openai.OpenAI, tmp_path: Path) -> None:
    """Nobody's letters are overwritten."""
    path = tmp_path / "letters.txt"
    path.write_text("Dear Ann, " * 1000)
    with pytest.raises(LedgerError):
        wrapped(client, ledger=path)
    with pytest.raises(CacheError):
        wrapped(client, cache=path)
    assert path.read_text() == "Dear Ann, " * 1000


class FullStore(MemoryStore):
    """A store on a disk that is full."""

    def put(self, *what: Any, **about: Any) -> None:
        raise OSError(28, "No space left on device")


def test_a_full_cache_is_recorded_and_gone_round(
    server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger
) -> None:
    """The answers come, each is paid for, and the decision says why."""
    tracked = wrapped(client, ledger, cache=ExactCache(FullStore()))
    results = [result_of(create(tracked)) for _ in range(2)]
    assert all("No space left on device" in result.decision.faults[0] for result in results)
    assert len(rows(ledger)) == len(server.served) == 2


def test_a_cache_file_that_turns_to_garbage_is_gone_round(
    server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger, tmp_path: Path
) -> None:
    """The running program is answered by the provider; the next one is told when it opens the file."""
    path = tmp_path / "cache.sqlite"
    store = SqliteStore(path)
    tracked = wrapped(client, ledger, cache=ExactCache(store))
    create(tracked)
    store.flush()
    for file in tmp_path.glob("cache.sqlite*"):
        file.write_bytes(b"\xff" * 8192)
    result = result_of(create(tracked))
    assert result.tier == "small" and "cache: DatabaseError" in result.decision.faults[0]
    assert len(rows(ledger)) == len(server.served) == 2
    with pytest.raises(CacheError, match="not a database"):
        wrapped(client, cache=path)


def test_a_locked_ledger_holds_no_call_up_and_loses_no_row(
    server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger
) -> None:
    """Rows wait in memory for the lock to go."""
    tracked = wrapped(client, ledger)
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(3):
            create(tracked)
        with pytest.raises(LedgerError, match="kept in memory"):
            ledger.flush(timeout_s=0.05)
        other.execute("COMMIT")
    assert len(rows(ledger)) == len(server.served) == 3


@POSIX
@pytest.mark.parametrize("stream", [False, True])
def test_ctrl_c_while_a_provider_is_asked_is_on_record(
    server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger, stream: bool
) -> None:
    """The program stops as it should, and the request that went out is a row."""
    released = threading.Event()

    def interrupt(_request: dict[str, Any]) -> Turn:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return Turn("too late", hold=released)

    server.model("small", replies=interrupt)
    with pytest.raises(KeyboardInterrupt):
        create(wrapped(client, ledger), stream=stream)
    assert rows(ledger) == [("small", "abandoned", "estimated")]


def test_ctrl_c_while_an_answer_is_checked_is_on_record(
    server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger
) -> None:
    """The draft was bought by then."""

    def check(_request: object, _reply: object) -> Verdict:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create(wrapped(client, ledger, check=check))
    assert rows(ledger) == [("small", "abandoned", "exact")]


def program(body: str, *arguments: str) -> str:
    """Run a script of its own, which limits or forks itself, and return what it prints."""
    head = "import os, sqlite3, sys\nimport openai\nfrom tuppence.clients import result_of, wrap\n"
    script = head + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


PROGRAM = """
    from tuppence.spend import SqliteLedger
    native = openai.OpenAI(base_url=sys.argv[1], api_key="x")
    ledger = SqliteLedger(sys.argv[2])
    prices = {"small": {"input": "1", "output": "2"}}
    client = wrap(native, tiers=["small"], ledger=ledger, cache=sys.argv[2] + ".cache", prices=prices)

    def create(client, text):
        message = {"role": "user", "content": text}
        return client.chat.completions.create(model="auto", messages=[message])

    def rows():
        return sqlite3.connect(sys.argv[2]).execute("SELECT count(*) FROM attempts").fetchone()[0]
"""


@POSIX
def test_a_full_disk_fails_no_call_and_loses_no_row(server: ProviderServer, tmp_path: Path) -> None:
    """While nothing can be written calls are answered; when there is room again, all rows are there."""
    told = program(
        PROGRAM
        + """
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    create(client, "zero"); ledger.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    texts = [create(client, f"number {n}").choices[0].message.content for n in range(5)]
    try:
        ledger.flush(timeout_s=0.2)
    except Exception as error:
        print(type(error).__name__)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    ledger.flush()
    print(len(texts), rows())
    """,
        server.base_url,
        str(tmp_path / "ledger.sqlite"),
    )
    assert told.split() == ["LedgerError", "5", "6"]


@POSIX
def test_a_forked_worker_records_its_own_calls(server: ProviderServer, tmp_path: Path) -> None:
    """Neither process loses a row, and none is written twice."""
    told = program(
        PROGRAM
        + """
    create(client, "before")
    child = os.fork()
    mine = client.with_options(http_client=openai.DefaultHttpxClient()) if child == 0 else client
    for n in range(3):
        create(mine, f"{n} of {child == 0}")
    ledger.flush()
    if child == 0:
        ledger.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print(rows())
    """,
        server.base_url,
        str(tmp_path / "ledger.sqlite"),
    )
    assert told.strip() == "7"


def test_hits_failures_and_answers_add_up(server: ProviderServer, client: openai.OpenAI, ledger: SqliteLedger) -> None:
    """After any mixture: rows on disk, attempts told to `spend()`, and requests served are the same calls."""
    server.model("small", replies=[Fault(status=500), "", Fault.disconnect(), "fine", Fault(status=401), "fine"])
    server.model("large", replies=["fine", Fault(status=500), "fine"])
    tracked = wrapped(client, ledger, cache=True, retries=0)
    with spend() as spent:
        for n in range(8):
            with suppress(openai.APIError):
                create(tracked, messages=[{"role": "user", "content": f"question {n % 5}"}])
    hits = [a for a in spent.attempts if a.outcome == "hit"]
    assert spent.calls == 8 and hits
    assert len(rows(ledger)) == len(spent.attempts) == len(server.served) + len(hits)
