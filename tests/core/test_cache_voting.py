"""Scopes where many questions share few answers: what the company that an answer keeps says, and what it does not."""

import json
import random
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import pytest

from tuppence.cache.decision import SAFE_THRESHOLD, Judgement, judge
from tuppence.cache.decision.agreement import weigh
from tuppence.cache.decision.voting import votes
from tuppence.cache.entries import Entry, Neighbour
from tuppence.embed.minilm import MiniLM

DECLINED = [
    "why was my payment declined", "my card payment did not go through", "the shop said my card was declined",
    "payment refused at the till, why", "my card was rejected when I tried to pay", "why does my payment keep failing",
]  # fmt: skip
LOST = [
    "I lost my card", "my card is missing, what do I do", "I can't find my card anywhere", "my card has been stolen",
    "what should I do about a lost card", "somebody took my card",
]  # fmt: skip
UNRELATED = [
    "how do I bake bread", "who painted the Mona Lisa", "what is a black hole made of", "how do I tie a tie",
    "which vitamins are in an apple", "how does a heat pump work", "what is the capital of Peru",
    "how can I learn to juggle",
]  # fmt: skip


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


def near(model: MiniLM, question: str, stored: dict[str, str]) -> list[Neighbour]:
    """Return the stored questions as the neighbours of `question`, nearest first, with their answers."""
    vector, *others = model.embed([question, *stored])
    entries = [
        Entry(text, "scope", text, one, b"{}", answer=answer)
        for (text, answer), one in zip(stored.items(), others, strict=True)
    ]
    found = [Neighbour(entry, float(entry.vector @ vector)) for entry in entries]
    return sorted(found, key=lambda neighbour: -neighbour.similarity)


def asked(model: MiniLM, question: str, stored: dict[str, str]) -> Judgement:
    return judge(question, near(model, question, stored), threshold=SAFE_THRESHOLD)


DESK = dict.fromkeys(DECLINED, "declined") | dict.fromkeys(LOST, "lost")


@pytest.mark.parametrize(
    ("question", "answer"),
    [("why is my card being declined when I pay", "declined"), ("help, I think my card got stolen", "lost")],
)
def test_standing_answers_vouch_for_the_next_question(model: MiniLM, question: str, answer: str) -> None:
    """A help desk gives few answers to many questions; alone, none of them would be near enough."""
    found = asked(model, question, DESK)
    assert found.serve, found.reason
    assert found.entry is not None
    assert found.entry.answer == answer
    assert not asked(model, question, {text: text for text in DESK}).serve


def test_the_reason_names_who_vouches_and_how_clearly(model: MiniLM) -> None:
    """A person reads why: the question, how many others got the answer, and what speaks for another."""
    reason = asked(model, "help, I think my card got stolen", DESK).reason
    assert reason.startswith("serves '")
    assert "5 more near questions have its answer" in reason
    assert "for another" in reason


def test_neighbours_that_disagree_serve_nothing(model: MiniLM) -> None:
    """As many of the near questions got another answer: here nobody can tell."""
    question = "why is my card being declined when I pay"
    nearest = [neighbour.entry.question for neighbour in near(model, question, DESK)]
    assert not asked(model, question, {text: ("branch", "phone")[at % 2] for at, text in enumerate(nearest)}).serve


def test_an_odd_nearest_question_does_not_outvote_the_others(model: MiniLM) -> None:
    """Among many of one answer, another may be the nearest by chance."""
    found = asked(model, "help, I think my card got stolen", DESK | {"help, I think my cat got stolen": "cat"})
    assert found.entry is not None
    assert found.entry.answer != "cat" or not found.serve


def test_one_refusal_for_everything_answers_nothing_else(model: MiniLM) -> None:
    """Unrelated questions that all got "I cannot help with that" say nothing about the next one."""
    refused = dict.fromkeys(UNRELATED, "refused")
    for question in ("how do I bake a pizza", "what is a neutron star made of", "how do I open an account"):
        assert not asked(model, question, refused).serve, question


