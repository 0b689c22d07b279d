"""What a program's LLM calls cost, seen from LangChain's callbacks: ChatTuppence's to the pico-dollar, all others by
price list.

A call of ChatTuppence hands over its settled `Result`, the same that the ledger gets, and its provider runs are then
not counted again. A run of any other model is priced from the usage that it reports.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langchain_tuppence.replies import usage_of
from tuppence.assembly import LedgerOption, open_ledger
from tuppence.attempts import Attempt, Decision, Result
from tuppence.context import Spend, current_tags
from tuppence.errors import UsageError
from tuppence.prices import PriceBook
from tuppence.usage import Usage, read_usage

_MAX_REMEMBERED = 100_000
_recorded: WeakKeyDictionary[Any, OrderedDict[str, None]] = WeakKeyDictionary()
_recorded_lock = threading.Lock()


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
        self._watched: dict[UUID, tuple[float, str, str | None]] = {}

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
            self._watched[run_id] = (time.time(), str(model), metadata.get("ls_provider"))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        with self._lock:
            self._ours.discard(run_id)
            self._watched.pop(run_id, None)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        with self._lock:
            if run_id in self._ours:
                self._ours.discard(run_id)
                return
            begun = self._watched.pop(run_id, None)
        if begun is None:
            return
        result = self._observed(run_id, response, *begun)
        with self._lock:
            self.add(result)
        if self._ledger is not None and _first_time(self._ledger, str(run_id)):
            self._ledger.write(result)

    def _observed(self, run_id: UUID, response: LLMResult, started: float, model: str, provider: str | None) -> Result:
        """Price a finished run of another model; one that does not say what it used is unpriced."""
        usage, told = _read(response)
        model = told or model
        rate = self._prices.rate(model, provider=provider) if model.strip() else None
        pico = None if rate is None or usage is None else rate.cost(usage)
        attempt = Attempt(
            tier=model, model=model, cause="observed", outcome="observed", usage=usage or Usage(), pico_usd=pico,
            status="unpriced" if pico is None else "exact", price_version="" if rate is None else rate.version,
            started_at=started, latency_ms=(time.time() - started) * 1000,
        )  # fmt: skip
        return Result(str(run_id), None, [attempt], Decision("observed"), current_tags())


def _read(response: LLMResult) -> tuple[Usage | None, str | None]:
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
