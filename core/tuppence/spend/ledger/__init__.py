"""The ledger: one row an attempt, on disk within a quarter of a second."""

from tuppence.spend.ledger.rows import SCHEMA, Feedback
from tuppence.spend.ledger.sqlite import SqliteLedger, default_path
from tuppence.spend.ledger.writer import Ledger

__all__ = ["SCHEMA", "Feedback", "Ledger", "SqliteLedger", "default_path"]
