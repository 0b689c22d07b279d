"""Compute time as a part of usage: what a model that runs on hardware of one's own is billed by."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from tuppence.prices.rate import GpuHourRate, Rate
from tuppence.usage import Usage


def timed(rate: Rate | None, usage: Usage, latency_ms: float) -> Usage:
    """Add a call's compute time where that is what `rate` prices; a millisecond begun counts."""
    return replace(usage, gpu_ms=ceil(latency_ms)) if isinstance(rate, GpuHourRate) else usage
