"""All that is watched: each rule's measures, given what there was before the last day."""

from __future__ import annotations

import math

from tuppence.spend.alerts.facts import Facts
from tuppence.spend.alerts.levels import levels, sessions
from tuppence.spend.alerts.measure import EVERYTHING, Measure, exponential
from tuppence.spend.alerts.ratios import mixes, prices, ratios, repeats, scores
from tuppence.spend.alerts.rules import AlertRules
from tuppence.spend.alerts.scopes import scopes_of
from tuppence.spend.alerts.users import user_excess

# Times the usual excess of whoever stands out most, and its spread from day to day on the development months.
_USER_RISE = 1.5
_USER_SPREAD = 0.3


def measures(facts: Facts, rules: AlertRules, now: int) -> list[Measure]:
    """Return what is watched at `now`, given what there was before the last day."""
    past = max(0, now - rules.history_days * 24), max(0, now - 24)
    scopes = scopes_of(facts, past)
    found: list[Measure] = []
    if rules.spend is not None:
        found += levels(facts, "spend", "pico_usd", rules.spend, scopes, past)
    if rules.requests is not None:
        found += levels(facts, "requests", "calls", rules.requests, scopes, past)
        found += sessions(facts, rules.requests, now, past)
    found += ratios(facts, rules, scopes, past)
    if rules.retries is not None:
        found += repeats(facts, rules.retries, scopes)
    if rules.tier_mix is not None:
        found += mixes(facts, rules.tier_mix, scopes, past)
    if rules.price is not None:
        found += prices(facts, rules.price, past)
    if rules.judge_score is not None:
        found.append(scores(facts, rules.judge_score))
    if rules.user_tokens is not None and facts.users:
        share = user_excess(facts, now)
        found.append(Measure(
            "user_tokens", EVERYTHING, share, math.log(_USER_RISE), (24,), _USER_SPREAD, tuple(facts.sums),
            exponential(share), floor=math.log(rules.user_tokens),
        ))  # fmt: skip
    return found
