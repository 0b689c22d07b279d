"""Wrapped OpenAI clients: chat completions go through the policy, and come back as the SDK's own objects."""

from __future__ import annotations

import json
import threading
from typing import Any, cast

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from tuppence.checks import agrees_with, judged_by, matches_schema
from tuppence.clients import result_of, via, wrap
from tuppence.context import spend
from tuppence.errors import ConfigError, RequestError, ScopeError
from tuppence.policy import Retries
from tuppence.request import Request
from tuppence.routes import by_data_class, start_at
from tuppence.testing import Fault, ProviderServer, Turn
from tuppence.tiers import Additions, Tier, function_tier

from .told import ASK, Wrapped, counted, story


def text_of(chunks: Any) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def billed(server: ProviderServer) -> list[tuple[int, int]]:
    """What the provider itself counted, request by request."""
    return [(s.usage["prompt_tokens"], s.usage["completion_tokens"]) for s in server.served if s.usage is not None]


# -- one call


def test_a_good_draft_is_returned_as_the_sdks_own_object(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """The cheap tier answers, the type is the SDK's, and what it cost is what the provider counted."""
    server.model("small", replies="Forty-two.")
    completion = wrapped(openai_client).chat.completions.create(model="auto", messages=ASK)
    assert type(completion) is ChatCompletion and completion.choices[0].message.content == "Forty-two."
    result = result_of(completion)
    assert story(result) == [("small", "draft", "accepted")]
    assert counted(result) == billed(server)
    (attempt,) = result.attempts
    assert attempt.pico_usd == attempt.usage.input * 10**6 + attempt.usage.output * 2 * 10**6
    assert attempt.status == "exact" and attempt.model == "small"


def test_an_empty_draft_escalates_and_both_are_paid(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """The default check holds for raw clients, too."""
    server.model("small", replies="")
    server.model("large", replies="Forty-two.")
    completion = wrapped(openai_client).chat.completions.create(model="auto", messages=ASK)
    assert story(result_of(completion)) == [("small", "draft", "rejected"), ("large", "escalation", "accepted")]
    assert counted(result_of(completion)) == billed(server)


def test_the_wrapped_client_is_of_the_same_class_and_the_given_one_stays_as_it_was(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """Code that asks for the type works on; the client that was given is neither tracked nor changed."""
    used_before = openai_client.chat.completions
    client = wrapped(openai_client)
    assert isinstance(client, openai.OpenAI) and client is not openai_client
    assert openai_client.chat.completions is used_before is not client.chat.completions
    assert result_of(client.chat.completions.create(model="auto", messages=ASK)).tier == "small"
    plain = openai_client.chat.completions.create(model="small", messages=ASK)
    with pytest.raises(RequestError, match="nothing is known of this ChatCompletion"):
        result_of(plain)


@pytest.mark.parametrize(
    ("model", "asked", "route"),
    [
        ("auto", "small", "cheapest first"),
        ("small", "small", "cheapest first"),
        ("large", "large", "cheapest first"),
        ("judge", "judge", "cheapest first"),
    ],
)
def test_what_model_means(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped, model: str, asked: str, route: str
) -> None:
    """`auto` asks the policy, a tier's name that tier alone, any other model itself; all are accounted."""
    completion = wrapped(openai_client).chat.completions.create(model=model, messages=ASK)
    result = result_of(completion)
    assert [s.model for s in server.served] == [asked] and result.tier == asked
    assert result.attempts[0].pico_usd


def test_a_named_tier_is_asked_even_where_its_answer_is_poor_or_the_policy_is_off(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """Who names a tier gets that tier: no escalation, and no switch to the strongest."""
    server.model("small", replies="")
    for mode in ("optimise", "observe", "off"):
        completion = wrapped(openai_client, mode=mode).chat.completions.create(model="small", messages=ASK)
        assert story(result_of(completion)) == [("small", "draft", "accepted")]


def test_without_tiers_calls_are_accounted_and_repeats_are_free(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """A client wrapped for its ledger and its cache alone."""
    client = wrapped(openai_client, tiers=None, cache=True)
    with spend() as spent:
        first, second = (client.chat.completions.create(model="large", messages=ASK) for _ in range(2))
    assert [result_of(c).tier for c in (first, second)] == ["large", "cache"]
    assert spent.calls == 2 and spent.pico_usd == result_of(first).pico_usd and len(server.served) == 1


def test_a_hit_is_a_completion_of_its_own_that_says_it_used_nothing(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """Programs that add up usage must not count a hit; nobody shares an object with anybody."""
    server.model("small", replies=Turn("Forty-two.", logprobs=-0.1))
    client = wrapped(openai_client, cache=True)
    first, second, third = (client.chat.completions.create(model="auto", messages=ASK) for _ in range(3))
    assert type(second) is ChatCompletion and second is not third
    assert second.choices == first.choices and second.id == first.id
    assert second.usage is not None and second.usage.total_tokens == 0


def test_what_changes_the_answer_changes_the_key(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """No parameter, header, address or api is left out of the cache key."""
    client = wrapped(openai_client, cache=True)
    variants: list[dict[str, Any]] = [
        {}, {"seed": 1}, {"response_format": {"type": "text"}},
        {"extra_headers": {"X-Mood": "good"}}, {"extra_body": {"mood": "good"}}, {"extra_query": {"mood": "good"}},
        {"messages": [{"role": "user", "name": "ann", "content": ASK[0]["content"]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ASK[0]["content"]}]}]},
        {"messages": [{"role": "developer", "content": ASK[0]["content"]}]},
        {"messages": [{"role": "system", "content": ASK[0]["content"]}]},
    ]  # fmt: skip
    for variant in variants:
        client.chat.completions.create(**{"model": "auto", "messages": ASK, **variant})
    client.responses.create(model="auto", input=ASK)
    assert len(server.served) == len(variants) + 1


def test_retries_are_counted_and_the_sdk_adds_none(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """The SDK would have tried three times for each of ours: amplification nobody sees."""
    server.model("small", replies=[Fault(status=500), Fault(status=429, retry_after=0.001), "Forty-two."])
    completion = wrapped(openai_client).chat.completions.create(model="auto", messages=ASK)
    assert story(result_of(completion)) == [
        ("small", "draft", "failed"), ("small", "retry", "failed"), ("small", "retry", "accepted"),
    ]  # fmt: skip
    assert len(server.served) == 3


def test_the_sdks_own_exception_surfaces_with_the_history(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """`except openai.RateLimitError` keeps working, and its notes say what was tried."""
    server.model("small", replies=Fault(status=500))
    server.model("large", replies=Fault(status=429, retry_after=3600))
    with pytest.raises(openai.RateLimitError) as caught:
        wrapped(openai_client, retries=0).chat.completions.create(model="auto", messages=ASK)
    assert any("small (draft) failed" in note for note in caught.value.__notes__)


# -- what is asked


def test_everything_the_caller_sent_reaches_the_tier(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """Images, tool calls, unknown parameters and headers go as they came; only the model is ours."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
    ]
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "strict": True}}]
    wrapped(openai_client).chat.completions.create(
        model="auto", messages=iter(messages), tools=tools, temperature=0.5, extra_body={"top_k": 3},
        extra_headers={"X-Trace": "t1"},
    )  # fmt: skip
    (served,) = server.served
    assert served.request == {
        "model": "small", "messages": messages, "tools": tools, "temperature": 0.5, "top_k": 3,
    }  # fmt: skip
    assert served.headers["x-trace"] == "t1"


def test_an_answer_can_be_sent_back_as_history(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """SDK objects among the messages are read and sent as the SDK would send them."""
    server.model("small", replies=[Turn(tool_calls=[("look", {"at": "it"})]), "A cat."])
    client = wrapped(openai_client)
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    first = client.chat.completions.create(model="auto", messages=ASK, tools=tools)
    (call,) = first.choices[0].message.tool_calls
    answered = {"role": "tool", "tool_call_id": call.id, "content": "a cat"}
    client.chat.completions.create(model="auto", messages=[*ASK, first.choices[0].message, answered], tools=tools)
    sent = server.served[1].request["messages"][1]
    assert sent["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"at": "it"}'}


def test_a_tiers_additions_reach_that_tier_alone(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """Edits are made on a copy of the messages; the caller's list stays."""
    server.model("small", replies="")
    tiers = {"small": Tier("s", model="small", additions=Additions("Think.", (("2+2?", "4"),))), "large": "large"}
    messages = [{"role": "system", "content": "Be brief."}, *ASK]
    wrapped(openai_client, tiers=tiers).chat.completions.create(model="auto", messages=messages)
    small, large = (s.request["messages"] for s in server.served)
    assert [m["content"] for m in small] == ["Be brief.", "Think.", "2+2?", "4", ASK[0]["content"]]
    assert [m["role"] for m in small] == ["system", "system", "user", "assistant", "user"]
    assert large == messages and len(messages) == 2


def test_tiers_may_live_at_several_addresses(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """A local server drafts, the provider is asked when its answer is poor; a judge may be anywhere."""
    with ProviderServer() as local, openai.OpenAI(base_url=local.base_url, api_key="none") as local_client:
        local.model("smollm2", replies="")
        client = wrapped(
            openai_client, tiers={"small": via(local_client, "smollm2", self_hosted=True), "large": "large"},
            prices={"smollm2": {"gpu_hour": "2.50"}, "large": {"input": "1", "output": "2"}},
        )  # fmt: skip
        result = result_of(client.chat.completions.create(model="auto", messages=ASK))
        assert [s.model for s in local.served] == ["smollm2"] and [s.model for s in server.served] == ["large"]
    assert [(a.tier, a.model) for a in result.attempts] == [("small", "smollm2"), ("large", "large")]


def test_a_guard_holds_for_every_model_name(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """Private text does not leave because somebody names a model that no policy knows."""
    client = wrapped(openai_client, guards=(by_data_class(),))
    for model in ("auto", "small", "judge"):
        with pytest.raises(ScopeError, match="private"):
            client.chat.completions.create(model=model, messages=ASK)
    with pytest.raises(ScopeError, match="private"):
        client.embeddings.create(model="vectors", input="secret")
    assert server.served == []


def test_routes_and_functions_work_as_everywhere(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """A function may answer for nothing; a route may start higher."""

    def rules(request: Request) -> str | None:
        return "Hello!" if request.question == "hi" else None

    client = wrapped(openai_client, tiers=[function_tier("rules", rules), "small", "large"])
    hello = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hi"}])
    assert type(hello) is ChatCompletion and hello.choices[0].message.content == "Hello!"
    assert hello.usage is not None and hello.usage.total_tokens == 0 and server.served == []
    stream = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hi"}], stream=True)
    assert text_of(stream) == "Hello!"
    above = wrapped(openai_client, route=start_at("large"))
    assert result_of(above.chat.completions.create(model="auto", messages=ASK)).tier == "large"


@pytest.mark.parametrize("stream", [False, True])
def test_checks_that_ask_others_are_billed(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped, stream: bool
) -> None:
    """A judge and a second opinion are attempts of the same call, streamed or not."""
    server.model("small", replies="Forty-two.")
    server.model("large", replies="Forty-two.")
    server.model("judge", replies='{"score": 5, "reason": "right"}')
    client = wrapped(
        openai_client,
        judges=["judge", via(openai_client, "large", name="second")],
        check=judged_by("judge") & agrees_with("second"),
    )
    answer = client.chat.completions.create(model="auto", messages=ASK, stream=stream)
    assert not stream or text_of(answer) == "Forty-two."
    assert story(result_of(answer)) == [
        ("small", "draft", "accepted"), ("judge", "judge", "consulted"), ("second", "agreement", "consulted"),
    ]  # fmt: skip
    assert counted(result_of(answer)) == billed(server)


def test_a_tier_that_is_asked_by_name_is_judged_by_the_others(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """With validation retries the check of a single model asks whom it always asks, on the ladder or beside it."""
    server.model("small", replies=["Nine.", "Forty-two."])
    server.model("other", replies="Forty-two.")
    server.model("large", replies="Forty-two.")
    server.model("judge", replies='{"score": 5, "reason": "right"}')
    client = wrapped(
        openai_client, judges={"judge": "judge"}, check=agrees_with("large") & judged_by("judge"),
        retries=Retries(validation=1, base_s=0.0),
        prices={name: {"input": "1", "output": "2"} for name in ("small", "large", "judge", "other")},
    )  # fmt: skip
    answer = client.chat.completions.create(model="small", messages=ASK)
    assert story(result_of(answer)) == [
        ("small", "draft", "rejected"), ("large", "agreement", "consulted"),
        ("small", "validation_retry", "accepted"), ("large", "agreement", "consulted"),
        ("judge", "judge", "consulted"),
    ]  # fmt: skip
    answer = client.chat.completions.create(model="other", messages=ASK)
    assert [one[0] for one in story(result_of(answer))] == ["other", "large", "judge"]
    assert result_of(answer).pico_usd == sum(a.pico_usd or 0 for a in result_of(answer).attempts) > 0


def test_a_judges_name_is_its_own(openai_client: openai.OpenAI, wrapped: Wrapped) -> None:
    """A model that stands on the ladder too is numbered; a name of the user's own is refused where it is taken."""
    client = wrapped(openai_client, judges=["small"], check=agrees_with("small-2"))
    assert type(client) is openai.OpenAI
    with pytest.raises(ConfigError, match="two tiers or judges are called 'small'"):
        wrapped(openai_client, judges={"small": "judge"})
    with pytest.raises(ConfigError, match="judges is 'judge': give a list"):
        wrapped(openai_client, judges="judge")
    with pytest.raises(ConfigError, match=r"check names \['juge'\]"):
        wrapped(openai_client, judges=["judge"], check=judged_by("juge"))


async def test_an_async_client_has_async_judges(
    openai_client: openai.OpenAI, async_openai: openai.AsyncOpenAI, wrapped: Wrapped
) -> None:
    """Nobody could wait for the other kind; that is said when the client is wrapped."""
    with pytest.raises(ConfigError, match=r"judge 'judge' is asked by OpenAI, the wrapped client is AsyncOpenAI"):
        wrapped(async_openai, judges=[via(openai_client, "judge")])


def test_logprobs_reach_the_check(server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped) -> None:
    """Natural logarithms, one a token, streamed or not."""
    server.model("small", replies=Turn(pieces=["Forty", "-two."], logprobs=[-0.5, -0.25]))
    for stream in (False, True):
        seen: list[Any] = []

        def check(request: Request, reply: Any, seen: list[Any] = seen) -> Any:
            from tuppence.attempts import Verdict

            seen.append(reply.logprobs)
            return Verdict(1.0, "fine")

        answer = wrapped(openai_client, check=check).chat.completions.create(
            model="auto", messages=ASK, logprobs=True, stream=stream
        )
        assert not stream or text_of(answer) == "Forty-two."
        assert seen == [(-0.5, -0.25)]


# -- structured output


class Sum(BaseModel):
    total: int


def test_parse_returns_what_the_sdk_parses_and_escalates_what_it_cannot(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """A draft that does not parse is paid for, and the next tier is asked; a hit is parsed again."""
    server.model("small", replies='{"total": "many"}')
    server.model("large", replies='{"total": 42}')
    client = wrapped(openai_client, cache=True)
    for tier in ("large", "cache"):
        completion = client.chat.completions.parse(model="auto", messages=ASK, response_format=Sum)
        assert completion.choices[0].message.parsed == Sum(total=42)
        assert result_of(completion).tier == tier
    assert len(server.served) == 2


def test_the_schema_reaches_schema_checks(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """`matches_schema()` without a schema uses the request's own."""
    server.model("small", replies='{"total": "many"}')
    server.model("large", replies='{"total": 42}')
    form = {"type": "json_schema", "json_schema": {"name": "sum", "schema": Sum.model_json_schema()}}
    client = wrapped(openai_client, check=matches_schema())
    completion = client.chat.completions.create(model="auto", messages=ASK, response_format=form)
    assert result_of(completion).tier == "large"


# -- streams


@pytest.mark.parametrize("asked", [None, False, True])
def test_streams_are_billed_exactly_and_show_usage_only_to_who_asked(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped, asked: bool | None
) -> None:
    """`include_usage` is always sent; the chunk that it adds is hidden from who did not ask for it."""
    server.model("small", replies="Forty-two is the answer.")
    options = {} if asked is None else {"stream_options": {"include_usage": asked}}
    stream = wrapped(openai_client).chat.completions.create(model="auto", messages=ASK, stream=True, **options)
    assert isinstance(stream, openai.Stream)
    chunks = list(stream)
    assert all(type(chunk) is ChatCompletionChunk for chunk in chunks)
    assert text_of(chunks) == "Forty-two is the answer."
    assert [c.usage is not None for c in chunks if not c.choices] == ([True] if asked else [])
    result = result_of(stream)
    assert result.attempts[0].status == "exact" and counted(result) == billed(server)


def test_a_rejected_stream_is_never_seen(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """The reader sees the accepted tier's chunks and no other."""
    server.model("small", replies="I'm sorry, but I can't help with that.")
    server.model("large", replies="Forty-two.")
    stream = wrapped(openai_client).chat.completions.create(model="auto", messages=ASK, stream=True)
    assert text_of(stream) == "Forty-two."
    assert story(result_of(stream)) == [("small", "draft", "rejected"), ("large", "escalation", "accepted")]


def test_streamed_and_whole_answers_share_the_cache(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """What was streamed is served whole, and what was whole is streamed, as the SDK's chunks."""
    server.model("small", replies=["Forty-two.", "Fifty-four."])
    client = wrapped(openai_client, cache=True)

    def create(text: str, **options: Any) -> Any:
        return client.chat.completions.create(model="auto", messages=[{"role": "user", "content": text}], **options)

    list(create("six by seven", stream=True))
    assert create("six by seven").choices[0].message.content == "Forty-two."
    create("six by nine")
    replayed = list(create("six by nine", stream=True, stream_options={"include_usage": True}))
    assert all(type(chunk) is ChatCompletionChunk for chunk in replayed)
    assert text_of(replayed) == "Fifty-four." and replayed[-2].choices[0].finish_reason == "stop"
    assert replayed[-1].usage is not None and replayed[-1].usage.total_tokens == 0
    assert len(server.served) == 2


def test_a_streamed_tool_call_is_put_together(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """Two calls in one answer, their arguments in pieces, are read as two calls."""
    calls = [("look", {"at": "it"}), ("listen", {"to": "them", "for": 3})]
    server.model("small", replies=Turn("Let me see.", tool_calls=calls))
    tools = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name, _ in calls]
    stream = wrapped(openai_client).chat.completions.create(model="auto", messages=ASK, tools=tools, stream=True)
    list(stream)
    reply = result_of(stream).reply
    assert reply is not None and reply.finish == "tool_calls" and reply.text == "Let me see."
    assert [(c.name, json.loads(c.arguments)) for c in reply.tool_calls] == calls


def test_the_stream_helper_works(server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped) -> None:
    """`chat.completions.stream()` gives its events and the whole completion, and the call is known by it."""
    server.model("small", replies="Forty-two.")
    with wrapped(openai_client).chat.completions.stream(model="auto", messages=ASK) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "content.delta" in kinds and final.choices[0].message.content == "Forty-two."
    assert result_of(stream).tier == "small"


def test_an_error_of_a_stream_is_raised_where_the_sdk_raises_it(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """A refused request raises from `create`, not from the first `next`."""
    server.model("small", replies=Fault(status=401))
    server.model("large", replies=Fault(status=401))
    with pytest.raises(openai.AuthenticationError):
        wrapped(openai_client).chat.completions.create(model="auto", messages=ASK, stream=True)


def test_who_stops_at_the_finish_reason_is_billed_exactly(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """The usage chunk comes after it: it has been read by then."""
    server.model("small", replies="Forty-two.")
    stream = wrapped(openai_client).chat.completions.create(model="auto", messages=ASK, stream=True)
    for chunk in stream:
        if chunk.choices[0].finish_reason:
            break
    assert story(result_of(stream)) == [("small", "draft", "accepted")]
    assert counted(result_of(stream)) == billed(server)


@pytest.mark.parametrize("how", ["close", "with", "drop", "helper"])
def test_an_abandoned_stream_is_settled_by_a_flagged_estimate(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped, how: str
) -> None:
    """Closed, left or forgotten: the connection ends, and what was generated so far is billed as an estimate."""
    server.model("small", replies=Turn("One two three four five six", hold=threading.Event(), hold_after=3))
    client = wrapped(openai_client)
    with spend() as spent:
        if how == "helper":
            with client.chat.completions.stream(model="small", messages=ASK) as helper:
                while not getattr(next(helper), "delta", ""):
                    pass
        else:
            stream = client.chat.completions.create(model="small", messages=ASK, stream=True)
            seen = text_of([next(stream), next(stream)])
            assert seen == "One"
            if how == "close":
                stream.close()
            elif how == "with":
                with stream:
                    pass
            del stream
        server.await_finished(1)
    (attempt,) = spent.attempts
    assert (attempt.outcome, attempt.status) == ("abandoned", "estimated")
    assert attempt.usage.input > 0 and attempt.usage.output > 0


def test_a_stream_has_the_response_of_its_http_request(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """Headers can be read; where no request was made, that is said."""
    client = wrapped(openai_client, cache=True)
    stream = client.chat.completions.create(model="auto", messages=ASK, stream=True)
    assert stream.response.headers["x-request-id"] == "req_000001"
    list(stream)
    hit = client.chat.completions.create(model="auto", messages=ASK, stream=True)
    with pytest.raises(AttributeError, match="not answered over HTTP"):
        _ = hit.response.headers


# -- async


async def test_the_async_client_does_the_same(
    server: ProviderServer, async_openai: openai.AsyncOpenAI, wrapped: Wrapped
) -> None:
    """Escalation, cache, parsing and streaming, awaited."""
    server.model("small", replies=["", "Forty-two.", '{"total": 42}'])
    server.model("large", replies="Forty-two, certainly.")
    client = wrapped(async_openai, cache=True)
    completion = await client.chat.completions.create(model="auto", messages=ASK)
    assert story(result_of(completion)) == [("small", "draft", "rejected"), ("large", "escalation", "accepted")]
    stream = await client.chat.completions.create(model="auto", messages=ASK, stream=True)
    assert isinstance(stream, openai.AsyncStream)
    assert text_of([chunk async for chunk in stream]) == "Forty-two, certainly."
    assert result_of(stream).tier == "cache"
    live = await client.chat.completions.create(
        model="auto", messages=[*ASK, {"role": "user", "content": "Now?"}], stream=True
    )
    assert text_of([chunk async for chunk in live]) == "Forty-two."
    assert result_of(live).attempts[0].status == "exact"
    parsed = await client.chat.completions.parse(model="auto", messages=ASK, response_format=Sum)
    assert parsed.choices[0].message.parsed == Sum(total=42)


async def test_the_async_stream_helper_works(
    server: ProviderServer, async_openai: openai.AsyncOpenAI, wrapped: Wrapped
) -> None:
    """Read to the end, and left at the first event."""
    server.model("small", replies=["Forty-two.", Turn("One two three", hold=threading.Event(), hold_after=2)])
    client = wrapped(async_openai)
    async with client.chat.completions.stream(model="auto", messages=ASK) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == "Forty-two." and result_of(stream).tier == "small"
    async with client.chat.completions.stream(model="small", messages=ASK) as left:
        await anext(left)
    assert [a.outcome for a in result_of(left).attempts] == ["abandoned"]


# -- everything else


def test_other_methods_pass_through(server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped) -> None:
    """What is no answer to a prompt is the SDK's business; raw responses are not tracked."""
    client = wrapped(openai_client)
    assert [model.id for model in client.models.list()] == []
    with spend() as spent:
        raw = client.chat.completions.with_raw_response.create(model="small", messages=ASK)
        assert raw.parse().choices[0].message.content == f"You said: {ASK[0]['content']}"
        top = client.with_raw_response.chat.completions.create(model="small", messages=ASK)
        assert top.headers["x-request-id"]
        with client.chat.completions.with_streaming_response.create(model="small", messages=ASK) as streamed:
            assert streamed.status_code == 200
    assert spent.calls == 0


def test_with_options_keeps_the_policy(server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped) -> None:
    """A client with other options is wrapped like the first, and asks with these options."""
    client = wrapped(openai_client).with_options(default_headers={"X-Team": "blue"}).copy(timeout=5)
    assert isinstance(client, openai.OpenAI) and client.timeout == 5
    assert result_of(client.chat.completions.create(model="auto", messages=ASK)).tier == "small"
    assert server.served[0].headers["x-team"] == "blue"


def test_embeddings_are_accounted_and_never_routed(
    server: ProviderServer, openai_client: openai.OpenAI, wrapped: Wrapped
) -> None:
    """Vectors come as the SDK gives them, decoded; the policy's choice is not for them."""
    client = wrapped(openai_client, cache=True)
    made = client.embeddings.create(model="vectors", input=["one", "two"])
    assert len(made.data) == 2 and isinstance(made.data[0].embedding[0], float)
    result = result_of(made)
    assert result.tier == "vectors" and result.pico_usd == made.usage.prompt_tokens * 10**6
    with pytest.raises(RequestError, match="no tiers"):
        client.embeddings.create(model="auto", input="one")


def test_a_wrapped_client_is_not_wrapped_again(openai_client: openai.OpenAI, wrapped: Wrapped) -> None:
    """Twice wrapped would be twice billed; as a tier of another, the client under it is used."""
    client = wrapped(openai_client)
    with pytest.raises(ConfigError, match="wrapped already"):
        wrapped(client)
    assert via(client, "small").client is openai_client


def test_importing_the_room_imports_no_sdk() -> None:
    """`import tuppence.clients` costs what it is, not what the SDKs are."""
    import subprocess
    import sys

    script = "import sys, tuppence.clients; print([m for m in ('openai', 'anthropic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_type_of_the_client_is_kept_for_type_checkers(openai_client: openai.OpenAI) -> None:
    """`wrap` returns what it was given, so completion and checking work as before."""
    client: openai.OpenAI = wrap(openai_client, ledger=None)
    assert cast("Any", client).post != openai_client.post
