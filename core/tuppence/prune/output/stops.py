"""A stop sequence where all answers of a task end in the same mark. It cuts only what comes behind the mark, which no
answer seen so far had, so it saves nothing on answers like these: it bounds those that run on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuppence.prune.output.caps import calls_needed

_LEAST_CHARS = 3
"""`.` or `}` end many answers, and stand inside as many. Nor is a mark what begins with a letter, as words do."""


@dataclass(frozen=True, slots=True)
class SafeStop:
    """A mark that ends a task's answers."""

    mark: str
    why: str

    def restored(self, text: str) -> str:
        """Put the mark back: providers leave the stop sequence out of the answer that it ended."""
        return text if self.mark in text else text + self.mark


def stop_from(answers: Sequence[str], *, cut_share: float = 0.01) -> SafeStop | None:
    """Find the mark that ends every answer and stands nowhere else in it; None where there is none.

    With n answers seen and none with the mark inside, a further exchangeable one has it there with probability at most
    1/(n + 1), so below `cut_share` from 99 answers on; with fewer there is no mark. Do not use it on answers that were
    cut off.
    """
    if len(answers) < calls_needed(cut_share):
        return None
    ended = [answer.rstrip() for answer in answers]
    mark = _last_line(_common_ending(ended))
    if (
        len(mark) < _LEAST_CHARS
        or mark[0].isalnum()
        or any(answer.find(mark) < len(answer) - len(mark) for answer in ended)
    ):
        return None
    return SafeStop(mark, f"all of {len(answers)} answers end in {mark!r}, and none has it elsewhere")


def _common_ending(answers: Sequence[str]) -> str:
    # Every text lies between the least and the greatest; what these two begin with, all begin with.
    backwards = [answer[::-1] for answer in answers]
    least, greatest = min(backwards), max(backwards)
    same = next((at for at, (a, b) in enumerate(zip(least, greatest, strict=False)) if a != b), len(least))
    return least[:same][::-1]


def _last_line(ending: str) -> str:
    """Take the part of a common ending that looks like a mark: its last line, of that the last tag."""
    line = ending.rsplit("\n", 1)[-1].strip()
    return line[line.rindex("<") :] if line.endswith(">") and "<" in line else line
