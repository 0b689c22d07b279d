"""One alert: what is off, since when, what changed most, and where to look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tuppence.prices import PicoUSD, usd
from tuppence.spend.digest.decomposition import Key


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is off by more than noise."""

    rule: str
    scope: str
    """The endpoint, tier, user or workflow; `all calls` for everything."""
    since: datetime
    at: datetime
    said: str
    """One sentence with the figures."""
    value: float
    usual: float
    """Both in the unit of the rule: dollars, tokens, attempts, or a part."""
    extra_pico: PicoUSD
    """What the same hours cost more than usual, in all calls of the scope."""
    drivers: Mapping[Key, PicoUSD]
    """What that comes from, by driver and endpoint; adds up to `extra_pico` exactly."""
    look_at: str
    new: bool = True
    """False for one that rang before and is still on."""

    @property
    def key(self) -> str:
        return f"{self.rule}/{self.scope}"

    @property
    def extra_usd(self) -> Decimal:
        return usd(self.extra_pico)
