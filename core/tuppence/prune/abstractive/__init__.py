"""Passages written shorter by a cheap tier, with what survives of them; opt-in."""

from tuppence.prune.abstractive.condenser import Condenser
from tuppence.prune.abstractive.driving import AsyncModel, Model
from tuppence.prune.abstractive.report import Bill, Condensed
from tuppence.prune.abstractive.stored import Condensates, KeptCondensates
from tuppence.prune.abstractive.survival import Fact, Survival, facts_of, survival

__all__ = [
    "AsyncModel",
    "Bill",
    "Condensates",
    "Condensed",
    "Condenser",
    "Fact",
    "KeptCondensates",
    "Model",
    "Survival",
    "facts_of",
    "survival",
]
