"""What exporters tell of settled calls: the same figures as the ledger, under the names that others know."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry

from tuppence.assembly import open_ledger
from tuppence.attempts import Attempt, Decision, Result, Verdict
from tuppence.cache import ExactCache, MemoryStore
from tuppence.drivers import run
from tuppence.errors import BudgetError
from tuppence.evidence.judging.judgements import Judgement
from tuppence.flow import plan
from tuppence.policy import Policy, Retries
from tuppence.ports import Port
from tuppence.prices import PriceBook, usd
from tuppence.request import Message, Reply, Request
from tuppence.spend import SqliteLedger
from tuppence.spend.budgets import Budget, Budgets
from tuppence.spend.exporters import OpenTelemetryExporter, PrometheusMetrics
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier
from tuppence.usage import Usage

BOOK = PriceBook.default()
SMALL = Tier("small", model="gpt-4o-mini", rate=BOOK.rate("gpt-4o-mini"))
LARGE = Tier("large", model="claude-sonnet-4-6", rate=BOOK.rate("claude-sonnet-4-6"))
USED = Usage(input=1_000, cache_read=200, output=50, reasoning=20)


def good(_request: Request, reply: Reply) -> Verdict:
    return Verdict(float("good" in reply.text), "")


def reply(text: str) -> Any:
    return lambda ask: Reply(text, finish="stop", usage=USED, model=ask.tier.model)


def ask(text: str = "when?", **tags: str) -> Request:
    return Request((Message("user", text),), params={"temperature": 0}, tags=tags, received_at=1_795_000_000.0)


def settled(sink: Any, models: ScriptedModels, request: Request | None = None, **options: Any) -> Result:
    defaults: dict[str, Any] = {"tiers": (SMALL, LARGE), "check": good, "retries": Retries(base_s=0)}
    policy = Policy(**{**defaults, **options})
    return run(plan(request or ask(endpoint="/chat"), policy), Port(models, cache=policy.cache, ledger=sink))


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


class TestPrometheus:
    def test_the_counters_are_the_sums_of_the_attempts(self, registry: CollectorRegistry) -> None:
        metrics = PrometheusMetrics(registry)
        results = [
            settled(metrics, ScriptedModels(small=reply("good"))),
            settled(metrics, ScriptedModels(small=reply("bad"), large=reply("good"))),
        ]

        def value(name: str, **labels: str) -> float | None:
            return registry.get_sample_value(f"tuppence_{name}", labels)

        assert value("calls_total", endpoint="/chat", task="", mode="optimise") == 2
        drafts = {"tier": "small", "model": "gpt-4o-mini", "cause": "draft"}
        assert value("attempts_total", **drafts, outcome="accepted") == 1
        assert value("attempts_total", **drafts, outcome="rejected") == 1
        paid = value("cost_usd_total", **drafts, endpoint="/chat") or 0
        assert paid == pytest.approx(2 * float(usd(results[0].pico_usd)))
        assert value("tokens_total", tier="small", model="gpt-4o-mini", kind="cache_read") == 400
        assert value("reasoning_tokens_total", tier="small", model="gpt-4o-mini") == 40
        baseline = sum(a.baseline_pico or 0 for result in results for a in result.attempts)
        told = sum(value("baseline_usd_total", tier=tier) or 0 for tier in ("small", "large"))
        assert told == pytest.approx(float(usd(baseline)))

    def test_hits_and_the_reasons_for_misses_are_counted(self, registry: CollectorRegistry) -> None:
        metrics = PrometheusMetrics(registry)
        cache = ExactCache(MemoryStore())
        for _ in range(3):
            settled(metrics, ScriptedModels(small=reply("good")), cache=cache)
        assert registry.get_sample_value("tuppence_cache_requests_total", {"result": "exact"}) == 2
        (missed,) = [
            sample for family in registry.collect() for sample in family.samples
            if sample.labels.get("result", "").startswith("missed") and sample.name.endswith("_total")
        ]  # fmt: skip
        assert missed.value == 1

    def test_a_call_of_unknown_price_is_counted_as_such(self, registry: CollectorRegistry) -> None:
        settled(PrometheusMetrics(registry), ScriptedModels(own=reply("good")), tiers=(Tier("own", model="o"),))
        assert registry.get_sample_value("tuppence_unpriced_attempts_total", {"tier": "own", "model": "o"}) == 1
        labels = {"tier": "own", "model": "o", "cause": "draft", "endpoint": "/chat"}
        assert registry.get_sample_value("tuppence_cost_usd_total", labels) is None

    def test_budgets_are_read_when_asked_for(self, registry: CollectorRegistry) -> None:
        budgets = Budgets(Budget(usd=5, per="month", each="user"))
        metrics = PrometheusMetrics(registry, budgets=budgets)
        request = Request((Message("user", "?"),), tags={"user": "ann"}, received_at=4e9)
        result = settled(metrics, ScriptedModels(small=reply("good")), request, budgets=budgets)
        left = [s for f in registry.collect() if f.name == "tuppence_budget_left_usd" for s in f.samples]
        assert [s.labels["budget"] for s in left] == ["month for each user"]
        assert left[0].value == pytest.approx(5 - float(usd(result.pico_usd)))

    def test_budgets_that_cannot_be_read_are_left_out(
        self, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def away(_self: Budgets, at: float | None = None) -> None:
            raise BudgetError("away")

        monkeypatch.setattr(Budgets, "standing", away)
        PrometheusMetrics(registry, budgets=Budgets(Budget(usd=5, per="month")))
        with caplog.at_level(logging.WARNING):
            names = {family.name for family in registry.collect()}
        assert not any("budget" in name for name in names)
        assert "budgets are missing" in caplog.text

    def test_what_a_judge_gave_is_a_histogram(self, registry: CollectorRegistry) -> None:
        metrics = PrometheusMetrics(registry)
        metrics.judged(
            Judgement(
                call_id="c", at=0.0, tier="small", mode="rated", judge="j", instructions="", status="scored", accuracy=4
            )
        )
        assert registry.get_sample_value("tuppence_quality_score_sum", {"tier": "small", "aspect": "accuracy"}) == 0.75

    def test_a_result_that_is_none_breaks_nothing(
        self, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            PrometheusMetrics(registry).write(None)  # type: ignore[arg-type]
        assert "missing from the metrics" in caplog.text


class Telemetry:
    """An exporter whose spans and metrics stay in memory."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.exporter = OpenTelemetryExporter(self.tracers, self.meters)

    def told(self) -> list[ReadableSpan]:
        return list(self.spans.get_finished_spans())

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        found = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics if m.name == name]
        return [point for metric in found for point in metric.data.data_points]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    made = Telemetry()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


