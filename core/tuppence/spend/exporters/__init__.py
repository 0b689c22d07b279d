"""What calls cost, told to the tools that a team watches its programs with; each stands beside the ledger.

`ChatTuppence(..., ledger=["default", PrometheusMetrics()])`
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuppence.spend.exporters.opentelemetry import OpenTelemetryExporter
    from tuppence.spend.exporters.prometheus import PrometheusMetrics

__all__ = ["OpenTelemetryExporter", "PrometheusMetrics"]

# Each needs a library of its own.
_HOMES = {"OpenTelemetryExporter": "opentelemetry", "PrometheusMetrics": "prometheus"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
