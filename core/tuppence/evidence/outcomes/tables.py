"""Outcomes in a CSV table, long or wide. Says which form a header is, and turns rows into questions.

Long: a row a question and model, the rows of one question together; columns `id`, `query`, `model` and any of `score`,
`answer`, `no_answer`, `input_tokens`, `output_tokens`, `cost_usd`, `latency_ms`, `dataset`, `category`, `at`. Wide: a
row a question, with columns `MODEL.score`, `MODEL.cost_usd` and so on beside `id` and `query`. Other columns are tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuppence.evidence.outcomes import native
from tuppence.evidence.outcomes.fields import Misread, Scale
from tuppence.evidence.outcomes.rows import Outcomes

Row = Mapping[str, Any]

_OF_OUTCOME = frozenset(
    {"score", "answer", "no_answer", "input_tokens", "output_tokens", "cost_usd", "latency_ms", "served", "labelled_by"}
)


def is_long(header: Sequence[str]) -> bool:
    return {"id", "query", "model"} <= set(header)


def is_wide(header: Sequence[str]) -> bool:
    return {"id", "query"} <= set(header) and any(_model_of(column) for column in header)


def wide(row: Row, scale: Scale) -> Outcomes:
    """Read a question with all its models; a model without a single value was not asked. Raises `Misread`."""
    models: dict[str, dict[str, Any]] = {}
    shared: dict[str, Any] = {}
    for column, value in _whole(row).items():
        if value == "":
            continue
        model = _model_of(column)
        if model:
            models.setdefault(model, {})[column.rpartition(".")[2]] = value
        else:
            shared[column] = value
    return native.outcomes_of({**shared, "outcomes": models}, scale)


def long(row: Row, scale: Scale) -> Outcomes:
    """Read what one model made of a question. Raises `Misread`."""
    stated = {name: value for name, value in _whole(row).items() if value != ""}
    model = stated.pop("model", None)
    if model is None:
        raise Misread("model", model, "name the model that was asked")
    outcome = {name: stated.pop(name) for name in _OF_OUTCOME & stated.keys()}
    return native.outcomes_of({**stated, "outcomes": {model: outcome}}, scale)


def _whole(row: Row) -> Row:
    # csv.DictReader puts cells without a column under None, and None where a column has no cell.
    if None in row or None in row.values():
        raise Misread("the row", [*row.values()], "give it as many cells as the header has columns")
    return row


def _model_of(column: str) -> str:
    model, _, name = column.rpartition(".")
    return model if name in _OF_OUTCOME else ""
