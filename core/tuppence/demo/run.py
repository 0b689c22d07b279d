"""The demo from end to end: set the scene, put the questions to each framework's two chains, and show the bill.

Everything shown is measured while it runs. Nothing is written but a ledger in a new folder, whose path is printed.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from tuppence.context import tags
from tuppence.demo.comparison import RULES, Answered, Comparison
from tuppence.demo.documents import passages, read_folders
from tuppence.demo.local_model import served, weights
from tuppence.demo.models import found_models, prices
from tuppence.demo.promise import promise
from tuppence.demo.questions import Question, questions
from tuppence.demo.recorder import Recorder
from tuppence.demo.retrieval import PassageIndex
from tuppence.demo.rules import rules
from tuppence.demo.show import Screen
from tuppence.demo.stage import Chain, Framework, Scene, frameworks, good_enough
from tuppence.errors import ConfigError, TuppenceError
from tuppence.spend import SqliteLedger, report
from tuppence.tiers import function_tier


def run(docs: Path | None = None) -> None:
    """Run the demo over the folder `docs`, by default this project's own docs and examples.

    Raises `TuppenceError` where something is missing, with the command that installs it. Ctrl-C ends it at once, local
    server included.
    """
    screen = Screen()
    weights()
    there, absent = frameworks()
    documents = read_folders(*([docs] if docs is not None else _own_folders()))
    book = prices()
    with screen.busy("trying the keys that are set"):
        found = found_models(book)
    index = PassageIndex(passage for document in documents for passage in passages(document))
    asked = questions(documents)
    screen.opening(documents, index, found, asked, absent)
    path = Path(tempfile.mkdtemp(prefix="tuppence-demo-")) / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger, _quiet():
        scene = Scene(
            index=index, models=found.specs, rules=function_tier(RULES, rules(documents)), check=good_enough(),
            prices=book, ledger=Recorder(ledger),
        )  # fmt: skip
        compared = [_compared(framework, scene, asked, screen) for framework in there]
        ledger.flush()
    screen.summary(compared, found)
    screen.ledger(report(path, by=("workflow",)), path)
    screen.certificate(promise(compared, [spec.model for spec in found.specs]))
    if not any(comparison.pairs for comparison in compared):
        raise TuppenceError("no question was answered by both chains at a known cost: nothing could be compared")


def _own_folders() -> list[Path]:
    """Return this project's docs and examples, where it runs from a checkout."""
    root = Path(__file__).parents[3]
    folders = [folder for folder in (root / "docs", root / "examples") if folder.is_dir()]
    if not folders:
        raise ConfigError("this installation of tuppence holds no documents: give a folder of your own with --docs DIR")
    return folders


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep third-party warnings, which say nothing about this run, out of the tables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _compared(framework: Framework, scene: Scene, asked: Sequence[Question], screen: Screen) -> Comparison:
    """Put the questions to a framework's chain, unchanged and changed."""
    screen.unchanged(framework, scene.models[-1].model)
    unchanged = _performed(f"{framework.title}, unchanged", framework.unchanged, scene, asked, screen)
    screen.changed(framework)
    changed = _performed(f"{framework.title}, tuppence", framework.with_tuppence, scene, asked, screen)
    return Comparison(framework.title, unchanged, changed)


def _performed(
    workflow: str, build: Callable[[Scene], Chain], scene: Scene, asked: Sequence[Question], screen: Screen
) -> tuple[Answered, ...]:
    """Put every question to one chain, in front of a fresh local server."""
    answers: list[Answered] = []
    with screen.busy("starting the local model"), served() as base_url, tags(workflow=workflow):
        models = tuple(replace(m, base_url=base_url) if m.provider == "local" else m for m in scene.models)
        chain = build(replace(scene, models=models))
        for number, question in enumerate(asked, start=1):
            screen.asking(number, len(asked), question)
            answers.append(_answered(chain, question, scene.ledger))
            screen.answer(number, answers[-1])
    screen.total(answers)
    return tuple(answers)


def _answered(chain: Chain, question: Question, recorder: Recorder) -> Answered:
    """Ask once, and put together what was returned and what was settled meanwhile."""
    text, failure = "", ""
    started = time.perf_counter()
    try:
        text = chain(question.text)
    except Exception as error:  # noqa: BLE001 (one call that fails is shown as such, and the run goes on)
        failure = " ".join(f"{type(error).__name__}: {error}".split())
    ms = (time.perf_counter() - started) * 1000
    results = recorder.taken()
    attempts = tuple(attempt for result in results for attempt in result.attempts)
    observed = attempts[-1].tier if attempts and attempts[-1].outcome == "observed" else None
    last = results[-1] if results else None
    return Answered(
        question=question, text=text, ms=ms, attempts=attempts, failure=failure,
        tier=None if failure or last is None else last.tier or observed,
        check="" if last is None else last.decision.check,
    )  # fmt: skip
