"""A vLLM as a plain tier of the raw SDK clients: what is asked, what comes back, what is accounted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tuppence import wrap
from tuppence.checks import sequence_probability
from tuppence.clients import result_of, via
from tuppence.selfhost import VllmServer
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer

from .conftest import ANSWER, LARGE, SMALL, Rows

ASKED: list[Any] = [{"role": "user", "content": "Which grain is it?"}]
GRAINS = {"type": "object", "properties": {"grain": {"enum": ["qx-maize", "qx-barley"]}}, "required": ["grain"]}
"""Names that no model comes up with by itself."""


@pytest.fixture
def own(server: VllmServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        yield client


@pytest.fixture
def wrapped(own: openai.OpenAI, provider: ProviderServer, ledger: SqliteLedger) -> Iterator[Any]:
    """The server before an API; the first answer is good enough unless a test says otherwise."""
    with openai.OpenAI(base_url=provider.base_url, api_key="x") as api:

        def wrapped(**options: Any) -> openai.OpenAI:
            tiers = [
                via(own, "small", rate=SMALL, self_hosted=True),
                via(api, "large-model", name="large", rate=LARGE),
            ]
            return wrap(api, tiers=tiers, ledger=ledger, **options)

        yield wrapped


def test_an_answer_is_accounted_as_the_server_counts_it(wrapped: Any, rows: Rows) -> None:
    """Tokens to the last one, at this tier's price."""
    client = wrapped()
    said = client.chat.completions.create(model="auto", messages=ASKED, max_tokens=8)
    (row,) = rows()
    assert result_of(said).tier == row["tier"] == "small"
    assert row["input"] + row["cache_read"] == said.usage.prompt_tokens
    assert row["output"] == said.usage.completion_tokens
    assert row["pico_usd"] == row["input"] * 1_000_000 + row["cache_read"] * 250_000 + row["output"] * 2_000_000


