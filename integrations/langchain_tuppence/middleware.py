"""Chat histories shortened inside of a LangChain agent, for one model call at a time.

The agent's state keeps every message whole: what is cut is cut from the request alone, so that it can be had back, and
so that another model, another policy or a checkpoint sees the conversation as it was. Needs the `agents` extra.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Annotated, Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.tools import InjectedState
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage
from langchain_core.runnables import ensure_config
from langchain_core.tools import BaseTool, StructuredTool

from langchain_tuppence.history import Front, OnShaped
from langchain_tuppence.messages import text_of
from tuppence.assembly import LedgerOption
from tuppence.effects import Shaper
from tuppence.errors import ConfigError
from tuppence.prices import PriceBook
from tuppence.prune.history import RECOVER_TOOL, Clearing, HistoryPolicy, HistoryPruner, HistoryShaper
from tuppence.prune.history.stubs import id_of
from tuppence.tiers import Tier

log = logging.getLogger("tuppence.prune")

_TOOL = RECOVER_TOOL["function"]
_MOST_MODELS = 16
"""An agent may make its model anew for every call: only the last are remembered."""


class ContextMiddleware(AgentMiddleware[Any, Any]):
    """Send an agent's model only what of the history it needs: `create_agent(llm, middleware=[ContextMiddleware()])`.

    `shape` are shapers as `ChatTuppence` takes them; without any, old tool results are cleared where that pays at the
    model's price, and a tool brings one back by its id. The tool is registered where a shaper's stubs mention it.
    Models that shapers ask for a summary are `judges`; what those cost is in `ledger`, in `spend()` blocks and in the
    config's `SpendCallbackHandler`s, and none of it is shown in the agent's streams.
    """

    def __init__(
        self, *, shape: Sequence[Shaper] | None = None, judges: Sequence[Any] = (), ledger: LedgerOption = True,
        prices: PriceBook | None = None, on_shaped: OnShaped | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        shapers = (_clearing(),) if shape is None else tuple(shape)
        self.tools = [recovering()] if any(getattr(one, "recovers", False) for one in shapers) else []
        self._front = Front(shape=shapers, judges=judges, ledger=ledger, prices=prices, on_shaped=on_shaped)
        self._readers: dict[int, tuple[Any, tuple[Tier, ...]]] = {}
        self._lock = threading.Lock()

    def wrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]
    ) -> ModelResponse | AIMessage:
        messages = _whole(request)
        shaped = self._front.shaped(messages, self._tiers(request.model), ensure_config())
        return handler(_with(request, messages, shaped))

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ModelResponse | AIMessage:
        messages = _whole(request)
        shaped = await self._front.ashaped(messages, self._tiers(request.model), ensure_config())
        return await handler(_with(request, messages, shaped))

    def _tiers(self, model: Any) -> tuple[Tier, ...]:
        """Describe the model that an agent asks; none where that cannot be done, and only what is free is cut."""
        with self._lock:
            # By identity, since models do not hash; the model is held, so that no other can take its place in memory.
            known = self._readers.get(id(model))
            if known is None:
                while len(self._readers) >= _MOST_MODELS:
                    self._readers.pop(next(iter(self._readers)))
                known = self._readers[id(model)] = model, self._described(model)
            return known[1]

    def _described(self, model: Any) -> tuple[Tier, ...]:
        try:
            return self._front.readers(model)
        except ConfigError as error:
            log.warning("the agent's model has no price: %s", error)
            return ()


def _clearing() -> HistoryShaper:
    return HistoryShaper(HistoryPruner(HistoryPolicy(strategies=(Clearing(recover_with=_TOOL["name"]),))))


def _whole(request: ModelRequest) -> list[BaseMessage]:
    """Put the system message in front, where the model gets it."""
    return [*_system(request), *request.messages]


def _system(request: ModelRequest) -> Iterator[SystemMessage]:
    message = getattr(request, "system_message", None)
    if message is None and request.system_prompt:
        # LangChain 1.0 had the text alone.
        message = SystemMessage(request.system_prompt)
    if message is not None:
        yield message


def _with(request: ModelRequest, before: Sequence[BaseMessage], after: Sequence[Any]) -> ModelRequest:
    """Return a request with the shaped messages; the agent's own stays as it is."""
    if len(before) == len(request.messages):
        return request.override(messages=list(after))
    if not after or not isinstance(after[0], SystemMessage):
        # Without its system message in front it is no request of this agent.
        return request
    changed: dict[str, Any] = {"messages": list(after[1:])}
    if after[0] is not before[0]:
        told = hasattr(request, "system_message")
        changed["system_message" if told else "system_prompt"] = after[0] if told else text_of(after[0])
    return request.override(**changed)


def recovering() -> BaseTool:
    """Make the tool that brings a cleared result back, out of the agent's own state."""
    return StructuredTool.from_function(_recovered, name=_TOOL["name"], description=_TOOL["description"])


def _recovered(id: str, state: Annotated[Any, InjectedState]) -> str:  # noqa: A002 (the tool's own word)
    for message in reversed(state["messages"]):
        if isinstance(message, ToolMessage) and id_of(text_of(message)) == id.strip():
            return text_of(message)
    return f"No cleared tool output has the id {id!r}. Call the tool again."
