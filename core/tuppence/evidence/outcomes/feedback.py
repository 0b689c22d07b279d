"""What users said of answers, read back: lines of `record_feedback`, or scores exported from a tracing tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuppence.evidence.outcomes.fields import Misread, Scale, moment, score, text
from tuppence.recording import Feedback
from tuppence.recording.feedback import KEY

__all__ = ["KEY", "Feedback", "feedback_of"]


def feedback_of(row: Mapping[str, Any], scale: Scale) -> Feedback | None:
    """Read a line of ours, a LangSmith feedback or a Langfuse score; None for another row. Raises `Misread`."""
    call = row.get("call_id") if "score" in row else None
    if call is None:
        # LangSmith: run_id, key, score. Langfuse: observationId or traceId, name, value (its API and its bucket export
        # spell them differently); a score without an observation is about the whole trace.
        names = ("run_id", "observationId", "observation_id", "traceId", "trace_id")
        call = next((row[name] for name in names if row.get(name)), None)
    if call is None or not row.keys() & {"score", "value"}:
        return None
    given = score(row.get("score", row.get("value")), "score", scale)
    if given is None:
        return None
    at = moment(row.get("at") or row.get("created_at") or row.get("timestamp"), "at")
    if not isinstance(call, str):
        raise Misread("call_id", call, "give the call's id as text")
    return Feedback(call, given, at or 0.0, text(row.get("comment"), "comment"))
