"""What a settled call looks like on disk: one row an attempt, numbers and labels only.

Prompt and answer text must never reach a row. Rows are made in the writer's thread; making one trusts the
types of `Attempt`, and only a row that the database refuses pays for being repaired (`repairs`), so that no value
can lose an attempt.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tuppence.attempts import Attempt, Result
from tuppence.errors import LedgerError
from tuppence.request import Tags

log = logging.getLogger("tuppence.ledger")

Row = tuple[Any, ...]

SCHEMA = 3
"""Version of the tables in `tables.py`."""

TABLES = ("attempts", "feedback")
TAG_COLUMNS = ("user", "endpoint", "task", "tenant", "session", "workflow")
_TAG_COLUMNS = frozenset(TAG_COLUMNS)
_ENDED = frozenset({"stop", "tool_calls", None})
"""How nearly all answers end: only another end is written down."""

_NO_LEVERS = (None, None, None, None)

ERROR_CHARS = 200
INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person or a downstream check thought of a call."""

    call_id: str
    score: float
    at_us: int

    @classmethod
    def of(cls, call_id: str, score: float) -> Feedback:
        """Raise `LedgerError` unless `score` is a number in [0, 1]."""
        if not 0 <= score <= 1:
            raise LedgerError(f"feedback on call {call_id!r} is {score!r}: give a number from 0 (bad) to 1 (good)")
        return cls(call_id, float(score), time.time_ns() // 1000)


@dataclass(slots=True)
class Batch:
    """Rows that wait to be stored, by table."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in TABLES})

    def __len__(self) -> int:
        return sum(map(len, self.rows.values()))

    def add(self, items: Iterable[Result | Feedback]) -> None:
        for item in items:
            if isinstance(item, Feedback):
                self.rows["feedback"].append((item.call_id, item.at_us, item.score))
                continue
            try:
                self.rows["attempts"] += attempt_rows(item)
            except (AttributeError, TypeError, ValueError) as error:
                # One result that is none must not take those beside it along.
                log.error("a call cannot be written into the ledger (%r): %.500r", error, item.attempts)


def attempt_rows(result: Result) -> list[Row]:
    """Make the rows of one settled call, in the order of `tables.columns`."""
    call_id = result.call_id
    tags = result.tags
    mode = result.decision.mode
    policy = result.decision.policy_version
    baseline = result.decision.baseline
    again = 1 if result.decision.again else 0
    get = tags.get
    named = (get("user"), get("endpoint"), get("task"), get("tenant"), get("session"), get("workflow"))
    rest = None if _TAG_COLUMNS.issuperset(tags) else _other_tags(tags)
    rows = []
    of_call = _of_call(result)
    for n, a in enumerate(result.attempts, 1):
        u = a.usage
        # A clock that says NaN or the far future must not cost the row.
        started = a.started_at if -1e12 < a.started_at < 1e12 else 0.0
        media_in = media_out = 0
        extra = None
        levers = a.levers
        spared = _NO_LEVERS if levers is None else (levers.prune, levers.output, levers.batch, levers.self_host)
        broken_off = a.finish not in _ENDED
        if u.calls or u.media or u.geo or u.gpu_ms or a.prefix is not None or of_call or broken_off:
            media_in, media_out, extra = _rare(a, of_call)
            of_call = {}
        rows.append(
            (
                call_id, n, again, int(started * 1e6), a.latency_ms,
                a.tier, a.model, a.cause, a.outcome, a.status, a.pico_usd, a.price_version,
                u.input, u.cache_read, u.cache_write_5m, u.cache_write_1h, u.audio_input, u.audio_cache_read,
                media_in, u.output, u.audio_output, media_out, u.reasoning, u.processing,
                a.score, a.error and a.error[:ERROR_CHARS], a.baseline_pico, a.would_pico,
                *spared, mode, *named, rest, policy, baseline, extra,
            )
        )  # fmt: skip
    return rows


def _of_call(result: Result) -> dict[str, Any]:
    """Collect what is said of the whole call, once, on its first row."""
    decision = result.decision
    if not (decision.missed or decision.certificate or decision.pruned_tokens):
        return {}
    return {
        "missed": decision.missed, "certificate": decision.certificate, "pruned_tokens": decision.pruned_tokens,
        # Whether, and not how: that is the policy's, and the same for all its calls.
        "outside": bool(decision.outside),
    }  # fmt: skip


def _other_tags(tags: Tags) -> str:
    return _json({clean(name): clean(tags[name]) for name in sorted(tags.keys() - _TAG_COLUMNS)})


def _rare(attempt: Attempt, of_call: Mapping[str, Any]) -> tuple[int, int, str]:
    """Return media input tokens, media output tokens, and JSON of all that has no column of its own."""
    u = attempt.usage
    media_out = sum(qty for kind, qty in u.media if kind.endswith("_output"))
    media_in = sum(qty for _, qty in u.media) - media_out
    rest = {
        "calls": dict(u.calls), "media": dict(u.media), "geo": u.geo, "gpu_ms": u.gpu_ms,
        "prefix": None if attempt.prefix is None else asdict(attempt.prefix),
        "finish": None if attempt.finish in _ENDED else attempt.finish, **of_call,
    }  # fmt: skip
    return media_in, media_out, _json({name: value for name, value in rest.items() if value})


def clean(text: str) -> str:
    """Spell lone surrogates, which UTF-8 cannot hold, as backslash escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
