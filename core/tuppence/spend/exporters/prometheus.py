"""Metrics for Prometheus, counted as calls are settled: `PrometheusMetrics()` beside the ledger, and the program's own
`prometheus_client.start_http_server(9464)`.

Labels are few on purpose, since each combination of their values is a series that is kept for ever: tier, model, cause,
outcome, endpoint and task. Money is in dollars as floats, as Prometheus has nothing else: what is exact is in the
ledger. A counter cannot fall, and a saving can: the saving is `tuppence_baseline_usd_total` less
`tuppence_compared_cost_usd_total`.
"""

from __future__ import annotations

import logging
from typing import Protocol

from tuppence.attempts import JUDGED, Attempt, Result
from tuppence.errors import ConfigError
from tuppence.spend.budgets import Budgets
from tuppence.spend.exporters.standing import BudgetCollector
from tuppence.spend.savings import saved_pico

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
except ImportError as missing:
    raise ConfigError("PrometheusMetrics needs prometheus-client: pip install 'tuppence[prometheus]'") from missing

log = logging.getLogger("tuppence.exporters")

_PICO = 1e-12
TOKEN_KINDS = (
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "audio_cache_read", "output",
    "audio_output",
)  # fmt: skip
"""Kinds of tokens that share none; `reasoning` is a part of the output and has a counter of its own."""
# Seconds: from a hit to the longest answers.
_LATENCIES = (0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)
_SCORES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Judged(Protocol):
    """What a judge made of a call."""

    @property
    def tier(self) -> str: ...
    def score(self, aspect: str) -> float | None:
        """Return the score in [0, 1] of `accuracy`, `fluency` or `preference`; None where there is none."""
        ...


class PrometheusMetrics:
    """Count settled calls for Prometheus; `registry` is prometheus_client's own unless you have another.

    `budgets` adds what is spent, held and left of each, read when Prometheus asks. One object serves all models of a
    program. Raises `ValueError`, as prometheus_client does, for a second one in the same registry.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, budgets: Budgets | None = None) -> None:
        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"tuppence_{name}", words, labels, registry=registry)

        def histogram(name: str, words: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"tuppence_{name}", words, labels, buckets=buckets, registry=registry)

        self._calls = counter("calls", "Logical calls", "endpoint", "task", "mode")
        self._attempts = counter("attempts", "Provider calls", "tier", "model", "cause", "outcome")
        self._cost = counter("cost_usd", "Dollars paid", "tier", "model", "cause", "endpoint")
        self._unpriced = counter("unpriced_attempts", "Provider calls of unknown price", "tier", "model")
        self._tokens = counter("tokens", "Tokens by kind; no token is in two", "tier", "model", "kind")
        self._reasoning = counter("reasoning_tokens", "Hidden reasoning, a part of the output", "tier", "model")
        self._pruned = counter("pruned_tokens", "Input tokens left out of prompts (estimates)", "endpoint")
        self._cache = counter("cache_requests", "What caches answered: exact, similar, or why not", "result")
        self._baseline = counter("baseline_usd", "Dollars on the baseline alone, of calls that can be compared", "tier")
        self._compared = counter("compared_cost_usd", "Dollars paid for calls that can be compared", "tier")
        self._seconds = histogram("attempt_duration_seconds", "Time of a provider call", _LATENCIES, "tier")
        self._scores = histogram("quality_score", "What a judge gave, in [0, 1]", _SCORES, "tier", "aspect")
        if budgets is not None:
            registry.register(BudgetCollector(budgets))

    def write(self, result: Result) -> None:
        """Count one settled call. Never raises."""
        try:
            self._count(result)
        except Exception as error:  # noqa: BLE001 - metrics never break a call
            log.warning("a call is missing from the metrics: %r", error)

    def judged(self, judgement: Judged) -> None:
        """Count what a judge gave."""
        for aspect in ("accuracy", "fluency", "preference"):
            score = judgement.score(aspect)
            if score is not None:
                self._scores.labels(judgement.tier, aspect).observe(score)

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return: nothing waits."""

    def close(self) -> None:
        """Return: nothing is open."""

    def _count(self, result: Result) -> None:
        tags, decision = result.tags, result.decision
        endpoint = tags.get("endpoint", "")
        if not decision.again:
            self._calls.labels(endpoint, tags.get("task", ""), decision.mode).inc()
        if decision.pruned_tokens:
            self._pruned.labels(endpoint).inc(decision.pruned_tokens)
        if decision.missed:
            self._cache.labels(f"missed: {decision.missed}").inc()
        for attempt in result.attempts:
            self._count_attempt(attempt, endpoint)
        self._count_saving(result)

    def _count_attempt(self, attempt: Attempt, endpoint: str) -> None:
        tier, model, usage = attempt.tier, attempt.model, attempt.usage
        self._attempts.labels(tier, model, attempt.cause, attempt.outcome).inc()
        self._seconds.labels(tier).observe(attempt.latency_ms / 1000)
        if attempt.outcome == "hit":
            self._cache.labels("similar" if tier == "similar" else "exact").inc()
            return
        if attempt.pico_usd is None:
            self._unpriced.labels(tier, model).inc()
        else:
            self._cost.labels(tier, model, attempt.cause, endpoint).inc(attempt.pico_usd * _PICO)
        for kind in TOKEN_KINDS:
            if tokens := getattr(usage, kind):
                self._tokens.labels(tier, model, kind).inc(tokens)
        if usage.reasoning:
            self._reasoning.labels(tier, model).inc(usage.reasoning)

    def _count_saving(self, result: Result) -> None:
        saved = saved_pico(result.attempts)
        if saved is None or result.decision.mode == JUDGED:
            return
        paid = result.pico_usd
        self._compared.labels(result.tier or "").inc(paid * _PICO)
        self._baseline.labels(result.tier or "").inc((paid + saved) * _PICO)
