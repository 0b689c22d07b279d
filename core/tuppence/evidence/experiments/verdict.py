"""What is to be done about an experiment, and why, in words: ship, stop for harm, give up, or go on.

It may be asked after every call: no look costs anything, and stopping when it says so keeps the promise of the plan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from tuppence.evidence.experiments import words
from tuppence.evidence.experiments.measures import Finding, Plan, findings
from tuppence.evidence.experiments.reading import Seen

Action = Literal["ship", "harm", "futile", "broken", "continue"]

BROKEN_BELOW = 0.001
"""p-value of the arms' sizes below which the assignment is not to be trusted; far below alpha, since the whole
experiment falls with it. Fabijan et al., KDD 2019, who surveyed such mismatches, recommend about as much."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an experiment says at one look."""

    seen: Seen
    plan: Plan
    findings: tuple[Finding, ...]
    p_split: float
    """Always-valid p-value that units went to the arms in the shares that were set."""
    action: Action
    words: str


def verdict(seen: Seen, plan: Plan | None = None) -> Verdict:
    """Judge an experiment on what it has seen so far, by a plan that was made before."""
    plan = plan or Plan()
    found = findings(seen, plan)
    p_split = split_p_value(seen)
    action = _action(seen, plan, found, p_split)
    return Verdict(seen, plan, found, p_split, action, words.spelt(action, seen, plan, found, p_split))


def split_p_value(seen: Seen) -> float:
    """Return an always-valid p-value for "each unit went to the treatment with the share that was in force".

    Against a uniform mixture of shares: M. Lindon and A. Malek, "Anytime-valid inference for multinomial count data",
    NeurIPS 2022. Where the share was changed, the evidence of each is multiplied.
    """
    evidence = 0.0
    for share, treated, kept in seen.shares:
        mixed = math.lgamma(treated + 1) + math.lgamma(kept + 1) - math.lgamma(treated + kept + 2)
        evidence += mixed - treated * math.log(share) - kept * math.log1p(-share)
    return math.exp(min(0.0, -evidence))


def _action(seen: Seen, plan: Plan, found: tuple[Finding, ...], p_split: float) -> Action:
    if p_split <= BROKEN_BELOW:
        return "broken"
    states = {one.state for one in found}
    if "harmed" in states:
        return "harm"
    if states == {"passed"}:
        return "ship"
    if "futile" in states or _too_long(seen, plan, found):
        return "futile"
    return "continue"


def _too_long(seen: Seen, plan: Plan, found: tuple[Finding, ...]) -> bool:
    """Say whether the planned units are used up, or half of them are and what is open would need more than all."""
    exposed = seen.treatment.exposed + seen.control.exposed
    if plan.max_units is None or 2 * exposed < plan.max_units:
        return False
    if exposed >= plan.max_units:
        return True
    return any(one.state == "open" and (one.needed is None or one.needed > plan.max_units) for one in found)
