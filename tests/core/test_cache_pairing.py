"""What is weighed for and against one answer for two questions, and which way it pulls."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.cache.decision import judge
from tuppence.cache.decision.differences import compare
from tuppence.cache.decision.models import probability
from tuppence.cache.decision.pairing import closeness, pair_features
from tuppence.cache.decision.reading import read
from tuppence.cache.entries import Entry, Neighbour

NOWHERE = np.zeros(384, np.float32)


def features(first: str, second: str, similarity: float = 0.95) -> tuple[str, dict[str, float]]:
    return pair_features(similarity, compare(read(first), read(second)))


def likely(first: str, second: str, similarity: float = 0.95) -> float:
    model, found = features(first, second, similarity)
    return probability(model, found)


_WORDS = "how why do what is the a bread cake oven red warm quickly bake this below not Kenya 14 days . ?".split()
_questions = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=10).map(" ".join) | st.text(max_size=40)
_similarities = st.floats(-1.0, 1.0)


@given(_questions, _questions, _similarities)
def test_it_does_not_matter_which_question_came_first(first: str, second: str, similarity: float) -> None:
    """A pair is weighed alike either way round."""
    assert features(first, second, similarity) == features(second, first, similarity)


@given(_questions, _questions, st.floats(0.6, 1.0), st.floats(0.01, 1.0))
def test_a_decisive_difference_is_never_outvoted(first: str, second: str, similarity: float, threshold: float) -> None:
    """Whatever the similarity, and whatever the threshold."""
    stored = Neighbour(Entry("id", "scope", second, NOWHERE, b"{}"), similarity)
    found = judge(first, [stored], threshold=threshold)
    if compare(read(first), read(second)).decisive:
        assert (found.serve, found.probability) == (False, 0.0)


@given(_similarities, _similarities)
def test_what_is_nearer_is_closer(a: float, b: float) -> None:
    """Closeness rises with similarity, and is finite for two equal vectors, whose product may exceed 1 by rounding."""
    low, high = sorted((a, b))
    assert closeness(low) <= closeness(high) <= closeness(1.0) == closeness(1.0000002)


@pytest.mark.parametrize(
    ("first", "second", "model"),
    [
        ("How do I bake bread?", "How can I bake bread?", "extended"),
        ("How do I bake bread?", "How do I bake bread quickly?", "extended"),
        ("How do I bake bread quickly?", "How do I bake bread?", "extended"),
        ("How do I bake bread?", "How do I bake cake?", "reworded"),
    ],
)
def test_words_against_words_are_weighed_by_a_model_of_their_own(first: str, second: str, model: str) -> None:
    """A word more narrows a question; a word in place of another may turn it into another one."""
    assert features(first, second)[0] == model


PLAIN = ("How do I bake bread?", "How can I bake bread?")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("How do I bake bread?", "How can I bake bread cheaply?"),
        ("How do I bake bread?", "How can I bake cake?"),
        ("How do I bake this bread?", "How can I bake this bread?"),
        ("How do I bake the bread below?", "How can I bake the bread below?"),
    ],
)
def test_what_speaks_against_one_answer(first: str, second: str) -> None:
    """A word of one's own, a word against a word, and speaking of something that is not there."""
    assert likely(first, second) < likely(*PLAIN)


def test_a_long_text_drowns_the_word_that_differs() -> None:
    """At one similarity, a rival word among many shared ones is the greater danger."""
    around = " for a party of old friends who live by the river and love music"
    short = likely("How do I bake bread?", "How do I bake cake?")
    assert likely(f"How do I bake bread{around}?", f"How do I bake cake{around}?") < short


def test_what_is_told_beside_the_question_drowns_a_word_too() -> None:
    """Sentences before and after a question make two texts similar, whatever is asked."""
    told = "My oven is new. It came with a tray. "
    bread, cake = "How do I bake bread?", "How do I bake cake?"
    assert features(bread, cake)[1]["sentences"] == 1.0
    assert features(told + bread, told + cake)[1]["sentences"] == 3.0
    assert likely(told + bread, told + cake) < likely(bread, cake)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [("How do I bake bread", 1), ("Bread. How?", 2), ("Is 3.5 or v1.2 newer?", 1), ('"Why?" Who said it? Tell me.', 3)],
)
def test_sentences_are_counted(text: str, sentences: int) -> None:
    """By a mark and a blank after it, so that no number is cut."""
    assert read(text).sentences == sentences
