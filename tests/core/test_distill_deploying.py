"""Judging a trained model, finding when it may be believed, sending it a share of the users, and taking it back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tuppence.cli import app
from tuppence.distill import DistillError, Trained
from tuppence.distill.calibrating import calibrate
from tuppence.distill.deploying import deploy, deployed, read_deployment, rollback, widen
from tuppence.distill.evaluation import Answer, HeldOut, Served, Tfidf, evaluate, read_held_out
from tuppence.prices import token_rate
from tuppence.request import Message, Request
from tuppence.testing import Fault, ProviderServer
from tuppence.tiers import Tier

SMALL, TEACHER = token_rate(input="0.1", output="0.1"), token_rate(input="3", output="12")
LADDER = (Tier("small-1"), Tier("teacher"))


@dataclass(frozen=True)
class Knows:
    """Right on the first so many rows."""

    name: str
    first: int

    def answer(self, rows: Sequence[HeldOut]) -> list[Answer]:
        return [Answer(row.expected if at < self.first else "?") for at, row in enumerate(rows)]


def rows(count: int) -> list[HeldOut]:
    return [HeldOut(({"role": "user", "content": f"question {n}"},), f"answer {n}") for n in range(count)]


@pytest.mark.parametrize(
    ("right", "other", "said"), [(90, 70, "better"), (70, 90, "worse"), (80, 76, "not shown"), (80, 80, "not shown")]
)
def test_better_is_said_only_where_the_rows_show_it(right: int, other: int, said: str) -> None:
    """Four rows of a hundred are chance; twenty are not (McNemar, exact)."""
    found = evaluate(rows(100), Knows("trained", right), [Knows("before", other)])
    (compared,) = found.comparisons
    assert compared.verdict == said
    assert compared.difference == pytest.approx((right - other) / 100)
    quality = found.measured["trained"]
    assert quality.low < quality.value == right / 100 < quality.high


def test_scores_of_ones_own_are_compared_by_a_bootstrap() -> None:
    """Half right counts half."""
    pytest.importorskip("scipy")

    def close(expected: str, got: str) -> float:
        return 0.9 if expected == got else 0.4

    found = evaluate(rows(60), Knows("trained", 50), [Knows("before", 10)], score=close)
    assert found.comparisons[0].verdict == "better"
    assert found.trained.quality.value == pytest.approx((50 * 0.9 + 10 * 0.4) / 60)


def test_counted_words_answer_a_task_of_few_labels_and_refuse_any_other() -> None:
    """The baseline is a real one where there is one."""
    pytest.importorskip("sklearn")
    train = [
        HeldOut(({"role": "user", "content": f"{word} {n}"},), label)
        for label, word in (("delivery", "parcel late"), ("billing", "invoice wrong"))
        for n in range(8)
    ]
    asked = [HeldOut(({"role": "user", "content": "my parcel"},), "delivery")]
    (answer,) = Tfidf(train).answer(asked)
    assert answer.text == "delivery"
    assert answer.confidence is not None
    assert 0.5 < answer.confidence < 1
    with pytest.raises(DistillError, match="8 training rows have 8 different answers"):
        Tfidf(rows(8)).answer(asked)


def sure(count: int, *, wrong_above: float, seed: int = 1) -> list[Answer]:
    """Answers whose confidence tells: below .9 half are wrong, above it few."""
    draw = random.Random(seed)
    found = []
    for n in range(count):
        confidence = draw.choice([0.5, 0.99, 0.999, 0.9999])
        wrong = draw.random() < (0.5 if confidence < 0.9 else wrong_above)
        found.append(Answer("?" if wrong else f"answer {n}", confidence, 100, 4))
    return found


def test_a_threshold_keeps_what_may_be_believed() -> None:
    """The unsure quarter goes to the teacher, and the promise is about the whole."""
    pytest.importorskip("sklearn")
    found = calibrate(rows(600), sure(600, wrong_above=0.01), small=SMALL, teacher=TEACHER, target=0.95)
    assert found.threshold is not None
    assert 0.5 < found.threshold <= 0.99
    assert found.kept_share == pytest.approx(0.75, abs=0.05)
    assert found.accuracy is not None
    assert found.accuracy > 0.97
    assert "certified: with probability 90% the policy keeps at least 95%" in found.words


@pytest.mark.parametrize(("count", "wrong"), [(20, 0.0), (600, 0.4)])
def test_no_threshold_is_given_where_the_rows_do_not_prove_one(count: int, wrong: float) -> None:
    """Too few of them, or too many wrong answers that were sure."""
    pytest.importorskip("sklearn")
    found = calibrate(rows(count), sure(count, wrong_above=wrong), small=SMALL, teacher=TEACHER, target=0.95)
    assert found.threshold is None
    assert found.kept_share == 0.0


def test_answers_without_probabilities_cannot_be_calibrated() -> None:
    """They are asked for; nobody's confidence is made up."""
    pytest.importorskip("sklearn")
    with pytest.raises(DistillError, match="came without log-probabilities"):
        calibrate(rows(1), [Answer("answer 0")], small=SMALL, teacher=TEACHER)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A model of a server that needs nothing loaded stands for half of the users."""
    trained = Trained("small-1", "small", tmp_path / "adapter", 60.0, None)
    path = tmp_path / "deployed.json"
    deploy(
        trained, path, url="http://127.0.0.1:9/v1", threshold=0.9, usd_per_mtok=("0.1", "0.1"), share=0.5, merged=True
    )  # fmt: skip
    return path


def met(state: Path, users: int = 200) -> set[str]:
    """Name the users who meet the trained model first."""
    route = deployed(state)["route"]
    asked = {str(n): Request((Message("user", "hello"),), tags={"user": str(n)}) for n in range(users)}
    return {user for user, request in asked.items() if route(request, LADDER).ladder[0].name == "small-1"}


def test_a_share_of_the_users_meets_it_always_the_same(state: Path) -> None:
    """Whoever met it goes on meeting it when the share grows; the rest meet the teacher alone."""
    some = met(state)
    assert 60 < len(some) < 140
    assert met(state) == some
    widen(state, 0.8)
    assert met(state) > some
    widen(state, 1.0)
    assert len(met(state)) == 200


def test_a_roll_back_holds_at_once_and_after_a_restart(state: Path) -> None:
    """In a program that runs already, in one that starts later, and when it is done twice."""
    running = deployed(state)["route"]
    request = Request((Message("user", "hello"),), tags={"user": next(iter(met(state)))})
    assert running(request, LADDER).ladder[0].name == "small-1"
    gone = rollback(state)
    assert [tier.name for tier in running(request, LADDER).ladder] == ["teacher"]
    assert running(request, LADDER).reason == "small-1 is rolled back"
    assert met(state) == set()
    assert rollback(state) == gone == read_deployment(state)
    with pytest.raises(DistillError, match="it must stand"):
        widen(state, 0.5)


def test_a_file_that_cannot_be_read_sends_everybody_to_the_teacher(state: Path) -> None:
    """An optimisation that fails costs money, never an answer."""
    route = deployed(state)["route"]
    for broken in ("", "{}"):
        state.write_text(broken)
        assert [tier.name for tier in route(Request((Message("user", "hello"),)), LADDER).ladder] == ["teacher"]
    state.unlink()
    assert route.share() == 0.0


def test_two_models_do_not_stand_in_one_file(state: Path, tmp_path: Path) -> None:
    """The first is rolled back before, or the second gets a file of its own."""
    other = Trained("small-2", "small", tmp_path / "adapter", 60.0, None)
    with pytest.raises(DistillError, match="small-1 stands: roll it back first"):
        deploy(other, state, url="http://127.0.0.1:9", threshold=0.9, usd_per_mtok=("0", "0"), merged=True)


def test_rows_without_an_answer_in_text_are_not_compared(tmp_path: Path) -> None:
    """They are named, by file and line."""
    path = tmp_path / "test.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": []}]}\n')
    with pytest.raises(DistillError, match=r"test.jsonl:1: the last message is no answer in text"):
        read_held_out(path)


def test_a_server_that_is_full_is_asked_again_and_one_that_refuses_is_not() -> None:
    """What is measured can wait; what does not exist will not come."""
    with ProviderServer() as provider:
        provider.model("small-1", replies=[Fault(status=503), Fault(status=429), "yes"])
        provider.model("small-2", replies=Fault(status=404))
        (answer,) = Served("trained", provider.base_url, "small-1").answer(rows(1))
        assert answer.text == "yes"
        assert answer.input_tokens > 0
        with pytest.raises(DistillError, match=r"small-2 at .* does not answer"):
            Served("trained", provider.base_url, "small-2").answer(rows(1))


def test_a_share_is_set_and_taken_back_at_the_command_line(state: Path) -> None:
    """One command each, without the program that runs."""
    running = deployed(state)["route"]
    done = CliRunner().invoke(app, ["distill", "widen", str(state), "0.75"])
    assert (done.exit_code, done.stdout) == (0, "small-1 meets 75% of the users\n")
    assert running.share() == 0.75
    done = CliRunner().invoke(app, ["distill", "rollback", str(state)])
    assert (done.exit_code, done.stdout) == (0, "small-1 is rolled back: nobody meets it any more\n")
    assert running.share() == 0.0
