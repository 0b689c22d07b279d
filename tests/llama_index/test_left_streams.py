"""A stream that its user leaves is left by us too: the provider's own log says that it was cut short, at once."""

import asyncio
import gc
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing
from typing import Any

import httpx
import openai
import pytest
from llm_suite import text_of, user

from llama_index_tuppence import TuppenceLLM, tier
from tuppence.testing import ProviderServer, Turn

SMALL, LARGE, CLAUDE = "gpt-4o-mini", "gpt-4o", "claude-haiku-4-5"
WORDS = "word " * 300
READ = 20
SHORT_S = 0.2
PATIENT_S = 600.0


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """An SDK's stream refers to itself, and would be closed whenever the garbage collector comes by."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def make_responses(provider: ProviderServer, connections: dict[str, Any]) -> Callable[[], Any]:
    """Make a model that speaks the Responses API."""
    package = pytest.importorskip("llama_index.llms.openai")
    return lambda: package.OpenAIResponses(SMALL, api_base=provider.base_url, api_key="test", **connections)


@pytest.fixture(params=["chat completions", "a given client", "responses", "anthropic"])
def small(request: pytest.FixtureRequest, provider: ProviderServer) -> Any:
    """A model of each API, which says a little and then waits for somebody who never comes."""
    for name in (SMALL, CLAUDE):
        provider.model(name, replies=[Turn(WORDS, hold=threading.Event(), hold_after=READ), Turn("Here I am.")])
    if request.param == "anthropic":
        return request.getfixturevalue("make_claude")()
    if request.param == "responses":
        return request.getfixturevalue("make_responses")()
    given: dict[str, Any] = {}
    if request.param == "a given client":
        asked = {"base_url": provider.base_url, "api_key": "test"}
        connections = request.getfixturevalue("connections")
        given["openai_client"] = openai.OpenAI(http_client=connections["http_client"], **asked)
        given["async_openai_client"] = openai.AsyncOpenAI(http_client=connections["async_http_client"], **asked)
    return request.getfixturevalue("make")(SMALL, **given)


def cut_short(provider: ProviderServer) -> None:
    """Wait until the provider knows that its first reader has gone."""
    first = provider.await_finished(1)[0]
    assert not first.completed
    assert 0 < first.chunks_sent <= READ


def ready(llm: TuppenceLLM, surface: str) -> Any:
    return llm.stream_chat([user("Hello")]) if surface == "chat" else llm.stream_complete("Hello")


async def aready(llm: TuppenceLLM, surface: str) -> Any:
    return await (llm.astream_chat([user("Hello")]) if surface == "chat" else llm.astream_complete("Hello"))


SURFACES = pytest.mark.parametrize("surface", ["chat", "complete"])


@SURFACES
@pytest.mark.parametrize("way", ["close", "drop", "throw"])
@pytest.mark.parametrize("timeout_s", [None, PATIENT_S], ids=["in the caller's thread", "in a thread of its own"])
def test_a_stream_that_is_left(
    surface: str, way: str, timeout_s: float | None, small: Any, provider: ProviderServer
) -> None:
    """Closed, dropped or broken off: the provider stops, and the next call is answered."""
    llm = TuppenceLLM([tier(small, timeout_s=timeout_s)], ledger=False)
    chunks = ready(llm, surface)
    assert next(chunk for chunk in chunks if chunk.delta)
    if way == "close":
        chunks.close()
    elif way == "throw":
        with pytest.raises(KeyboardInterrupt):
            chunks.throw(KeyboardInterrupt)
    else:
        del chunks
    cut_short(provider)
    assert text_of(list(ready(llm, surface))) == "Here I am."


@SURFACES
@pytest.mark.parametrize("way", ["close", "drop", "cancel", "timeout"])
async def test_an_async_stream_that_is_left(surface: str, way: str, small: Any, provider: ProviderServer) -> None:
    """On an event loop too, whether or not it waits for a chunk at that moment."""
    llm = TuppenceLLM([tier(small, timeout_s=SHORT_S if way == "timeout" else None)], ledger=False, retries=0)
    chunks = await aready(llm, surface)
    if way == "close":
        assert [chunk async for chunk in first_words(chunks)]
        await chunks.aclose()
    elif way == "drop":
        assert [chunk async for chunk in first_words(chunks)]
        del chunks
    elif way == "cancel":
        await cancelled(chunks, provider)
    else:
        with pytest.raises(Exception, match=r"(?i)time"):
            [_ async for _ in chunks]
    await asyncio.to_thread(cut_short, provider)


async def first_words(chunks: Any) -> AsyncIterator[Any]:
    async for chunk in chunks:
        yield chunk
        if chunk.delta:
            return


async def cancelled(chunks: Any, provider: ProviderServer) -> None:
    """Read in a task, which is cancelled once it has begun."""
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(chunks):
            async for chunk in chunks:
                if chunk.delta:
                    begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("make_small", ["make", "make_responses", "make_claude"])
def test_a_tier_that_is_too_slow(make_small: str, make: Any, provider: ProviderServer, request: Any) -> None:
    """Its thread still waits for a first word when the next tier is asked: by then the provider knows."""
    small = request.getfixturevalue(make_small)()
    known: list[bool] = []

    def after_the_first(_request: Any) -> Turn:
        known.append(provider.await_finished(1)[0].completed)
        return Turn("Here I am.")

    provider.model(small.model, replies=Turn(WORDS, hold=threading.Event()))
    provider.model(LARGE, replies=after_the_first)
    llm = TuppenceLLM([tier(small, timeout_s=SHORT_S), make(LARGE)], ledger=False, retries=0)
    assert text_of(list(llm.stream_chat([user("Hello")]))) == "Here I am."
    assert known == [False]


def test_the_last_tier_that_is_too_slow(make: Any, provider: ProviderServer) -> None:
    """Nobody is asked after it, and its user has seen a part: the connection ends with the call."""
    provider.model(SMALL, replies=Turn(WORDS, hold=threading.Event(), hold_after=READ))
    llm = TuppenceLLM([tier(make(SMALL), timeout_s=SHORT_S)], ledger=False, retries=0)
    with pytest.raises(Exception, match="timeout_s"):
        list(llm.stream_chat([user("Hello")]))
    cut_short(provider)


def test_a_connection_whose_answer_was_read_is_kept(
    make_responses: Any, provider: ProviderServer, connections: dict[str, Any]
) -> None:
    """What ended by itself is not broken off: the next call goes over the same connection."""
    callers: list[Any] = []

    def note(response: httpx.Response) -> None:
        callers.append(response.extensions["network_stream"].get_extra_info("client_addr"))

    connections["http_client"].event_hooks["response"].append(note)
    provider.model(SMALL, replies="Here I am.")
    llm = TuppenceLLM([tier(make_responses(), timeout_s=PATIENT_S)], ledger=False)
    for _ in range(2):
        assert text_of(list(llm.stream_chat([user("Hello")]))) == "Here I am."
    assert len(callers) == 2
    assert callers[0] == callers[1] is not None


async def test_a_sync_stream_that_stands_in_for_an_async_one(make: Any, provider: ProviderServer) -> None:
    """A class of the user's own may do so; its stream is closed all the same."""

    class Plain(type(make(SMALL))):  # type: ignore[misc]
        async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
            async def chunks() -> AsyncIterator[Any]:
                for chunk in self.stream_chat(messages, **kwargs):
                    yield chunk

            return chunks()

    provider.model(SMALL, replies=Turn(WORDS, hold=threading.Event(), hold_after=READ))
    made = make(SMALL)
    plain = Plain(**{name: getattr(made, name) for name in made.model_fields_set})
    chunks = await TuppenceLLM([plain], ledger=False).astream_chat([user("Hello")])
    assert [chunk async for chunk in first_words(chunks)]
    await chunks.aclose()
    await asyncio.to_thread(cut_short, provider)


