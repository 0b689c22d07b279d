"""Recorded answers in the place of new ones: a model that has answered a question in live traffic is not asked, and
paid for, again. What was recorded of another model, or to another question, is never taken for its answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tuppence.evidence.benching.cases import Case
from tuppence.evidence.benching.journal import Journal
from tuppence.evidence.outcomes import Outcome, RecordedCall

# Providers bill a snapshot of the model that is asked for: gpt-4o-2024-08-06, claude-opus-4@20250514.
_SNAPSHOT = re.compile(r"[-@]\d[\d-]*")


def recall(
    journal: Journal, calls: Iterable[RecordedCall], *, questions: Sequence[Case], billed: Mapping[str, str]
) -> Counter[str]:
    """Put recorded answers to `questions` into the journal of a run, ungraded, at the price and in the time of then.
    Return how many there are of each model.

    A call answers the question that has its id and its words. `billed` names the models of the run, and what their
    providers bill them by; an answer is a model's where the tier's name is, and what was billed is the same or a dated
    snapshot of it. What the journal knows already stays.
    """
    wanted = {case.id: case for case in questions}
    put = {call.call_id: call for call in calls if call.call_id in wanted and _puts(call, wanted[call.call_id])}
    counts: Counter[str] = Counter()
    # In the order of the questions, so that the same traffic gives the same file.
    for case in questions:
        for name, outcome in _answers(put.get(case.id), billed):
            counts[name] += 1
            if journal.known(case, name) is None:
                journal.add(case, name, outcome)
    return counts


def case_of(call: RecordedCall) -> Case:
    """Make a question of a recorded call; who grades it must know what is right."""
    request = call.request
    return Case(call.call_id, request.question, (), request.system, request.tags.get("task", ""))


def _puts(call: RecordedCall, case: Case) -> bool:
    return (call.request.question, call.request.system) == (case.query, case.system)


def _answers(call: RecordedCall | None, billed: Mapping[str, str]) -> Iterator[tuple[str, Outcome]]:
    outcomes = None if call is None else call.outcomes()
    if call is None or outcomes is None:
        return
    for name, model in billed.items():
        outcome = outcomes.by_model.get(name)
        names = [attempt.model for attempt in call.attempts if attempt.tier == name and attempt.reply is not None]
        if outcome is not None and all(_same(one, model) for one in names):
            yield name, outcome


def _same(billed: str, model: str) -> bool:
    return billed == model or (billed.startswith(model) and _SNAPSHOT.fullmatch(billed[len(model) :]) is not None)
