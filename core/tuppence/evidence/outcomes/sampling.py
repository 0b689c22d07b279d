"""A random sample of recorded questions: what is to be labelled, and asked of models that have not answered it.

A promise about traffic rests on questions that were drawn from it by chance. Nothing is chosen here by what anybody
answered, and what cannot be drawn is counted, so that a reader knows what the promise is not about.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tuppence.errors import ConfigError
from tuppence.evidence.outcomes.rows import OutcomesError
from tuppence.evidence.outcomes.sources import rows
from tuppence.evidence.outcomes.traffic import KEY, RecordedCall
from tuppence.recording.feedback import KEY as FEEDBACK


@dataclass(frozen=True, slots=True)
class Sample:
    """Recorded calls that were drawn by chance, in the order of the draw."""

    calls: tuple[RecordedCall, ...]
    drawn_from: int
    """How many calls each had the same chance."""
    left_out: Mapping[str, int]
    """How many calls had none, by why: they cannot be asked again as one question."""

    @property
    def words(self) -> str:
        """What was drawn, and from what, as a sentence."""
        said = f"{len(self.calls):,} of {self.drawn_from:,} recorded questions drawn"
        if not self.left_out:
            return said
        why = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items())
        return f"{said}; left out: {why}"


def sample_questions(calls: Iterable[RecordedCall], count: int, *, seed: int) -> Sample:
    """Draw `count` calls, or all where there are fewer, each with the same chance; in the memory of the sample.

    The same seed and calls give the same sample, whatever order they come in, and a larger sample begins with the
    smaller: labels that were made stay in use where more are needed. A call fits that a model answered or failed to,
    and that is one question in text, with instructions or without. Raises `ConfigError` for a count below 1, and
    `OutcomesError` where no call fits, or one stands twice.
    """
    if count < 1:
        raise ConfigError(f"the count is {count}: draw at least one question")
    left_out: Counter[str] = Counter()
    fitting = _Counted(_fitting(calls, left_out))
    drawn = tuple(heapq.nsmallest(count, fitting, key=lambda call: _lot(call.call_id, seed)))
    if not drawn:
        why = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items()) or "there are no calls"
        raise OutcomesError(f"no recorded question can be drawn ({why}): record plain questions first")
    for one, following in pairwise(drawn):
        if one.call_id == following.call_id:
            raise OutcomesError(f"the call {one.call_id!r} stands twice in the recording: read every file once")
    return Sample(drawn, fitting.count, dict(left_out.most_common()))


def write_questions(path: str | os.PathLike[str], calls: Iterable[RecordedCall]) -> int:
    """Write the questions of calls to a new JSONL file, for somebody to add each right answer under `answer`; return
    how many.

    `tuppence bench-models` reads it. Raises `OutcomesError` where the file is there, for it may hold answers already.
    """
    written = 0
    try:
        with Path(path).open("x", encoding="utf-8", errors="backslashreplace") as file:
            for call in calls:
                file.write(f"{json.dumps(_row(call), ensure_ascii=False)}\n")
                written += 1
    except FileExistsError as error:
        raise OutcomesError(f"{path} is there, and may hold answers already: name a new file") from error
    except OSError as error:
        raise OutcomesError(f"{path} cannot be written ({error.strerror}): name a file in a writable folder") from error
    return written


def is_traffic(path: str | os.PathLike[str]) -> bool:
    """Say whether a file holds recorded traffic; raises `OutcomesError` where it cannot be read."""
    for _, row in rows(Path(path)):
        if FEEDBACK not in row:
            return KEY in row
    return False


class _Counted:
    """Counts what goes through."""

    def __init__(self, calls: Iterable[RecordedCall]) -> None:
        self._calls = calls
        self.count = 0

    def __iter__(self) -> Iterator[RecordedCall]:
        for call in self._calls:
            self.count += 1
            yield call


def _fitting(calls: Iterable[RecordedCall], left_out: Counter[str]) -> Iterator[RecordedCall]:
    for call in calls:
        reason = _unfit(call)
        if reason is None:
            yield call
        else:
            left_out[reason] += 1


def _unfit(call: RecordedCall) -> str | None:
    """Say why a call cannot be asked again as one question in text."""
    request = call.request
    if call.attempts and all(attempt.cause in ("hit", "judge") for attempt in call.attempts):
        return "answered by a cache"
    if request.tools:
        return "with tools"
    if request.schema is not None:
        return "with a schema"
    if any(message.media for message in request.messages):
        return "with pictures, sound or files"
    if [message.role for message in request.messages if message.role != "system"] != ["user"]:
        return "with earlier turns"
    return None if request.question.strip() else "without text"


def _lot(call_id: str, seed: int) -> bytes:
    """A number at random that is always the same (bottom-k sampling: E. Cohen and H. Kaplan, PODC 2007)."""
    told = f"{seed}:{call_id}".encode("utf-8", "backslashreplace")
    return hashlib.blake2b(told, digest_size=16, person=b"tuppence.sample").digest()


def _row(call: RecordedCall) -> dict[str, str]:
    request = call.request
    told = {
        "id": call.call_id, "query": request.question, "system": request.system,
        "category": request.tags.get("task", ""), "answer": "",
    }  # fmt: skip
    return {name: value for name, value in told.items() if value or name == "answer"}
