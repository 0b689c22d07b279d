"""Answers on disk while they come, so that a run that was broken off goes on where it was.

The file is one of outcomes, a line an answer while the run lasts and a line a question when it has ended; both are read
the same. An answer of another version of a model, or to another question under the same id, is not taken for this one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from tuppence.evidence.benching.cases import Case
from tuppence.evidence.outcomes import Outcome, Outcomes, OutcomesError, joined, read_outcomes
from tuppence.evidence.outcomes.native import row_of
from tuppence.evidence.outcomes.sources import rows
from tuppence.evidence.outcomes.writing import append_line

_VERSION_TAG = "bench:"


class Journal:
    """The answers of a run, in memory and, with a path, in a file. Used by one thread."""

    def __init__(self, path: Path | None, cases: Iterable[Case], versions: Mapping[str, str]) -> None:
        """Read what the file holds; raise `OutcomesError` where it is of other questions, or no file of outcomes."""
        self.path = path
        self._cases = {case.id: case for case in cases}
        self._versions = dict(versions)
        self._rows = {row.id: row for row in _read(path)}
        for case in self._cases.values():
            row = self._rows.get(case.id)
            if row is not None and row.query != case.query:
                raise OutcomesError(
                    f"{path} has another question under the id {case.id!r}: go on with the set that it was made of, or "
                    "name a new file"
                )
        # A line that a killed run left half-written must not swallow the next one.
        self.settle()

    def known(self, case: Case, model: str) -> Outcome | None:
        """Return what this version of the model has said; None where it is to be asked."""
        row = self._rows.get(case.id)
        if row is None or row.tags.get(_VERSION_TAG + model) != self._versions[model]:
            return None
        return row.by_model.get(model)

    def add(self, case: Case, model: str, outcome: Outcome) -> None:
        """Keep an answer; raises `OutcomesError` where the file cannot be written."""
        tags = {_VERSION_TAG + model: self._versions[model]}
        one = Outcomes(case.id, case.query, {model: outcome}, case.dataset, case.task, tags)
        row = self._rows.get(case.id)
        self._rows[case.id] = one if row is None else replace(
            row, by_model={**row.by_model, model: outcome}, tags={**row.tags, **tags}
        )  # fmt: skip
        if self.path is None:
            return
        try:
            append_line(self.path, _line(one))
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def settle(self) -> None:
        """Write the file anew, a line a question: whole, or not at all."""
        if self.path is None or not self._rows:
            return
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(_line(row) for row in self._rows.values())
            beside.replace(self.path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise _unwritable(self.path, error) from error


def _read(path: Path | None) -> list[Outcomes]:
    if path is None or not path.exists():
        return []
    first = next(rows(path), None)
    # The file is written anew: what came from elsewhere, and holds more than outcomes, must not be lost by that.
    if path.suffix == ".gz" or (first is not None and "outcomes" not in first[1]):
        raise OutcomesError(f"{path} is no file that bench-models wrote: name another, or a new one")
    return joined(read_outcomes(path))


def _line(row: Outcomes) -> bytes:
    spelt = json.dumps(row_of(row), ensure_ascii=False, separators=(",", ":"))
    return f"{spelt}\n".encode("utf-8", "backslashreplace")


def _unwritable(path: Path, error: OSError) -> OutcomesError:
    return OutcomesError(f"{path} cannot be written ({error.strerror or error}): name a file in a writable folder")
