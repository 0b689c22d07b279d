"""Reads a scale of scores from the command line."""

from __future__ import annotations

import typer


def scale_of(text: str) -> tuple[float, float]:
    """Return the worst and the best score of a text such as `1,10`; raises `typer.BadParameter` for any other."""
    try:
        worst, best = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no scale: give the worst and the best score, such as 1,10") from None
    return worst, best
