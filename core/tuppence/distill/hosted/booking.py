"""What a fine-tuning cost, as a row of the ledger, and the model that came of it, as a tier."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tuppence.attempts import Attempt, Decision, Result
from tuppence.distill.trainers import Trained
from tuppence.distill.training_cost import hosted_usd
from tuppence.prices import PriceBook, Rate, pico_usd
from tuppence.tiers import Tier
from tuppence.usage import Usage

FINE_TUNING = "fine-tuning"
"""Tier and task of the row, and the name of its tokens among `Usage.calls`: they are no call's input."""


def training_usd(tokens: int | None, usd_per_mtok: Decimal | None) -> Decimal | None:
    """Price billed training tokens, which the provider counts over all epochs; None where either is not known."""
    return None if tokens is None or usd_per_mtok is None else hosted_usd(tokens, epochs=1, usd_per_mtok=usd_per_mtok)


def booked(told: Mapping[str, Any], base: str, usd: Decimal | None) -> Result:
    """Return a finished job as a settled call, always the same for the same job."""
    attempt = Attempt(
        tier=FINE_TUNING, model=base, cause="observed", outcome="observed",
        usage=Usage(calls=((FINE_TUNING, told["tokens"] or 0),)), pico_usd=None if usd is None else pico_usd(usd),
        status="unpriced" if usd is None else "exact", price_version="user",
        started_at=float(told["created_at"]), latency_ms=told["seconds"] * 1000,
    )  # fmt: skip
    tags = {"task": FINE_TUNING, "model": str(told["model"])}
    return Result(f"{FINE_TUNING}-{told['job']}", None, [attempt], Decision("observed"), tags)


def tier_of(trained: Trained, name: str, *, rate: Rate | None = None, provider: str | None = "openai") -> Tier:
    """Return a trained model as a tier: at `rate`, or at its listed price; unpriced where no list knows it."""
    known = rate or PriceBook.default().rate(trained.model, provider=provider)
    return Tier(name, model=trained.model, provider=provider, rate=known)
