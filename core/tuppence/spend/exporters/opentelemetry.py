"""Spans and metrics for OpenTelemetry, after its semantic conventions for generative AI.

One span a logical call, under whatever span was current when the call was made, and under it one for each provider
call, drafts and judges included, with the times at which they were made. Labels and numbers only: no text of a prompt
or an answer. Names are those of the "GenAI" conventions (github.com/open-telemetry/semantic-conventions-genai); what
they have no name for begins with `tuppence.`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from tuppence.attempts import Attempt, Result
from tuppence.errors import ConfigError
from tuppence.prices import usd

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode
except ImportError as missing:
    raise ConfigError("OpenTelemetryExporter needs opentelemetry-api: pip install 'tuppence[otel]'") from missing

log = logging.getLogger("tuppence.exporters")

_NAME = "tuppence"
_UNKNOWN = "unknown"
_PROVIDERS = {
    "aws": "aws.bedrock", "azure": "azure.ai.openai", "google": "gcp.gemini", "mistral": "mistral_ai", "x-ai": "x_ai",
}  # fmt: skip
"""What the conventions call providers whose name in the price list is another."""

Attributes = Mapping[str, str | int | float | bool]


class OpenTelemetryExporter:
    """Tell OpenTelemetry of settled calls: put it beside the ledger, `ledger=["default", OpenTelemetryExporter()]`.

    Without arguments it goes to the providers that the program has set for OpenTelemetry.
    """

    def __init__(
        self, tracer_provider: trace.TracerProvider | None = None, meter_provider: metrics.MeterProvider | None = None
    ) -> None:
        self._tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
        meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
        self._tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}", "Tokens used.")
        self._seconds = meter.create_histogram("gen_ai.client.operation.duration", "s", "Time of a provider call.")
        self._cost = meter.create_counter("tuppence.cost", "{USD}", "Dollars paid.")

    def write(self, result: Result) -> None:
        """Hand one settled call on. Never raises."""
        try:
            self._tell(result)
        except Exception as error:  # noqa: BLE001 - telemetry never breaks a call
            log.warning("a call is missing from the telemetry: %r", error)

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return: what is handed on is the providers' to flush."""

    def close(self) -> None:
        """Return: nothing is open."""

    def _tell(self, result: Result) -> None:
        attempts = result.attempts
        begun = min(a.started_at for a in attempts)
        ended = max(a.started_at + a.latency_ms / 1000 for a in attempts)
        call = self._tracer.start_span("tuppence.call", start_time=_ns(begun), attributes=_of_call(result))
        if result.error is not None:
            _failed(call, type(result.error).__name__)
        inside = trace.set_span_in_context(call)
        for attempt in attempts:
            if attempt.outcome != "hit":
                self._tell_attempt(attempt, inside)
        call.end(_ns(ended))

    def _tell_attempt(self, attempt: Attempt, inside: Context) -> None:
        named = _names(attempt)
        span = self._tracer.start_span(
            f"chat {attempt.model}".rstrip(), context=inside, kind=SpanKind.CLIENT, start_time=_ns(attempt.started_at),
            attributes={**named, **_of_attempt(attempt)},
        )  # fmt: skip
        if attempt.outcome == "failed":
            _failed(span, (attempt.error or _UNKNOWN).partition(":")[0])
        span.end(_ns(attempt.started_at + attempt.latency_ms / 1000))
        usage = attempt.usage
        for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if tokens:
                self._tokens.record(tokens, {**named, "gen_ai.token.type": kind})
        self._seconds.record(attempt.latency_ms / 1000, named)
        if attempt.pico_usd is not None:
            self._cost.add(float(usd(attempt.pico_usd)), {**named, "tuppence.tier": attempt.tier})


def _names(attempt: Attempt) -> dict[str, str]:
    """Say what the conventions want on everything."""
    listed = attempt.price_version.split("/")
    provider = listed[1] if len(listed) > 2 else _UNKNOWN
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": attempt.model,
        "gen_ai.response.model": attempt.model,
    }


def _of_attempt(attempt: Attempt) -> Attributes:
    usage = attempt.usage
    said: dict[str, str | int | float | bool] = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "tuppence.tier": attempt.tier,
        "tuppence.cause": attempt.cause,
        "tuppence.outcome": attempt.outcome,
        "tuppence.cost.status": attempt.status,
    }
    if attempt.pico_usd is not None:
        said["tuppence.cost.usd"] = float(usd(attempt.pico_usd))
    if attempt.score is not None:
        said["tuppence.check.score"] = attempt.score
    return said


def _of_call(result: Result) -> Attributes:
    decision = result.decision
    said: dict[str, str | int | float | bool] = {
        "tuppence.call_id": result.call_id,
        "tuppence.mode": decision.mode,
        "tuppence.tier": result.tier or "",
        "tuppence.attempts": len(result.attempts),
        "tuppence.cost.usd": float(usd(result.pico_usd)),
        "tuppence.unpriced": result.unpriced,
        "tuppence.policy_version": decision.policy_version,
    }
    said.update({f"tuppence.tag.{name}": value for name, value in result.tags.items()})
    session = result.tags.get("session")
    if session:
        said["gen_ai.conversation.id"] = session
    return said


def _failed(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _ns(moment: float) -> int:
    return int(moment * 1e9)
