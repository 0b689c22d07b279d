"""Outcomes from files: tuppence's own form and recorded traffic, CSV tables, exports of LangSmith and Langfuse. What a
row is, is seen from its keys; nobody has to say.

Streams: a file of a million questions takes the memory of one. Never skips what it cannot read, but names the line.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tuppence.evidence.outcomes import langfuse, langsmith, native, tables
from tuppence.evidence.outcomes.feedback import KEY as FEEDBACK
from tuppence.evidence.outcomes.feedback import feedback_of
from tuppence.evidence.outcomes.fields import Misread, Scale
from tuppence.evidence.outcomes.rows import Outcomes, OutcomesError
from tuppence.evidence.outcomes.sources import rows
from tuppence.evidence.outcomes.traffic import KEY as TRAFFIC
from tuppence.evidence.outcomes.traffic import RecordedCall, call_of
from tuppence.recording import Feedback

_UNIT: Scale = (0.0, 1.0)
_FORMS = (
    "a row has `outcomes` (tuppence's own form), `run_type` (LangSmith), `traceId` or `trace_id` (Langfuse), "
    "or it is a CSV table with `id`, `query` and `model`, or with `id`, `query` and columns like `MODEL.score`"
)


def read_outcomes(
    path: str | os.PathLike[str], *, scale: Scale = _UNIT, dataset: str | None = None, feedback: str | None = None
) -> Iterator[Outcomes]:
    """Yield the questions in a file, whichever of the known forms it has; `.gz` or not.

    `scale` are the worst and best score of the source, mapped to 0 and 1. With `dataset`, rows of other data sets are
    passed over unread. `feedback` names the score to take where a LangSmith or Langfuse export has several. Rows of
    one question that follow each other, as in a long CSV, are joined; `joined` joins them across a file.

    Raises `OutcomesError` naming file, line, value and fix; of a last line that is cut off there is only a warning.
    """
    low, high = scale
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise OutcomesError(f"scale is {scale!r}: give the worst and the best score, such as (1, 10)")
    return _neighbours(_parsed(Path(path), scale, dataset, feedback))


def read_traffic(path: str | os.PathLike[str]) -> Iterator[RecordedCall]:
    """Yield the recorded calls in a file, for replay; raises `OutcomesError` as `read_outcomes` does."""
    return (call for number, row in rows(Path(path)) if (call := _call(Path(path), number, row)) is not None)


def read_feedback(path: str | os.PathLike[str], *, scale: Scale = _UNIT) -> Iterator[Feedback]:
    """Yield what users said: lines of `record_feedback`, in a file of their own or among recorded traffic, LangSmith
    feedback, or Langfuse scores. Raises `OutcomesError` as `read_outcomes` does.
    """
    for number, row in rows(Path(path)):
        if TRAFFIC in row:
            continue
        try:
            told = feedback_of(row, scale)
        except Misread as wrong:
            raise OutcomesError(f"{path}:{number}: {wrong}") from wrong
        if told is not None:
            yield told


def joined(outcomes: Iterable[Outcomes]) -> list[Outcomes]:
    """Join rows of one id, wherever they stand: all in memory. Of two outcomes of one model the later one counts."""
    found: dict[str, Outcomes] = {}
    for one in outcomes:
        known = found.get(one.id)
        found[one.id] = one if known is None else _together(known, one)
    return list(found.values())


def _neighbours(parsed: Iterator[Outcomes]) -> Iterator[Outcomes]:
    last: Outcomes | None = None
    try:
        for one in parsed:
            if last is not None and one.id == last.id and not one.by_model.keys() & last.by_model.keys():
                last = _together(last, one)
                continue
            if last is not None:
                yield last
            last = one
    except OutcomesError:
        # What stands before a wrong line is right.
        if last is not None:
            yield last
        raise
    if last is not None:
        yield last


def _together(first: Outcomes, second: Outcomes) -> Outcomes:
    return replace(first, by_model={**first.by_model, **second.by_model}, tags={**second.tags, **first.tags})


def _parsed(path: Path, scale: Scale, dataset: str | None, wanted: str | None) -> Iterator[Outcomes]:
    for number, row in rows(path):
        if dataset is not None and row.get("dataset") != dataset:
            continue
        try:
            one = _outcomes(row, scale, wanted)
        except Misread as wrong:
            raise OutcomesError(f"{path}:{number}: {wrong}") from wrong
        if one is not None:
            yield one


def _outcomes(row: Mapping[str, Any], scale: Scale, wanted: str | None) -> Outcomes | None:
    if TRAFFIC in row:
        return call_of(row).outcomes()
    if "outcomes" in row:
        return native.outcomes_of(row, scale)
    if FEEDBACK in row:
        return None
    if "run_type" in row:
        return langsmith.outcomes_of(row, scale, wanted)
    if "traceId" in row or "trace_id" in row:
        return langfuse.outcomes_of(row, scale, wanted)
    header = [*row]
    if tables.is_long(header):
        return tables.long(row, scale)
    if tables.is_wide(header):
        return tables.wide(row, scale)
    raise Misread("the row's keys", sorted(map(str, header)), _FORMS)


def _call(path: Path, number: int, row: Mapping[str, Any]) -> RecordedCall | None:
    if FEEDBACK in row:
        return None
    if TRAFFIC not in row:
        raise OutcomesError(f"{path}:{number}: not a recorded call: name the file that `record=` writes")
    try:
        return call_of(row)
    except Misread as wrong:
        raise OutcomesError(f"{path}:{number}: {wrong}") from wrong
