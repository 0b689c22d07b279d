"""What a configuration file may say of budgets. Shapes and ranges only: `budgeting` says what it means."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tuppence.config.shapes import Strict
from tuppence.config.values import Dollars, Label, Seconds
from tuppence.spend.budgets.budget import Per
from tuppence.spend.budgets.budgets import Unpriced


class BudgetSettings(Strict):
    """One limit."""

    usd: Annotated[Dollars, Field(gt=0)]
    per: Per
    each: Annotated[str, Field(min_length=1)] | None = None
    where: dict[str, Label] = Field(default_factory=dict)
    soft: bool = False
    name: Label = ""


class BudgetsSettings(Strict):
    """Limits, and where what is spent is counted."""

    limits: Annotated[list[BudgetSettings], Field(min_length=1)]
    store: Annotated[str, Field(min_length=1)] = "memory"
    timezone: Annotated[str, Field(min_length=1)] | None = None
    unpriced: Unpriced | None = None
    lease_s: Seconds | None = None
