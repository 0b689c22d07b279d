"""A labelled set: questions with the answers that are right. JSON lines, a JSON list or a CSV table, zipped or not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tuppence.evidence.outcomes import OutcomesError
from tuppence.evidence.outcomes.sources import rows

_QUESTION = ("query", "question", "prompt", "input")
_RIGHT = ("answer", "answers", "gold", "expected", "target")


@dataclass(frozen=True, slots=True)
class Case:
    """One question."""

    id: str
    query: str
    right: tuple[str, ...] = ()
    """Answers that are right, any of them; none where a check grades."""
    system: str = ""
    """Instructions that go before the question."""
    task: str = ""
    dataset: str = ""


def read_cases(path: str | Path, *, limit: int | None = None) -> list[Case]:
    """Read a labelled set, or its first `limit` questions; raise `OutcomesError` naming file, line and fix.

    A row has the question under one of `query`, `question`, `prompt`, `input`, and where answers are compared the right
    one, or a list of such, under one of `answer`, `answers`, `gold`, `expected`, `target`. It may have `id`, `system`,
    `category` (or `task`) and `dataset`. Without an id, a hash of question and answer is one.
    """
    cases: dict[str, Case] = {}
    for number, row in islice(rows(Path(path)), limit):
        case = _case(row, f"{path}:{number}")
        if case.id in cases:
            raise OutcomesError(
                f"{path}:{number}: the id {case.id!r} stands twice: give every question its own, or remove one"
            )
        cases[case.id] = case
    if not cases:
        raise OutcomesError(
            f"{path} holds no questions: give one a line, such as " + '{"query": "...", "answer": "..."}'
        )
    return list(cases.values())


def _case(row: Mapping[str, Any], where: str) -> Case:
    query = _first(row, _QUESTION)
    if not isinstance(query, str) or not query.strip():
        raise OutcomesError(
            f"{where}: no question (keys {sorted(map(str, row))}): give it as text under one of {', '.join(_QUESTION)}"
        )
    right = _first(row, _RIGHT)
    answers = tuple(
        _spelt(one, where) for one in (right if isinstance(right, list) else [] if right is None else [right])
    )
    told = {name: _spelt(row.get(name), where) for name in ("id", "system", "category", "task", "dataset")}
    return Case(
        told["id"] or _digest(query, told["system"], answers), query, answers, told["system"],
        told["task"] or told["category"], told["dataset"],
    )  # fmt: skip


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _spelt(value: Any, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise OutcomesError(f"{where}: {str(value)[:60]!r} is neither text nor a number: write it as text")
    return str(value)


def _digest(query: str, system: str, answers: tuple[str, ...]) -> str:
    spelt = repr((query, system, answers)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(spelt, digest_size=8).hexdigest()
