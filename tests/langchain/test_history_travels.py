"""A `ChatTuppence` that shortens histories, in another process and as a copy."""

from __future__ import annotations

import copy
import pickle

import pytest

from tuppence.prune.history import HistoryShaper
from tuppence.testing import ProviderServer

from .parts import ladder
from .test_shaping import sent, talk


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are read from the environment of the process that unpickles."""
    monkeypatch.setenv("OPENAI_API_KEY", "test")


def test_it_travels(server: ProviderServer) -> None:
    """The policy is the same one, and sends the same."""
    llm = ladder(server, shape=[HistoryShaper()], cache=None)
    other = pickle.loads(pickle.dumps(llm))
    assert other.policy.scope == llm.policy.scope
    llm.invoke(talk())
    here = sent(server)
    other.invoke(talk())
    assert sent(server) == here


def test_a_copy_shares_what_is_remembered(server: ProviderServer) -> None:
    """Frameworks copy models, and a conversation goes on with the same bytes."""
    llm = ladder(server, shape=[HistoryShaper()], cache=None)
    llm.invoke(talk())
    told = copy.deepcopy(llm).invoke(talk()).response_metadata["tuppence"]["shape"]
    assert told.endswith("the same prompt was sent before, and is sent the same again")
