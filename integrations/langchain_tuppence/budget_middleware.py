"""Budgets inside of a LangChain agent: each of its model calls is held to them, and a soft one that is used up makes it
go on with a cheaper model. Needs the `agents` extra.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from langchain_tuppence.budgets import BudgetCallbackHandler, StoppingAtSoft, held_to
from tuppence.errors import BudgetExceeded, ConfigError
from tuppence.prices import PriceBook
from tuppence.spend.budgets import Budgets
from tuppence.spend.budgets.holding import SoftLimitReached


class BudgetMiddleware(AgentMiddleware[Any, Any]):
    """Hold an agent's model calls to budgets: `create_agent(llm, middleware=[BudgetMiddleware(budgets)])`.

    A thread's id is the session. Where a soft budget has no room, `cheap` (a model, or its name) is asked in place of
    the agent's; without it the call goes on, and is counted. Where a hard one has none, `exit_behavior` "error" raises
    `BudgetExceeded`, and "end" ends the agent with a message that says so, as LangChain's `ModelCallLimitMiddleware`
    does. Put it last: a middleware after it that asks a model several times would ask the cheap one only once.
    """

    def __init__(
        self, budgets: Budgets, *, cheap: BaseChatModel | str | None = None, prices: PriceBook | None = None,
        exit_behavior: Literal["end", "error"] = "error",
    ) -> None:  # fmt: skip
        super().__init__()
        if exit_behavior not in ("end", "error"):
            raise ConfigError(f"exit_behavior is {exit_behavior!r}: it is 'end' or 'error'")
        self._cheap = init_chat_model(cheap) if isinstance(cheap, str) else cheap
        self._ends = exit_behavior == "end"
        self._handler = BudgetCallbackHandler(budgets, prices=prices)
        self._first = self._handler if cheap is None else StoppingAtSoft(budgets, prices=prices)

    def wrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]
    ) -> ModelResponse | AIMessage:
        try:
            try:
                with held_to(self._first):
                    return handler(request)
            except SoftLimitReached:
                with held_to(self._handler):
                    return handler(self._cheaper(request))
        except BudgetExceeded as error:
            return self._ended(error)

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ModelResponse | AIMessage:
        try:
            try:
                with held_to(self._first):
                    return await handler(request)
            except SoftLimitReached:
                with held_to(self._handler):
                    return await handler(self._cheaper(request))
        except BudgetExceeded as error:
            return self._ended(error)

    def _cheaper(self, request: ModelRequest) -> ModelRequest:
        return request if self._cheap is None else request.override(model=self._cheap)

    def _ended(self, error: BudgetExceeded) -> AIMessage:
        """End the agent by an answer that calls no tool."""
        if not self._ends:
            raise error
        return AIMessage(content=str(error))
