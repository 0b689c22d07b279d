"""Prefixes that providers keep: how each does it, what it costs, what to ask for, what broke it, and who holds what."""

from tuppence.cache.prefix.costs import Point, Seat, Switch, break_even, expected_pico, switch_cost
from tuppence.cache.prefix.drift import Drift, DriftDetector
from tuppence.cache.prefix.held import Held
from tuppence.cache.prefix.order import ToolOrder, tools_in_order
from tuppence.cache.prefix.plan import PrefixPlan, plan_prefix
from tuppence.cache.prefix.planner import Planned, PrefixPlanner
from tuppence.cache.prefix.rules import Lifetime, PrefixRule, rule_for
from tuppence.cache.prefix.segments import Prompt, Segment, prompt_of
from tuppence.cache.prefix.traffic import NOTHING_SEEN, Sighting, Sightings, Traffic

__all__ = [
    "NOTHING_SEEN",
    "Drift",
    "DriftDetector",
    "Held",
    "Lifetime",
    "Planned",
    "Point",
    "PrefixPlan",
    "PrefixPlanner",
    "PrefixRule",
    "Prompt",
    "Seat",
    "Segment",
    "Sighting",
    "Sightings",
    "Switch",
    "ToolOrder",
    "Traffic",
    "break_even",
    "expected_pico",
    "plan_prefix",
    "prompt_of",
    "rule_for",
    "switch_cost",
    "tools_in_order",
]
