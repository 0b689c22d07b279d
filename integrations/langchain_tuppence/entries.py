"""LangChain's other ways into a chat model, all through the same four doors: `invoke`, `ainvoke`, `stream`, `astream`.

What comes in by `generate` or `_generate` is a call like any other: opened, accounted and shown once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, closing
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun, Callbacks
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import RunnableConfig
from typing_extensions import override

if TYPE_CHECKING:
    from langchain_tuppence.chat import ChatTuppence


class Entries(BaseChatModel):
    """The entries that are the same for every chat model whose `invoke` and `stream` do the work."""

    lane: Any
    """Where calls that may wait do so, if anywhere."""

    @override
    def generate(
        self, messages: list[list[BaseMessage]], stop: list[str] | None = None, callbacks: Callbacks = None, *,
        tags: list[str] | None = None, metadata: dict[str, Any] | None = None, run_name: str | None = None,
        run_id: Any = None, **kwargs: Any,
    ) -> LLMResult:  # fmt: skip
        configs = _configs(len(messages), callbacks, tags, metadata, run_name, run_id)
        return _generated([self.invoke(m, c, stop=stop, **kwargs) for m, c in zip(messages, configs, strict=True)])

    @override
    async def agenerate(
        self, messages: list[list[BaseMessage]], stop: list[str] | None = None, callbacks: Callbacks = None, *,
        tags: list[str] | None = None, metadata: dict[str, Any] | None = None, run_name: str | None = None,
        run_id: Any = None, **kwargs: Any,
    ) -> LLMResult:  # fmt: skip
        configs = _configs(len(messages), callbacks, tags, metadata, run_name, run_id)
        asked = (self.ainvoke(m, c, stop=stop, **kwargs) for m, c in zip(messages, configs, strict=True))
        return _generated(await asyncio.gather(*asked))

    @override
    def batch(
        self, inputs: list[Any], config: Any = None, *, return_exceptions: bool = False, **kwargs: Any
    ) -> list[Any]:
        """Answer inputs side by side, in their order; `lane="batch"` has them wait for batch prices, all together."""
        usual: Any = partial(super().batch, return_exceptions=return_exceptions, **kwargs)
        if not inputs or self.lane is None:
            return cast("list[Any]", usual(inputs, config))
        from langchain_tuppence import lane

        model = cast("ChatTuppence", self)
        return lane.batch(model, inputs, config, kwargs, return_exceptions=return_exceptions, usual=usual)

    @override
    async def abatch(
        self, inputs: list[Any], config: Any = None, *, return_exceptions: bool = False, **kwargs: Any
    ) -> list[Any]:
        """Answer inputs side by side, in their order; `lane="batch"` has them wait for batch prices, all together."""
        if inputs and kwargs.get("lane") == "batch":
            from langchain_tuppence import lane

            config = lane.together(config, len(inputs))
        return await super().abatch(inputs, config, return_exceptions=return_exceptions, **kwargs)

    # LangChain reaches the four below only where somebody calls them directly: its own entries are all overridden.

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any,
    ) -> ChatResult:  # fmt: skip
        return ChatResult(generations=[ChatGeneration(message=self.invoke(messages, stop=stop, **kwargs))])

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None, **kwargs: Any,
    ) -> ChatResult:  # fmt: skip
        return ChatResult(generations=[ChatGeneration(message=await self.ainvoke(messages, stop=stop, **kwargs))])

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:  # fmt: skip
        with closing(self.stream(messages, stop=stop, **kwargs)) as source:  # type: ignore[type-var]
            for chunk in source:
                yield ChatGenerationChunk(message=chunk)

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None, **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:  # fmt: skip
        async with aclosing(self.astream(messages, stop=stop, **kwargs)) as source:  # type: ignore[type-var]
            async for chunk in source:
                yield ChatGenerationChunk(message=chunk)


def _configs(
    count: int, callbacks: Callbacks, tags: list[str] | None, metadata: dict[str, Any] | None, run_name: str | None,
    run_id: Any,
) -> list[RunnableConfig]:  # fmt: skip
    """Make a config for each prompt; a run id names the first one's run only."""
    shared: RunnableConfig = {"callbacks": callbacks, "tags": tags or [], "metadata": metadata or {}}
    if run_name:
        shared["run_name"] = run_name
    configs = [shared.copy() for _ in range(count)]
    if run_id is not None and configs:
        configs[0]["run_id"] = run_id
    return configs


def _generated(messages: Sequence[AIMessage]) -> LLMResult:
    return LLMResult(generations=[[ChatGeneration(message=message)] for message in messages])
