"""What was spent, on what, and what it would have cost otherwise: the ledger, savings and the report."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tuppence.spend.report import DIMENSIONS, Line, Report, report

if TYPE_CHECKING:
    from tuppence.spend.hit_savings import HitLine, HitReport, WrongHits
    from tuppence.spend.ledger import Feedback, Ledger, SqliteLedger, default_place
    from tuppence.spend.prefix_savings import PrefixLine
    from tuppence.spend.render import as_csv, as_json, as_table, notes
    from tuppence.spend.savings import saved_pico

# Loaded when first asked for: who only writes a ledger needs no SQL questions. (But for `report`, whose module has its
# name and would stand in its place.)
_HOMES = {
    "Feedback": "ledger", "HitLine": "hit_savings", "HitReport": "hit_savings", "Ledger": "ledger",
    "PrefixLine": "prefix_savings", "SqliteLedger": "ledger", "WrongHits": "hit_savings", "as_csv": "render",
    "as_json": "render", "as_table": "render", "default_place": "ledger", "notes": "render", "saved_pico": "savings",
}  # fmt: skip

__all__ = [
    "DIMENSIONS",
    "Feedback",
    "HitLine",
    "HitReport",
    "Ledger",
    "Line",
    "PrefixLine",
    "Report",
    "SqliteLedger",
    "WrongHits",
    "as_csv",
    "as_json",
    "as_table",
    "default_place",
    "notes",
    "report",
    "saved_pico",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tuppence.spend' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"tuppence.spend.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
