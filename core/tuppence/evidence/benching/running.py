"""A benchmark run: every model is asked every question, several at a time, and every answer is kept as it comes.

A question that a model does not answer is told and counts as wrong; it is not kept, so that another run asks it again.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from tuppence.errors import ConfigError
from tuppence.evidence.benching.asking import Answered, Model
from tuppence.evidence.benching.cases import Case
from tuppence.evidence.benching.graders import Grader
from tuppence.evidence.benching.journal import Journal
from tuppence.evidence.outcomes import Outcome
from tuppence.prices import PicoUSD

GIVE_UP_AFTER = 5
"""Failures in a row, and nothing answered yet, after which a model is not asked any more: a key or an address is wrong,
and a thousand refusals would not tell more."""


@dataclass(slots=True)
class Answers:
    """What one model made of the questions."""

    name: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    """By the question's id."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why there is no answer, by the question's id."""
    failed_pico: PicoUSD | None = 0
    """What the failures cost; None where a price is unknown."""
    resumed: int = 0
    """Answers that were there from an earlier run."""
    given_up: bool = False
    """It was not asked all questions, for it answered none of the first."""

    @property
    def reasons(self) -> Counter[str]:
        return Counter(self.failures.values())


Told = Callable[[str, bool], None]
"""Called with a model's name for each question that is done, and whether it was answered."""


def run(
    cases: Sequence[Case], models: Sequence[Model], grader: Grader, journal: Journal, *,
    concurrency: int = 8, told: Told = lambda _model, _answered: None,
) -> list[Answers]:  # fmt: skip
    """Ask all models all questions, at most `concurrency` at a time; what `journal` knows is not asked again.

    Interrupted, it keeps what has come and raises the interruption.
    """
    if concurrency < 1:
        raise ConfigError(f"concurrency is {concurrency}: at least one question must be asked at a time")
    answers = {model.name: Answers(model.name) for model in models}
    jobs = []
    for case in cases:
        for model in models:
            known = journal.known(case, model.name)
            if known is None:
                jobs.append((case, model))
                continue
            graded = _graded(known, case, grader)
            if graded != known:
                # Graded by another rule than before.
                journal.add(case, model.name, graded)
            answers[model.name].outcomes[case.id] = graded
            answers[model.name].resumed += 1
            told(model.name, True)
    try:
        # Closed whatever happens: nobody goes on asking, and paying, behind an error.
        with closing(_asked(jobs, answers, concurrency)) as asked:
            for case, model, answered in asked:
                _keep(answers[model.name], case, answered, grader, journal)
                told(model.name, answered.error is None)
    finally:
        journal.settle()
    return list(answers.values())


def _asked(
    jobs: Iterable[tuple[Case, Model]], answers: dict[str, Answers], concurrency: int
) -> Generator[tuple[Case, Model, Answered], None, None]:
    """Ask in threads that end with the program: an interrupted run does not wait for answers that nobody will read."""
    pending: queue.SimpleQueue[tuple[Case, Model]] = queue.SimpleQueue()
    count = 0
    for job in jobs:
        pending.put(job)
        count += 1
    done: queue.SimpleQueue[tuple[Case, Model, Answered | BaseException]] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                case, model = pending.get_nowait()
            except queue.Empty:
                return
            told: Answered | BaseException
            try:
                told = _skipped(answers[model.name]) or model.ask(case)
            except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits for it
                told = error
            done.put((case, model, told))

    for number in range(min(concurrency, count)):
        threading.Thread(target=work, name=f"tuppence-bench-{number}", daemon=True).start()
    try:
        for _ in range(count):
            case, model, answered = done.get()
            if isinstance(answered, BaseException):
                raise answered
            yield case, model, answered
    finally:
        stop.set()


class _NotAsked(Exception):
    """A question that was not put, for the model had answered none before."""


def _skipped(answers: Answers) -> Answered | None:
    return Answered("", 0, error=_NotAsked()) if answers.given_up else None


def _keep(answers: Answers, case: Case, answered: Answered, grader: Grader, journal: Journal) -> None:
    if answered.error is None:
        outcome = Outcome(
            None, grader.kept(answered.text) or answered.text.strip(), input_tokens=answered.input_tokens,
            output_tokens=answered.output_tokens, pico_usd=answered.pico_usd, latency_ms=answered.latency_ms,
        )  # fmt: skip
        try:
            outcome = _graded(outcome, case, grader)
        finally:
            # Also where the grader breaks: the answer is paid for.
            journal.add(case, answers.name, outcome)
        answers.outcomes[case.id] = outcome
        return
    answers.failures[case.id] = _reason(answered.error)
    if answers.failed_pico is not None:
        answers.failed_pico = None if answered.pico_usd is None else answers.failed_pico + answered.pico_usd
    if not answers.outcomes and len(answers.failures) >= GIVE_UP_AFTER:
        answers.given_up = True


def _graded(outcome: Outcome, case: Case, grader: Grader) -> Outcome:
    kept = grader.kept(outcome.answer)
    score = grader.grade(case, kept) if kept else 0.0
    return replace(outcome, score=score, no_answer=not kept, labelled_by=grader.origin)


def _reason(error: Exception) -> str:
    if isinstance(error, _NotAsked):
        return f"not asked: none of the first {GIVE_UP_AFTER} questions was answered"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
