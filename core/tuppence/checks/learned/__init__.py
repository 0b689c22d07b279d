"""A check that was learned from labelled answers."""

from tuppence.checks.learned.check import Learned, learned
from tuppence.checks.learned.model import Ahead, LearnedModel, Outlook, Stage, Weighing, read_model
from tuppence.checks.learned.stopping import Limits, Prospect, limits, score
from tuppence.checks.learned.traits import agreement_traits, answer_traits, question_traits, traits_of, with_answers

__all__ = [
    "Ahead",
    "Learned",
    "LearnedModel",
    "Limits",
    "Outlook",
    "Prospect",
    "Stage",
    "Weighing",
    "agreement_traits",
    "answer_traits",
    "learned",
    "limits",
    "question_traits",
    "read_model",
    "score",
    "traits_of",
    "with_answers",
]
