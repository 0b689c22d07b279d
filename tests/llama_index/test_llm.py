"""The reusable suite, held against plain `OpenAILike`, which shows that it is fair, and against `TuppenceLLM`."""

from typing import Any, ClassVar

import pytest
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llm_suite import MODEL, FunctionCallingLLMSuite

from llama_index_tuppence import TuppenceLLM


class TestPlainModel(FunctionCallingLLMSuite):
    """LlamaIndex's own class, told to report the usage of its streams."""

    @pytest.fixture
    def llm(self, make: Any) -> FunctionCallingLLM:
        model: FunctionCallingLLM = make(
            MODEL, max_retries=0, additional_kwargs={"stream_options": {"include_usage": True}}
        )
        return model


class TestTuppence(FunctionCallingLLMSuite):
    """A ladder of two models whose first is good enough."""

    MODELS: ClassVar = (MODEL, "gpt-4o")

    @pytest.fixture
    def llm(self, make: Any) -> FunctionCallingLLM:
        return TuppenceLLM([make(MODEL), make("gpt-4o")], cache=False, ledger=False, retries=0)


class TestOneTier(FunctionCallingLLMSuite):
    """A single model behind the facade, unchecked: pure pass-through."""

    @pytest.fixture
    def llm(self, make: Any) -> FunctionCallingLLM:
        return TuppenceLLM([make(MODEL)], cache=False, ledger=False, retries=0, check=None)
