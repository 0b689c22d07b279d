"""How figures and labels are shown in a terminal: short, and never as control characters."""

from __future__ import annotations

from decimal import Decimal

NO_VALUE = "(none)"


def short(count: int) -> str:
    """Show a count with its thousands apart, from a million on rounded."""
    for power, unit in ((12, "T"), (9, "G"), (6, "M")):
        if count >= 10**power:
            return f"{count / 10**power:.2f}{unit}"
    return f"{count:,}"


def dollars(amount: Decimal) -> str:
    """Show cents where there are dollars, and six digits where there are only fractions of a cent."""
    return f"{amount:,.2f}" if abs(amount) >= 100 else f"{amount:,.4f}" if abs(amount) >= 1 else f"{amount:,.6f}"


def label(value: str | None) -> str:
    """Show a label; what cannot be printed is spelt."""
    if value is None:
        return NO_VALUE
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
