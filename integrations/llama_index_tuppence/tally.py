"""What a program's model calls came to, and the prices of calls that tuppence only watched.

A call of `TuppenceLLM` comes as its settled `Result`, the same that the ledger gets. Any other call is priced here from
the provider's own payload, by a flagged estimate where that says nothing, by the time that it took where that is what
its model costs, and never twice.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.schema import MetadataMode, NodeWithScore

from llama_index_tuppence.dialects import model_of, usage_of
from tuppence.assembly import LedgerOption, open_ledger
from tuppence.attempts import CostStatus, Outcome, Result
from tuppence.context import Spend
from tuppence.observed import observed, rerank_usage
from tuppence.prices import PriceBook, Rate
from tuppence.tokens import count_tokens
from tuppence.usage import Usage

# Spans whose end never comes (a stream that nobody closed) must not pile up.
_MAX_WATCHED = 10_000
# A wrapper's end follows its inner call's at once: a few payloads back is far enough.
_MAX_PAYLOADS = 64

last_ended: ContextVar[tuple[str, float] | None] = ContextVar("llama_index_tuppence_ended", default=None)
"""Text and beginning of the answer that came last here, by which a wrapper's is known."""
_reranking: ContextVar[str | None] = ContextVar("llama_index_tuppence_reranking", default=None)
"""The reranker under way."""


@dataclass(slots=True)
class Watched:
    """A call under way that is not tuppence's."""

    model: str
    started_at: float
    asked: Any = ""
    """Messages or prompt, for the case that nobody says what they cost."""
    wrapper: bool = False
    """It asks another model, which is counted itself."""
    latest: Any = None
    """Last response of a stream."""
    query: str = ""
    """What documents are reranked by."""
    documents: Sequence[str] = ()


