"""Is the trained model any good? Held-out rows, the teacher's answers, plain baselines beside it, and intervals."""

from tuppence.distill.evaluation.answering import Answer, Contender, Served
from tuppence.distill.evaluation.comparing import Comparison, Evaluation, Result, evaluate
from tuppence.distill.evaluation.held_out import HeldOut, read_held_out, same_text
from tuppence.distill.evaluation.tfidf import Tfidf
from tuppence.distill.evaluation.words import Words, fit_words

__all__ = [
    "Answer",
    "Comparison",
    "Contender",
    "Evaluation",
    "HeldOut",
    "Result",
    "Served",
    "Tfidf",
    "Words",
    "evaluate",
    "fit_words",
    "read_held_out",
    "same_text",
]
