"""What LangSmith's own tracer sends of a call: what it cost among the run's metadata, and each token once."""

from __future__ import annotations

from typing import Any
from unittest.mock import create_autospec

import pytest
from langchain_core.tracers import langchain as langchain_tracer
from langchain_core.tracers.langchain import LangChainTracer
from langchain_openai import ChatOpenAI
from langsmith import Client

from langchain_tuppence import ChatTuppence
from tuppence.testing import ProviderServer


@pytest.fixture
def tracer() -> LangChainTracer:
    return LangChainTracer(client=create_autospec(Client, instance=True))


def posted(tracer: LangChainTracer) -> list[dict[str, Any]]:
    """Return what runs the client was given, each as it ended."""
    client: Any = tracer.client
    runs = [call.kwargs for call in (*client.create_run.call_args_list, *client.update_run.call_args_list)]
    return [run for run in runs if run.get("end_time") is not None]


def test_a_call_tells_its_cost_and_its_models_tell_their_tokens(
    server: ProviderServer, tracer: LangChainTracer
) -> None:
    models = [
        ChatOpenAI(model=name, base_url=server.base_url, api_key="not-a-key") for name in ("gpt-4o-mini", "gpt-4o")
    ]
    llm = ChatTuppence(tiers=models, ledger=None)
    answer = llm.invoke("hello", config={"callbacks": [tracer]})
    facts = answer.response_metadata["tuppence"]
    runs = {run["run_type"]: run for run in posted(tracer)}
    metadata = runs["chain"]["extra"]["metadata"]
    assert metadata["tuppence.usd"] == facts["usd"]
    assert metadata["tuppence.tier"] == "gpt-4o-mini"
    assert "usage_metadata" not in metadata
    told = runs["llm"]["extra"]["metadata"]
    assert told["ls_model_name"] == "gpt-4o-mini"
    assert answer.usage_metadata is not None
    if not hasattr(langchain_tracer, "_get_usage_metadata_from_generations"):
        pytest.skip("this langchain-core leaves it to LangSmith to read the tokens off the message")
    assert told["usage_metadata"]["total_tokens"] == answer.usage_metadata["total_tokens"]
