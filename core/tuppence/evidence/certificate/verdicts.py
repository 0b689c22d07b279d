"""What an attempt to certify ends in: a certificate, the want of more labels, or the finding that nothing is saved.

Figures and their words. Nothing is reckoned here but sums, and nothing is decided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from tuppence.prices import usd
from tuppence.spend.figures import dollars


@dataclass(frozen=True, slots=True)
class Span:
    """An estimate with its interval."""

    value: float
    low: float
    high: float
    """Infinite where the labels set no limit."""


@dataclass(frozen=True, slots=True)
class Labels:
    """How many labelled questions were used, and what for."""

    train: int
    certify: int

    @property
    def total(self) -> int:
        """All of them: no question is counted in both parts."""
        return self.train + self.certify


@dataclass(frozen=True, slots=True)
class Saving:
    """What is saved against asking the strongest tier every time, with every other call subtracted; estimated."""

    per_call: Decimal
    """USD."""
    low: Decimal
    high: Decimal
    share: Span
    """Of the strongest tier's cost."""
    strongest_per_call: Decimal
    """USD: what the strongest tier alone costs."""

    @property
    def per_1000(self) -> Decimal:
        """USD that a thousand calls save."""
        return 1000 * self.per_call


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a question waits for the answer that is kept."""

    mean_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One threshold: what it would give, and what its test said."""

    threshold: float
    tested: bool
    """False for what comes after the first failure: it is never looked at."""
    certified: bool
    log_wealth: float | None
    """Natural logarithm of the highest wealth; None where not tested."""
    quality: float
    """Mean over the labels that certify."""
    quality_ratio: float
    """Of the strongest tier's mean."""
    usd_per_call: Decimal
    saved: float
    """Share of the strongest tier's cost; below 0 it loses."""
    latency: Latency | None


@dataclass(frozen=True, slots=True)
class Certified:
    """The promise: with probability 1 - `delta` the policy keeps at least `target` of the strongest tier's quality."""

    target: float
    delta: float
    threshold: float
    quality_ratio: Span
    """Either end alone holds with probability 1 - `delta`, for this threshold looked at by itself."""
    saving: Saving
    latency: Latency | None
    labels: Labels
    log_wealth: float
    """Natural logarithm of the highest wealth at the chosen threshold; log(1 / delta) was needed."""
    trials: tuple[Trial, ...]

    @property
    def words(self) -> str:
        """The verdict as a sentence."""
        ratio, share = self.quality_ratio, self.saving.share
        return (
            f"certified: with probability {_part(1 - self.delta)} the policy keeps at least {_part(self.target)} of "
            f"the strongest tier's quality. It is estimated to keep {ratio.value:.1%} ({_interval(ratio)}) and to save "
            f"${dollars(self.saving.per_call)} a call, ${dollars(self.saving.per_1000)} in 1,000 calls: "
            f"{share.value:.1%} ({_interval(share)}). {self.labels.total:,} labels: {self.labels.train:,} to learn "
            f"from, {self.labels.certify:,} to certify"
        )


@dataclass(frozen=True, slots=True)
class NotCertifiable:
    """There is money to save, but these labels do not prove that quality is kept."""

    target: float
    delta: float
    labels: Labels
    more_labels: int | None
    """About how many more are needed, of which the same part learns; None where more of the same would not do."""
    threshold: float
    """The strictest threshold that clearly saves money: the least that would have to be certified."""
    saved: float
    """Share of the strongest tier's cost that it saves."""
    quality_ratio: float
    """What it keeps of the strongest tier's quality on the labels that certify."""
    trials: tuple[Trial, ...]

    @property
    def words(self) -> str:
        """The verdict as a sentence."""
        if self.more_labels is None:
            return (
                f"not certifiable at {_part(self.target)}, and no number of labels would do if these are typical: the "
                f"strictest threshold that saves money ({self.saved:.1%}) keeps {self.quality_ratio:.1%} of the "
                "strongest tier's quality. Ask for less, or try other tiers"
            )
        return (
            f"not certifiable at {_part(self.target)} yet: needs about {self.more_labels:,} more labels. The strictest "
            f"threshold that saves money ({self.saved:.1%}) keeps {self.quality_ratio:.1%} of the strongest tier's "
            f"quality on {self.labels.certify:,} labels, which is not enough to be sure"
        )


@dataclass(frozen=True, slots=True)
class NoSaving:
    """Nothing to certify: whatever keeps the target costs as much as the strongest tier alone, or is forbidden."""

    target: float
    delta: float
    labels: Labels
    reason: str
    """What was found, with its figures."""
    strongest_per_call: Decimal
    """USD."""
    cheapest_per_call: Decimal
    """USD: the cheapest that was tried."""
    trials: tuple[Trial, ...] = ()

    @property
    def words(self) -> str:
        """The verdict as a sentence."""
        return f"no tier mix saves money at this target ({_part(self.target)}): {self.reason}"


Verdict = Certified | NotCertifiable | NoSaving


def amount(mean_usd: float) -> Decimal:
    """Return a mean of dollars as a `Decimal`, rounded to pico-USD like every sum of money here."""
    return usd(round(mean_usd * 1e12))


def _part(value: float) -> str:
    return f"{100 * value:.10g}%"


def _interval(span: Span) -> str:
    if math.isinf(span.high):
        return f"at least {100 * span.low:.1f}%"
    return f"{100 * span.low:.1f} to {100 * span.high:.1f}%"
