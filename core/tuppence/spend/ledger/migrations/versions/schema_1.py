"""Schema 1, of SQLite alone: money in columns that also held the digits of what no integer holds.

New ledgers are made whole, so nothing makes these tables any more; they stand here for those that exist.
"""

from alembic import op

revision = "1"
down_revision = None

_ATTEMPTS = """
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY, "call_id" TEXT NOT NULL, "n" INTEGER NOT NULL, "started_us" INTEGER NOT NULL,
    "latency_ms" REAL, "tier" TEXT NOT NULL, "model" TEXT NOT NULL, "cause" TEXT NOT NULL, "outcome" TEXT NOT NULL,
    "status" TEXT NOT NULL, "pico_usd" ANY CHECK (typeof(pico_usd) <> 'real'), "price_version" TEXT,
    "input" INTEGER NOT NULL, "cache_read" INTEGER NOT NULL, "cache_write_5m" INTEGER NOT NULL,
    "cache_write_1h" INTEGER NOT NULL, "audio_input" INTEGER NOT NULL, "audio_cache_read" INTEGER NOT NULL,
    "media_input" INTEGER NOT NULL, "output" INTEGER NOT NULL, "audio_output" INTEGER NOT NULL,
    "media_output" INTEGER NOT NULL, "reasoning" INTEGER NOT NULL, "processing" TEXT, "score" REAL, "error" TEXT,
    "baseline_pico" ANY CHECK (typeof(baseline_pico) <> 'real'),
    "would_pico" ANY CHECK (typeof(would_pico) <> 'real'), "mode" TEXT, "user" TEXT, "endpoint" TEXT, "task" TEXT,
    "tenant" TEXT, "session" TEXT, "workflow" TEXT, "tags" TEXT, "policy_version" TEXT, "baseline" TEXT, "extra" TEXT,
    UNIQUE (call_id, started_us, n, latency_ms)
) STRICT
"""
_FEEDBACK = """
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY, "call_id" TEXT NOT NULL, "at_us" INTEGER NOT NULL, "score" REAL NOT NULL,
    UNIQUE (call_id, at_us, score)
) STRICT
"""


def upgrade() -> None:
    op.execute(_ATTEMPTS)
    op.execute(_FEEDBACK)
