"""What was spent, on what, and what it would have cost otherwise: the ledger, savings and the report."""

from tuppence.spend.hit_savings import HitLine, HitReport, WrongHits
from tuppence.spend.ledger import Feedback, Ledger, SqliteLedger, default_path
from tuppence.spend.prefix_savings import PrefixLine
from tuppence.spend.render import as_csv, as_json, as_table, notes
from tuppence.spend.report import DIMENSIONS, Line, Report, report
from tuppence.spend.savings import saved_pico

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
    "default_path",
    "notes",
    "report",
    "saved_pico",
]
