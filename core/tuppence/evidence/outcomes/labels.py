"""Labels: how good each answer is, said by a right answer that is known, by a program, or by the user.

A labeller is a function from one question's outcomes to the same with scores filled in; it goes with `map` over a
stream. It never grades what it has no word on, and always says where a score comes from.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from tuppence.attempts import Verdict
from tuppence.effects import Check
from tuppence.errors import ConfigError
from tuppence.evidence.outcomes.rows import LabelOrigin, Outcome, Outcomes, OutcomesError
from tuppence.recording import Feedback
from tuppence.request import Message, Reply, Request

Labeller = Callable[[Outcomes], Outcomes]
Match = Callable[[str, str], bool | float]
"""Says of an answer and the right one how well they agree: True or False, or a number in [0, 1]."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")


def from_gold(gold: Mapping[str, str] | Callable[[Outcomes], str | None], *, matches: Match | None = None) -> Labeller:
    """Grade by right answers, by the question's id or as a function finds them; questions without one stay as they are.

    `matches` compares; by default `same_answer` or `same_number`.
    """
    find = gold if callable(gold) else lambda one: gold.get(one.id)
    compare = matches or _same

    def label(one: Outcomes) -> Outcomes:
        right = find(one)
        if right is None:
            return one
        return _graded(one, "gold", lambda answer: _score(compare(answer.answer, right), one, compare))

    return label


def from_check(check: Check) -> Labeller:
    """Grade by a check of `tuppence.checks` that asks nobody, such as `matches_schema(...)`; raises `ConfigError` where
    it asks a model.
    """

    def label(one: Outcomes) -> Outcomes:
        request = Request((Message("user", one.query),), tags=one.tags)
        return _graded(one, "validator", lambda answer: _verdict(check, request, answer.answer).score)

    return label


def from_predicate(holds: Callable[[Outcomes, Outcome], bool | float]) -> Labeller:
    """Grade by a function of the question and one answer to it."""
    return lambda one: _graded(one, "validator", lambda answer: _score(holds(one, answer), one, holds))


def from_feedback(feedback: Iterable[Feedback]) -> Labeller:
    """Grade what the user was given by what he said of it; of two opinions on one call the later one counts.

    Joined by the question's id, which in recorded traffic is the call's, or by its tag `trace`.
    """
    told: dict[str, Feedback] = {}
    for one in feedback:
        known = told.get(one.call_id)
        if known is None or known.at <= one.at:
            told[one.call_id] = one

    def label(one: Outcomes) -> Outcomes:
        said = told.get(one.id) or told.get(one.tags.get("trace", ""))
        if said is None:
            return one
        score = said.score
        return _graded(one, "feedback", lambda answer: score if answer.served else None)

    return label


def same_answer(answer: str, right: str) -> bool:
    """Compare as SQuAD's evaluation does: without case, punctuation, articles and spare blanks (P. Rajpurkar et al.,
    "SQuAD: 100,000+ Questions for Machine Comprehension of Text", 2016, section 6.1).
    """
    return _normal(answer) == _normal(right)


def same_number(answer: str, right: str) -> bool:
    """Compare the last number of each, exactly: "so it is $1,250.00" equals "1250". Without one they differ.

    The last, since answers that reason end with their result (K. Cobbe et al., "Training Verifiers to Solve Math Word
    Problems", 2021).
    """
    found, wanted = _last_number(answer), _last_number(right)
    return found is not None and found == wanted


def _same(answer: str, right: str) -> bool:
    if same_answer(answer, right):
        return True
    # Only where the right answer is a number and nothing else: "in 1850" and "before 1850" share one.
    bare = _NUMBER.fullmatch(right.strip().lstrip("$€£").rstrip("%"))
    return bare is not None and same_number(answer, right)


def _normal(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _last_number(text: str) -> Decimal | None:
    found = _NUMBER.findall(text)
    try:
        return Decimal(found[-1].replace(",", "")) if found else None
    except InvalidOperation:
        return None


def _verdict(check: Check, request: Request, answer: str) -> Verdict:
    verdict = check(request, Reply(answer, finish="stop"))
    if not isinstance(verdict, Verdict):
        verdict.close()
        raise ConfigError(f"{check!r} asks a model before it decides: label with a check that asks nobody")
    return verdict


def _score(opinion: object, one: Outcomes, said_by: Callable[..., object]) -> float:
    if not isinstance(opinion, bool | int | float) or not 0 <= opinion <= 1:
        name = getattr(said_by, "__name__", repr(said_by))
        raise OutcomesError(f"{name} says {opinion!r} of question {one.id!r}: return True, False or a number in [0, 1]")
    return float(opinion)


def _graded(one: Outcomes, origin: LabelOrigin, grade: Callable[[Outcome], float | None]) -> Outcomes:
    """Fill in the scores that `grade` knows."""
    by_model = dict(one.by_model)
    for model, outcome in one.by_model.items():
        score = grade(outcome)
        if score is not None:
            by_model[model] = replace(outcome, score=score, labelled_by=origin)
    return replace(one, by_model=by_model)