def test_a_client_that_an_observer_has_wrapped(make: Any, provider: ProviderServer, connections: Any) -> None:
    """Its streams may be plain generators, which have nothing to be closed by: they are read as ever."""
    provider.model(SMALL, replies="Here I am.")
    given = openai.OpenAI(
        base_url=provider.base_url, api_key="test", max_retries=0, http_client=connections["http_client"]
    )
    create = given.chat.completions.create
    seen: list[str] = []

    def observed(**request: Any) -> Iterator[Any]:
        seen.append(request["model"])
        yield from create(**request)

    given.chat.completions.create = observed  # type: ignore[method-assign,assignment]
    llm = TuppenceLLM([tier(make(SMALL, openai_client=given), timeout_s=PATIENT_S)], ledger=False)
    assert text_of(list(llm.stream_chat([user("Hello")]))) == "Here I am."
    assert seen == [SMALL]


class Body(httpx.SyncByteStream):
    """A body in server-sent events that says one word and then waits until it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield b'data: {"id": "1", "object": "text_completion", "choices": [{"index": 0, "text": "word "}]}\n\n'
        self.closed.wait()

    def close(self) -> None:
        self.closed.set()


class Network:
    """A connection, as httpx shows it, over a real socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def get_extra_info(self, name: str) -> Any:
        return self.connection if name == "socket" else None


