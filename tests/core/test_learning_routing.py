"""What a route learns from graded questions: who can answer what, as probabilities that come true, the same numbers
from the same labels, and the same whether they are reckoned on arrays or question by question.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from tuppence.embed import Vectors  # noqa: E402
from tuppence.errors import ConfigError  # noqa: E402
from tuppence.evidence.learning.questions import qualities, questions, right  # noqa: E402
from tuppence.evidence.learning.relevance import relevances, relevances_of_few  # noqa: E402
from tuppence.evidence.learning.routing import train_route  # noqa: E402
from tuppence.evidence.outcomes import Outcome, Outcomes  # noqa: E402
from tuppence.signals.learned_route import LearnedRouteModel, read_route_model  # noqa: E402
from tuppence.signals.question_shape import THEMES, shape, terms  # noqa: E402

from .made_up_outcomes import MODELS, made_up  # noqa: E402

ROWS = list(made_up(600, seed=1))
HELD_BACK = list(made_up(600, seed=2))


def row(number: int, query: str, task: str = "", **scores: float | None) -> Outcomes:
    return Outcomes(f"q{number}", query, {name: Outcome(score) for name, score in scores.items()}, task=task)


def gained(model: LearnedRouteModel, rows: Sequence[Outcomes]) -> float:
    """Gap between cheapest and strongest that is recovered by asking the strongest on half of the questions."""
    graded, quality = qualities(rows, model.tiers)
    probable = right(model, questions(graded))
    half = np.argsort(probable[:, 0] - probable[:, -1])[: len(graded) // 2]
    gain = quality[:, -1] - quality[:, 0]
    return float(gain[half].sum() / gain.sum())


def test_it_finds_the_questions_that_need_the_strongest_tier() -> None:
    """By lot, half of the calls recover half of the gap; the made-up questions grow longer with their hardness."""
    assert gained(train_route(ROWS[:300], tiers=("small", "large")), HELD_BACK) > 0.7


def test_probabilities_come_true() -> None:
    """Of all held-back answers called right with about p, about a share of p is, for every tier."""
    model = train_route(ROWS, tiers=MODELS)
    graded, quality = qualities(HELD_BACK, MODELS)
    probable = right(model, questions(graded))
    for tier in range(len(MODELS)):
        for low in np.arange(0.0, 1.0, 0.25):
            inside = (probable[:, tier] >= low) & (probable[:, tier] < low + 0.25)
            if inside.sum() < 50:
                continue
            expected, found = probable[inside, tier].mean(), quality[inside, tier].mean()
            assert abs(expected - found) < 4 * math.sqrt(0.25 / inside.sum())


def test_arrays_and_single_questions_agree() -> None:
    """What a benchmark reckons on arrays is what the route reads on a call."""
    model = train_route(ROWS, tiers=MODELS)
    reckoned = right(model, questions(HELD_BACK[:50]))
    for found, one in zip(reckoned, HELD_BACK[:50], strict=True):
        assert model.read(one.query, one.task).right == pytest.approx(tuple(found), abs=1e-9)


def test_the_same_labels_give_the_same_file(tmp_path: Path) -> None:
    """Byte for byte, and what is read back is what was written."""
    for name in ("a", "b"):
        train_route(ROWS[:200], tiers=MODELS).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_route_model(tmp_path / "a") == train_route(ROWS[:200], tiers=MODELS)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a", "b"]


def test_words_and_tasks_are_learned() -> None:
    """Where they alone tell questions apart, and with them a task that was seen too rarely is not believed."""
    draw, rows = random.Random(3), []
    for number in range(300):
        hard, task = draw.random() < 0.5, draw.choice(("sums", "rhymes"))
        query = f"Please {'derive' if hard else 'state'} the result for case {draw.choice('abcdef')}"
        rows.append(row(number, query, task, small=float(not hard and task == "sums"), large=1.0))
    rows.append(row(300, "Please state the result for case a", "once", small=0.0, large=1.0))
    model = train_route(rows, tiers=("small", "large"))
    easy, hard = "Please state the result for case b", "Please derive the result for case b"
    small = {(query, task): model.read(query, task).right[0] for query in (easy, hard) for task in ("sums", "rhymes")}
    assert small[easy, "sums"] > 0.7 > 0.3 > max(small[hard, "sums"], small[easy, "rhymes"])
    assert abs(model.read(easy, "once").right[0] - model.read(easy).right[0]) < 0.15


def test_what_says_nothing_is_not_believed() -> None:
    """Scores drawn by lot: every question gets about the same probability, near the mean."""
    draw = random.Random(4)
    rows = [
        row(number, one.query, one.task, small=float(draw.random() < 0.6), large=float(draw.random() < 0.8))
        for number, one in enumerate(ROWS)
    ]
    probable = right(train_route(rows, tiers=("small", "large")), questions(HELD_BACK))
    assert probable.std(axis=0).max() < 0.06
    assert probable.mean(axis=0) == pytest.approx([0.6, 0.8], abs=0.06)


def test_relevance_is_that_of_the_groups_that_matter() -> None:
    """One kernel made the targets, the other is noise."""
    draw = np.random.default_rng(0)
    useful, useless = draw.normal(size=(2, 300, 3)) / math.sqrt(3)
    targets = useful @ draw.normal(size=(3, 1)) * 2 + draw.normal(size=(300, 1))
    shares = relevances([useful @ useful.T, useless @ useless.T], targets)
    assert shares[0] > 0.1 > shares[1]
    assert relevances([useful @ useful.T], np.ones((300, 1)))[0] < 0.001


@pytest.mark.parametrize("count", [300, 8], ids=["many questions", "fewer questions than features"])
def test_relevance_of_few_features_is_the_same_by_another_way(count: int) -> None:
    draw = np.random.default_rng(count)
    groups = [one - one.mean(axis=0) for one in draw.normal(size=(2, count, 5)) / math.sqrt(5)]
    targets = groups[0] @ draw.normal(size=(5, 2)) * 2 + draw.normal(size=(count, 2))
    assert relevances_of_few(groups, targets) == pytest.approx(relevances([x @ x.T for x in groups], targets), rel=1e-2)
    assert relevances_of_few(groups, np.ones((count, 1))) == pytest.approx(np.exp([-9.0, -9.0]))


def test_a_tier_that_is_always_right_or_always_wrong_is_no_obstacle() -> None:
    """Its odds are finite, and go with the number of labels."""
    rows = [row(i, one.query, small=0.0, medium=float(i % 2), large=1.0) for i, one in enumerate(ROWS[:100])]
    found = train_route(rows, tiers=MODELS).read("What is 1 and 1?").right
    assert found[0] == pytest.approx(0.5 / 101, rel=0.01)
    assert found[2] == pytest.approx(100.5 / 101, rel=0.01)


def test_questions_that_are_all_alike_give_the_mean() -> None:
    """Nothing tells them apart, so nothing is learned but how often each tier is right."""
    rows = [row(i, "", small=float(i % 2), large=1.0) for i in range(100)]
    assert train_route(rows, tiers=("small", "large")).read("What is 1 and 1?").right[0] == pytest.approx(0.5)


def test_partial_scores_count_in_part() -> None:
    """Answers that are half right are right with one half."""
    rows = [row(i, one.query, small=0.5, large=1.0) for i, one in enumerate(ROWS[:100])]
    assert train_route(rows, tiers=("small", "large")).read(ROWS[0].query).right[0] == pytest.approx(0.5, abs=0.01)


class Lengths:
    """An embedder that knows one thing: whether a text asks to add."""

    name = "lengths"

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.array([[1.0, 0.0] if "add" in text else [0.0, 1.0] for text in texts], np.float32)

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        return self.embed(texts)


def test_an_embedding_can_be_learned_too(tmp_path: Path) -> None:
    """It is stored under its model's name; without a vector the rest decides."""
    model = train_route(ROWS, tiers=("small", "large"), embedder=Lengths())
    assert model.embedding is not None and model.embedding.embedder == "lengths"
    model.save(tmp_path / "route.json")
    assert read_route_model(tmp_path / "route.json") == model
    reckoned = right(model, questions(HELD_BACK[:20], embedder=Lengths()))
    for found, one in zip(reckoned, HELD_BACK[:20], strict=True):
        vector = Lengths().embed([one.query])[0]
        assert model.read(one.query, one.task, vector).right == pytest.approx(tuple(found), abs=1e-6)
    assert model.read(ROWS[0].query).right != model.read(ROWS[0].query, vector=[1.0, 0.0]).right


