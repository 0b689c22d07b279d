"""A tier on one's own machines is told what keeps an answer to its schema; no other tier is told anything new."""

from typing import Any

import pytest
from langchain_core.tools import tool

from langchain_tuppence import ChatTuppence
from langchain_tuppence import tier as tier_of
from tuppence.testing import ProviderServer, Turn

from . import parts


@tool
def trip(city: str) -> str:
    """Book a trip."""
    return city


def ladder(server: ProviderServer, *, self_hosted: bool, **own: Any) -> ChatTuppence:
    small = parts.openai(server, "small-model", **own)
    return ChatTuppence(tiers=[tier_of(small, name="small", rate=parts.SMALL, self_hosted=self_hosted)], ledger=None)


@pytest.mark.parametrize("self_hosted", [True, False])
@pytest.mark.parametrize("choice", ["trip", "any", "auto"])
def test_a_forced_tool_is_strict_on_ones_own_machines(server: ProviderServer, choice: str, self_hosted: bool) -> None:
    """And only a forced one; what a program bound is bound as it was for the next call."""
    server.model("small-model", replies=Turn(tool_calls=[("trip", {"city": "Rome"})]))
    llm = ladder(server, self_hosted=self_hosted).bind_tools([trip], tool_choice=choice)
    for _ in range(2):
        llm.invoke("To Rome!")
        (sent,) = server.served[-1].request["tools"]
        assert sent["function"].get("strict", False) is (self_hosted and choice != "auto")


@pytest.mark.parametrize("self_hosted", [True, False])
@pytest.mark.parametrize("place", ["model", "bound", "call"])
def test_older_arguments_are_said_again_in_newer_words(server: ProviderServer, place: str, self_hosted: bool) -> None:
    """Wherever a program says them."""
    extra: dict[str, Any] = {"extra_body": {"guided_choice": ["a", "b"]}}
    llm: Any = ladder(server, self_hosted=self_hosted, **(extra if place == "model" else {}))
    if place == "bound":
        llm = llm.bind(**extra)
    llm.invoke("Which?", **(extra if place == "call" else {}))
    sent = server.served[-1].request
    assert sent["guided_choice"] == ["a", "b"]
    assert sent.get("structured_outputs") == ({"choice": ["a", "b"]} if self_hosted else None)
