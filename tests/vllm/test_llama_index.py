"""A vLLM as a plain tier of `TuppenceLLM`: the user's own `OpenAILike` with its address."""

from collections.abc import Iterator
from typing import Any, Literal

import httpx
import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from llama_index_tuppence import TuppenceLLM
from llama_index_tuppence import tier as tier_of
from tuppence.checks import sequence_probability
from tuppence.selfhost import VllmServer
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer

from .conftest import ANSWER, LARGE, SMALL, Rows

ASKED = [ChatMessage("Which grain is it?")]


def note(grain: Literal["qx-maize", "qx-barley"]) -> str:
    """Note a grain."""
    return grain


@pytest.fixture
def like() -> Iterator[Any]:
    """Make a model of a server that speaks as OpenAI's does, on connections which end with the test."""
    with httpx.Client(timeout=120) as connections:

        def like(base_url: str, name: str, **options: Any) -> OpenAILike:
            settings = {"is_chat_model": True, "is_function_calling_model": True, "context_window": 2048}
            return OpenAILike(
                model=name, api_base=base_url, api_key="x", http_client=connections, **{**settings, **options}
            )

        yield like


@pytest.fixture
def ladder(like: Any, server: VllmServer, provider: ProviderServer, ledger: SqliteLedger) -> Any:
    """The server before an API; `own` are arguments of its OpenAILike."""

    def ladder(own: dict[str, Any] | None = None, **options: Any) -> TuppenceLLM:
        tiers = [
            tier_of(
                like(server.base_url, "small", **{"max_tokens": 12, **(own or {})}),
                name="small", rate=SMALL, self_hosted=True,
            ),
            tier_of(like(provider.base_url, "large-model"), name="large", rate=LARGE),
        ]  # fmt: skip
        return TuppenceLLM(tiers=tiers, ledger=ledger, **options)

    return ladder


def test_an_answer_and_a_stream_are_accounted_as_the_server_counts_them(ladder: Any, rows: Rows) -> None:
    """The stream's usage is there though nobody asked for it."""
    llm = ladder({"additional_kwargs": {"extra_body": {"ignore_eos": True}}})
    said = llm.chat(ASKED)
    streamed = list(llm.stream_chat(ASKED))[-1]
    assert streamed.message.content
    told = said.raw.usage
    assert [row["status"] for row in rows()] == ["exact", "exact"]
    assert rows()[0]["input"] + rows()[0]["cache_read"] == told.prompt_tokens
    assert [row["output"] for row in rows()] == [told.completion_tokens, 12] == [12, 12]


@pytest.mark.parametrize(("threshold", "tier"), [(0.0, "small"), (1.0, "large")])
def test_the_confidence_of_its_tokens_decides_who_answers(ladder: Any, rows: Rows, threshold: float, tier: str) -> None:
    own = {"additional_kwargs": {"logprobs": True}, "temperature": 1.0}
    said = ladder(own, check=sequence_probability(), threshold=threshold).chat(ASKED)
    assert 0 < rows()[0]["score"] < 1
    assert rows()[-1]["tier"] == tier
    assert (said.message.content == ANSWER) == (tier == "large")


def test_a_forced_tool_keeps_to_its_schema(ladder: Any) -> None:
    """The small model never gets the names right unless it must."""
    llm = ladder({"max_tokens": 80, "temperature": 0.0})
    said = llm.chat_with_tools([FunctionTool.from_defaults(note)], chat_history=list(ASKED), tool_required=True)
    (call,) = llm.get_tool_calls_from_response(said)
    assert call.tool_kwargs["grain"].startswith("qx-")


def test_what_older_servers_were_told_is_still_obeyed(ladder: Any) -> None:
    """Said where LlamaIndex's users say what is not OpenAI's; a completion of a prompt obeys as well."""
    llm = ladder({"additional_kwargs": {"extra_body": {"guided_choice": ["qx-maize", "qx-barley"]}}})
    assert llm.chat(ASKED).message.content in {"qx-maize", "qx-barley"}
    assert llm.complete("Which grain is it?").text in {"qx-maize", "qx-barley"}