def test_a_stream_tells_what_it_used_though_nobody_asked(wrapped: Any, rows: Rows) -> None:
    """The caller sees the chunks that it would see without, and the ledger has exact counts."""
    client = wrapped()
    chunks = list(client.chat.completions.create(model="auto", messages=ASKED, max_tokens=8, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert all(chunk.usage is None for chunk in chunks)
    (row,) = rows()
    assert row["status"] == "exact"
    assert row["input"] > 0
    assert row["output"] == 8


def test_tokens_from_the_prefix_cache_are_told_apart(wrapped: Any, rows: Rows) -> None:
    """The second prompt with the same beginning is mostly read from the cache."""
    client = wrapped()
    rules = "Answer in one word. " * 40
    for question in ("What is wheat?", "What is rye?"):
        asked = [{"role": "system", "content": rules}, {"role": "user", "content": question}]
        client.chat.completions.create(model="auto", messages=asked, max_tokens=2)
    _, again = rows()
    assert again["cache_read"] >= 128
    assert again["input"] < 64


@pytest.mark.parametrize(("threshold", "tier"), [(0.0, "small"), (1.0, "large")])
def test_the_confidence_of_its_tokens_decides_who_answers(
    wrapped: Any, rows: Rows, threshold: float, tier: str
) -> None:
    """Log-probabilities of the real model are the check's score: nothing is below 0, hardly anything reaches 1."""
    client = wrapped(check=sequence_probability(), threshold=threshold)
    said = client.chat.completions.create(model="auto", messages=ASKED, max_tokens=12, logprobs=True, temperature=1)
    assert result_of(said).tier == tier
    first = rows()[0]
    assert first["tier"] == "small"
    assert 0 < first["score"] < 1
    assert [row["tier"] for row in rows()] == (["small"] if tier == "small" else ["small", "large"])


def test_a_json_schema_is_kept_to(wrapped: Any) -> None:
    """In the words that OpenAI's own API has for it."""
    form = {"type": "json_schema", "json_schema": {"name": "grain", "schema": GRAINS}}
    said = wrapped().chat.completions.create(
        model="auto", messages=ASKED, max_tokens=60, temperature=0, response_format=form
    )
    assert result_of(said).tier == "small"
    assert json.loads(said.choices[0].message.content)["grain"].startswith("qx-")


TOOL = {"type": "function", "function": {"name": "note", "description": "Note a grain.", "parameters": GRAINS}}
NOTE = {"type": "function", "function": {"name": "note"}}


@pytest.mark.parametrize("choice", [NOTE, "required"], ids=["named", "required"])
def test_a_forced_tool_keeps_to_its_schema(wrapped: Any, choice: Any) -> None:
    """As at OpenAI."""
    said = wrapped().chat.completions.create(
        model="auto", messages=ASKED, temperature=0, max_tokens=80, tools=[TOOL], tool_choice=choice
    )
    (call,) = said.choices[0].message.tool_calls
    assert call.function.name == "note"
    assert json.loads(call.function.arguments)["grain"].startswith("qx-")


@pytest.mark.parametrize(
    ("old", "kept"),
    [
        ({"guided_choice": ["qx-maize", "qx-barley"]}, lambda text: text in {"qx-maize", "qx-barley"}),
        ({"guided_regex": "qx-[0-9]{3}"}, lambda text: text.startswith("qx-") and text[3:].isdigit()),
        ({"guided_json": GRAINS}, lambda text: json.loads(text)["grain"].startswith("qx-")),
        ({"guided_grammar": 'root ::= "qx-maize" | "qx-barley"'}, lambda text: text in {"qx-maize", "qx-barley"}),
    ],
    ids=["choice", "regex", "json", "grammar"],
)
def test_what_older_servers_were_told_is_still_obeyed(wrapped: Any, old: Any, kept: Any) -> None:
    said = wrapped().chat.completions.create(model="auto", messages=ASKED, max_tokens=60, temperature=0, extra_body=old)
    assert result_of(said).tier == "small"
    assert kept(said.choices[0].message.content)


def test_asked_past_tuppence_it_keeps_to_neither(own: openai.OpenAI) -> None:
    """Should this fail, vLLM has changed, and what it is told beside the request is no longer needed."""
    asked: dict[str, Any] = {"model": "small", "messages": ASKED, "temperature": 0, "max_tokens": 30}
    forced = own.chat.completions.create(**asked, tools=[TOOL], tool_choice="required")
    guided = own.chat.completions.create(**asked, extra_body={"guided_choice": ["qx-maize", "qx-barley"]})
    assert "qx-" not in forced.model_dump_json()
    assert "qx-" not in guided.model_dump_json()


def test_it_is_reached_in_anthropics_words_too(
    server: VllmServer, provider: ProviderServer, ledger: SqliteLedger, rows: Rows
) -> None:
    """`/v1/messages`, whole and as a stream, with the SDK's own client and its own counts; a forced tool obeys too."""
    with (
        anthropic.Anthropic(base_url=server.url, api_key="x", max_retries=0) as own_words,
        anthropic.Anthropic(base_url=provider.anthropic_url, api_key="x") as api,
    ):
        tiers = [
            via(own_words, "small", rate=SMALL, self_hosted=True),
            via(api, "large-model", name="large", rate=LARGE),
        ]
        client = wrap(api, tiers=tiers, ledger=ledger)
        said = client.messages.create(model="auto", messages=ASKED, max_tokens=8)
        with client.messages.stream(model="auto", messages=ASKED, max_tokens=8) as stream:
            streamed = stream.get_final_message()
        tool: Any = {"name": "note", "description": "Note a grain.", "input_schema": GRAINS}
        forced = client.messages.create(
            model="auto", messages=ASKED, max_tokens=80, tools=[tool], tool_choice={"type": "tool", "name": "note"}
        )
    assert result_of(said).tier == "small"
    assert [block.input["grain"][:3] for block in forced.content if block.type == "tool_use"] == ["qx-"]
    counted = [(row["tier"], row["status"], row["input"] + row["cache_read"], row["output"]) for row in rows()[:2]]
    assert counted == [
        ("small", "exact", one.usage.input_tokens + (one.usage.cache_read_input_tokens or 0), one.usage.output_tokens)
        for one in (said, streamed)
    ]


def test_an_answer_that_is_not_good_enough_goes_to_the_api(wrapped: Any, rows: Rows) -> None:
    """And both are in the ledger, each at its own price."""
    client = wrapped(check=lambda request, reply: 0.0)
    said = client.chat.completions.create(model="auto", messages=ASKED, max_tokens=30)
    assert said.choices[0].message.content == ANSWER
    assert [(row["tier"], row["outcome"]) for row in rows()] == [("small", "rejected"), ("large", "accepted")]
