"""Which recorded answers are worth learning from, and why each other one is left out.

An answer must have been given by the teacher, accepted, whole, and no refusal; where a judge or a user thought little
of it, it is out. Every row that is left out is counted under one reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tuppence.attempts import Verdict
from tuppence.checks import matches_schema, valid_tool_calls
from tuppence.distill.errors import DistillError
from tuppence.evidence.outcomes import RecordedAttempt, RecordedCall
from tuppence.request import Reply, Request
from tuppence.signals import refusal

Reason = Literal[
    "no answer", "cached", "best draft", "empty", "truncated", "refusal", "invalid tool call", "invalid JSON", "media",
    "built-in tools", "tool results", "excluded", "redaction failed", "other tier", "no single teacher", "judged low",
    "not judged", "disliked", "not rated", "duplicate", "contradiction", "near duplicate", "like an earlier split",
]  # fmt: skip

_GRADES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What an answer must be, beside accepted and whole."""

    teacher: str | None = None
    """Name of the tier to learn from; None for each site's only one, or the one that its others escalate to."""
    judged_at_least: int = 4
    """Lowest grade of a judge, from 1 to 5, where one was given."""
    liked_at_least: float = 0.5
    """Lowest score of a user, from 0 to 1, where one was given."""
    only_judged: bool = False
    only_rated: bool = False
    """Leave out what no user has rated."""
    where: Callable[[RecordedCall], bool] | None = None
    """Any other condition."""

    def __post_init__(self) -> None:
        if not 1 <= self.judged_at_least <= _GRADES:
            raise DistillError(f"judged_at_least is {self.judged_at_least!r}: a judge's grades go from 1 to {_GRADES}")
        if not 0 <= self.liked_at_least <= 1:
            raise DistillError(f"liked_at_least is {self.liked_at_least!r}: users' scores go from 0 to 1")

    @property
    def judged_share(self) -> float:
        """The lowest grade as judgements store it, in [0, 1]."""
        return (self.judged_at_least - 1) / (_GRADES - 1)

    def as_json(self) -> dict[str, object]:
        """Return what a provenance file says of them."""
        return {
            "teacher": self.teacher, "judged_at_least": self.judged_at_least, "liked_at_least": self.liked_at_least,
            "only_judged": self.only_judged, "only_rated": self.only_rated,
            "where": None if self.where is None else getattr(self.where, "__qualname__", type(self.where).__name__),
        }  # fmt: skip


def accepted(call: RecordedCall) -> RecordedAttempt | None:
    """Return the attempt whose answer the user was given; None where nobody answered, or a cache did."""
    return next((a for a in reversed(call.attempts) if a.outcome == "accepted" and a.cause != "hit"), None)


def unfit(call: RecordedCall, given: RecordedAttempt | None, filters: Filters) -> Reason | None:
    """Say why an answer is not learned from, as far as the call itself tells; None where nothing speaks against it."""
    if given is None or given.reply is None:
        return "cached" if any(a.outcome == "hit" for a in call.attempts) else "no answer"
    reply = given.reply
    if _for_want_of_a_better(call, given):
        return "best draft"
    if reply.finish == "length":
        return "truncated"
    if reply.finish == "content_filter" or (not reply.tool_calls and refusal(reply.text) is not None):
        return "refusal"
    if not reply.text.strip() and not reply.tool_calls:
        return "empty"
    if filters.where is not None and not filters.where(call):
        return "excluded"
    return _malformed(call, reply)


def _for_want_of_a_better(call: RecordedCall, given: RecordedAttempt) -> bool:
    """Say whether the check had rejected the answer, and it was given because those asked after did no better."""
    after = call.attempts[call.attempts.index(given) + 1 :]
    return given.score is not None and any(a.cause in ("escalation", "fallback", "validation_retry") for a in after)


def _malformed(call: RecordedCall, reply: Reply) -> Reason | None:
    for check, reason in _FORMS:
        verdict = check(call.request, reply)
        if verdict.score < 1:
            return reason
    return None


_FORMS: tuple[tuple[Callable[[Request, Reply], Verdict], Reason], ...] = (
    (valid_tool_calls(), "invalid tool call"),
    (matches_schema(), "invalid JSON"),
)
