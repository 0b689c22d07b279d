"""Open the budgets that a file describes. Every fault is told at its place in the file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tuppence.config.budget_schema import BudgetSettings, BudgetsSettings
from tuppence.config.building import Misbuilt, made, stated
from tuppence.config.source import Fault, Loc
from tuppence.errors import ConfigError
from tuppence.spend.budgets import Budget, Budgets
from tuppence.spend.budgets.opening import MEMORY

_AT: Loc = ("budgets",)


def budgets_of(settings: BudgetsSettings, folder: Path) -> Budgets:
    """Open the budgets; a path is relative to the file's folder. Raises `ConfigError` where the store is no place for
    counters, `BudgetError` where they cannot be opened.
    """
    try:
        return _budgets(settings, store_of(settings, folder))
    except Misbuilt as wrong:
        # The file was read without opening what it names, so that this is found now.
        raise ConfigError(str(wrong)) from wrong


def store_of(settings: BudgetsSettings, folder: Path) -> str | Path | None:
    """Say where the counters are; None for the memory of whoever opens them."""
    if settings.store == MEMORY:
        return None
    return settings.store if "://" in settings.store else folder / Path(settings.store).expanduser()


def budget_faults(settings: BudgetsSettings | None) -> list[Fault]:
    """Find what cannot be budgets, without opening their counters."""
    if settings is None:
        return []
    each = (_fault(partial(_budget, one, at)) for at, one in enumerate(settings.limits))
    found = [fault for fault in each if fault is not None]
    whole = None if found else _fault(partial(_budgets, settings, None))
    return found if whole is None else [whole]


def _budgets(settings: BudgetsSettings, store: str | Path | None) -> Budgets:
    limits = [_budget(one, at) for at, one in enumerate(settings.limits)]
    return made(_AT, lambda: Budgets(*limits, store=store, **stated(settings, "timezone", "unpriced", "lease_s")))


def _budget(settings: BudgetSettings, at: int) -> Budget:
    return made((*_AT, "limits", at), lambda: Budget(**settings.model_dump()))


def _fault(build: Callable[[], object]) -> Fault | None:
    try:
        build()
    except Misbuilt as wrong:
        return wrong.fault
    return None
