"""How figures, times and labels are spelt on the page."""

from __future__ import annotations

from datetime import UTC, datetime

from tuppence.prices import PicoUSD, usd
from tuppence.spend.page.sections import Step

MINUS = "\N{MINUS SIGN}"
UNKNOWN = "\N{EN DASH}"
"""Stands where a figure is not known, or there is nothing to divide by."""
REST = "all others"


def dollars(pico: PicoUSD) -> str:
    """Show cents where there are dollars, and down to a hundredth of a cent and less below."""
    amount = abs(usd(pico))
    digits = f"{amount:,.2f}" if amount >= 10 else f"{amount:.4f}" if amount >= 1 else _small(pico)
    return f"{MINUS if pico < 0 else ''}${digits}"


def signed(pico: PicoUSD) -> str:
    """Show an amount that is added to another, its sign always with it."""
    return f"+{dollars(pico)}" if pico > 0 else dollars(pico)


def _small(pico: PicoUSD) -> str:
    amount = abs(usd(pico))
    if amount >= usd(10**7):
        return f"{amount:.4f}" if amount >= usd(10**10) else f"{amount:.6f}"
    return f"{amount:.12f}".rstrip("0") if pico else "0"


def count(number: int) -> str:
    return f"{number:,}"


def percent(part: float, whole: float) -> str:
    """Show a share with one digit behind the point."""
    return f"{100 * part / whole:.1f}%".replace("-", MINUS) if whole else UNKNOWN


def ratio(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def seconds(ms: float | None) -> str:
    """Show a latency in the unit that reads best."""
    if ms is None:
        return UNKNOWN
    return f"{ms:.2f} ms" if ms < 10 else f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def label(value: str | None) -> str:
    return "(none)" if value is None else value or "(empty)"


def moment(us: int, step: Step | None = None) -> str:
    """Show a time in UTC, as exact as the step that it stands for."""
    at = datetime.fromtimestamp(us / 1e6, UTC)
    if step in ("day", "week"):
        return f"{at:%Y-%m-%d}"
    return f"{at:%Y-%m-%d %H:%M}"
