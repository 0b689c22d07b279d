"""Budgets for models that are not TuppenceLLM's: a callback handler that holds room before a model is asked, and stops
the call where there is none.

It is one for callback managers because only those can stop a call: LlamaIndex's dispatcher swallows whatever an event
handler raises. A TuppenceLLM with `budgets` holds room for its calls itself, and they are not charged again here. Of
one without any, each ask of a tier is held like any other model's.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from llama_index.core.base.llms.types import CachePoint
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.constants import DEFAULT_NUM_OUTPUTS

from llama_index_tuppence.messages import tool_calls_of
from llama_index_tuppence.open_streams import inside_a_budget
from llama_index_tuppence.tally import Tally, Watched, is_wrapper, last_ended, model_named
from tuppence.attempts import CostStatus, Outcome
from tuppence.context import current_tags
from tuppence.errors import TuppenceError
from tuppence.failures import let_through
from tuppence.prices import PriceBook
from tuppence.request import OUTPUT_LIMIT, Message, Request
from tuppence.spend.budgets import Budgets
from tuppence.spend.budgets.holding import Asked, Held, Holding
from tuppence.usage import Usage

# Calls whose end never comes must not pile up; by then their reservations were swept long ago.
_MAX_OPEN = 10_000

_charged: ContextVar[tuple[str, float] | None] = ContextVar("llama_index_tuppence_charged", default=None)
"""The answer that was charged last here, by which a wrapper's is known."""


class BudgetHandler(BaseCallbackHandler):
    """Hold a program's models to budgets: `Settings.callback_manager = CallbackManager([BudgetHandler(budgets)])`.

    Set it before models are made: each takes the handlers that there are then. A call that a budget has no room for
    raises `BudgetExceeded` before its model is asked; a soft budget counts, and stops nothing, since a handler cannot
    ask another model. Tags are those of `tuppence.tags`. A stream that is left is charged all that was held for it:
    callback managers do not tell how far it had come. Safe to share between threads.
    """

    def __init__(self, budgets: Budgets, *, prices: PriceBook | None = None) -> None:
        super().__init__([], [])
        self._charged = _Charged(Holding(budgets, prices), prices)

    def on_event_start(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", parent_id: str = "",
        **kwargs: Any,
    ) -> str:  # fmt: skip
        if event_type == CBEventType.LLM and payload is not None and not inside_a_budget():
            self._charged.reserve(event_id, payload)
        return event_id

    def on_event_end(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any
    ) -> None:
        if event_type == CBEventType.LLM:
            self._charged.close(event_id, payload or {})

    def start_trace(self, trace_id: str | None = None) -> None:
        """Traces group events for display; money needs no grouping."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Traces group events for display; money needs no grouping."""


class _Charged(Tally):
    """The calls under way, whose answers are read as the spend handlers read them: a wrapper's is nobody's cost."""

    def __init__(self, holding: Holding, prices: PriceBook | None) -> None:
        super().__init__(prices, None)
        self._holding = holding
        self._open: OrderedDict[str, Held] = OrderedDict()

    def reserve(self, key: str, payload: Mapping[Any, Any]) -> None:
        described = payload.get(EventPayload.SERIALIZED) or {}
        if is_wrapper(described):
            return
        asked = payload.get(EventPayload.MESSAGES) or payload.get(EventPayload.PROMPT) or ""
        given = payload.get(EventPayload.ADDITIONAL_KWARGS) or {}
        try:
            held = self._holding.reserve(key, _asked(asked, described, given))
        except TuppenceError as error:
            # Inside of a TuppenceLLM no tier has failed, and none is asked in its place.
            let_through(error)
            raise
        self.begin(key, model_named(described), at=time.time(), asked=asked)
        if held is None:
            return
        with self._lock:
            self._open[key] = held
            if len(self._open) > _MAX_OPEN:
                self._open.popitem(last=False)

    def close(self, key: str, payload: Mapping[Any, Any]) -> None:
        error = payload.get(EventPayload.EXCEPTION)
        if error is None:
            response = payload.get(EventPayload.RESPONSE) or payload.get(EventPayload.COMPLETION)
            self.answered(key, key, response, at=time.time())
        held = self._ended(key)
        if held is None:
            return
        if error is None:
            # Another call brought this answer, and was charged for it; or nothing was answered.
            self._holding.close_unasked(held)
        elif isinstance(error, Exception):
            self._holding.close_failed(held, error)
        else:
            self._holding.close_whole(held)

    def _ended(self, key: str) -> Held | None:
        """Stop watching a call; None for one that no budget applies to, or that was closed."""
        with self._lock:
            self._watched.pop(key, None)
            return self._open.pop(key, None)

    def _passed_on(self, raw: Any, text: str, began: float) -> bool:
        # A spend handler beside this one hears of the same answer, and remembers its own.
        theirs = last_ended.set(_charged.get())
        try:
            return super()._passed_on(raw, text, began)
        finally:
            _charged.set(last_ended.get())
            last_ended.reset(theirs)

    def _observed(
        self, call_id: str, watched: Watched, models: Sequence[str | None], usage: Usage, status: CostStatus, *,
        at: float, outcome: Outcome = "observed",
    ) -> None:  # fmt: skip
        held = self._ended(call_id)
        if held is not None:
            self._holding.close(held, usage, model=next(filter(None, models), None))


def _asked(asked: Any, described: Mapping[str, Any], given: Mapping[str, Any]) -> Asked:
    params = dict(given)
    # Older versions describe a model by its own settings alone.
    longest = described.get("num_output") or described.get("max_tokens")
    # A class that sets no limit says -1, or leaves LlamaIndex's own default, which limits nothing.
    if isinstance(longest, int) and longest > 0 and longest != DEFAULT_NUM_OUTPUTS:
        params.setdefault(OUTPUT_LIMIT, longest)
    messages = tuple(_counted(asked)) or (Message("user", ""),)
    request = Request(messages, params=params, tools=tuple(params.get("tools") or ()), tags=current_tags())
    return Asked(model_named(described), request, marked="cache_control" in params or _marks(asked))


def _counted(asked: Any) -> Iterable[Message]:
    """View messages as their tokens are counted: whoever says them, with what they call tools by."""
    if isinstance(asked, str):
        yield Message("user", asked)
        return
    for message in asked:
        calls = "".join(f"{call.name}{call.arguments}" for call in tool_calls_of(message))
        yield Message("user", f"{message.content or ''}{calls}")


def _marks(asked: Any) -> bool:
    """Say whether a part of the prompt is marked to be kept by the provider."""
    return not isinstance(asked, str) and any(isinstance(b, CachePoint) for m in asked for b in m.blocks)
