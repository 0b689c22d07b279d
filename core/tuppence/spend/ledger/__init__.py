"""The ledger: one row an attempt, on disk within a quarter of a second.

The tables are imported from their module, where they are used: it loads SQLAlchemy.
"""

from tuppence.spend.ledger.ledgers import PostgresLedger, SqliteLedger, default_place
from tuppence.spend.ledger.reading import reading
from tuppence.spend.ledger.rows import SCHEMA, Feedback
from tuppence.spend.ledger.writer import Ledger

__all__ = ["SCHEMA", "Feedback", "Ledger", "PostgresLedger", "SqliteLedger", "default_place", "reading"]
