"""`cached(query_engine, corpus_version=...)`: an answer cache in front of a query engine, retrieval included.

A facade over `tuppence.answers`: what is served, and why, is the flow's to decide. Here is only LlamaIndex's surface.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import ChatMessage, TextBlock
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.llms.llm import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.prompts.mixin import PromptMixin, PromptMixinType
from llama_index.core.schema import QueryBundle

from llama_index_tuppence.answer_forms import Head, LlamaIndexForm
from llama_index_tuppence.answer_runs import QueryRun, watch_runs
from llama_index_tuppence.listeners import announce
from tuppence import drivers
from tuppence.answers import Answers, CorpusVersion, fingerprint
from tuppence.assembly import CacheOption, LedgerOption
from tuppence.attempts import Result
from tuppence.context import current_tags
from tuppence.effects import Plan
from tuppence.errors import ConfigError
from tuppence.ports import Port
from tuppence.request import Message

_PARTS = (BaseEmbedding, BaseNodePostprocessor, BasePromptTemplate, ChatMessage, LLM, PromptMixin, TextBlock)
_FORM = LlamaIndexForm()
_ENGINE = "query engine"


def cached(
    engine: BaseQueryEngine, *, corpus_version: CorpusVersion, cache: CacheOption = True, ledger: LedgerOption = True,
    name: str = "", version: str = "", streaming: bool | None = None, judge: LLM | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> CachedQueryEngine:  # fmt: skip
    """Put a cache in front of a query engine: `cached(index.as_query_engine(), corpus_version="2026-11")`.

    An answer is found by the question, the engine, the corpus version and the tenant; with a `SemanticCache` a
    question in other words finds it too. `corpus_version` is text that changes with the documents, or a function that
    returns it and is called for each question.

    `cache` and `ledger` take what `TuppenceLLM` takes; hits are rows of the ledger. `name` says which engine it is,
    where its own configuration should not (see the guide), and `version` which state of it. `streaming` says whether
    it streams its answers, where its response synthesizer does not. `judge` is the model that a
    `SemanticCache(verified_by=...)` asks. `on_result` is handed each settled call; its `decision.cache` says why it
    was a hit or a miss.

    Raises `ConfigError` for options that cannot work.
    """
    if isinstance(engine, BaseChatEngine):
        raise ConfigError(
            f"cached() is given {type(engine).__name__}, a chat engine: its answer hangs on a conversation that it "
            "remembers by itself, so a cache in front of it could not tell two conversations apart. Cache the query "
            "engine or the retriever's model behind it: cached(index.as_query_engine(), ...), TuppenceLLM(cache=...)"
        )
    if not isinstance(engine, BaseQueryEngine):
        raise ConfigError(
            f"cached() is given {type(engine).__name__}: give a query engine, such as index.as_query_engine()"
        )
    answers = Answers(
        name or _ENGINE, identity=name or fingerprint(engine, _PARTS), corpus_version=corpus_version, cache=cache,
        ledger=ledger, version=version, surface="llama_index.query_engine", has_judge=judge is not None,
        on_result=on_result,
    )  # fmt: skip
    watch_runs()
    return CachedQueryEngine(
        engine, answers, streaming=_streams(engine) if streaming is None else streaming, judge=judge
    )


class CachedQueryEngine(BaseQueryEngine):
    """A query engine behind its answers. Made by `cached`; its prompts are those that the engine had then."""

    def __init__(self, engine: BaseQueryEngine, answers: Answers, *, streaming: bool, judge: LLM | None) -> None:
        super().__init__(engine.callback_manager)
        self.engine = engine
        self.cache = answers.cache
        self._answers = answers
        self._streaming = streaming
        self._judge = judge

    def _get_prompt_modules(self) -> PromptMixinType:
        # Prompts are part of what answers are found by: who changes them caches the engine anew.
        return {}

    def _query(self, query_bundle: QueryBundle) -> Any:
        plan, port = self._opened(query_bundle)
        if not self._streaming:
            return _output(drivers.run(plan, port))
        pieces = drivers.stream(plan, port)
        head: Head = next(pieces)
        return StreamingResponse(_words(pieces), source_nodes=head.source_nodes, metadata=head.metadata)

    async def _aquery(self, query_bundle: QueryBundle) -> Any:
        plan, port = self._opened(query_bundle)
        if not self._streaming:
            return _output(await drivers.arun(plan, port))
        pieces = drivers.astream(plan, port)
        head: Head = await anext(pieces)
        return AsyncStreamingResponse(_awords(pieces), source_nodes=head.source_nodes, metadata=head.metadata)

    def _opened(self, bundle: QueryBundle) -> tuple[Plan[Result], Port]:
        handlers = self.callback_manager.handlers
        return self._answers.open(
            (Message("user", bundle.query_str),), QueryRun(self.engine, bundle, self._judge), _FORM,
            beside={
                "texts": bundle.custom_embedding_strs, "image": bundle.image_path, "vector": bundle.embedding,
            },
            tags=current_tags(), told=lambda result: announce(result, handlers), streaming=self._streaming,
        )  # fmt: skip


def _streams(engine: BaseQueryEngine) -> bool:
    return bool(getattr(getattr(engine, "_response_synthesizer", None), "_streaming", False))


def _output(result: Result) -> Any:
    assert result.reply is not None
    return result.reply.native


def _words(pieces: Any) -> Generator[str, None, None]:
    with closing(pieces):
        yield from pieces


async def _awords(pieces: Any) -> AsyncGenerator[str, None]:
    async with aclosing(pieces):
        async for piece in pieces:
            yield piece
