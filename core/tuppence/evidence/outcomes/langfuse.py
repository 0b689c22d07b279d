"""Observations exported from Langfuse, from its UI, its API or to a bucket: generations become outcomes, all others
are passed over.

Fields as in Langfuse's "Blob storage export field reference" (snake_case: `trace_id`, `provided_model_name`,
`usage_details`, `total_cost`) and in its observations API (camelCase: `traceId`, `model`, `usageDetails`, `totalCost`).
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
from tuppence.prices import PicoUSD

_TAGS = {"user_id": "user", "session_id": "session", "environment": "environment", "version": "version"}


def outcomes_of(row: Mapping[str, Any], scale: Scale, feedback: str | None) -> Outcomes | None:
    """Read one observation; None for one that is no generation, or that failed. Raises `Misread`."""
    row = _snaked(row)
    if str(row.get("type") or "GENERATION").upper() != "GENERATION" or row.get("level") == "ERROR":
        return None
    model = row.get("provided_model_name") or row.get("model")
    if not isinstance(model, str):
        raise Misread("model", model, "export the model's name with every generation")
    began, ended = moment(row.get("start_time"), "start_time"), moment(row.get("end_time"), "end_time")
    answer = answer_in(opened(row.get("output")))
    outcome = Outcome(
        _score(opened(row.get("scores")), scale, feedback), answer, answers_nothing(answer),
        _tokens(row, "input", "prompt_tokens"), _tokens(row, "output", "completion_tokens"), _cost(row),
        None if began is None or ended is None else round((ended - began) * 1000, 3), served=True,
    )  # fmt: skip
    return Outcomes(
        text(row.get("id"), "id"), question_in(opened(row.get("input"))), {model: outcome}, tags=_tags(row), at=began
    )


def _snaked(row: Mapping[str, Any]) -> dict[str, Any]:
    """Spell the API's and the UI's names as the bucket export does."""
    return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): value for key, value in row.items()}


def _tokens(row: Mapping[str, Any], side: str, plain: str) -> int | None:
    """Add up every kind of token of one side, as Langfuse itself does: cached and reasoning ones have their own."""
    used = mapping(row.get("usage_details") or row.get("usage"), "usage_details")
    kinds = [count(value, f"usage_details.{kind}") for kind, value in used.items() if side in kind.lower()]
    given = [kind for kind in kinds if kind is not None]
    return sum(given) if given else count(row.get(plain), plain)


def _cost(row: Mapping[str, Any]) -> PicoUSD | None:
    details = mapping(row.get("cost_details"), "cost_details")
    if "total" in details:
        return dollars(details["total"], "cost_details.total")
    total = row.get("total_cost", row.get("calculated_total_cost"))
    # Without details a 0 is what Langfuse puts where it knows no price.
    return dollars(total, "total_cost") or None


def _score(kept: object, scale: Scale, wanted: str | None) -> float | None:
    """Take the wanted score, or the only one; scores are a list of {name, value}, or values by name."""
    if isinstance(kept, list):
        named = {str(one.get("name")): one.get("value") for one in kept if isinstance(one, Mapping)}
    else:
        named = dict(kept) if isinstance(kept, Mapping) else {}
    graded = {name: value for name, given in named.items() if (value := _numeric(given)) is not None}
    if wanted is None and len(graded) > 1:
        raise Misread("scores", sorted(graded), "name the one that is the score, as feedback='correctness'")
    name = wanted or next(iter(graded), "")
    return score(graded[name], f"scores.{name}", scale) if name in graded else None


def _numeric(given: object) -> object:
    """Return a score's number; None for a category or a comment."""
    if isinstance(given, list):
        return _numeric(given[0]) if len(given) == 1 else None
    return given if isinstance(given, int | float) else None


def _tags(row: Mapping[str, Any]) -> dict[str, str]:
    tags = {name: told for key, name in _TAGS.items() if (told := label(row.get(key)))}
    tags |= {name: told for name, value in mapping(row.get("metadata"), "metadata").items() if (told := label(value))}
    return {**tags, "trace": text(row.get("trace_id"), "trace_id")}
