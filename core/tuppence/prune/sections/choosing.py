"""Fills a budget of tokens with units, the most urgent first, each with what must stand with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tuppence.prune.sections.units import Unit


def fill(units: Sequence[Unit], costs: Sequence[int], ranked: Iterable[int], budget: int) -> frozenset[int]:
    """Return the units kept: in the order of `ranked`, each that still fits; the first one in any case."""
    kept: set[int] = set()
    spent = 0
    for index in ranked:
        if index in kept:
            continue
        wanted = with_needs(units, index) - kept
        cost = sum(costs[i] for i in wanted)
        if kept and spent + cost > budget:
            continue
        kept |= wanted
        spent += cost
    return frozenset(kept)


def with_needs(units: Sequence[Unit], index: int) -> set[int]:
    """Return a unit with all that must stand with it."""
    wanted = {index}
    open_needs = [*units[index].needs]
    while open_needs:
        one = open_needs.pop()
        if one not in wanted:
            wanted.add(one)
            open_needs += units[one].needs
    return wanted
