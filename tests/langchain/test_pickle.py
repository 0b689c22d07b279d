"""A ChatTuppence travels: to worker processes and back, without clients, caches or secrets on board."""

import pickle
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI

from langchain_tuppence import ChatTuppence, function_tier, tier
from tuppence.errors import ConfigError
from tuppence.policy import Retries
from tuppence.request import Request
from tuppence.testing import Fault, ProviderServer

from . import parts


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are read from the environment of the process that unpickles."""
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")


def answer(request: Request) -> str | None:
    return "We open at nine." if "open" in request.question else None


def described(llm: ChatTuppence) -> list[Any]:
    return [(t.name, t.model, t.rate and t.rate.version, t.timeout_s) for t in llm.policy.tiers]


def moved(llm: Any) -> Any:
    return pickle.loads(pickle.dumps(llm))


def test_it_answers_the_same_on_the_other_side(server: ProviderServer, tmp_path: Path) -> None:
    """Tiers of two providers, a function tier, prices, names and the file cache all arrive."""
    claude = tier(parts.anthropic(server, "large-model").bind(stop=["END"]), name="large", rate=parts.LARGE)
    llm = ChatTuppence(
        tiers=[function_tier("rules", answer), parts.small(server, timeout_s=5.0), claude], ledger=None,
        cache=tmp_path / "cache.db", threshold=0.7, version="v2",
    )  # fmt: skip
    other = moved(llm)
    assert other.policy.scope == llm.policy.scope
    assert described(other) == described(llm)
    assert other.invoke("When do you open?").text == "We open at nine."
    answered = llm.invoke("Say it.").text
    llm.policy.cache.close()  # the file store commits behind the call; closing waits for it
    assert other.invoke("Say it.").text == answered
    assert len(server.served) == 1


def test_bound_tools_and_structured_output_travel(server: ProviderServer) -> None:
    """What a graph ships to its workers is often a bound model."""
    schema = {"title": "City", "description": "A city.", "type": "object", "properties": {"name": {"type": "string"}}}
    server.model("small-model", replies='{"name": "Porto"}')
    assert moved(parts.ladder(server).with_structured_output(schema)).invoke("Porto?") == {"name": "Porto"}
    bound = moved(parts.ladder(server).bind_tools([{**schema, "title": "city"}]))
    bound.invoke("Porto?")
    assert server.served[-1].request["tools"][0]["function"]["name"] == "city"


def test_no_secret_is_on_board(server: ProviderServer) -> None:
    """The pickle names where a key is read from, not the key."""
    secret = "sk-very-secret"
    model = ChatOpenAI(base_url=server.base_url, api_key=secret, model="m")
    assert secret.encode() not in pickle.dumps(ChatTuppence(tiers=[tier(model, rate=parts.SMALL)], ledger=None))


def make_model() -> ChatOpenAI:
    return ChatOpenAI(model="m", api_key="test", http_client=httpx.Client())


def test_a_model_with_an_http_client_of_its_own_needs_a_function_that_makes_it() -> None:
    """The message says so; with the function, it travels."""
    with pytest.raises(ConfigError, match="a function without arguments"):
        pickle.dumps(ChatTuppence(tiers=[tier(make_model(), name="m", rate=parts.SMALL)], ledger=None))
    assert moved(ChatTuppence(tiers=[tier(make_model, name="m", rate=parts.SMALL)], ledger=None)).policy.tiers


def test_retries_stay_off_after_the_journey(server: ProviderServer) -> None:
    """A rebuilt client must not begin to retry on its own."""
    server.model("small-model", replies=Fault(status=500))
    llm = ChatTuppence(tiers=[parts.small(server)], ledger=None, retries=Retries(per_tier=0))
    with pytest.raises(Exception, match=r"500|scripted|error"):
        moved(llm).invoke("Say it.")
    assert len(server.served) == 1


def test_threads_of_a_batch_share_one_model(server: ProviderServer) -> None:
    """One object serves many threads; nothing of one call is seen by another."""
    llm = parts.ladder(server)
    chain = RunnableLambda(lambda n: llm.invoke(f"number {n}").text)
    assert chain.batch(list(range(20))) == [f"You said: number {n}" for n in range(20)]
