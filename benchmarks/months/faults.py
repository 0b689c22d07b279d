"""What goes wrong in a month, or just changes: from when, how much, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

FAULTS: Mapping[str, tuple[float, float]] = {
    "prompt_growth": (1.3, 3.0),
    "retry_storm": (0.15, 0.6),
    "tier_shift": (0.3, 0.9),
    "cache_broken": (0.8, 1.0),
    "token_spike": (0.3, 2.0),
    "traffic_surge": (1.6, 4.0),
    "superlinear": (1.2, 2.0),
    "price_change": (1.2, 1.8),
    "judge_drift": (0.08, 0.25),
}
"""Faults and the range that their size is drawn from.

prompt_growth: factor on prompts. retry_storm: share of asks that fail or are invalid, on top of the usual.
tier_shift: share of the drafts that are left out, the dearest tier being asked at once. cache_broken: share of hits
that are lost, the provider's included. token_spike: one user's spending, as a share of everybody's. traffic_surge:
factor on sessions. superlinear: power of its input that a workflow's calls grow with; up to 1.3 it is n log n.
price_change: factor on one tier's price. judge_drift: what the scores of a judge of live traffic fall by."""

CHANGES: Mapping[str, tuple[float, float]] = {
    "more_users": (1.1, 1.6),
    "longer_chats": (1.15, 1.8),
    "longer_answers": (1.15, 1.8),
    "cheaper_price": (0.5, 0.9),
}
"""What changes without being wrong. more_users: factor on sessions, brought by users of their own."""
KINDS = (*FAULTS, *CHANGES)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changes at a known moment."""

    kind: str
    start_hour: int
    """Hours from the month's beginning."""
    size: float
    endpoint: int | None = None
    """Where; None for everywhere, and for kinds that have no place."""
    ramp_hours: int = 0
    """How long it takes to come to its size; 0 for at once."""
    until_hour: int | None = None
    """When it is over; None for never."""
    flavour: int = 0
    """A free choice within the kind, such as which tier's price, or retries that are billed."""

    def level(self, hours: np.ndarray) -> np.ndarray:
        """Return how far it has come at these hours, in [0, 1]."""
        since = np.asarray(hours, dtype=float) - self.start_hour
        level = np.clip((since + 1) / max(1, self.ramp_hours), 0.0, 1.0) * (since >= 0)
        return level if self.until_hour is None else level * (np.asarray(hours) < self.until_hour)

    def factor(self, hours: np.ndarray) -> np.ndarray:
        """Return a factor that grows from 1 to its size."""
        return 1.0 + self.level(hours) * (self.size - 1.0)