class TestOpenTelemetry:
    def test_a_call_is_a_span_and_each_attempt_one_under_it(self, telemetry: Telemetry) -> None:
        tracer = telemetry.tracers.get_tracer("the program")
        models = ScriptedModels(small=reply("bad"), large=reply("good"))
        with tracer.start_as_current_span("request") as parent:
            result = settled(telemetry.exporter, models, ask(session="s-1"))
        draft, answer, call, request = telemetry.told()
        assert [one.name for one in (draft, answer, call)] == [
            "chat gpt-4o-mini", "chat claude-sonnet-4-6", "tuppence.call",
        ]  # fmt: skip
        assert call.parent is not None
        assert call.parent.span_id == parent.get_span_context().span_id == request.get_span_context().span_id  # type: ignore[union-attr]
        assert {one.parent.span_id for one in (draft, answer) if one.parent} == {call.context.span_id}
        assert {one.kind for one in (draft, answer)} == {SpanKind.CLIENT}
        assert call.attributes is not None
        assert call.attributes["tuppence.cost.usd"] == pytest.approx(float(usd(result.pico_usd)))
        assert call.attributes["gen_ai.conversation.id"] == "s-1"
        assert answer.attributes is not None
        assert answer.attributes["gen_ai.provider.name"] == "anthropic"
        assert answer.attributes["gen_ai.usage.input_tokens"] == 1_200
        assert answer.attributes["gen_ai.usage.output_tokens"] == 50
        assert answer.start_time == int(result.attempts[1].started_at * 1e9)

    def test_metrics_have_the_names_of_the_conventions(self, telemetry: Telemetry) -> None:
        result = settled(telemetry.exporter, ScriptedModels(small=reply("good")))
        tokens = {p.attributes["gen_ai.token.type"]: p.sum for p in telemetry.points("gen_ai.client.token.usage")}
        assert tokens == {"input": 1_200, "output": 50}
        (cost,) = telemetry.points("tuppence.cost")
        assert cost.value == pytest.approx(float(usd(result.pico_usd)))
        assert cost.attributes["gen_ai.provider.name"] == "openai"

    def test_failures_are_errors(self, telemetry: Telemetry) -> None:
        class Down(Exception):
            status_code = 500

        with pytest.raises(Down):
            settled(telemetry.exporter, ScriptedModels(small=Down("no"), large=Down("no")), retries=Retries(per_tier=0))
        *attempts, call = telemetry.told()
        assert {one.status.status_code for one in (*attempts, call)} == {StatusCode.ERROR}
        assert call.attributes is not None
        assert call.attributes["error.type"] == "Down"

    def test_no_text_of_prompt_or_answer_is_told(self, telemetry: Telemetry) -> None:
        settled(telemetry.exporter, ScriptedModels(small=reply("good secret answer")), ask("a secret question"))
        assert not any("secret" in str(one.to_json()) for one in telemetry.told())

    def test_a_hit_has_no_span_of_a_provider(self, telemetry: Telemetry) -> None:
        hit = Attempt("cache", "m", "hit", "hit", Usage(), 0, "exact", "", 1.0, 2.0)
        telemetry.exporter.write(Result("c", Reply("x"), [hit], Decision("optimise"), {}))
        assert [one.name for one in telemetry.told()] == ["tuppence.call"]


def test_exporters_stand_beside_a_ledger(tmp_path: Any, registry: CollectorRegistry, telemetry: Telemetry) -> None:
    ledger = open_ledger([tmp_path / "ledger.sqlite", PrometheusMetrics(registry), telemetry.exporter])
    assert ledger is not None
    settled(ledger, ScriptedModels(small=reply("good")))
    ledger.flush()
    assert len(telemetry.told()) == 2
    kept = SqliteLedger(tmp_path / "ledger.sqlite")
    kept.close()
    ledger.close()
