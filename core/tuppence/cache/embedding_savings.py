"""What an embedding cache saves: counted for whoever holds it, and booked as hits where a price is known.

It must never put a price on what has none: such hits are counted, and not booked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from tuppence.attempts import Attempt, Decision, Result, new_call_id
from tuppence.context import Spend, current_tags
from tuppence.prices import PicoUSD, Rate, usd
from tuppence.usage import Usage


@dataclass(frozen=True, slots=True)
class Saved:
    """What an embedding cache has saved so far."""

    hits: int = 0
    """Texts that were not sent to the model: kept, twice in a batch, or just being embedded for somebody else."""
    misses: int = 0
    """Texts that were sent."""
    tokens: int = 0
    """Tokens of the hits."""
    pico_usd: PicoUSD = 0
    """What the hits would have cost; 0 where the model has no known price."""
    faults: int = 0
    """Times that the store failed, and the model was asked instead or an embedding not kept."""
    last_fault: str = ""

    @property
    def usd(self) -> Decimal:
        return usd(self.pico_usd)


class SavingsTally:
    """Adds up what one cache saves; safe to share between threads."""

    def __init__(self, model: str, rate: Rate | None, record: Callable[[Result], None] | None) -> None:
        self._model = model
        self._rate = rate
        self._record = record
        self._saved = Saved()
        self._lock = threading.Lock()

    @property
    def saved(self) -> Saved:
        return self._saved

    def fault(self, error: Exception) -> None:
        """Note that the store failed."""
        told = f"{type(error).__name__}: {error}"
        with self._lock:
            self._saved = replace(self._saved, faults=self._saved.faults + 1, last_fault=told)

    def served(self, *, hits: int, misses: int, tokens: int, started_at: float, spends: Sequence[Spend]) -> None:
        """Count one call of the cache; `tokens` are those of its hits, the start is in Unix seconds."""
        now = time.time()
        baseline = None if self._rate is None else self._rate.at(now).cost(Usage(input=tokens))
        with self._lock:
            before = self._saved
            self._saved = replace(
                before, hits=before.hits + hits, misses=before.misses + misses, tokens=before.tokens + tokens,
                pico_usd=before.pico_usd + (baseline or 0),
            )  # fmt: skip
        if not hits or baseline is None:
            return
        result = self._booked(baseline, started_at, now)
        for spend in spends:
            spend.add(result)
        if self._record is not None:
            self._record(result)

    def _booked(self, baseline: PicoUSD, started_at: float, now: float) -> Result:
        """Write the hits of one call down, as one row: they cost nothing, and spare what the model would have cost."""
        attempt = Attempt(
            tier="cache", model=self._model, cause="hit", outcome="hit", usage=Usage(), pico_usd=0, status="exact",
            price_version="", started_at=started_at, latency_ms=max(0.0, now - started_at) * 1000,
            baseline_pico=baseline,
        )  # fmt: skip
        decision = Decision("optimise", cache="embeddings: hit", baseline=self._model)
        return Result(new_call_id(), None, [attempt], decision, current_tags())