@pytest.mark.parametrize(
    ("rows", "tiers", "message"),
    [
        (ROWS[:49], ("small", "large"), "49 of 49 rows"),
        (ROWS, ("small", "unknown"), "0 of 600 rows"),
        (ROWS, ("small",), "at least two"),
        (ROWS, ("small", "small"), "at least two"),
        ([row(i, "?", small=None, large=1.0) for i in range(80)], ("small", "large"), "0 of 80 rows"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(rows: list[Outcomes], tiers: tuple[str, ...], message: str) -> None:
    """The message counts what there is."""
    with pytest.raises(ConfigError, match=message):
        train_route(rows, tiers=tiers)


TEXTS = {
    "nothing": "",
    "blank": " \n\t",
    "choice": "What is not true of 3 + 4?\nA. It is 7\nB. It is odd\nC. It is 12.5%",
    "digits": "9" * 5_000,
    "numbers": "1 " * 5_000,
    "Japanese": "次のうち正しくないものはどれですか？",
    "surrogate": "a\ud800b",
    "options only": "A. yes\nB. no",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_has_a_shape(text: str) -> None:
    """The same traits for all, and finite ones."""
    found = shape(text)
    assert found.keys() == THEMES.keys()
    assert all(math.isfinite(value) for value in found.values())
    assert all(isinstance(term, str) for term in terms(text))


def test_a_shape_tells_what_it_says() -> None:
    """A multiple choice with its options, its negation and its numbers."""
    found = shape(TEXTS["choice"])
    assert (found["options"], found["negations"], found["question_marks"]) == (math.log1p(3), 1.0, 1.0)
    assert found["numeric_options"] == 0.0 and found["numbers"] == pytest.approx(math.log1p(4))
    assert found["asked_words"] == pytest.approx(math.log1p(8)) and found["words"] > found["asked_words"]
    assert terms("To be, or not 2 be?") == ["to", "be", "or", "not", "be", ",", "2", "?"]
