"""A real Prometheus scrapes the exporters, and every panel of the dashboard shows something."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, start_http_server

from tuppence.attempts import Verdict
from tuppence.cache import ExactCache, MemoryStore
from tuppence.drivers import run
from tuppence.evidence.judging.judgements import Judgement
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.prices import PriceBook
from tuppence.request import Message, Reply, Request
from tuppence.spend import SqliteLedger
from tuppence.spend.budgets import Budget, Budgets
from tuppence.spend.exporters import PrometheusMetrics
from tuppence.spend.exporters.from_ledger import LedgerCollector
from tuppence.spend.ledger.several import Ledgers
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier
from tuppence.usage import Usage

PROMETHEUS = shutil.which("prometheus")
PANELS = json.loads(files("tuppence").joinpath("data/grafana_dashboard.json").read_text(encoding="utf-8"))["panels"]
EXPRESSIONS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
VARIABLES = {"$__range": "30s", "$__rate_interval": "10s", "$endpoint": ".*"}
PATIENCE_S = 60

CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: {job}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@contextmanager
def scraped(registry: CollectorRegistry, folder: Path, job: str) -> Iterator[httpx.Client]:
    """Serve a registry, start a Prometheus that scrapes it, and give a client of its API."""
    if PROMETHEUS is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    metrics, _ = start_http_server(0, "127.0.0.1", registry)
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(job=job, port=metrics.server_port))
    port = _free_port()
    log = (folder / "prometheus.log").open("w")
    server = subprocess.Popen(
        [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
         f"--web.listen-address=127.0.0.1:{port}"],
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False) as client:
            yield client
    finally:
        server.terminate()
        server.wait()
        log.close()
        metrics.shutdown()
        metrics.server_close()


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def asked(client: httpx.Client, expression: str) -> list[Any]:
    """Ask an expression until it has an answer that is a number."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = _answered(client, expression)
        if answer.get("status") == "error":
            pytest.fail(f"{expression}: {answer['error']}")
        found = [one for one in answer.get("data", {}).get("result", ()) if one["value"][1] not in ("NaN", "+Inf")]
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.3)


def _answered(client: httpx.Client, expression: str) -> dict[str, Any]:
    """What Prometheus says; empty while it is starting, when it refuses connections and then answers 503."""
    try:
        reply = client.get("/query", params={"query": expression})
    except httpx.TransportError:
        return {}
    return {} if reply.status_code == httpx.codes.SERVICE_UNAVAILABLE else dict(reply.json())


class Traffic:
    """Calls of every kind that the dashboard shows."""

    def __init__(self, sink: Any, budgets: Budgets) -> None:
        book = PriceBook.default()
        tiers = (
            Tier("small", model="gpt-4o-mini", rate=book.rate("gpt-4o-mini")),
            Tier("large", model="gpt-4o", rate=book.rate("gpt-4o")),
        )
        self.sink = sink
        self.policy = Policy(tiers=tiers, check=self.check, cache=ExactCache(MemoryStore()), budgets=budgets)

    def check(self, request: Request, reply: Reply) -> Verdict:
        return Verdict(float("hard" not in request.messages[-1].text or reply.tier == "large"), "")

    def call(self, question: str) -> None:
        request = Request(
            (Message("user", question),), params={"temperature": 0, "max_tokens": 100}, tags={"endpoint": "/chat"},
            received_at=time.time(),
        )  # fmt: skip
        used = Usage(input=900, cache_read=100, output=40, reasoning=10)
        models = ScriptedModels(
            small=lambda ask: Reply("an answer", finish="stop", usage=used, model="gpt-4o-mini"),
            large=lambda ask: Reply("an answer", finish="stop", usage=used, model="gpt-4o"),
        )
        run(plan(request, self.policy), Port(models, cache=self.policy.cache, ledger=self.sink))


@contextmanager
def going_on(traffic: Traffic, metrics: PrometheusMetrics) -> Iterator[None]:
    """Make calls all the while: rates need counters that move."""
    import threading

    over = threading.Event()

    def calls() -> None:
        number = 0
        while not over.wait(0.1):
            number += 1
            for question in (f"easy {number}", f"hard {number}", "the same"):
                traffic.call(question)
            metrics.judged(
                Judgement(
                    call_id="c", at=0.0, tier="small", mode="rated", judge="j", instructions="", status="scored",
                    accuracy=4,
                )
            )  # fmt: skip

    thread = threading.Thread(target=calls)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_every_panel_of_the_dashboard_shows_something(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    budgets = Budgets(Budget(usd=100, per="day", each="endpoint"))
    metrics = PrometheusMetrics(registry, budgets=budgets)
    with scraped(registry, tmp_path, "program") as client, going_on(Traffic(metrics, budgets), metrics):
        empty = [
            (title, expression) for title, expression in EXPRESSIONS
            if not asked(client, re.sub(r"\$\w+", lambda found: VARIABLES[found[0]], expression))
        ]  # fmt: skip
        assert empty == []
        (amplified,) = asked(client, "sum(tuppence_attempts_total{outcome!='hit'}) / sum(tuppence_calls_total)")
        assert 0.9 < float(amplified["value"][1]) < 1.1  # of three calls one hit and one escalation


def test_the_ledger_of_several_programs_is_scraped_under_the_same_names(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    own = CollectorRegistry()
    budgets = Budgets(Budget(usd=100, per="day"))
    traffic = Traffic(Ledgers((ledger, PrometheusMetrics(own))), budgets)
    for number in range(20):
        for question in (f"easy {number}", f"hard {number}", "the same"):
            traffic.call(question)
    ledger.close()
    registry = CollectorRegistry()
    registry.register(LedgerCollector(tmp_path / "ledger.sqlite"))
    names = ("calls", "attempts", "cost_usd", "tokens", "baseline_usd", "compared_cost_usd")
    with scraped(registry, tmp_path, "machine") as client:
        for name in names:
            (total,) = asked(client, f"sum(tuppence_{name}_total)")
            counted = sum(
                sample.value for family in own.collect() for sample in family.samples
                if sample.name == f"tuppence_{name}_total"
            )  # fmt: skip
            assert float(total["value"][1]) == pytest.approx(counted), name
