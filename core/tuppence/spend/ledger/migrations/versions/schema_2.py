"""Schema 2: money in integers alone, further tries marked, levers beside the baseline, and days that are only sums.

PostgreSQL's ledgers begin with it, so this is for SQLite. It copies row by row: the file grows to about twice its size,
and memory does not grow with it.
"""

from alembic import op

revision = "2"
down_revision = "1"

_MONEY = ("pico_usd", "baseline_pico", "would_pico")
_KEPT = (
    "id", "call_id", "n", "started_us", "latency_ms", "tier", "model", "cause", "outcome", "status", "price_version",
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "audio_cache_read", "media_input",
    "output", "audio_output", "media_output", "reasoning", "processing", "score", "error", "mode", "user", "endpoint",
    "task", "tenant", "session", "workflow", "tags", "policy_version", "baseline",
)  # fmt: skip

_ATTEMPTS = """
CREATE TABLE attempts (
    id INTEGER NOT NULL, call_id TEXT NOT NULL, n INTEGER NOT NULL, again INTEGER DEFAULT '0' NOT NULL,
    started_us INTEGER NOT NULL, latency_ms REAL, tier TEXT NOT NULL, model TEXT NOT NULL, cause TEXT NOT NULL,
    outcome TEXT NOT NULL, status TEXT NOT NULL, pico_usd INTEGER, price_version TEXT, input INTEGER NOT NULL,
    cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,
    audio_input INTEGER NOT NULL, audio_cache_read INTEGER NOT NULL, media_input INTEGER NOT NULL,
    output INTEGER NOT NULL, audio_output INTEGER NOT NULL, media_output INTEGER NOT NULL, reasoning INTEGER NOT NULL,
    processing TEXT, score REAL, error TEXT, baseline_pico INTEGER, would_pico INTEGER, prune_pico INTEGER,
    output_pico INTEGER, batch_pico INTEGER, self_host_pico INTEGER, mode TEXT, user TEXT, endpoint TEXT, task TEXT,
    tenant TEXT, session TEXT, workflow TEXT, tags TEXT, policy_version TEXT, baseline TEXT, extra TEXT,
    PRIMARY KEY (id), UNIQUE (call_id, started_us, n, latency_ms)
) STRICT
"""
_FEEDBACK = """
CREATE TABLE feedback (
    id INTEGER NOT NULL, call_id TEXT NOT NULL, at_us INTEGER NOT NULL, score REAL NOT NULL,
    PRIMARY KEY (id), UNIQUE (call_id, at_us, score)
) STRICT
"""
_DAYS = """
CREATE TABLE days (
    id INTEGER NOT NULL, day_us INTEGER NOT NULL, tier TEXT, model TEXT, cause TEXT, outcome TEXT, status TEXT,
    mode TEXT, user TEXT, endpoint TEXT, task TEXT, tenant TEXT, workflow TEXT, policy_version TEXT, baseline TEXT,
    calls INTEGER NOT NULL, further_tries INTEGER NOT NULL, attempts INTEGER NOT NULL, input INTEGER NOT NULL,
    cache_read INTEGER NOT NULL, cache_write_5m INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,
    audio_input INTEGER NOT NULL, audio_cache_read INTEGER NOT NULL, media_input INTEGER NOT NULL,
    output INTEGER NOT NULL, audio_output INTEGER NOT NULL, media_output INTEGER NOT NULL, reasoning INTEGER NOT NULL,
    pico_usd INTEGER NOT NULL, unpriced INTEGER NOT NULL, compared INTEGER NOT NULL, baseline_pico INTEGER NOT NULL,
    prune_pico INTEGER NOT NULL, output_pico INTEGER NOT NULL, batch_pico INTEGER NOT NULL,
    self_host_pico INTEGER NOT NULL, answer_pico INTEGER NOT NULL, compared_pico INTEGER NOT NULL,
    observed INTEGER NOT NULL, would_pico INTEGER NOT NULL, observed_pico INTEGER NOT NULL, latency_ms REAL NOT NULL,
    PRIMARY KEY (id)
) STRICT
"""


def upgrade() -> None:
    _replace("attempts", _ATTEMPTS, _copying())
    _replace("feedback", _FEEDBACK, "INSERT INTO feedback SELECT * FROM feedback_1 ORDER BY id")
    op.execute("CREATE INDEX attempts_started ON attempts (started_us)")
    op.execute(_DAYS)
    op.execute("CREATE INDEX days_day ON days (day_us)")


def _replace(table: str, creation: str, copying: str) -> None:
    op.execute(f"ALTER TABLE {table} RENAME TO {table}_1")
    op.execute(creation)
    op.execute(copying)
    op.execute(f"DROP TABLE {table}_1")


def _copying() -> str:
    """Spell the copy. Amounts that no integer holds go where misfits are kept; a row is of a further try where its
    call has begun anew before it.
    """
    kept = ", ".join(f'"{name}"' for name in _KEPT)
    money = ", ".join(f"CASE WHEN typeof({name}) = 'integer' THEN {name} END" for name in _MONEY)
    wide = ", ".join(f"'{name}', CASE WHEN typeof({name}) = 'text' THEN {name} END" for name in _MONEY)
    is_wide = " OR ".join(f"typeof({name}) = 'text'" for name in _MONEY)
    return f"""
        INSERT INTO attempts ({kept}, again, {", ".join(_MONEY)}, extra)
        SELECT {kept}, tries > 1, {money},
            CASE WHEN {is_wide}
                THEN json_patch(coalesce(extra, '{{}}'), json_object('misfits', json_object({wide})))
                ELSE extra
            END
        FROM (SELECT *, SUM(n = 1) OVER (PARTITION BY call_id ORDER BY id) AS tries FROM attempts_1)
        ORDER BY id
    """
