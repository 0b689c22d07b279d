"""How the scripted provider refuses and fails, and what the real SDKs make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tuppence.testing import Fault, ProviderServer, Turn

Ask = Callable[..., Any]
ASK: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("status", "of_openai", "of_anthropic"),
    [
        (400, openai.BadRequestError, anthropic.BadRequestError),
        (401, openai.AuthenticationError, anthropic.AuthenticationError),
        (403, openai.PermissionDeniedError, anthropic.PermissionDeniedError),
        (404, openai.NotFoundError, anthropic.NotFoundError),
        (429, openai.RateLimitError, anthropic.RateLimitError),
        (500, openai.InternalServerError, anthropic.InternalServerError),
        (503, openai.InternalServerError, anthropic.InternalServerError),
        (529, openai.InternalServerError, anthropic.APIStatusError),
    ],
)
def test_errors_are_those_that_the_sdks_know(
    server: ProviderServer,
    ask: Ask,
    ask_claude: Ask,
    status: int,
    of_openai: type[Exception],
    of_anthropic: type[Exception],
) -> None:
    """An error is never billed."""
    server.model("m", replies=Fault(status=status, message="too bad"))
    with pytest.raises(of_openai, match="too bad"):
        ask()
    with pytest.raises(of_anthropic, match="too bad"):
        ask_claude(stream=True)
    assert [(one.status, one.usage) for one in server.served] == [(status, None)] * 2


def test_retry_after_is_told_in_both_headers(server: ProviderServer) -> None:
    """Whole seconds, as HTTP wants them, and the milliseconds that the SDKs prefer."""
    server.model("m", replies=[Fault(status=429, retry_after=0.02), "fine"])
    reply = httpx.post(f"{server.base_url}/chat/completions", json={"model": "m", "messages": ASK})
    assert (reply.headers["retry-after"], reply.headers["retry-after-ms"]) == ("1", "20")
    assert reply.json()["error"]["code"] == "rate_limit_exceeded"


def test_an_sdk_that_retries_is_seen_to(server: ProviderServer, chat: openai.OpenAI, ask: Ask) -> None:
    server.model("m", replies=[Fault(status=429, retry_after=0.001), Fault(status=500, retry_after=0.001), "ok"])
    chat.with_options(max_retries=2).chat.completions.create(model="m", messages=ASK)
    assert [one.status for one in server.served] == [429, 500, 200]
    assert [one.headers["x-stainless-retry-count"] for one in server.served] == ["0", "1", "2"]


@pytest.mark.parametrize(("key", "status"), [("right", 200), ("wrong", 401)])
def test_only_the_right_key_opens(key: str, status: int) -> None:
    """Either API's header carries it."""
    with ProviderServer(api_key="right") as server:
        for url, headers in (
            (f"{server.base_url}/chat/completions", {"authorization": f"Bearer {key}"}),
            (f"{server.anthropic_url}/v1/messages", {"x-api-key": key}),
        ):
            body = {"model": "m", "messages": ASK, "max_tokens": 5}
            assert httpx.post(url, json=body, headers=headers).status_code == status


ORPHAN = [*ASK, {"role": "tool", "tool_call_id": "c1", "content": "sunny"}]
UNANSWERED = [
    *ASK,
    {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
]


@pytest.mark.parametrize(
    "options",
    [
        {"messages": []},
        {"messages": ORPHAN},
        {"messages": UNANSWERED},
        {"messages": [*UNANSWERED, *ASK]},
        {"tool_choice": "auto"},
        {"response_format": {"type": "json_object"}},
    ],
)
def test_requests_that_openai_refuses_are_refused(ask: Ask, options: dict[str, Any]) -> None:
    """A pruner that tears a tool's result from its call must fail here as it does there."""
    with pytest.raises(openai.BadRequestError):
        ask(**options)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}]}],
        [
            *ASK,
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
            *ASK,
        ],
        [{"role": "system", "content": "Be brief."}],
    ],
)
def test_requests_that_anthropic_refuses_are_refused(ask_claude: Ask, messages: list[Any]) -> None:
    with pytest.raises(anthropic.BadRequestError):
        ask_claude(messages=messages)


def test_a_stream_that_dies_is_billed_for_what_it_brought(server: ProviderServer, ask: Ask) -> None:
    server.model("m", replies=Fault.die_after(chunks=3, turn=Turn("one two four five")))
    got: list[str] = []
    # The SDK's second major version lets httpx's error through, the third wraps it.
    with pytest.raises((httpx.RemoteProtocolError, openai.APIConnectionError)):
        got.extend(chunk.choices[0].delta.content for chunk in ask(stream=True))
    (served,) = server.await_finished(1)
    assert "".join(got) == "one two four"
    assert (served.completed, served.chunks_sent) == (False, 3)
    assert served.usage is not None
    assert served.usage["completion_tokens"] == 3


def test_an_error_can_come_inside_a_stream(server: ProviderServer, ask: Ask, ask_claude: Ask) -> None:
    """After a 200 the status says nothing more: the event does."""
    server.model("m", replies=Fault.error_after(chunks=1))
    with pytest.raises(openai.APIError):
        list(ask(stream=True))
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        list(ask_claude(stream=True))
    assert [one.chunks_sent for one in server.await_finished(2)] == [1, 1]


@pytest.mark.parametrize("fault", [Fault.disconnect(), Fault.die_after(chunks=2)])
def test_a_lost_connection_is_one_to_the_sdk(server: ProviderServer, ask: Ask, fault: Fault) -> None:
    server.model("m", replies=fault)
    with pytest.raises(openai.APIConnectionError):
        ask()
    assert server.await_finished(1)[0].completed is False


def test_a_body_may_be_no_json_or_have_no_choice(server: ProviderServer, ask: Ask) -> None:
    server.model("m", replies=[Fault.garbage(), Fault.empty()])
    with pytest.raises(ValueError, match="Expecting value"):
        ask()
    assert ask().choices == []
