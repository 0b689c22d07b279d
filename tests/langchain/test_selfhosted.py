"""Servers of one's own behind LangChain: several addresses as one tier, queues that spill over, a reference price."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from langchain_openai import ChatOpenAI

from langchain_tuppence import ChatTuppence, tier
from langchain_tuppence.config import from_config
from tuppence.policy import Retries
from tuppence.selfhost import Servers, SpillOver, http_clients
from tuppence.testing import Fault, ProviderServer, Turn

from . import parts

pytest.importorskip("prometheus_client")


@pytest.fixture
def servers() -> Iterator[tuple[ProviderServer, ProviderServer]]:
    with ExitStack() as stack:
        yield stack.enter_context(ProviderServer()), stack.enter_context(ProviderServer())


def chat(known: Servers) -> ChatOpenAI:
    sync, later = http_clients(known)
    return ChatOpenAI(
        model="small-model", base_url=known.base_url, api_key="none", http_client=sync, http_async_client=later
    )  # fmt: skip


def ladder(server: ProviderServer, *urls: str, **options: Any) -> ChatTuppence:
    known = Servers(list(urls))
    own = tier(
        lambda: chat(known), name="own", rate=parts.SMALL, self_hosted=True, reference="openai/gpt-4o-mini",
        admission=SpillOver(known, waiting=8), **options,
    )  # fmt: skip
    return ChatTuppence(tiers=[own, parts.large(server)], ledger=None, retries=Retries(base_s=3_600.0))


def told(message: Any) -> Any:
    return message.response_metadata["tuppence"]


async def test_a_full_server_spills_over_in_every_way_of_asking(
    server: ProviderServer, servers: tuple[ProviderServer, ProviderServer]
) -> None:
    """Both servers turn the call away; the provider answers, at once, sync and async, streamed and not."""
    for one in servers:
        one.model("small-model", replies=Fault(status=503))
    llm = ladder(server, *(one.base_url for one in servers))
    assert told(llm.invoke("Say it."))["tier"] == told(await llm.ainvoke("Say it."))["tier"] == "large"
    assert "".join(chunk.text for chunk in llm.stream("Say it."))
    assert "".join([chunk.text async for chunk in llm.astream("Say it.")])
    assert "own is full: it turned the call away; spilled over" in told(llm.invoke("Say it."))["route"]
    assert [len(one.served) >= 5 for one in servers] == [True, True]


def test_one_tier_has_several_servers(server: ProviderServer, servers: tuple[ProviderServer, ProviderServer]) -> None:
    """One is down: the other answers, and nobody is told."""
    down, there = servers
    llm = ladder(server, down.base_url, there.base_url)
    down.stop()
    there.model("small-model", replies=Turn("Here."))
    assert llm.invoke("Say it.").text == "Here."


def test_what_was_said_of_a_tier_travels(server: ProviderServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reference price, queue and stand-ins are settings: another process has them too."""
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    own = tier(
        parts.small(server).model, name="own", rate=parts.SMALL, reference=parts.LARGE,
        admission=SpillOver("http://own", waiting=3),
    )  # fmt: skip
    twin = tier(parts.small(server).model, name="own-b", rate=parts.SMALL, stands_in_for="own")
    llm = ChatTuppence(tiers=[own, twin, parts.large(server)], ledger=None)
    first, second, _ = pickle.loads(pickle.dumps(llm)).policy.tiers
    assert first.reference.version == parts.LARGE.version
    assert first.admission.servers.urls == ("http://own",)
    assert second.stands_in_for == "own"


def test_a_file_says_it_all(
    server: ProviderServer, servers: tuple[ProviderServer, ProviderServer], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Several addresses, the queue, the reference and the stand-in, as YAML."""
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    for one in servers:
        one.model("small-model", replies=Fault(status=503))
    server.model("small-model", replies=Turn("From afar."))
    (tmp_path / "own.yaml").write_text(f"""
tiers:
  - name: own
    class: vllm
    model: small-model
    base_urls: ["{servers[0].base_url}", "{servers[1].base_url}"]
    price: {{usd_per_hour: 2.50}}
    reference: openai/gpt-4o-mini
    spill_over: {{waiting: 8}}
    self_hosted: true
  - {{name: hosted, class: openai_compatible, model: small-model, base_url: "{server.base_url}",
     price: {{input: 1, output: 2}}, stands_in_for: own}}
  - {{name: large, class: openai, model: gpt-4o, base_url: "{server.base_url}"}}
ledger: off
""")
    llm = from_config(tmp_path / "own.yaml")
    assert [one.stands_in_for for one in llm.policy.tiers] == ["", "own", ""]
    assert llm.policy.tiers[0].reference is not None
    answer = llm.invoke("Say it.")
    assert (answer.text, told(answer)["tier"]) == ("From afar.", "hosted")
    assert [len(one.served) >= 1 for one in servers] == [True, True]
    assert pickle.loads(pickle.dumps(llm)).invoke("Say it.").text == "From afar."
