"""Servers of one's own behind LlamaIndex: several addresses as one tier, and queues that spill over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage

from llama_index_tuppence import TuppenceLLM, tier
from tuppence.policy import Retries
from tuppence.prices import token_rate
from tuppence.selfhost import Servers, SpillOver, http_clients
from tuppence.testing import Fault, ProviderServer

pytest.importorskip("prometheus_client")

ASK = [ChatMessage(role="user", content="Hello")]
RATE = token_rate(input="1", output="2")


@pytest.fixture
async def llm(make: Any, provider: ProviderServer) -> AsyncIterator[TuppenceLLM]:
    """A ladder whose first tier has two servers, both full: the real OpenAILike, by the two HTTP clients."""
    with ProviderServer() as one, ProviderServer() as other:
        for server in (one, other):
            server.model("own-model", replies=Fault(status=503))
        servers = Servers([one.base_url, other.base_url])
        sync, later = http_clients(servers)
        own = make("own-model", api_base=servers.base_url, http_client=sync, async_http_client=later)
        first = tier(
            own, name="own", rate=RATE, self_hosted=True, reference="openai/gpt-4o-mini", admission=SpillOver(servers),
        )  # fmt: skip
        large = tier(make("large-model"), name="large", rate=RATE)
        yield TuppenceLLM([first, large], ledger=False, check=None, retries=Retries(base_s=3_600.0))
        assert all(len(server.served) for server in (one, other))
        sync.close()
        await later.aclose()


async def test_a_full_server_spills_over_in_every_way_of_asking(llm: TuppenceLLM) -> None:
    """Sync and async, streamed and not: at once, without waiting to try again."""
    answers = [llm.chat(ASK), await llm.achat(ASK), [*llm.stream_chat(ASK)][-1]]
    answers.append([chunk async for chunk in await llm.astream_chat(ASK)][-1])
    for answer in answers:
        assert answer.additional_kwargs["tuppence"]["tier"] == "large"
        assert "own is full: it turned the call away; spilled over" in answer.additional_kwargs["tuppence"]["route"]


def test_a_file_says_it_all(provider: ProviderServer, tmp_path: Path) -> None:
    """Several addresses, the queue, the reference and the stand-in, as YAML."""
    pytest.importorskip("llama_index.llms.openai_like")
    from llama_index_tuppence.config import from_config

    provider.model("own-model", replies=Fault(status=503))
    (tmp_path / "own.yaml").write_text(f"""
tiers:
  - name: own
    class: vllm
    model: own-model
    base_urls: ["{provider.base_url}", "{provider.base_url}"]
    price: {{usd_per_hour: 2.50}}
    reference: openai/gpt-4o-mini
    spill_over: {{waiting: 8}}
  - {{name: hosted, class: openai_compatible, model: hosted-model, base_url: "{provider.base_url}",
     price: {{input: 1, output: 2}}, stands_in_for: own}}
ledger: off
""")
    answer = from_config(tmp_path / "own.yaml").chat(ASK)
    assert answer.additional_kwargs["tuppence"]["tier"] == "hosted"
    assert [one.model for one in provider.served if one.api == "chat"] == ["own-model", "own-model", "hosted-model"]
