"""What a program's LLM calls cost, seen from LangChain's callbacks: ChatTuppence's to the pico-dollar, all others by
price list.

A call of ChatTuppence hands over its settled `Result`, the same that the ledger gets, and its provider runs are then
not counted again. A run of any other model is priced from the usage that it reports, or from the time that it took
where that is what its model costs.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langchain_tuppence.replies import usage_of
from tuppence.assembly import LedgerOption, open_ledger
from tuppence.context import Spend
from tuppence.errors import UsageError
from tuppence.failures import usage_told
from tuppence.observed import observed
from tuppence.prices import PriceBook
from tuppence.usage import Usage, read_usage

_MAX_REMEMBERED = 100_000
_recorded: WeakKeyDictionary[Any, OrderedDict[str, None]] = WeakKeyDictionary()
_recorded_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Run:
    """A run under way of a model that is not ChatTuppence's."""

    started_at: float
    """Unix seconds."""
    model: str
    provider: str | None


class SpendCallbackHandler(Spend, BaseCallbackHandler):
    """Add up what LLM calls cost: pass it in `config={"callbacks": [...]}` to a chain, a graph or a model.

    `ledger` also records the runs of models that are not ChatTuppence's (cause "observed"), each run once however
    many handlers see it. Safe to share between threads.
    """

    run_inline = True

    def __init__(self, *, prices: PriceBook | None = None, ledger: LedgerOption = None) -> None:
        super().__init__()
        self._prices = prices or PriceBook.default()
        self._ledger = open_ledger(ledger)
        self._lock = threading.Lock()
        self._facades: set[UUID] = set()
        self._ours: set[UUID] = set()
        self._watched: dict[UUID, Run] = {}

    def __repr__(self) -> str:
        counts = f"calls={self.calls}, attempts={len(self.attempts)}, hits={self.hits}"
        return f"SpendCallbackHandler(usd={self.usd}, {counts})"

    # -- ChatTuppence's own calls

    def entered(self, run_id: UUID) -> None:
        """Learn that a ChatTuppence call has begun under this run: its provider runs come with its result."""
        with self._lock:
            self._facades.add(run_id)

    def left(self, run_id: UUID) -> None:
        """Learn that the call has ended; its result was added when it was settled."""
        with self._lock:
            self._facades.discard(run_id)

    # -- other models

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: Any, *, run_id: UUID, parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self._begin(run_id, parent_run_id, metadata or {}, kwargs)

    def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self._begin(run_id, parent_run_id, metadata or {}, kwargs)

    def _begin(self, run_id: UUID, parent: UUID | None, metadata: Mapping[str, Any], kwargs: Mapping[str, Any]) -> None:
        with self._lock:
            if parent in self._facades:
                self._ours.add(run_id)
                return
            model = metadata.get("ls_model_name") or (kwargs.get("invocation_params") or {}).get("model_name") or ""
            self._watched[run_id] = Run(time.time(), str(model), metadata.get("ls_provider"))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        run = self._ended(run_id)
        usage = usage_told(error)
        if run is not None and usage is not None:
            self._observed(run_id, run, usage, run.model, error=f"{type(error).__name__}: {error}"[:200])

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        run = self._ended(run_id)
        if run is not None:
            usage, told = read_answer(response)
            self._observed(run_id, run, usage, told or run.model)

    def _ended(self, run_id: UUID) -> Run | None:
        """Stop watching a run; None for one that comes with a ChatTuppence call's result, or was never seen."""
        with self._lock:
            self._ours.discard(run_id)
            return self._watched.pop(run_id, None)

    def _observed(self, run_id: UUID, run: Run, usage: Usage | None, model: str, *, error: str | None = None) -> None:
        """Count and record another model's run, at the price of the model that says it answered."""
        result = observed(
            str(run_id), usage, self._prices.rate(model, provider=run.provider) if model.strip() else None,
            model=model, started_at=run.started_at, ended_at=time.time(), error=error,
            outcome="observed" if error is None else "failed",
        )  # fmt: skip
        self.add(result)
        if self._ledger is not None and _first_time(self._ledger, str(run_id)):
            self._ledger.write(result)


def read_answer(response: LLMResult) -> tuple[Usage | None, str | None]:
    """Return the usage and the model name that a finished run reports."""
    generation = response.generations[0][0] if response.generations and response.generations[0] else None
    if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage):
        told = generation.message.response_metadata
        return usage_of(generation.message), told.get("model_name") or told.get("model")
    output = response.llm_output or {}
    counted = output.get("token_usage")
    if not counted:
        return None, output.get("model_name")
    try:
        return read_usage("raw", counted), output.get("model_name")
    except UsageError:
        return None, output.get("model_name")


def _first_time(ledger: Any, run_id: str) -> bool:
    """Say whether a run is new to this ledger; two handlers with one ledger record it once."""
    with _recorded_lock:
        seen = _recorded.setdefault(ledger, OrderedDict())
        if run_id in seen:
            return False
        seen[run_id] = None
        if len(seen) > _MAX_REMEMBERED:
            seen.popitem(last=False)
        return True
