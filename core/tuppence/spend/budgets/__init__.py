"""Limits of what calls may cost, and the counters that they are held to."""

from tuppence.spend.budgets.budget import Budget
from tuppence.spend.budgets.budgets import Budgets, Standing
from tuppence.spend.budgets.counters import Counters, Swept

__all__ = ["Budget", "Budgets", "Counters", "Standing", "Swept"]
