"""What a whole LlamaIndex program spends: a handler for its dispatcher, and one for programs with callback managers.

Both add up the same; attach one of them. Calls of `TuppenceLLM` are taken from their settled results, so they agree
with the ledger to the pico-dollar; what its tiers emit meanwhile is not counted again.
"""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
    SparseEmbeddingEndEvent,
)
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from pydantic import PrivateAttr

from llama_index_tuppence.open_streams import inside_a_tier
from llama_index_tuppence.tally import Tally, is_wrapper, model_named
from tuppence.assembly import LedgerOption
from tuppence.attempts import Attempt, Result
from tuppence.prices import PicoUSD, PriceBook


class _Totals:
    """What both handlers show."""

    _tally: Tally

    @property
    def attempts(self) -> list[Attempt]:
        """Every provider call seen, hits included."""
        return self._tally.attempts

    @property
    def calls(self) -> int:
        """Logical calls: one for each call of TuppenceLLM, one for each call of another model."""
        return self._tally.calls

    @property
    def pico_usd(self) -> PicoUSD:
        return self._tally.pico_usd

    @property
    def usd(self) -> Decimal:
        """Exact dollars of the priced attempts."""
        return self._tally.usd

    @property
    def hits(self) -> int:
        return self._tally.hits

    @property
    def unpriced(self) -> int:
        """Number of attempts whose price is unknown: `usd` is short by what they cost."""
        return self._tally.unpriced

    @property
    def by_tier(self) -> dict[str, Decimal]:
        return self._tally.by_tier

    @property
    def by_model(self) -> dict[str, Decimal]:
        return self._tally.by_model

    def tuppence_settled(self, result: Result) -> None:
        """Take a settled call of TuppenceLLM."""
        self._tally.settled(result)


class SpendEventHandler(_Totals, BaseEventHandler):
    """Add up what model, embedding and rerank calls cost: `get_dispatcher().add_event_handler(SpendEventHandler())`.

    `ledger` also records the calls that are not TuppenceLLM's (cause "observed"), each once however many of these
    handlers write to it. Embedding and rerank events carry no payload: their cost is a flagged estimate.
    """

    _tally: Tally = PrivateAttr()

    def __init__(self, *, prices: PriceBook | None = None, ledger: LedgerOption = None) -> None:
        super().__init__()
        self._tally = Tally(prices, ledger)

    @classmethod
    def class_name(cls) -> str:
        return "SpendEventHandler"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        if inside_a_tier():
            return
        key, at = event.span_id or "", event.timestamp.timestamp()
        tally = self._tally
        match event:
            case LLMChatInProgressEvent() | LLMCompletionInProgressEvent():
                tally.progressed(key, event.response)
            case LLMChatStartEvent():
                described = event.model_dict
                tally.begin(key, model_named(described), at=at, asked=event.messages, wrapper=is_wrapper(described))
            case LLMCompletionStartEvent():
                described = event.model_dict
                tally.begin(key, model_named(described), at=at, asked=event.prompt, wrapper=is_wrapper(described))
            case LLMChatEndEvent() | LLMCompletionEndEvent():
                tally.answered(key, event.id_, event.response, at=at)
            case EmbeddingStartEvent():
                tally.begin(key, model_named(event.model_dict), at=at)
            case EmbeddingEndEvent() | SparseEmbeddingEndEvent():
                tally.embedded(key, event.id_, event.chunks, at=at)
            case ReRankStartEvent():
                tally.begin_reranking(key, event.model_name, at=at, query=event.query, nodes=event.nodes)
            case ReRankEndEvent():
                tally.reranked(key, event.id_, at=at)
            case ExceptionEvent():
                tally.dropped(key, event.id_, at=at)


class SpendCallbackHandler(_Totals, BaseCallbackHandler):
    """Do as `SpendEventHandler` does, for programs with a `CallbackManager([SpendCallbackHandler()])`.

    Callback managers do not tell what a stream of another model had said when it was left: it is not counted.
    """

    def __init__(self, *, prices: PriceBook | None = None, ledger: LedgerOption = None) -> None:
        super().__init__([], [])
        self._tally = Tally(prices, ledger)

    def on_event_start(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", parent_id: str = "",
        **kwargs: Any,
    ) -> str:  # fmt: skip
        if payload is None or inside_a_tier():
            return event_id
        described = payload.get(EventPayload.SERIALIZED)
        if event_type in (CBEventType.LLM, CBEventType.EMBEDDING):
            asked = payload.get(EventPayload.MESSAGES) or payload.get(EventPayload.PROMPT) or ""
            self._tally.begin(
                event_id, model_named(described), at=time.time(), asked=asked, wrapper=is_wrapper(described)
            )
        elif event_type == CBEventType.RERANKING:
            self._tally.begin_reranking(
                event_id, str(payload.get(EventPayload.MODEL_NAME) or ""), at=time.time(),
                query=payload.get(EventPayload.QUERY_STR), nodes=payload.get(EventPayload.NODES) or (),
            )  # fmt: skip
        return event_id

    def on_event_end(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any
    ) -> None:
        if payload is None or inside_a_tier():
            return
        if event_type == CBEventType.LLM:
            response = payload.get(EventPayload.RESPONSE) or payload.get(EventPayload.COMPLETION)
            self._tally.answered(event_id, event_id, response, at=time.time())
        elif event_type == CBEventType.EMBEDDING:
            self._tally.embedded(event_id, event_id, payload.get(EventPayload.CHUNKS) or (), at=time.time())
        elif event_type == CBEventType.RERANKING:
            self._tally.reranked(event_id, event_id, at=time.time())

    def start_trace(self, trace_id: str | None = None) -> None:
        """Traces group events for display; money needs no grouping."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Traces group events for display; money needs no grouping."""
