"""Outcomes in tuppence's own form: one JSON object a question, with what each model made of it.

What is written here is read back the same. Costs are dollars, exact in their decimal digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from tuppence.evidence.outcomes.fields import (
    Misread,
    Scale,
    count,
    dollars,
    flag,
    label,
    mapping,
    moment,
    number,
    score,
    text,
)
from tuppence.evidence.outcomes.rows import LabelOrigin, Outcome, Outcomes
from tuppence.prices import usd

_KNOWN = frozenset({"id", "query", "outcomes", "dataset", "category", "task", "tags", "at"})


def outcomes_of(row: Mapping[str, Any], scale: Scale) -> Outcomes:
    """Read one question; scalars under other keys become tags. Raises `Misread`."""
    by_model = {name: _outcome(name, told, scale) for name, told in mapping(row.get("outcomes"), "outcomes").items()}
    identity = text(row.get("id"), "id")
    if not identity:
        raise Misread("id", row.get("id"), "give every question a name of its own")
    tags = {name: told for name in row.keys() - _KNOWN if (told := label(row[name])) is not None}
    tags |= {name: text(told, f"tags[{name!r}]") for name, told in mapping(row.get("tags"), "tags").items()}
    return Outcomes(
        identity, text(row.get("query"), "query"), by_model, dataset=text(row.get("dataset"), "dataset"),
        task=text(row.get("task") or row.get("category"), "category"), tags=tags, at=moment(row.get("at"), "at"),
    )  # fmt: skip


def _outcome(model: str, told: object, scale: Scale) -> Outcome:
    try:
        return _graded(mapping(told, "the outcome"), scale)
    except Misread as wrong:
        raise wrong.within(f"outcomes[{model!r}]") from None


def _graded(told: Mapping[str, Any], scale: Scale) -> Outcome:
    signals = told.get("signals")
    return Outcome(
        score(told.get("score"), "score", scale),
        text(told.get("answer"), "answer"),
        flag(told.get("no_answer"), "no_answer"),
        count(told.get("input_tokens"), "input_tokens"),
        count(told.get("output_tokens"), "output_tokens"),
        dollars(told.get("cost_usd"), "cost_usd"),
        number(told.get("latency_ms"), "latency_ms"),
        {} if signals is None else _signals(mapping(signals, "signals")),
        flag(told.get("served"), "served"),
        _origin(told.get("labelled_by"), "labelled_by"),
    )


def _signals(told: Mapping[str, Any]) -> dict[str, float]:
    measured = {name: number(value, f"signals[{name!r}]") for name, value in told.items()}
    return {name: value for name, value in measured.items() if value is not None}


def _origin(value: object, name: str) -> LabelOrigin | None:
    if value is None or value == "":
        return None
    if value not in get_args(LabelOrigin):
        raise Misread(name, value, f"it is one of {', '.join(get_args(LabelOrigin))}")
    return cast(LabelOrigin, value)


def row_of(outcomes: Outcomes) -> dict[str, Any]:
    """Write one question as `outcomes_of` reads it; what is not known, or at its default, is left out."""
    row: dict[str, Any] = {
        "id": outcomes.id, "query": outcomes.query, "dataset": outcomes.dataset, "category": outcomes.task,
        "tags": dict(outcomes.tags), "at": outcomes.at,
        "outcomes": {name: _told(one) for name, one in outcomes.by_model.items()},
    }  # fmt: skip
    return {key: value for key, value in row.items() if value not in (None, "", {}) or key in ("id", "outcomes")}


def _told(one: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {
        "score": one.score, "answer": one.answer, "no_answer": one.no_answer, "input_tokens": one.input_tokens,
        "output_tokens": one.output_tokens, "cost_usd": None if one.pico_usd is None else f"{usd(one.pico_usd):f}",
        "latency_ms": one.latency_ms, "signals": dict(one.signals), "served": one.served,
        "labelled_by": one.labelled_by,
    }  # fmt: skip
    return {key: value for key, value in told.items() if value not in (None, "", {}) and value is not False}
