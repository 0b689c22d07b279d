"""How good an answer is, from 0 to 1: compared with the right one, or as a check of the user's scores it.

A grader also says what of an answer is kept: the number that counts, or the whole text. What is kept can be graded
again, with the same result, so that a run may be gone on with under another grader.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tuppence.attempts import Verdict
from tuppence.effects import Check
from tuppence.errors import ConfigError
from tuppence.evidence.benching.cases import Case
from tuppence.evidence.outcomes import same_answer, same_number
from tuppence.evidence.outcomes.rows import LabelOrigin
from tuppence.request import Message, Reply, Request

# What `same_number` takes for a number.
_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")
_WORD = re.compile(r"\w+")


class Grader(Protocol):
    """Grades kept answers."""

    @property
    def origin(self) -> LabelOrigin: ...
    def kept(self, text: str, /) -> str:
        """Return what of an answer is graded and kept; empty where there is none in it. Of what is kept, it is all."""
        ...

    def grade(self, case: Case, kept: str, /) -> float: ...


@dataclass(frozen=True, slots=True)
class Compared:
    """1 where the answer matches one of those that are right, else 0."""

    matches: Callable[[str, str], bool]
    keeps: Callable[[str], str]
    origin: LabelOrigin = "gold"

    def kept(self, text: str) -> str:
        return self.keeps(text)

    def grade(self, case: Case, kept: str) -> float:
        if not case.right:
            raise ConfigError(f"question {case.id!r} has no right answer: give it one, or grade by a check")
        return float(any(self.matches(kept, right) for right in case.right))


@dataclass(frozen=True, slots=True)
class Checked:
    """The score of a check that asks nobody."""

    check: Check
    origin: LabelOrigin = "validator"

    def kept(self, text: str) -> str:
        return text.strip()

    def grade(self, case: Case, kept: str) -> float:
        try:
            verdict = self.check(Request((Message("user", case.query),)), Reply(kept, finish="stop"))
        except Exception as error:
            raise ConfigError(
                f"the check {self.check!r} failed on question {case.id!r} ({type(error).__name__}: {error}): mend it; "
                "what was answered is graded again"
            ) from error
        if not isinstance(verdict, Verdict):
            verdict.close()
            raise ConfigError(f"{self.check!r} asks a model before it decides: grade with a check that asks nobody")
        return verdict.score


def exact() -> Compared:
    """Match without case, punctuation, articles and spare blanks."""
    return Compared(same_answer, str.strip)


def numeric() -> Compared:
    """Match the last number of the answer with that of the right one, exactly."""
    return Compared(same_number, _last_number)


def contains() -> Compared:
    """Match where the right answer's words stand in the answer, in a row."""
    return Compared(_contains, str.strip)


def by_check(check: Check) -> Checked:
    """Grade by a check of `tuppence.checks`; `custom(function)` makes one of a function of request and reply."""
    return Checked(check)


GRADERS: Mapping[str, Callable[[], Compared]] = {"exact": exact, "numeric": numeric, "contains": contains}


def _last_number(text: str) -> str:
    found: list[str] = _NUMBER.findall(text)
    return found[-1] if found else ""


def _contains(answer: str, right: str) -> bool:
    words, wanted = (_WORD.findall(text.casefold()) for text in (answer, right))
    if not wanted:
        # A right answer of signs alone, such as "+".
        return right.strip() in answer
    return any(words[start : start + len(wanted)] == wanted for start in range(len(words) - len(wanted) + 1))
