"""What the page shows, as plain values: read by `facts`, laid out by `document`, handed in where other rooms know it.

Money is in pico-USD and times in microseconds since the epoch, UTC. What is not known is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tuppence.prices import PicoUSD

Step = Literal["hour", "day", "week"]


@dataclass(frozen=True, slots=True)
class Axis:
    """The stretches of time that everything over time is cut into, gaps included."""

    starts_us: tuple[int, ...]
    step: Step


@dataclass(frozen=True, slots=True)
class Share:
    """What one tier, user or endpoint cost in each stretch of time."""

    label: str | None
    """None where a call carries no such tag."""
    pico_usd: tuple[PicoUSD, ...]

    @property
    def total(self) -> PicoUSD:
        return sum(self.pico_usd)


@dataclass(frozen=True, slots=True)
class Split:
    """Spend over time by one dimension, the dearest first."""

    by: str
    shares: tuple[Share, ...]
    rest: Share | None
    """All beyond the first few, added up; None where there are no more."""
    members: int
    """How many labels there are, those of the rest included."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened in one stretch of time."""

    calls: int = 0
    attempts: int = 0
    """Tries to get an answer, cache hits left out."""
    exact_hits: int = 0
    similar_hits: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    """Those of them that were read from the provider's prompt cache."""

    @property
    def amplification(self) -> float | None:
        return self.attempts / self.calls if self.calls else None


@dataclass(frozen=True, slots=True)
class Hour:
    """What one hour's attempts cost: as much as a forecast needs."""

    start_us: int
    pico_usd: PicoUSD
    unpriced: int
    key: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class TierLine:
    """All attempts on one tier; hits are on the tiers `cache` (exact) and `similar`."""

    tier: str
    attempts: int
    hits: int
    failed: int
    retries: int
    pico_usd: PicoUSD
    unpriced: int
    """Attempts whose price is not known: they are missing from `pico_usd`."""
    estimated: int
    """Attempts whose tokens were estimated, because the provider did not say."""
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    p50_ms: float | None = None
    """The least latency that half of the attempts did not exceed (nearest rank)."""
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class DearCall:
    """One of the dearest calls: numbers and labels, never text."""

    call_id: str
    started_us: int
    tiers: tuple[str, ...]
    """In the order in which they were asked."""
    attempts: int
    pico_usd: PicoUSD
    unpriced: int
    input_tokens: int
    output_tokens: int
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Fall:
    """One step of the waterfall from what the baseline would have cost to what was paid."""

    name: str
    pico_usd: PicoUSD
    """Added to what stands before it; below 0 for what saves."""
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class SavingsShown:
    """Where the saving comes from. `full` plus all steps is `paid` for the calls that can be compared."""

    baseline: str
    """What the saving is measured against, in words."""
    full_pico: PicoUSD
    steps: tuple[Fall, ...]
    compared_pico: PicoUSD
    compared: int
    """Calls that have a saving; the others are `not_compared_pico` of what was paid."""
    not_compared_pico: PicoUSD

    @property
    def saved_pico(self) -> PicoUSD:
        return self.full_pico - self.compared_pico


@dataclass(frozen=True, slots=True)
class ForecastShown:
    """What a period comes to, by who forecasts it."""

    scope: str
    """Of what: `all calls`, or a label."""
    days_us: tuple[int, ...]
    """Starts of the days ahead."""
    expected_pico: tuple[PicoUSD, ...]
    low_pico: tuple[PicoUSD, ...]
    high_pico: tuple[PicoUSD, ...]
    """Interval of each day."""
    level: float
    """The interval's probability, such as 0.8."""
    sentence: str
    """The forecast in words: what the period comes to, and when a budget ends."""


@dataclass(frozen=True, slots=True)
class AlertShown:
    """Something that rang."""

    at_us: int
    rule: str
    scope: str
    what: str
    """What happened and what changed most, in words."""
    over: bool = False
    """Whether it has recovered since."""


@dataclass(frozen=True, slots=True)
class BudgetShown:
    """How one counter of a budget stands."""

    budget: str
    scope: str
    spent_pico: PicoUSD
    held_pico: PicoUSD
    """What calls under way may yet cost."""
    limit_pico: PicoUSD
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Added:
    """What other rooms know and the ledger's rows do not say; a section for which this holds None is left out."""

    forecast: ForecastShown | None = None
    alerts: tuple[AlertShown, ...] | None = None
    """Empty where rules were asked and nothing rang."""
    budgets: tuple[BudgetShown, ...] | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is read from the ledger, from one snapshot of it."""

    ledger: str
    """Which ledger, in a word that may be shown to others: no folder, no password."""
    made_us: int
    where: tuple[tuple[str, str], ...]
    axis: Axis
    splits: tuple[Split, ...]
    moments: tuple[Moment, ...]
    hours: tuple[Hour, ...]
    tiers: tuple[TierLine, ...]
    calls: int
    savings: SavingsShown | None
    dearest: tuple[DearCall, ...]

    @property
    def pico_usd(self) -> PicoUSD:
        return sum(line.pico_usd for line in self.tiers)

    @property
    def attempts(self) -> int:
        return sum(line.attempts for line in self.tiers)

    @property
    def hits(self) -> int:
        return sum(line.hits for line in self.tiers)

    @property
    def unpriced(self) -> int:
        return sum(line.unpriced for line in self.tiers)

    @property
    def priced(self) -> bool:
        """Whether anything is known of what was paid; hits alone are known to be free."""
        return self.attempts + self.hits > self.unpriced

    @property
    def estimated(self) -> int:
        return sum(line.estimated for line in self.tiers)
