"""LangChain's own integration suite for chat models, over ChatTuppence with two tiers of the scripted provider."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_tuppence import ChatTuppence
from tuppence.testing import ProviderServer

from . import parts

_running: list[ProviderServer] = []


@pytest.fixture(autouse=True, scope="module")
def _server() -> Iterator[None]:
    with ProviderServer() as server:
        _running.append(server)
        yield
    _running.clear()


class TestChatTuppence(ChatModelIntegrationTests):
    """Every test of the suite; what is off is off for the reason beside it."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatTuppence

    @property
    def chat_model_params(self) -> dict[str, Any]:
        # The suite asks the same again and counts the model runs: a cache would answer without one.
        return {"tiers": [parts.small(_running[0]), parts.large(_running[0])], "ledger": None, "cache": None}

    @property
    def has_tool_choice(self) -> bool:
        return True

    @property
    def supports_json_mode(self) -> bool:
        return True
