"""`cached(chain, corpus_version=...)`: an answer cache in front of a whole chain, retrieval included.

A facade over `tuppence.answers`: what is served, and why, is the flow's to decide. Here is only LangChain's surface.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any, TypeVar

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.documents import BaseDocumentCompressor
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import BaseOutputParser
from langchain_core.prompts import BasePromptTemplate
from langchain_core.prompts.message import BaseMessagePromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSequence
from langchain_core.runnables.config import ensure_config
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.runnables.utils import ConfigurableFieldSpec
from typing_extensions import override

from langchain_tuppence.answer_forms import LangChainForm
from langchain_tuppence.answer_runs import ChainRun, as_json, asked
from langchain_tuppence.calls import CONFIG_KEY, tags_of
from langchain_tuppence.replies import METADATA
from langchain_tuppence.runs import note
from langchain_tuppence.spending import SpendCallbackHandler
from langchain_tuppence.structured import StructuredAnswer
from tuppence import drivers
from tuppence.answers import Answers, CorpusVersion, fingerprint
from tuppence.assembly import CacheOption, LedgerOption
from tuppence.attempts import Result
from tuppence.effects import Plan
from tuppence.errors import ConfigError
from tuppence.ports import Port

Input = TypeVar("Input")
Output = TypeVar("Output")

_PARTS = (
    Runnable, BaseMessage, BasePromptTemplate, BaseMessagePromptTemplate, BaseRetriever, BaseOutputParser,
    BaseDocumentCompressor, StructuredAnswer,
)  # fmt: skip
_FORM = LangChainForm()
_CHAIN = "chain"
_MACHINERY = ("__", "checkpoint_")
"""How the names begin under which LangGraph passes its own objects on to what its nodes call."""


def cached(
    chain: Runnable[Input, Output], *, corpus_version: CorpusVersion, cache: CacheOption = True,
    ledger: LedgerOption = True, name: str = "", version: str = "", question: str | None = None,
    judge: BaseChatModel | None = None, on_result: Callable[[Result], None] | None = None,
) -> CachedChain[Input, Output]:  # fmt: skip
    """Put a cache in front of a whole chain: `cached(chain, corpus_version="2026-11")`.

    An answer is found by the question, all else in the input, the chain, the corpus version and the tenant; with a
    `SemanticCache` a question in other words finds it too. `corpus_version` is text that changes with the documents, or
    a function that returns it and is called for each question.

    `cache` and `ledger` take what `ChatTuppence` takes; hits are rows of the ledger. `name` says which chain it is,
    where its own configuration should not (see the guide), and `version` which state of it. `question` names the key
    of the question in a dict. `judge` is the model that a `SemanticCache(verified_by=...)` asks. `on_result` is handed
    each settled call; its `decision.cache` says why it was a hit or a miss.

    Raises `ConfigError` for options that cannot work.
    """
    if not isinstance(chain, Runnable):
        raise ConfigError(f"cached() is given {chain!r}: give a LangChain Runnable, such as prompt | model")
    if (memory := _memory_in(chain)) is not None:
        raise ConfigError(
            f"cached() is given a chain with {memory}: its answer hangs on a conversation that it remembers by itself, "
            "and an answer that is served would not be remembered. Cache the chain inside of it, which is given the "
            "history, or give its model a cache: ChatTuppence(cache=...)"
        )
    answers = Answers(
        name or _CHAIN, identity=name or fingerprint(chain, _PARTS), corpus_version=corpus_version, cache=cache,
        ledger=ledger, version=version, surface="langchain.chain", has_judge=judge is not None, on_result=on_result,
    )  # fmt: skip
    return CachedChain(chain, answers, question=question, judge=judge)


class CachedChain(Runnable[Input, Output]):
    """A chain behind its answers: a Runnable like the chain itself. Made by `cached`.

    A LangGraph graph's `stream` passes through: it tells what the nodes do, which no stored answer can.
    """

    def __init__(
        self, chain: Runnable[Input, Output], answers: Answers, *, question: str | None, judge: BaseChatModel | None
    ) -> None:
        self.chain = chain
        self.cache = answers.cache
        self._answers = answers
        self._question = question
        self._judge = judge
        # A graph streams what its nodes do, not its output in pieces.
        last = chain.last if isinstance(chain, RunnableSequence) else chain
        self._streams_otherwise = hasattr(last, "stream_mode")

    def __repr__(self) -> str:
        return f"cached({self.chain!r})"

    @property
    @override
    def InputType(self) -> type[Input]:
        return self.chain.InputType

    @property
    @override
    def OutputType(self) -> type[Output]:
        return self.chain.OutputType

    @property
    @override
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        return self.chain.config_specs

    @override
    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        return super().get_name(suffix, name=name or f"cached {self.chain.get_name()}")

    # -- asking

    @override
    def invoke(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Output:
        return self._call_with_config(self._served, input, config, **kwargs)

    @override
    async def ainvoke(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Output:
        return await self._acall_with_config(self._aserved, input, config, **kwargs)

    @override
    def stream(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Output]:
        if self._streams_otherwise:
            yield from self.chain.stream(input, config, **kwargs)
            return
        with closing(
            self._transform_stream_with_config(iter((input,)), self._streamed, config, **kwargs)  # type: ignore[type-var]
        ) as source:
            yield from source

    @override
    async def astream(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Output]:
        if self._streams_otherwise:
            async for piece in self.chain.astream(input, config, **kwargs):
                yield piece
            return

        async def given() -> AsyncIterator[Input]:
            yield input

        async with aclosing(
            self._atransform_stream_with_config(given(), self._astreamed, config, **kwargs)  # type: ignore[type-var]
        ) as source:
            async for piece in source:
                yield piece

    def _served(
        self, given: Input, run_manager: CallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Any:
        plan, port = self._opened(given, config, kwargs)
        return _told(drivers.run(plan, port), run_manager)

    async def _aserved(
        self, given: Input, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Any:
        plan, port = self._opened(given, config, kwargs)
        return _told(await drivers.arun(plan, port), run_manager)

    def _streamed(
        self, given: Iterator[Input], run_manager: CallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Iterator[Any]:
        for one in given:
            plan, port = self._opened(one, config, kwargs, streaming=True)
            with closing(drivers.stream(plan, port)) as source:  # type: ignore[type-var]
                yield from source

    async def _astreamed(
        self, given: AsyncIterator[Input], run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:  # fmt: skip
        async for one in given:
            plan, port = self._opened(one, config, kwargs, streaming=True)
            async with aclosing(drivers.astream(plan, port)) as source:  # type: ignore[type-var]
                async for piece in source:
                    yield piece

    def _opened(
        self, given: Any, config: RunnableConfig, kwargs: Mapping[str, Any], *, streaming: bool = False
    ) -> tuple[Plan[Result], Port]:
        """Part the input and open the call; everything that the chain is given beside the question is in the key."""
        messages, beside = asked(given, self._question)
        config = ensure_config(config)
        configurable = config.get("configurable") or {}
        chosen = {name: one for name, one in configurable.items() if not name.startswith(_MACHINERY)}
        overrides = chosen.get(CONFIG_KEY) or {}
        return self._answers.open(
            messages, ChainRun(self.chain, given, config, kwargs, self._judge), _FORM,
            beside={"input": beside, "kwargs": as_json(dict(kwargs)), "configurable": as_json(chosen)},
            tags=tags_of(config, overrides), told=_counted(config), streaming=streaming,
        )  # fmt: skip


def _memory_in(chain: Runnable[Any, Any]) -> str | None:
    """Name the part of a chain that keeps a conversation: a message history, or a graph's checkpointer."""
    steps = chain.steps if isinstance(chain, RunnableSequence) else [chain]
    for step in steps:
        if isinstance(step, RunnableWithMessageHistory):
            return "RunnableWithMessageHistory"
        if getattr(step, "checkpointer", None):
            return "a checkpointer"
    return None


def _told(result: Result, run_manager: CallbackManagerForChainRun | AsyncCallbackManagerForChainRun) -> Any:
    """Take the output; say on a message, and to tracers, how it was answered."""
    assert result.reply is not None
    output, facts = result.reply.native, result.summary()
    note(run_manager.handlers, run_manager.run_id, facts)
    if isinstance(output, AIMessage) and result.attempts[-1].outcome == "hit":
        output.response_metadata[METADATA] = facts
    return output


def _counted(config: RunnableConfig) -> Callable[[Result], None]:
    """Have the spend handlers among a call's callbacks count its hits."""
    callbacks = config.get("callbacks")
    handlers = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or ()
    spends = [one for one in handlers if isinstance(one, SpendCallbackHandler)]

    def told(result: Result) -> None:
        for one in spends:
            one.add(result)

    return told
