"""Which endpoints matter: what is watched apart."""

from __future__ import annotations

from collections.abc import Sequence

from tuppence.spend.alerts.facts import Facts, Key

MATTERS = 0.02
"""An endpoint with less than this part of the spending has no alerts of its own."""
MOST = 12

Scopes = Sequence[tuple[str, tuple[Key, ...]]]


def scopes_of(facts: Facts, past: tuple[int, int]) -> Scopes:
    """Return the endpoints that most is spent on, each with its keys."""
    by_endpoint = {one: tuple(facts.keys(one)) for one in facts.endpoints}
    spent = {one: facts.summed("pico_usd", keys)(*past) for one, keys in by_endpoint.items()}
    least = MATTERS * sum(spent.values())
    ranked = sorted((one for one in spent if spent[one] > least), key=lambda one: -spent[one])
    return [("(no endpoint)" if one is None else one, by_endpoint[one]) for one in ranked[:MOST]]