@pytest.fixture
def make_older(make: Any) -> Iterator[Callable[..., Any]]:
    """Make a model without chat, for the older completions API, which is answered in the given way."""
    with ExitStack() as stack:

        def model(body: Body, **extensions: Any) -> Any:
            stack.callback(body.close)
            answer = httpx.Response(
                200, headers={"content-type": "text/event-stream"}, stream=body, extensions=extensions
            )
            client = stack.enter_context(httpx.Client(transport=httpx.MockTransport(lambda _: answer)))
            return make(SMALL, is_chat_model=False, is_function_calling_model=False, http_client=client)

        yield model


def test_a_model_without_chat(make_older: Any) -> None:
    """The older completions API is left in the same way."""
    body = Body()
    chunks = TuppenceLLM([make_older(body)], ledger=False).stream_complete("Hello")
    assert next(chunks).delta == "word "
    assert not body.closed.is_set()
    chunks.close()
    assert body.closed.is_set()


@pytest.mark.parametrize(("version", "broken_off"), [(b"HTTP/1.1", True), (b"HTTP/2", False)])
def test_a_connection_with_other_calls_is_not_broken_off(make_older: Any, version: bytes, broken_off: bool) -> None:
    """HTTP/2 carries several calls over one connection: one that stalls must not take the others with it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        small = make_older(Body(), http_version=version, network_stream=Network(ours))
        llm = TuppenceLLM([tier(small, timeout_s=SHORT_S)], ledger=False, retries=0)
        with pytest.raises(Exception, match="timeout_s"):
            list(llm.stream_complete("Hello"))
        if broken_off:
            assert theirs.recv(1) == b""
        else:
            with pytest.raises(BlockingIOError):
                theirs.recv(1)


def test_the_users_own_model_is_left_as_it_was(make: Any, provider: ProviderServer) -> None:
    """A tier works on copies: a model that has no client yet gets none, and one that has keeps it as it is."""
    given = openai.OpenAI(base_url=provider.base_url, api_key="test")
    create = given.chat.completions.create
    for model in (make(SMALL), make(SMALL, openai_client=given)):
        before = model._client
        assert text_of(list(TuppenceLLM([model], ledger=False).stream_chat([user("Hello")])))
        assert model._client is before
    assert given.chat.completions.create == create
    assert given.max_retries > 0
    given.close()
