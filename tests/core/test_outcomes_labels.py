"""Labels: who says how good an answer is, and that nothing is graded that nobody spoke about."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tuppence.assembly import record_feedback
from tuppence.attempts import Verdict
from tuppence.checks import agrees_with, custom, matches_schema, not_refused
from tuppence.errors import ConfigError, LedgerError
from tuppence.evidence.outcomes import (
    Feedback,
    Outcome,
    Outcomes,
    OutcomesError,
    from_check,
    from_feedback,
    from_gold,
    from_predicate,
    read_feedback,
    same_answer,
    same_number,
)
from tuppence.recording import Recorder, RecordingError
from tuppence.request import Reply, Request
from tuppence.spend import SqliteLedger


def question(**answers: str) -> Outcomes:
    by_model = {model: Outcome(None, answer, served=model == "large") for model, answer in answers.items()}
    return Outcomes("q1", "How deep is the fjord?", by_model, tags={"trace": "t1"})


def scores(one: Outcomes) -> dict[str, tuple[float | None, str | None]]:
    return {model: (o.score, o.labelled_by) for model, o in one.by_model.items()}


def test_gold_answers_grade_every_model() -> None:
    """The question's id finds the right answer; a number is compared as one."""
    asked = question(small="It is 1,208 m deep.", large="I think: 1308.0")
    assert scores(from_gold({"q1": "1,308"})(asked)) == {"small": (0.0, "gold"), "large": (1.0, "gold")}
    assert from_gold({"q2": "1,308"})(asked) == asked
    assert scores(from_gold(lambda one: "yes", matches=lambda answer, _: len(answer) / 100)(asked))["large"][0] == 0.15


@pytest.mark.parametrize(
    ("answer", "right", "same"),
    [
        ("The Bergen!", "bergen", True),
        ("bergen  city", "Bergen City", True),
        ("Oslo", "Bergen", False),
        ("theory", "ory", False),
        ("", "Bergen", False),
    ],
)
def test_answers_are_compared_without_case_articles_and_signs(answer: str, right: str, same: bool) -> None:
    """As SQuAD's evaluation does."""
    assert same_answer(answer, right) is same


@pytest.mark.parametrize(
    ("answer", "right", "same"),
    [
        ("6 * 7 = 42", "42", True),
        ("so she pays $1,250.00.", "1250", True),
        ("-3", "3", False),
        ("1e3", "1000", True),
        (".5", "0.50", True),
        ("none", "42", False),
        ("none", "none", False),
        ("42 or 43", "42", False),
    ],
)
def test_numbers_are_compared_exactly(answer: str, right: str, same: bool) -> None:
    """The last one counts, and two texts without one are not equal."""
    assert same_number(answer, right) is same


def test_a_shared_number_is_not_the_same_text() -> None:
    """Only a right answer that is nothing but a number is compared as one."""
    asked = question(small="after 1850", large="in 1850")
    assert scores(from_gold({"q1": "in 1850"})(asked)) == {"small": (0.0, "gold"), "large": (1.0, "gold")}


def test_checks_that_ask_nobody_are_validators() -> None:
    """Any of them, the user's own functions too."""
    asked = question(small="I'm sorry, but I can't help with that.", large='{"deep": 1308}')
    assert scores(from_check(not_refused())(asked)) == {"small": (0.0, "validator"), "large": (1.0, "validator")}
    schema = {"type": "object", "required": ["deep"]}
    assert scores(from_check(matches_schema(schema))(asked))["large"] == (1.0, "validator")

    def sees_the_question(request: Request, reply: Reply) -> Verdict:
        return Verdict(0.25 if "fjord" in request.question else 0.0, reply.text)

    assert scores(from_check(custom(sees_the_question))(asked))["small"] == (0.25, "validator")
    longer = from_predicate(lambda one, answer: len(answer.answer) > 20)
    assert scores(longer(asked)) == {"small": (1.0, "validator"), "large": (0.0, "validator")}


def test_a_check_that_asks_a_model_is_no_validator() -> None:
    """It would cost money that nobody sees; judges have their own room."""
    with pytest.raises(ConfigError, match="asks a model before it decides"):
        from_check(agrees_with("large"))(question(small="yes"))


@pytest.mark.parametrize("opinion", [1.5, -0.1, "yes", None, float("nan")])
def test_an_opinion_that_is_no_score_is_refused(opinion: Any) -> None:
    """Its function and question are named."""

    def holds(_one: Outcomes, _answer: Outcome) -> Any:
        return opinion

    with pytest.raises(OutcomesError, match=r"holds says .* of question 'q1': return True, False or a number"):
        from_predicate(holds)(question(small="yes"))


def test_feedback_is_about_the_answer_that_the_user_got() -> None:
    """Not about drafts that he never saw; his last word counts."""
    asked = question(small="draft", large="answer")
    told = [Feedback("q1", 1.0, at=20), Feedback("q1", 0.0, at=10), Feedback("q9", 0.5, at=30)]
    assert scores(from_feedback(told)(asked)) == {"small": (None, None), "large": (1.0, "feedback")}
    assert scores(from_feedback([Feedback("t1", 0.25, at=1)])(asked))["large"] == (0.25, "feedback")
    assert from_feedback(told[2:])(asked) == asked


def test_later_labels_overrule_earlier_ones() -> None:
    """Labellers compose by order; each says whose word its score is."""
    asked = from_check(not_refused())(question(small="1308", large="1308"))
    assert scores(from_feedback([Feedback("q1", 0.0, at=1)])(asked)) == {
        "small": (1.0, "validator"),
        "large": (0.0, "feedback"),
    }


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def test_feedback_is_recorded_beside_traffic_and_in_the_ledger(tmp_path: Path, ledger: SqliteLedger) -> None:
    """One call writes both; the comment is text, and so is redacted and not in the ledger."""
    recorder = Recorder(tmp_path / "traffic.jsonl", redact=lambda text: text.replace("Ann", "***"))
    record_feedback("call-1", 0.5, comment="Ann says so", ledger=ledger, record=recorder)
    record_feedback("call-2", 1, ledger=None, record=tmp_path / "traffic.jsonl")
    first, second = read_feedback(tmp_path / "traffic.jsonl")
    assert (first.call_id, first.score, first.comment) == ("call-1", 0.5, "*** says so")
    assert (second.call_id, second.score, second.comment) == ("call-2", 1.0, "")


def test_feedback_that_goes_nowhere_or_is_no_score_is_refused(tmp_path: Path, ledger: SqliteLedger) -> None:
    """Neither is written."""
    with pytest.raises(ConfigError, match="keeps no feedback"):
        record_feedback("call-1", 1.0, ledger=None)
    with pytest.raises(RecordingError, match="feedback on call 'call-1' is 7"):
        record_feedback("call-1", 7, ledger=ledger, record=tmp_path / "traffic.jsonl")
    with pytest.raises(LedgerError):
        record_feedback("call-1", 7, ledger=ledger)
    assert list(read_feedback(tmp_path / "traffic.jsonl")) == []
