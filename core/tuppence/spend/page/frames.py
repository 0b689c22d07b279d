"""What all pictures share: axes, margins, how hovering looks, and labels that plotly takes for nothing but text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from tuppence.prices import PicoUSD
from tuppence.spend.page.markup import visible
from tuppence.spend.page.sections import Axis, Step
from tuppence.spend.page.wording import moment

Chart = dict[str, Any]
"""`data` and `layout` as plotly.js takes them, and a `height` in pixels where the style sheet's does not do."""

STEP_MS: dict[Step, int] = {"hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}
_HOVER: dict[Step, str] = {"hour": "%a %-d %b %Y, %H:00 UTC", "day": "%a %-d %b %Y", "week": "week of %a %-d %b %Y"}
_LABEL_CHARS = 28
_LEAST_STEPS = 12


def chart(data: Sequence[dict[str, Any]], across: dict[str, Any], upright: dict[str, Any], **layout: Any) -> Chart:
    """Put a picture together. Its text and lines get their colours from the page's style sheet, so that one drawing is
    right in light and in dark.
    """
    common = {
        "autosize": True, "showlegend": False, "margin": {"l": 8, "r": 12, "t": 10, "b": 40}, "dragmode": False,
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "hovermode": "x unified",
        "font": {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif", "size": 12},
        "hoverlabel": {"bgcolor": "#2b2824", "bordercolor": "#2b2824", "font": {"color": "#ffffff"}, "namelength": -1},
    }  # fmt: skip
    return {"data": list(data), "layout": common | {"xaxis": across, "yaxis": upright} | layout}


def plain(text: str) -> str:
    """Spell a label for plotly, which reads tags in text; a long one is cut, the tables have it in full."""
    seen = visible(text)
    return escape(seen if len(seen) <= _LABEL_CHARS else f"{seen[: _LABEL_CHARS - 1]}…", quote=False)


def times(starts_us: Sequence[int]) -> list[str]:
    return [moment(us) for us in starts_us]


def time_axis(axis: Axis, until_us: int | None = None) -> dict[str, Any]:
    """Show all stretches in full, and time after them up to the stretch that begins at `until_us`."""
    half_us = STEP_MS[axis.step] * 500
    last_us = axis.starts_us[-1] if until_us is None else until_us
    # Fewer would be drawn as broad as a wall.
    first_us = min(axis.starts_us[0], last_us - 2 * half_us * (_LEAST_STEPS - 1))
    return {
        "type": "date", "range": times((first_us - half_us, last_us + half_us)), "fixedrange": True,
        "hoverformat": _HOVER[axis.step], "nticks": 8, "showgrid": False, "ticks": "outside", "ticklen": 4,
    }  # fmt: skip


def money_axis() -> dict[str, Any]:
    return {
        "tickprefix": "$", "fixedrange": True, "automargin": True, "nticks": 6, "exponentformat": "none",
        "rangemode": "tozero",
    }  # fmt: skip


def name_axis() -> dict[str, Any]:
    """Show names from the top down."""
    return {"type": "category", "autorange": "reversed", "automargin": True, "fixedrange": True, "ticklen": 6}


def share_axis() -> dict[str, Any]:
    return {"tickformat": ".0%", "rangemode": "tozero", "fixedrange": True, "automargin": True, "nticks": 5}


def money(pico: PicoUSD) -> float:
    """Return dollars as a number to draw; what is said in words is exact."""
    return pico / 1e12


def money_hover(most: PicoUSD) -> str:
    """Spell what hovering says where the greatest amount is this one."""
    digits = 2 if most >= 10**13 else 4 if most >= 10**10 else 8
    return f"%{{fullData.name}}: %{{y:$,.{digits}f}}<extra></extra>"
