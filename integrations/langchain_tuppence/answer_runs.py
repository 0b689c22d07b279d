"""One question to a LangChain chain: what is asked, how the chain is run, and what its own models cost meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, closing
from typing import Any
from uuid import UUID

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, convert_to_messages
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import merge_configs

from langchain_tuppence.answer_forms import frozen
from langchain_tuppence.messages import finish_of, native, neutral, text_of
from langchain_tuppence.spending import SpendCallbackHandler
from tuppence.answers import RunSpend, Unstorable
from tuppence.attempts import Result
from tuppence.errors import RequestError
from tuppence.request import Message, Request

QUESTION_KEYS = ("input", "question", "query", "messages")
"""Where chains that take a dict find their question; agents and graphs take turns."""


def asked(given: Any, key: str | None) -> tuple[tuple[Message, ...], Any]:
    """Part a chain's input into the question, with the turns before it, and the JSON of all that stands beside.

    What is not JSON is handed on as it is, which keeps the question out of the cache. Raises `RequestError` where a
    dict does not show which of its values is the question.
    """
    turns = _turns(given)
    if turns is not None:
        return turns, None
    if not isinstance(given, dict):
        return (Message("user", ""),), given
    key = key or _question_key(given)
    turns = _turns(given.get(key))
    if turns is None:
        raise RequestError(
            f"the question is to stand in {key!r}, where the chain's input has {given.get(key)!r}: name the key of its "
            "text or messages as question='...'"
        )
    return turns, as_json({name: one for name, one in given.items() if name != key})


def _turns(given: Any) -> tuple[Message, ...] | None:
    """View what a chat model would take as the turns of a conversation; None for anything else."""
    if isinstance(given, str):
        return (Message("user", given),)
    if isinstance(given, PromptValue):
        given = given.to_messages()
    messages = [given] if isinstance(given, BaseMessage) else given
    if not isinstance(messages, list) or not messages:
        return None
    try:
        return tuple(neutral(one) for one in convert_to_messages(messages))
    except (NotImplementedError, ValueError):
        return None


def as_json(value: Any) -> Any:
    """Return the JSON of a value, or the value itself, which a cache refuses to hash."""
    try:
        return frozen(value)
    except (Unstorable, RecursionError):
        return value


def _question_key(given: Mapping[str, Any]) -> str:
    known = [name for name in QUESTION_KEYS if _turns(given.get(name)) is not None]
    known = known or [name for name, value in given.items() if isinstance(value, str)]
    if len(known) == 1:
        return known[0]
    raise RequestError(
        f"which value of the chain's input is the question? It has {sorted(map(str, given))}: name the key as "
        "question='...'"
    )


class ChainRun:
    """The `Run` of one question."""

    __slots__ = ("_chain", "_config", "_given", "_judge", "_kwargs")

    def __init__(
        self, chain: Runnable[Any, Any], given: Any, config: RunnableConfig, kwargs: Mapping[str, Any],
        judge: BaseChatModel | None,
    ) -> None:  # fmt: skip
        self._chain = chain
        self._given = given
        self._config = config
        self._kwargs = kwargs
        self._judge = judge

    def run(self, spent: RunSpend) -> Any:
        return self._chain.invoke(self._given, self._watched(spent), **self._kwargs)

    async def arun(self, spent: RunSpend) -> Any:
        return await self._chain.ainvoke(self._given, self._watched(spent), **self._kwargs)

    def stream(self, spent: RunSpend) -> Generator[Any, None, None]:
        with closing(self._chain.stream(self._given, self._watched(spent), **self._kwargs)) as source:  # type: ignore[type-var]
            yield from source

    async def astream(self, spent: RunSpend) -> AsyncGenerator[Any, None]:
        async with aclosing(self._chain.astream(self._given, self._watched(spent), **self._kwargs)) as source:  # type: ignore[type-var]
            async for piece in source:
                yield piece

    def judge(self, request: Request) -> str:
        assert self._judge is not None
        return text_of(self._judge.invoke(native(request.messages), {"callbacks": self._config.get("callbacks")}))

    async def ajudge(self, request: Request) -> str:
        assert self._judge is not None
        config: RunnableConfig = {"callbacks": self._config.get("callbacks")}
        return text_of(await self._judge.ainvoke(native(request.messages), config))

    def _watched(self, spent: RunSpend) -> RunnableConfig:
        return merge_configs(self._config, {"callbacks": [_Watch(spent)]})


class _Watch(SpendCallbackHandler):
    """Adds up what models other than ChatTuppence cost in one run; those that are its own, `spent` hears of itself."""

    def __init__(self, spent: RunSpend) -> None:
        super().__init__()
        self._spent = spent

    def add(self, result: Result) -> None:
        if result.decision.mode == "observed":
            self._spent.add(result)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        if run_id in self._watched and _cut_short(response):
            self._spent.partial = True
        super().on_llm_end(response, run_id=run_id, **kwargs)


def _cut_short(response: LLMResult) -> bool:
    made = [one for several in response.generations for one in several if isinstance(one, ChatGeneration)]
    return any(
        finish_of(one.message) in ("length", "content_filter") for one in made if isinstance(one.message, AIMessage)
    )
