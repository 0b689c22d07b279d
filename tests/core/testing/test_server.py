"""What a script hands out, what the log keeps, and how time and connections are ruled by the test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.errors import ConfigError, TuppenceError
from tuppence.testing import Fault, ProviderServer, Turn, tokens_of

Ask = Callable[..., Any]
ASK: list[Any] = [{"role": "user", "content": "Hello"}]


def test_answers_come_in_order_and_the_last_repeats(server: ProviderServer, ask: Ask) -> None:
    """A list is a sequence of turns, not a cycle."""
    server.model("m", replies=["one", Turn("two")])
    assert [ask().choices[0].message.content for _ in range(3)] == ["one", "two", "two"]


def test_a_callable_sees_the_request(server: ProviderServer, ask: Ask) -> None:
    """None leaves the answer to the echo brain."""
    server.model("m", replies=lambda request: Turn("cold") if request["temperature"] == 0 else None)
    assert ask(temperature=0).choices[0].message.content == "cold"
    assert ask(temperature=1).choices[0].message.content == "You said: Hello"


def test_a_script_that_raises_fails_the_test_that_wrote_it() -> None:
    """A broken script must not pass for a provider's outage."""

    def broken(request: dict[str, Any]) -> str:
        raise KeyError("oops")

    server = ProviderServer().start()
    server.model("m", replies=broken)
    reply = httpx.post(f"{server.base_url}/responses", json={"model": "m", "input": "Hi"})
    assert reply.status_code == 500
    with pytest.raises(TuppenceError, match="oops"):
        server.__exit__(None, None, None)


def test_impossible_scripts_are_refused_at_once(server: ProviderServer) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        server.model("m", replies=[])
    with pytest.raises(ConfigError, match="2 values for a text of 1 pieces"):
        Turn("yes", logprobs=[-0.1, -0.2])


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    """Whatever is streamed can be put together again."""
    assert "".join(tokens_of(text)) == text


def test_a_held_stream_goes_on_when_the_test_says_so(server: ProviderServer, ask: Ask) -> None:
    hold = threading.Event()
    server.model("m", replies=Turn("one two three", hold=hold, hold_after=2))
    stream = iter(ask(stream=True))
    got = [next(stream).choices[0].delta.content for _ in range(3)]
    assert got == ["", "one", " two"]
    assert server.served[0].finished is None
    hold.set()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == " three"


def test_a_client_that_leaves_a_held_stream_pays_for_what_was_generated(server: ProviderServer, ask: Ask) -> None:
    server.model("m", replies=Turn("one two three", hold=threading.Event(), hold_after=2))
    stream = ask(stream=True)
    for _ in range(3):
        next(stream)
    stream.close()
    (served,) = server.await_finished(1)
    assert (served.completed, served.chunks_sent) == (False, 2)
    assert served.usage is not None
    assert served.usage["completion_tokens"] == 2


def test_a_slow_stream_takes_its_time(server: ProviderServer, ask: Ask) -> None:
    server.model("m", replies=Turn("one two", chunk_delay_s=0.02))
    assert len(list(ask(stream=True))) == 4
    (served,) = server.served
    assert served.finished is not None
    assert served.finished - served.started >= 0.04


async def test_a_hang_ends_when_its_client_gives_up(server: ProviderServer) -> None:
    server.model("m", replies=Fault.hang())
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        call = asyncio.ensure_future(client.chat.completions.create(model="m", messages=ASK))
        await asyncio.to_thread(server.await_arrived, 1)
        call.cancel()
        (served,) = await asyncio.to_thread(server.await_finished, 1)
    assert (served.status, served.usage, served.completed) == (None, None, False)


async def test_a_hang_can_be_released(server: ProviderServer) -> None:
    server.model("m", replies=Fault.hang())
    async with anthropic.AsyncAnthropic(base_url=server.anthropic_url, api_key="x", max_retries=0) as client:
        call = asyncio.ensure_future(client.messages.create(model="m", messages=ASK, max_tokens=5))
        await asyncio.to_thread(server.await_arrived, 1)
        server.release()
        with pytest.raises(anthropic.APIConnectionError):
            await call


async def test_many_at_once_are_each_logged_once(server: ProviderServer) -> None:
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        asks = [
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": f"number {i}"}])
            for i in range(100)
        ]
        replies = await asyncio.gather(*asks)
    assert [r.choices[0].message.content for r in replies] == [f"You said: number {i}" for i in range(100)]
    assert {one.id for one in server.served} == {reply.id for reply in replies}


def test_stopping_ends_held_connections_and_leaves_no_thread() -> None:
    """A test that forgets a hanging, a held or an idle connection does not hang itself."""
    before = set(threading.enumerate())
    errors: list[Exception] = []

    def call(client: openai.OpenAI) -> None:
        try:
            client.chat.completions.create(model="m", messages=ASK)
        except openai.APIConnectionError as error:
            errors.append(error)

    server = ProviderServer().start()
    server.model("m", replies=[Fault.hang(), Turn("late", hold=threading.Event())])
    url = server.base_url
    with openai.OpenAI(base_url=url, api_key="x", max_retries=0) as client, httpx.Client() as idle:
        assert idle.get(f"{url}/models").status_code == 200
        callers = [threading.Thread(target=call, args=(client,)) for _ in range(2)]
        for caller in callers:
            caller.start()
        server.await_arrived(3)
        server.stop()
        for caller in callers:
            caller.join()
        assert set(threading.enumerate()) <= before
    assert len(errors) == 2


def test_waiting_for_what_does_not_come_says_so(server: ProviderServer) -> None:
    with pytest.raises(TuppenceError, match="1 requests"):
        server.await_finished(1, timeout_s=0.01)