def test_a_short_answer_to_many_questions_covers_no_other_number(model: MiniLM) -> None:
    """Five primes all got "yes"; that says nothing about nine."""
    primes = {f"Is {n} a prime number?": "yes" for n in (5, 7, 11, 13, 17)}
    found = judge("Is 9 a prime number?", near(model, "Is 9 a prime number?", primes), threshold=0.01)
    assert (found.serve, found.probability) == (False, 0.0)


def test_an_explanation_that_covered_other_numbers_covers_one_more(model: MiniLM) -> None:
    """Why a payment fails was explained in the same words whatever its amount was."""
    amounts = {f"why was my payment of {n} euros declined": "why" for n in (5, 20, 31, 70, 90)}
    assert asked(model, "why was my payment of 45 euros declined", amounts).serve


@pytest.mark.parametrize("question", [*DECLINED[:2], *LOST[:2], "Hi, I lost my card"])
def test_supporters_never_speak_against_an_answer(model: MiniLM, question: str) -> None:
    """What a pair of questions is worth alone it is worth among others with the same answer."""
    (alone, *_) = near(model, question, DESK)
    among = asked(model, question, DESK)
    assert among.probability >= judge(question, [alone], threshold=SAFE_THRESHOLD).probability


def test_neighbours_are_parted_by_their_answers(model: MiniLM) -> None:
    """Who has no answer stands alone, and an answer is heard from its third question on."""
    stored = dict.fromkeys(LOST[:3], "lost") | dict.fromkeys(DECLINED[:2], "declined") | {"hello": "", "hey": ""}
    found = votes(near(model, LOST[0], stored))
    assert sorted(len(vote.members) for vote in found) == [1, 1, 2, 3]
    assert [len(vote.members) for vote in found if vote.evidence is not None] == [3]
    assert found[0].members[0].entry.question == LOST[0]


def test_the_intrusion_is_what_would_be_said_without_the_neighbour() -> None:
    """Leaving a neighbour out by formula gives what a regression says that never saw it."""
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(12, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    answers = [0, 1] * 6
    ahead = []
    for at in range(1, 12, 2):
        others = [other for other in range(12) if other != at]
        first, second = weigh(*around(vectors[others], [answers[other] for other in others], vectors[at]))
        ahead.append(first.say - second.say)
    assert weigh(*around(vectors, answers, vectors[0]))[0].intrusion == pytest.approx(max(ahead))


def around(
    vectors: npt.NDArray[np.float64], answers: list[int], question: npt.NDArray[np.float64]
) -> tuple[list[Neighbour], list[int]]:
    neighbours = [
        Neighbour(Entry(str(at), "s", str(at), one.astype(np.float32), b"", str(answers[at])), float(one @ question))
        for at, one in enumerate(vectors)
    ]
    return neighbours, answers


def test_the_order_of_the_neighbours_changes_no_evidence(model: MiniLM) -> None:
    """Stores may name equally near ones in any order."""
    neighbours = near(model, "my card is gone", DESK)
    answers = [("declined", "lost").index(neighbour.entry.answer) for neighbour in neighbours]
    both = list(zip(neighbours, answers, strict=True))
    random.Random(0).shuffle(both)
    first, second = weigh(neighbours, answers), weigh([one for one, _ in both], [one for _, one in both])
    for one, other in zip(first, second, strict=True):
        assert (one.say, one.rival, one.intrusion) == pytest.approx((other.say, other.rival, other.intrusion))


def test_the_model_speaks_the_right_way() -> None:
    """Agreement never speaks against an answer, a doubt or a difference never for it."""
    model = json.loads((files("tuppence") / "data" / "cache_votes.json").read_text("utf-8"))["vote"]
    for feature, weight in model["weights"].items():
        assert weight == 0 or (weight > 0) == (feature in {"say", "lead"}), feature
