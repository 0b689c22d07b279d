"""Runs exported from LangSmith, one JSON object a run: those of models become outcomes, all others are passed over.

Fields as in "Run (span) data format" of LangSmith's documentation and `langsmith.schemas.Run` (0.15): `run_type`,
`inputs`, `outputs`, `error`, `feedback_stats`, `total_cost`, `prompt_tokens`, `completion_tokens`, `extra.metadata`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuppence.evidence.outcomes.chat_texts import answer_in, answers_nothing, question_in
from tuppence.evidence.outcomes.fields import (
    Misread,
    Scale,
    count,
    dollars,
    label,
    mapping,
    moment,
    opened,
    score,
    text,
)
from tuppence.evidence.outcomes.rows import Outcome, Outcomes

_TAGS = {"thread_id": "session", "session_id": "session", "conversation_id": "session", "user_id": "user"}
# Told by LangSmith about the run itself, not by the program about its user.
_OWN = ("ls_", "LANGSMITH_", "lc_", "langgraph_")


def outcomes_of(run: Mapping[str, Any], scale: Scale, feedback: str | None) -> Outcomes | None:
    """Read one run; None for one that is no model's, or that failed. Raises `Misread`.

    Runs of several models on one example share its id, `reference_example_id`.
    """
    if run.get("run_type") != "llm" or run.get("error"):
        return None
    metadata = mapping(mapping(run.get("extra"), "extra").get("metadata") or run.get("metadata"), "extra.metadata")
    began, ended = moment(run.get("start_time"), "start_time"), moment(run.get("end_time"), "end_time")
    answer = answer_in(opened(run.get("outputs")))
    outcome = Outcome(
        _score(mapping(run.get("feedback_stats"), "feedback_stats"), scale, feedback), answer, answers_nothing(answer),
        count(run.get("prompt_tokens"), "prompt_tokens"), count(run.get("completion_tokens"), "completion_tokens"),
        dollars(run.get("total_cost"), "total_cost"),
        None if began is None or ended is None else round((ended - began) * 1000, 3), served=True,
    )  # fmt: skip
    return Outcomes(
        text(run.get("reference_example_id") or run.get("id"), "id"), question_in(opened(run.get("inputs"))),
        {_model(run, metadata): outcome}, tags=_tags(run, metadata), at=began,
    )  # fmt: skip


def _model(run: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    params = mapping(mapping(run.get("extra"), "extra").get("invocation_params"), "extra.invocation_params")
    found = metadata.get("ls_model_name") or params.get("model") or params.get("model_name")
    if not isinstance(found, str):
        raise Misread("extra.metadata.ls_model_name", found, "export the runs with their metadata: it names the model")
    return found


def _score(stats: Mapping[str, Any], scale: Scale, wanted: str | None) -> float | None:
    """Take the mean of the wanted feedback, or of the only one."""
    graded = {key: told for key, value in stats.items() if (told := mapping(value, key)).get("avg") is not None}
    if wanted is None and len(graded) > 1:
        raise Misread("feedback_stats", sorted(graded), "name the one that is the score, as feedback='correctness'")
    key = wanted or next(iter(graded), "")
    return score(graded[key]["avg"], f"feedback_stats.{key}.avg", scale) if key in graded else None


def _tags(run: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, str]:
    tags = {
        _TAGS.get(key, key.removeprefix("tuppence_")): told
        for key, value in metadata.items()
        if not key.startswith(_OWN) and (told := label(value)) is not None
    }
    # What a user says of an answer is on the trace's first run, seldom on the model's own.
    return {**tags, "trace": text(run.get("trace_id") or run.get("id"), "trace_id")}
