"""Ledgers of older versions become ones of this: Alembic runs the scripts in `versions/`, one a schema.

A migration runs in the caller's one transaction, which holds the ledger's lock: killed half-way, it has not happened.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from tuppence.spend.ledger.rows import log


def migrate(connection: Connection, found: int) -> None:
    """Take the tables from schema `found` to the last."""
    config = Config()
    # Read by a parser that gives % a meaning.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    log.warning("a ledger of schema %d is migrated: it may be used again when that is done", found)
    if found == 1:
        # Ledgers that do not know Alembic yet.
        command.stamp(config, "1")
    command.upgrade(config, "head")
