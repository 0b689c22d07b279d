"""A check that was learned from labelled answers."""

from tuppence.checks.learned.check import Learned, learned, score
from tuppence.checks.learned.model import LEAST_AGREEMENT, LearnedModel, Opinion, Stage, Weighing, read_model
from tuppence.checks.learned.traits import agreement_traits, answer_traits, question_traits, traits_of, with_answers

__all__ = [
    "LEAST_AGREEMENT",
    "Learned",
    "LearnedModel",
    "Opinion",
    "Stage",
    "Weighing",
    "agreement_traits",
    "answer_traits",
    "learned",
    "question_traits",
    "read_model",
    "score",
    "traits_of",
    "with_answers",
]
