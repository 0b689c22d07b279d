"""Budgets for models that are not ChatTuppence's: a callback handler that holds room before a model is asked, and stops
the call where there is none.

A ChatTuppence with `budgets` holds room for its calls itself, and they are not charged again here. Of one without any,
each ask of a tier is held like any other model's.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import ensure_config
from langchain_core.tracers.context import register_configure_hook

from langchain_tuppence.calls import tags_of
from langchain_tuppence.messages import text_of
from langchain_tuppence.models import BUDGETED_KEY
from langchain_tuppence.spending import read_answer
from tuppence.prices import PriceBook
from tuppence.request import OUTPUT_LIMIT, Message, Request, Tags
from tuppence.spend.budgets import Budgets
from tuppence.spend.budgets.holding import Asked, Held, Holding

# Runs whose end never comes must not pile up; by then their reservations were swept long ago.
_MAX_OPEN = 100_000

_Batch = tuple[int, int, UUID | None]

_here: ContextVar[BudgetCallbackHandler | None] = ContextVar("langchain_tuppence_budgets", default=None)
# LangChain then adds it to the callbacks of whatever runs, without any config that would have to be handed on.
register_configure_hook(_here, inheritable=True)


@dataclass(frozen=True, slots=True)
class _Open:
    """A run under way."""

    held: Held
    task: asyncio.Task[Any] | None
    """Who waits for it."""
    on_done: Any


class BudgetCallbackHandler(BaseCallbackHandler):
    """Hold a program's models to budgets: `chain.invoke(question, config={"callbacks": [BudgetCallbackHandler(b)]})`.

    A call that a budget has no room for raises `BudgetExceeded` before its model is asked; a soft budget counts, and
    stops nothing, since a handler cannot ask another model (`BudgetMiddleware` can). Tags are those of
    `tuppence.tags`, of the config's metadata (`tuppence_user`), and a thread's id as the session. Safe to share
    between threads, and among handlers with the same `budgets`: a call is charged once.
    """

    raise_error = True
    # In the caller's own thread and before every other handler's work: the call waits for the answer anyway.
    run_inline = True

    def __init__(self, budgets: Budgets, *, prices: PriceBook | None = None) -> None:
        super().__init__()
        self._budgets = budgets
        self._holding = Holding(budgets, prices)
        self._lock = threading.Lock()
        self._open: OrderedDict[UUID, _Open] = OrderedDict()
        self._batches: dict[_Batch, list[UUID]] = {}

    def __repr__(self) -> str:
        return f"BudgetCallbackHandler(open={len(self._open)})"

    # -- before a model is asked

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID,
        parent_run_id: UUID | None = None, metadata: dict[str, Any] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        given = [message for batch in messages for message in batch]
        asked = tuple(_counted(message) for message in given)
        self._begin(run_id, parent_run_id, asked, metadata or {}, kwargs, marked=_marks(given))

    def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        asked = tuple(Message("user", prompt) for prompt in prompts)
        self._begin(run_id, parent_run_id, asked, metadata or {}, kwargs, marked=False)

    def _begin(
        self, run_id: UUID, parent: UUID | None, messages: tuple[Message, ...], metadata: Mapping[str, Any],
        kwargs: Mapping[str, Any], *, marked: bool,
    ) -> None:  # fmt: skip
        if BUDGETED_KEY in metadata or self._leaves_to(_here.get()):
            return
        task = _current_task()
        batch = threading.get_ident(), id(task), parent
        try:
            held = self._reserved(str(run_id), _asked(messages, metadata, kwargs, marked=marked))
        except BaseException:
            # What was let through of one `generate` is never asked now, and nobody will say so.
            for begun in self._batches.pop(batch, ()):
                self._given_back(begun)
            raise
        if held is not None:
            self._watch(run_id, held, task)
        self._noted(batch, run_id, kwargs.get("batch_size") or 1)

    def _leaves_to(self, other: BudgetCallbackHandler | None) -> bool:
        """Say whether a handler of the same budgets charges for what is asked here, and knows what a soft one does."""
        return other is not None and other is not self and other._budgets is self._budgets

    def _reserved(self, call: str, asked: Asked) -> Held | None:
        return self._holding.reserve(call, asked)

    def _watch(self, run_id: UUID, held: Held, task: asyncio.Task[Any] | None) -> None:
        on_done = None
        if task is not None:
            # LangChain tells nobody of an `ainvoke` that is cancelled.
            on_done = partial(self._left, run_id)
            task.add_done_callback(on_done)
        with self._lock:
            self._open[run_id] = _Open(held, task, on_done)
            if len(self._open) > _MAX_OPEN:
                self._open.popitem(last=False)

    def _noted(self, batch: _Batch, run_id: UUID, size: int) -> None:
        """Remember the runs of one `generate` until all of them were let through."""
        if size == 1:
            return
        runs = self._batches.setdefault(batch, [])
        runs.append(run_id)
        if len(runs) >= size:
            del self._batches[batch]

    # -- after it

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        held = self._ended(run_id)
        if held is not None:
            usage, model = read_answer(response)
            self._holding.close(held, usage, model=model, text=_text(response))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        held = self._ended(run_id)
        if held is not None:
            partly = kwargs.get("response")
            self._holding.close_failed(held, error, text=_text(partly) if isinstance(partly, LLMResult) else "")

    def _left(self, run_id: UUID, task: asyncio.Task[Any]) -> None:
        """Close a run whose task was cancelled. After a task that merely ended, a stream may go on elsewhere."""
        if task.cancelled():
            held = self._ended(run_id)
            if held is not None:
                self._holding.close_failed(held, asyncio.CancelledError())

    def _given_back(self, run_id: UUID) -> None:
        held = self._ended(run_id)
        if held is not None:
            self._holding.close_unasked(held)

    def _ended(self, run_id: UUID) -> Held | None:
        """Stop watching a run; None for one that no budget applies to."""
        with self._lock:
            run = self._open.pop(run_id, None)
        if run is None:
            return None
        if run.task is not None:
            run.task.remove_done_callback(run.on_done)
        return run.held


class StoppingAtSoft(BudgetCallbackHandler):
    """Stops at soft budgets too, for whoever then asks a cheaper model."""

    def _reserved(self, call: str, asked: Asked) -> Held | None:
        return self._holding.reserve(call, asked, stop_at_soft=True)


@contextmanager
def held_to(handler: BudgetCallbackHandler) -> Iterator[None]:
    """Have `handler` see every model that is asked inside."""
    token = _here.set(handler)
    try:
        yield
    finally:
        _here.reset(token)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _asked(
    messages: tuple[Message, ...], metadata: Mapping[str, Any], kwargs: Mapping[str, Any], *, marked: bool
) -> Asked:
    sent: Mapping[str, Any] = kwargs.get("invocation_params") or {}
    params = {**sent, **(kwargs.get("options") or {})}
    longest = metadata.get("ls_max_tokens")
    if isinstance(longest, int):
        params.setdefault(OUTPUT_LIMIT, longest)
    schema = params.get("response_format")
    tools = (*(params.get("tools") or ()), *([schema] if isinstance(schema, Mapping) else ()))
    model = metadata.get("ls_model_name") or params.get("model_name") or params.get("model") or ""
    request = Request(messages or (Message("user", ""),), params=params, tools=tools, tags=_tags(metadata))
    return Asked(str(model), request, metadata.get("ls_provider"), marked=marked or "cache_control" in params)


def _tags(metadata: Mapping[str, Any]) -> Tags:
    # A graph puts its thread into the metadata, a plain chain only into the config around it.
    thread = metadata.get("thread_id") or (ensure_config().get("configurable") or {}).get("thread_id")
    return tags_of({"metadata": dict(metadata), "configurable": {} if thread is None else {"thread_id": thread}}, {})


def _counted(message: BaseMessage) -> Message:
    """View a message as its tokens are counted: whoever says it, with what it calls tools by."""
    calls = message.tool_calls if isinstance(message, AIMessage) else ()
    text = text_of(message)
    return Message("user", f"{text}{json.dumps(calls, default=repr)}" if calls else text)


def _marks(messages: Iterable[BaseMessage]) -> bool:
    """Say whether a block of the prompt is marked to be kept by the provider."""
    blocks: Sequence[Any] = [b for m in messages if isinstance(m.content, list) for b in m.content]
    return any(isinstance(block, dict) and "cache_control" in block for block in blocks)


def _text(response: LLMResult) -> str:
    return "".join(one.text for answers in response.generations for one in answers)
