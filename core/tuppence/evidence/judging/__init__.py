"""Judges of live traffic: a model that looks at a share of the settled calls, and what its judgements say."""

from tuppence.evidence.judging.judge import Judge
from tuppence.evidence.judging.judgements import Judgement, JudgementLog, MemoryJudgements
from tuppence.evidence.judging.labels import from_judgements
from tuppence.evidence.judging.ratings import Pairwise, Rated, Rating
from tuppence.evidence.judging.sqlite import SqliteJudgements

__all__ = [
    "Judge",
    "Judgement",
    "JudgementLog",
    "MemoryJudgements",
    "Pairwise",
    "Rated",
    "Rating",
    "SqliteJudgements",
    "from_judgements",
]
