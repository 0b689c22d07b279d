"""Whether a stored answer may be served: pairs of questions, neighbours that agree, and what nobody else may share."""

import json
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.cache.decision import SAFE_THRESHOLD, judge, opposed, unshareable
from tuppence.cache.entries import Entry, Neighbour

NOWHERE = np.zeros(384, np.float32)


def near(question: str, similarity: float, answer: str = "") -> Neighbour:
    return Neighbour(Entry(question, "scope", question, NOWHERE, b"{}", answer=answer), similarity)


def asked(question: str, *neighbours: Neighbour, threshold: float = SAFE_THRESHOLD) -> str | None:
    """The stored question whose answer is served."""
    found = judge(question, neighbours, threshold=threshold)
    assert 0.0 <= found.probability <= 1.0
    return found.entry.question if found.serve and found.entry else None


def test_an_empty_scope_serves_nothing() -> None:
    """Nothing is stored, nothing is likely, and that is said."""
    found = judge("How do I bake bread?", [], threshold=0.1)
    assert (found.serve, found.probability, found.entry) == (False, 0.0, None)
    assert "nothing stored" in found.reason


def test_the_same_question_in_other_words_is_served() -> None:
    """Similar, and nothing differs: the reason names the question, its similarity, and that."""
    found = judge("hi, how can i bake bread?", [near("How do I bake bread?", 0.96)], threshold=SAFE_THRESHOLD)
    assert found.serve
    assert found.reason == "serves 'How do I bake bread?' (similarity 0.96, nothing differs)"


def test_a_decisive_difference_is_refused_at_any_similarity_and_threshold() -> None:
    """No similarity outvotes another number; the reason begins with what differs."""
    found = judge("Can 14 guests stay?", [near("Can 40 guests stay?", 1.0)], threshold=0.0001)
    assert (found.serve, found.probability) == (False, 0.0)
    assert found.reason.startswith("number: 14 against 40")


def test_what_is_far_is_refused_unread() -> None:
    """Words alone make no repeat."""
    found = judge("How do I bake bread?", [near("How do I bake bread?", 0.3)], threshold=0.01)
    assert not found.serve
    assert "too far" in found.reason


def test_a_true_repeat_behind_a_trap_is_found() -> None:
    """The nearest question differs in a number, the next one does not."""
    trap, repeat = near("Can 40 guests stay here?", 0.99), near("Could 14 guests stay here?", 0.97)
    assert asked("Can 14 guests stay here?", trap, repeat) == "Could 14 guests stay here?"


def test_another_word_takes_more_similarity_than_none() -> None:
    """What the lists do not know, similarity must vouch for."""
    bread = judge("How do I bake a loaf?", [near("How can I bake a loaf?", 0.96)], threshold=1.0)
    other = judge("How do I bake a loaf?", [near("How can I bake a stollen?", 0.96)], threshold=1.0)
    assert other.probability < SAFE_THRESHOLD <= bread.probability
    assert other.reason.startswith("words: loaf against stollen")


@given(st.floats(0.6, 1.0), st.floats(0.6, 1.0))
def test_nearer_is_never_less_likely(a: float, b: float) -> None:
    """All else being equal, probability rises with similarity."""
    low, high = sorted((a, b))
    for stored in ("How can I bake a loaf?", "How can I bake a stollen?"):
        less, more = (judge("How do I bake a loaf?", [near(stored, s)], threshold=0.5).probability for s in (low, high))
        assert less <= more


@given(st.floats(0.01, 0.99))
def test_the_threshold_decides_and_changes_nothing_else(threshold: float) -> None:
    """It is policy: the probability is the same whatever is asked of it."""
    neighbours = [near("How can I bake a loaf?", 0.9)]
    found = judge("How do I bake a loaf?", neighbours, threshold=threshold)
    assert found.probability == judge("How do I bake a loaf?", neighbours, threshold=1.0).probability
    assert found.serve == (found.probability >= threshold)


def test_two_answers_are_compared_too() -> None:
    """An audit may ask whether two answers contradict each other."""
    assert opposed("It takes 14 days.", "It takes 40 days.") == "amount: 14 days against 40 days"
    assert opposed("It takes 14 days.", "It takes two weeks.") is None


def test_the_models_speak_the_right_way() -> None:
    """A likeness never speaks against an answer, a difference never for it."""
    models = json.loads((files("tuppence") / "data" / "cache_decision.json").read_text("utf-8"))
    for name in ("extended", "reworded"):
        for feature, weight in models[name]["weights"].items():
            assert (weight >= 0) == (feature in {"closeness"}), (name, feature)


PERSONAL = [
    "What is my balance?", "Where is my order?", "where's my package", "When will my parcel arrive?",
    "How much do I owe?", "Do I have any meetings tomorrow?", "Has my refund been processed?",
    "Show me my transactions", "Could you tell me what my account number is?", "When does my flight leave?",
    "Who am I?", "remind me to call mom", "Hi! Please set an alarm for 7", "find a pizza place near me",
    "Cancel my next appointment", "Are there any new emails?",
]  # fmt: skip
TIME_BOUND = [
    "What's the weather today?", "Is it raining?", "What time is it in Lima?", "What is the latest news?",
    "Who is the current president of France?", "What is the stock price of Acme?", "Is the store open right now?",
    "What's happening in town this weekend?", "How is the weather in London?",
    "What is the exchange rate of euro to yen?",
]  # fmt: skip
SHAREABLE = [
    "How do I change my password?", "How do I track my order?", "How can I check my balance?",
    "Can I cancel my order?", "Why was my payment declined?", "My card has not arrived yet",
    "What should I do if my card is stolen?", "I paid this morning and it was declined, why?",
    "Where can I find my account number?", "What is a current account?", "What are the problems of today's world?",
    "How do I set an alarm on a phone?", "How does weather form?", "When is it necessary to call a doctor?",
    "What happens if I lose my passport?", "How is a credit score calculated?",
    "What is the time limit for a claim?", "Is it safe to swim now?", "The exchange rate was wrong on my purchase",
    "",
]  # fmt: skip


@pytest.mark.parametrize("question", PERSONAL)
def test_one_persons_data_is_not_shared(question: str) -> None:
    """The answer would hold what only the asker may see, or tell that something was done for him."""
    assert (unshareable(question) or "").startswith("personal")


@pytest.mark.parametrize("question", TIME_BOUND)
def test_what_another_hour_changes_is_not_shared(question: str) -> None:
    """The answer was true when it was given."""
    assert (unshareable(question) or "").startswith("time-bound")


@pytest.mark.parametrize("question", SHAREABLE)
def test_advice_is_shared(question: str) -> None:
    """It says "my" or "today", and the answer is the same for all."""
    assert unshareable(question) is None


@given(st.text(max_size=200))
def test_any_text_can_be_judged(text: str) -> None:
    """No text raises."""
    unshareable(text)
    judge(text, [near("How do I bake bread?", 0.9, "x"), near(text, 0.9, "x")], threshold=0.5)
