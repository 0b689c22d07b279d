"""What a vLLM server says of its own work: the page at `/metrics`, read once into plain numbers.

Versions name things differently, and not all have everything: what is not on the page is missing here too, and never 0.
Nothing is counted up over time here; that is for `readings`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tuppence.selfhost.endpoint import Endpoint
from tuppence.selfhost.errors import SelfHostError

PROMPT, GENERATED = "prompt_tokens", "generation_tokens"

_COUNTERS: Mapping[str, str] = MappingProxyType({
    "vllm:prompt_tokens_total": PROMPT,
    "vllm:prompt_tokens_cached_total": "prompt_tokens_cached",
    "vllm:generation_tokens_total": GENERATED,
    "vllm:request_success_total": "requests",
    "vllm:request_prefill_time_seconds_sum": "prefill_s",
    "vllm:request_decode_time_seconds_sum": "decode_s",
    "vllm:inter_token_latency_seconds_sum": "inter_token_s",
    "vllm:inter_token_latency_seconds_count": "inter_tokens",
    "vllm:time_per_output_token_seconds_sum": "inter_token_s",
    "vllm:time_per_output_token_seconds_count": "inter_tokens",
    "vllm:prefix_cache_queries_total": "prefix_queries",
    "vllm:prefix_cache_hits_total": "prefix_hits",
    "vllm:gpu_prefix_cache_queries_total": "prefix_queries",
    "vllm:gpu_prefix_cache_hits_total": "prefix_hits",
    "vllm:admission_rejections_total": "refused",
})  # fmt: skip
_BY_SOURCE = "vllm:prompt_tokens_by_source_total"
_GAUGES: Mapping[str, str] = MappingProxyType({
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:kv_cache_usage_perc": "kv_usage",
    "vllm:gpu_cache_usage_perc": "kv_usage",
})  # fmt: skip
_STARTED = "process_start_time_seconds"
_WANTED = frozenset({*_COUNTERS, *_GAUGES, _BY_SOURCE, _STARTED})


@dataclass(frozen=True, slots=True)
class Scrape:
    """One page of metrics, summed over the engines and models of its server."""

    server: str
    """Address without `/v1`."""
    at: float
    """Unix seconds."""
    started_at: float | None
    """When the server's process began; None where the page does not say."""
    counts: Mapping[str, float]
    """What has been counted since then; prompt tokens by where they came from as `source:NAME`."""
    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None
    """Part of the KV cache that is in use, in [0, 1]; of several engines the fullest."""


def scrape(url: str, *, at: float) -> Scrape:
    """Fetch and read a server's metrics as of `at` (Unix seconds).

    Raises `SelfHostError` where the server does not answer, or what answers is no vLLM.
    """
    endpoint = Endpoint(url)
    return parsed(str(endpoint.get("/metrics")), server=endpoint.url, at=at)


def parsed(page: str, *, server: str, at: float) -> Scrape:
    """Read a page of metrics; raises `SelfHostError` where it counts no prompt and answer tokens of vLLM's."""
    counts: dict[str, float] = {}
    gauges: dict[str, float] = {}
    started: float | None = None
    for name, labels, value in _samples(page):
        if name in _GAUGES:
            gauge = _GAUGES[name]
            seen = gauges.get(gauge, 0.0)
            gauges[gauge] = max(seen, value) if gauge == "kv_usage" else seen + value
        elif name == _STARTED:
            started = value
        else:
            count = f"source:{labels.get('source', '')}" if name == _BY_SOURCE else _COUNTERS[name]
            counts[count] = counts.get(count, 0.0) + value
    if PROMPT not in counts or GENERATED not in counts:
        raise SelfHostError(
            f"{server}/metrics has no vllm:{PROMPT}_total and vllm:{GENERATED}_total: give the address of a vLLM "
            "server whose metrics are on (it was started without --disable-log-stats)"
        )
    return Scrape(server, at, started, MappingProxyType(counts), **gauges)


def _samples(page: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """Yield name, labels and value of the samples that are wanted here.

    Lines are picked before they are parsed: nine tenths of a page are the buckets of histograms.
    """
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError as error:
        raise SelfHostError(
            "reading a server's metrics needs prometheus-client, which is missing: pip install 'tuppence[vllm]'"
        ) from error
    wanted = "".join(f"{line}\n" for line in page.splitlines() if re.split(r"[{\s]", line, maxsplit=1)[0] in _WANTED)
    try:
        for family in text_string_to_metric_families(wanted):
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value
    except ValueError as error:
        raise SelfHostError(
            f"a page of metrics cannot be read ({error}): is it cut off, or no page of vLLM's?"
        ) from error