class Tally(Spend):
    """Attempts as they come in; safe to share between threads."""

    def __init__(self, prices: PriceBook | None, ledger: LedgerOption) -> None:
        super().__init__()
        self._prices = prices or PriceBook.default()
        self._ledger = open_ledger(ledger)
        self._lock = threading.Lock()
        self._watched: OrderedDict[str, Watched] = OrderedDict()
        self._payloads: OrderedDict[int, Any] = OrderedDict()

    # -- calls that are only watched

    def begin(self, key: str, model: str, *, at: float, asked: Any = "", wrapper: bool = False) -> None:
        """Watch a call. Moments (`at`, Unix seconds) are the event's own, so that a ledger knows a call that it has."""
        self._watch(key, Watched(model, at, asked, wrapper))

    def begin_reranking(self, key: str, model: str, *, at: float, query: Any, nodes: Sequence[NodeWithScore]) -> None:
        """Watch a reranker; the texts are those that rerankers send."""
        texts = [node.node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
        asked = query if isinstance(query, str) else str(getattr(query, "query_str", None) or "")
        self._watch(key, Watched(model, at, query=asked, documents=texts))
        _reranking.set(key)

    def settled(self, result: Result) -> None:
        """Take a settled call of TuppenceLLM."""
        self._asked_a_model()
        self.add(result)

    def _watch(self, key: str, watched: Watched) -> None:
        self._asked_a_model()
        with self._lock:
            self._watched[key] = watched
            if len(self._watched) > _MAX_WATCHED:
                self._watched.popitem(last=False)

    def _asked_a_model(self) -> None:
        """Note that the reranker under way, if any, asks a model that is counted itself."""
        key = _reranking.get()
        reranker = None if key is None else self._watched.get(key)
        if reranker is not None:
            reranker.wrapper = True

    def progressed(self, key: str, response: Any) -> None:
        watched = self._watched.get(key)
        if watched is not None:
            watched.latest = response

    def answered(self, key: str, call_id: str, response: Any, *, at: float, outcome: Outcome = "observed") -> None:
        """Price a language model's finished call; a wrapper around one is recognised by passing its payload on."""
        with self._lock:
            watched = self._watched.pop(key, None)
        if response is None or (watched is not None and watched.wrapper):
            return
        text = _text_of(response)
        watched = watched or Watched("", at)
        if self._passed_on(response.raw, text, watched.started_at):
            return
        told = model_of(response.raw)
        usage, is_estimate = usage_of(response.raw, watched.asked)
        if usage is None:
            usage = Usage(input=_tokens(watched.asked, watched.model), output=_tokens(text, watched.model))
            is_estimate = True
        status: CostStatus = "estimated" if is_estimate else "exact"
        self._observed(call_id, watched, (told, watched.model), usage, status, at=at, outcome=outcome)

    def dropped(self, key: str, call_id: str, *, at: float) -> None:
        """Price a stream that ended early by what it had said."""
        watched = self._watched.get(key)
        if watched is not None and watched.latest is not None:
            self.answered(key, call_id, watched.latest, at=at, outcome="abandoned")
        else:
            self._watched.pop(key, None)

    def embedded(self, key: str, call_id: str, chunks: Sequence[Any], *, at: float) -> None:
        """Price an embedding call by counting its texts: the events carry no payload."""
        # Not taken out: the batches of one async call share their span.
        watched = self._watched.get(key) or Watched("", at)
        usage = Usage(input=sum(_tokens(str(chunk), watched.model) for chunk in chunks))
        self._observed(call_id, watched, (watched.model,), usage, "estimated", at=at)

    def reranked(self, key: str, call_id: str, *, at: float) -> None:
        """Price a reranker's call by counting its documents: the events carry no payload."""
        watched = self._watched.pop(key, None) or Watched("", at)
        if watched.wrapper:
            return
        rate = self._rate((watched.model,))
        usage = rerank_usage(watched.query, watched.documents, model=watched.model, rate=rate)
        self._observed(call_id, watched, (watched.model,), usage, "estimated", at=at)

    def _observed(
        self, call_id: str, watched: Watched, models: Sequence[str | None], usage: Usage, status: CostStatus, *,
        at: float, outcome: Outcome = "observed",
    ) -> None:  # fmt: skip
        """Price and record one call, by the first of `models` that has a price."""
        result = observed(
            call_id, usage, self._rate(models), model=next(filter(None, models), ""), tier=watched.model, status=status,
            outcome=outcome, started_at=watched.started_at, ended_at=at,
        )  # fmt: skip
        self.add(result)
        if self._ledger is not None:
            self._ledger.write(result)

    def _rate(self, models: Sequence[str | None]) -> Rate | None:
        return next((rate for model in models if model and (rate := self._prices.rate(model)) is not None), None)

    def _passed_on(self, raw: Any, text: str, began: float) -> bool:
        """Say whether this is a wrapper's answer (`complete` around `chat`), whose inner call was counted already."""
        inner = last_ended.get()
        last_ended.set((text, began))
        if raw is None:
            return inner is not None and inner[0] == text and began <= inner[1]
        with self._lock:
            if id(raw) in self._payloads:
                return True
            self._payloads[id(raw)] = raw
            if len(self._payloads) > _MAX_PAYLOADS:
                self._payloads.popitem(last=False)
        return False


def model_named(described: Mapping[str, Any] | None) -> str:
    """Read a model's name out of what LlamaIndex says of it."""
    return str((described or {}).get("model_name") or (described or {}).get("model") or "")


def is_wrapper(described: Mapping[str, Any] | None) -> bool:
    """Say whether a model only asks another one: LlamaIndex's structured LLM reports its inner model's name."""
    return (described or {}).get("class_name") == "structured_llm"


def _text_of(response: Any) -> str:
    message = getattr(response, "message", None)
    return str((message.content if message is not None else getattr(response, "text", "")) or "")


def _tokens(asked: Any, model: str) -> int:
    if isinstance(asked, str):
        return count_tokens(asked, model).tokens if asked else 0
    return sum(_tokens(m.content or "", model) for m in asked if isinstance(m, ChatMessage))
