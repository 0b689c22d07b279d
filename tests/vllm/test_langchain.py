"""A vLLM as a plain tier of `ChatTuppence`: the user's own `ChatOpenAI` with another address."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from langchain_tuppence import ChatTuppence
from langchain_tuppence import tier as tier_of
from tuppence.checks import sequence_probability
from tuppence.selfhost import VllmServer
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer

from .conftest import ANSWER, LARGE, SMALL, Rows

TO_THE_END: dict[str, Any] = {"extra_body": {"ignore_eos": True}}
"""An answer is as long as it may be, whatever the model likes to say."""


class Grain(StrEnum):
    """Names that no model comes up with by itself."""

    maize = "qx-maize"
    barley = "qx-barley"


class Found(BaseModel):
    """A grain."""

    grain: Grain


@tool
def note(grain: Grain) -> str:
    """Note a grain."""
    return grain.value


@pytest.fixture
def ladder(server: VllmServer, provider: ProviderServer, ledger: SqliteLedger) -> Any:
    """The server before an API; `own` are arguments of its ChatOpenAI."""

    def ladder(own: dict[str, Any] | None = None, **options: Any) -> ChatTuppence:
        small = ChatOpenAI(base_url=server.base_url, api_key="x", model="small", **{"max_tokens": 12, **(own or {})})
        large = ChatOpenAI(base_url=provider.base_url, api_key="x", model="large-model")
        tiers = [
            tier_of(small, name="small", rate=SMALL, self_hosted=True),
            tier_of(large, name="large", rate=LARGE),
        ]
        return ChatTuppence(tiers=tiers, ledger=ledger, **options)

    return ladder


def facts(message: BaseMessage) -> dict[str, Any]:
    return message.response_metadata["tuppence"]


def test_an_answer_and_a_stream_are_accounted_as_the_server_counts_them(ladder: Any, rows: Rows) -> None:
    """LangChain's own handler, the message and the ledger agree; the stream's usage is there though nobody asked."""
    llm, usage = ladder(TO_THE_END), UsageMetadataCallbackHandler()
    said = llm.invoke("Which grain is it?", config={"callbacks": [usage]})
    streamed: AIMessageChunk | None = None
    for chunk in llm.stream("Which grain is it?", config={"callbacks": [usage]}):
        streamed = chunk if streamed is None else streamed + chunk
    assert streamed is not None
    assert facts(said)["tier"] == facts(streamed)["tier"] == "small"
    counted = [(row["input"] + row["cache_read"], row["output"], row["status"]) for row in rows()]
    told = [one.usage_metadata for one in (said, streamed)]
    assert counted == [(one["input_tokens"], one["output_tokens"], "exact") for one in told]
    (summed,) = usage.usage_metadata.values()
    assert summed["output_tokens"] == sum(one["output_tokens"] for one in told) == 24


async def test_async_calls_and_streams_reach_it_too(ladder: Any, rows: Rows) -> None:
    llm = ladder(TO_THE_END)
    await llm.ainvoke("Which grain is it?")
    assert [chunk async for chunk in llm.astream("Which grain is it?")]
    assert [(row["tier"], row["status"], row["output"]) for row in rows()] == [("small", "exact", 12)] * 2


@pytest.mark.parametrize(("threshold", "tier"), [(0.0, "small"), (1.0, "large")])
def test_the_confidence_of_its_tokens_decides_who_answers(ladder: Any, rows: Rows, threshold: float, tier: str) -> None:
    """The check asks for log-probabilities of a real model; the API's answer needs none."""
    llm = ladder({"logprobs": True, "temperature": 1}, check=sequence_probability(), threshold=threshold)
    said = llm.invoke("Which grain is it?")
    assert facts(said)["tier"] == tier
    assert 0 < rows()[0]["score"] < 1
    assert (said.content == ANSWER) == (tier == "large")


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_is_what_was_asked_for(ladder: Any, rows: Rows, method: str) -> None:
    """By a schema of the answer, or by a forced tool: the small model never gets its names right unless it must."""
    llm = ladder({"max_tokens": 80, "temperature": 0}).with_structured_output(Found, method=method)
    found = llm.invoke("Which grain is it?")
    assert isinstance(found, Found)
    assert [row["tier"] for row in rows()] == ["small"]


def test_a_forced_tool_keeps_to_its_schema(ladder: Any) -> None:
    """Bound as anywhere else."""
    llm = ladder({"max_tokens": 80, "temperature": 0}).bind_tools([note], tool_choice="note")
    said = llm.invoke("Which grain is it?")
    (call,) = said.tool_calls
    assert facts(said)["tier"] == "small"
    assert call["args"]["grain"] in [one.value for one in Grain]


@pytest.mark.parametrize("place", ["model", "bound", "call"])
def test_what_older_servers_were_told_is_still_obeyed(ladder: Any, place: str) -> None:
    """Wherever the program says it: on the model, bound to it, or with the call."""
    extra = {"extra_body": {"guided_choice": [one.value for one in Grain]}}
    llm = ladder(extra if place == "model" else None)
    if place == "bound":
        llm = llm.bind(**extra)
    said = llm.invoke("Which grain is it?", **(extra if place == "call" else {}))
    assert facts(said)["tier"] == "small"
    assert said.content in [one.value for one in Grain]
