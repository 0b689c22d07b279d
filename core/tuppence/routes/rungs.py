"""Places on a ladder of tiers, cheapest first. A start is a place from which the call may still climb."""

from __future__ import annotations

from typing import Literal

from tuppence.effects import Choice
from tuppence.errors import RequestError
from tuppence.tiers import Tier

Rung = Literal["lowest", "middle", "highest"]


def start_from(ladder: tuple[Tier, ...], name: str, why: str, *, threshold: float | None = None) -> Choice | None:
    """Choose the ladder from the tier called `name` upward; None where it is not offered."""
    for index, tier in enumerate(ladder):
        if tier.name == name:
            return Choice(ladder[index:], f"{why}: start at {name}", threshold)
    return None


def start_on(ladder: tuple[Tier, ...], rung: Rung, why: str, *, threshold: float | None = None) -> Choice:
    """Choose the ladder from a relative place upward. The middle of an even number of tiers is the cheaper one."""
    if not ladder:
        raise RequestError("a route was offered no tiers (an empty ladder): give the policy at least one tier")
    index = {"lowest": 0, "middle": (len(ladder) - 1) // 2, "highest": len(ladder) - 1}[rung]
    return Choice(ladder[index:], f"{why}: start at {ladder[index].name}", threshold)
