"""What was spent, on what, and what it would have cost otherwise: the ledger, savings and the report."""

from tuppence.spend.ledger import Feedback, Ledger, SqliteLedger, default_path
from tuppence.spend.render import as_csv, as_json, as_table, notes
from tuppence.spend.report import DIMENSIONS, Line, Report, report
from tuppence.spend.savings import saved_pico

__all__ = [
    "DIMENSIONS",
    "Feedback",
    "Ledger",
    "Line",
    "Report",
    "SqliteLedger",
    "as_csv",
    "as_json",
    "as_table",
    "default_path",
    "notes",
    "report",
    "saved_pico",
]
