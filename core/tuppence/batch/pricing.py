"""What a line may cost before it is sent, and what its answer cost: at the price of the lane that runs it.

A model without a price is unpriced, in the estimate and in the ledger; no other model's price stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tuppence.attempts import Attempt, Cause, CostStatus, Levers
from tuppence.batch.lines import CHAT, EMBEDDINGS, MESSAGES, RESPONSES
from tuppence.batch.provider import BatchProvider
from tuppence.clients.anthropic_messages import Messages
from tuppence.clients.dialect import Dialect
from tuppence.clients.openai_chat import ChatCompletions
from tuppence.clients.openai_embeddings import Embeddings
from tuppence.clients.openai_responses import Responses
from tuppence.errors import UsageError
from tuppence.estimates import estimated_usage, worst_usage
from tuppence.levers import undiscounted
from tuppence.prices import PicoUSD, PriceBook, Rate, cache_money
from tuppence.request import Finish, Request
from tuppence.tiers import Tier
from tuppence.usage import Usage, read_usage

DIALECTS: Mapping[str, Dialect] = {
    CHAT: ChatCompletions(), RESPONSES: Responses(), EMBEDDINGS: Embeddings(), MESSAGES: Messages(),
}  # fmt: skip
_APIS = {CHAT: "chat", RESPONSES: "responses", EMBEDDINGS: "embeddings", MESSAGES: "messages"}
_FINISHES: Mapping[str, Finish] = {
    "stop": "stop", "length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter",
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls",
    "refusal": "content_filter",
}  # fmt: skip


class Pricing:
    """The prices of one provider's batches."""

    def __init__(self, provider: BatchProvider, book: PriceBook) -> None:
        self._provider = provider
        self._book = book
        self._tiers: dict[str, Tier] = {}

    def tier(self, model: str) -> Tier:
        """Return the model as prices and estimates know it."""
        if model not in self._tiers:
            name = self._provider.name
            self._tiers[model] = Tier(model, model, name, rate=self._book.rate(model, provider=name))
        return self._tiers[model]

    def worst(self, url: str, body: Mapping[str, Any], *, at: float) -> PicoUSD | None:
        """Bound what a request can cost in this lane; None where no price is known."""
        tier = self.tier(str(body["model"]))
        if tier.rate is None:
            return None
        dialect = DIALECTS[url]
        request = _request(dialect, body)
        usage = worst_usage(tier, request)
        if not dialect.cascades:
            # Vectors have no output that is billed.
            usage = replace(usage, output=0)
        return tier.rate.at(at).cost(replace(usage, processing=self._provider.processing))

    def answered(
        self, url: str, model: str, answer: Mapping[str, Any], asked: Callable[[], Mapping[str, Any]], *, cause: Cause,
        started_at: float, ended_at: float, gpu_ms: int,
    ) -> Attempt:  # fmt: skip
        """Price one answer, as it will be written down; `asked` is looked up where the answer does not say what it
        used.
        """
        tier = self.tier(model)
        usage, status = self._usage(url, tier, asked, answer)
        usage = replace(usage, processing=self._processing(usage), gpu_ms=gpu_ms or usage.gpu_ms)
        rate = None if tier.rate is None else tier.rate.at(ended_at)
        pico = None if rate is None else rate.cost(usage)
        attempt = Attempt(
            tier.name, str(answer.get("model") or tier.model), cause, "accepted", usage, pico,
            "unpriced" if pico is None else status, "" if rate is None else rate.version, started_at,
            max(0.0, ended_at - started_at) * 1000, finish=_finish(answer),
        )  # fmt: skip
        if rate is not None and pico is not None:
            _compare(attempt, rate, pico)
        return attempt

    def failed(self, model: str, message: str, *, cause: Cause, started_at: float, ended_at: float) -> Attempt:
        """Write a failure down: providers bill no line that they could not answer."""
        rate = self.tier(model).rate
        version = "" if rate is None else rate.at(ended_at).version
        latency_ms = max(0.0, ended_at - started_at) * 1000
        return Attempt(
            model, model, cause, "failed", Usage(processing=self._provider.processing), 0, "exact", version,
            started_at, latency_ms, error=message[:200],
        )  # fmt: skip

    def _usage(
        self, url: str, tier: Tier, asked: Callable[[], Mapping[str, Any]], answer: Mapping[str, Any]
    ) -> tuple[Usage, CostStatus]:
        try:
            return read_usage(_APIS[url], answer), "exact"
        except UsageError:
            request = _request(DIALECTS[url], asked())
            return estimated_usage(tier, request, str(answer)), "estimated"

    def _processing(self, usage: Usage) -> Any:
        # What a payload says of its service tier is about calls made at once.
        return usage.processing if usage.processing == "unlisted" else self._provider.processing


def _request(dialect: Dialect, body: Mapping[str, Any]) -> Request:
    parts = dialect.parts(dict(body))
    params = {name: value for name, value in body.items() if name not in dialect.read_apart}
    return Request(parts.messages, params, parts.tools, parts.schema)


def _compare(attempt: Attempt, rate: Rate, pico: PicoUSD) -> None:
    """Write beside an answer what it would have cost at once."""
    at_once = rate.cost(undiscounted(attempt.usage))
    attempt.baseline_pico = at_once
    if at_once is not None and at_once != pico:
        attempt.levers = Levers(batch=at_once - pico)
    if attempt.usage.cache_read or attempt.usage.cache_write_5m or attempt.usage.cache_write_1h:
        attempt.prefix = cache_money(attempt.usage, rate)


def _finish(answer: Mapping[str, Any]) -> Finish | None:
    choices = answer.get("choices") or ()
    told = choices[0].get("finish_reason") if choices else answer.get("stop_reason")
    return _FINISHES.get(str(told))
