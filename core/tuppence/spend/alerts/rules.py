"""What rings: thresholds that a person sets, and how many false alarms a month they will stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal

from tuppence.errors import ConfigError
from tuppence.prices import PicoUSD, pico_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """Thresholds; None switches a rule off. A part such as 0.2 is what the quantity must be above (or below) the usual
    by, beside being more than noise.
    """

    cost_per_request: float | None = 0.20
    spend: float | None = 0.20
    """Above what this hour of the week and the last week's level project."""
    requests: float | None = 0.50
    """Above the same; of sessions too, where workflows and sessions are tagged."""
    tokens_per_request: float | None = 0.20
    user_tokens: float | None = 0.20
    """What one user sends more than usual, as a part of everybody's usual tokens."""
    amplification: float | None = 0.10
    """Attempts a request."""
    retries: float | None = 0.03
    """The part of the attempts that fail or repeat one, above the usual, in points."""
    cache_hits: float | None = 0.50
    """Fall of the answer cache's share of requests."""
    prefix_hits: float | None = 0.50
    """Fall of the provider's prompt cache's share of input tokens."""
    tier_mix: float | None = 0.20
    """What an attempt costs more because dearer tiers are asked."""
    price: float | None = 0.10
    judge_score: float | None = 0.05
    """Fall of the mean score, in points of [0, 1]."""
    growth: float | None = 0.15
    """A workflow's calls grow with a power of its input that is certainly above 1 by this."""
    run_calls: float | None = 0.50
    """Calls of a workflow's run, beside what runs of the same input made."""
    daily_budget_usd: Decimal | str | int | None = None
    budget_shares: tuple[float, ...] = (0.5, 0.8, 1.0)
    """Parts of the daily budget, in UTC days, each of which rings once a day."""
    false_alarms: float = 1.0
    """How many rings a month may be noise, over all rules together."""
    cool_down_hours: int = 24
    """After a ring, the same rule is quiet about the same thing for so long."""
    history_days: int = 28
    where: Mapping[str, str] = field(default_factory=dict)
    """Only calls with these tags."""

    def __post_init__(self) -> None:
        for name in THRESHOLDS:
            value = getattr(self, name)
            if value is not None and not 0 < value < 100:
                raise ConfigError(f"{name} is {value!r}; give a part above 0, such as 0.2 for 20%, or None")
        for name, low, high in (("false_alarms", 0.0, 1000.0), ("cool_down_hours", 0, 720), ("history_days", 8, 92)):
            if not low <= getattr(self, name) <= high or (name == "false_alarms" and not self.false_alarms):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; give a number between {low} and {high}")
        if any(not 0 < share <= 10 for share in self.budget_shares):
            raise ConfigError(
                f"budget_shares are {self.budget_shares!r}; give parts of the budget, such as 0.5 and 1.0"
            )
        if self.daily_budget_usd is not None and pico_usd(self.daily_budget_usd) <= 0:
            raise ConfigError(f"daily_budget_usd is {self.daily_budget_usd!r}; give dollars above 0, or None")

    @property
    def daily_budget(self) -> PicoUSD | None:
        return None if self.daily_budget_usd is None else pico_usd(self.daily_budget_usd)


THRESHOLDS = tuple(one.name for one in fields(AlertRules))[:14]
"""Names of the rules that have a threshold."""
