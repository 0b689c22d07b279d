"""A price worked out a second time, from first principles: the text of the metrics, a clock, long division.

Nothing of tuppence is imported here.
"""

from __future__ import annotations

import time
import urllib.request
from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """The metrics as text, and when they were fetched."""

    at: float
    text: str

    def total(self, name: str, label: str = "") -> float:
        """Add up every line of one metric."""
        found = 0.0
        for line in self.text.splitlines():
            head, _, value = line.rpartition(" ")
            if head.split("{")[0] == name and label in head:
                found += float(value)
        return found


def fetched(url: str) -> Page:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return Page(time.time(), text)


@dataclass(frozen=True)
class Prices:
    """US dollars for a million tokens."""

    blended: float
    input: float
    output: float
    machine_usd: float


def prices(first: Page, last: Page, usd_per_hour: float) -> Prices:
    def grown(name: str, label: str = "") -> float:
        return last.total(name, label) - first.total(name, label)

    prompt, written = grown("vllm:prompt_tokens_total"), grown("vllm:generation_tokens_total")
    computed = grown("vllm:prompt_tokens_by_source_total", 'source="local_compute"')
    reading = grown("vllm:request_prefill_time_seconds_sum")
    writing = grown("vllm:request_decode_time_seconds_sum")
    cost = usd_per_hour * (last.at - first.at) / 3600
    share = reading / (reading + writing)
    return Prices(
        blended=cost / (prompt + written) * 1e6, input=cost * share / computed * 1e6,
        output=cost * (1 - share) / written * 1e6, machine_usd=cost,
    )  # fmt: skip
