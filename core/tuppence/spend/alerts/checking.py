"""Which alerts ring now: what is off, less what has rung already, each with its reasons.

An alert rings once and stays on until the last day is back near the usual, or it has lasted so long that it is the
usual. After a ring the same rule, and those that the same fault sets off, are quiet for the cool-down.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field

from tuppence.spend.alerts.budget_share import budget_findings
from tuppence.spend.alerts.facts import Facts
from tuppence.spend.alerts.finding import Finding
from tuppence.spend.alerts.growing import excess_findings, growth_findings
from tuppence.spend.alerts.measure import EVERYTHING, Measure
from tuppence.spend.alerts.measures import measures
from tuppence.spend.alerts.ratios import SHARES
from tuppence.spend.alerts.rules import AlertRules
from tuppence.spend.alerts.state import On, State
from tuppence.spend.alerts.users import who
from tuppence.spend.alerts.watching import Seen, bars, clearest, look

_ACCEPTED_HOURS = 7 * 24
"""What has been so for a week is what is usual now."""
_DAY = 24
_SETTLED = 24
"""Hours that an alert is on at least: the window that shows its recovery is a day."""
_RECOVERED = 0.5
"""Part of what rings, below which the last day must be."""


_FAMILIES = {
    "volume": ("spend", "requests", "sessions"),
    "unit cost": ("cost_per_request", "tokens_per_request", "tier_mix", "price"),
    "attempts": ("amplification", "retries"),
    "runs": ("growth", "run_calls"),
    "hits": ("cache_hits", "prefix_hits"),
}
"""Rules that the same fault sets off: the clearest rings for all of them."""


@dataclass(slots=True)
class Rung:
    """What one check found."""

    new: list[Finding] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    """Keys of alerts that were on and are not any more."""


def rung(facts: Facts, rules: AlertRules, now: int, state: State) -> Rung:
    """Check at `now`, an index into the facts, and bring the state up to date."""
    watched = measures(facts, rules, now)
    certain = [
        *growth_findings(facts, rules, now), *excess_findings(facts, rules, now), *budget_findings(facts, rules, now)
    ]  # fmt: skip
    found = Rung(recovered=list(_recovered(facts, rules, now, state, watched, {one.key for one in certain})))
    for key in found.recovered:
        del state.on[key]
    deviations = bars(watched, rules.false_alarms)
    off = [
        seen for one in watched if one.key not in state.on
        and (seen := clearest(one, now, history_days=rules.history_days, deviations=deviations[one.rule])) is not None
    ]  # fmt: skip
    # An endpoint's traffic is looked at alone and beside the others: the last of a key, the clearest, stands.
    by_key = {seen.measure.key: seen for seen in sorted(off, key=lambda seen: seen.surprise)}
    clear = sorted(by_key.values(), key=lambda seen: -seen.surprise)
    findings = [_finding(facts, seen, now) for seen in clear]
    findings += [one for one in certain if one.key not in state.on]
    for one in findings:
        if _may_ring(one, rules, facts.first + now, state):
            found.new.append(one)
            state.rang[one.key] = facts.first + now
        state.on[one.key] = On(facts.first + now - one.hours, facts.first + now)
    state.rang = {key: hour for key, hour in state.rang.items() if facts.first + now - hour < rules.cool_down_hours}
    return found


def _may_ring(one: Finding, rules: AlertRules, hour: int, state: State) -> bool:
    """Keep quiet while something that shows the same fault has rung lately; each part of a budget rings by itself."""
    if one.rule == "budget":
        return True
    alike = _family(one.rule)
    last = [then for key, then in state.rang.items() if _family(key.split("/", 1)[0]) == alike]
    return not last or hour - max(last) >= rules.cool_down_hours


def _family(rule: str) -> str:
    return next((family for family, members in _FAMILIES.items() if rule in members), rule)


def _recovered(
    facts: Facts, rules: AlertRules, now: int, state: State, watched: Sequence[Measure], certain: Set[str]
) -> Iterator[str]:
    by_key = {one.key: one for one in watched if one.alone is None}
    for key, on in state.on.items():
        hours = facts.first + now - on.rang
        if key.split("/", 1)[0] in ("budget", "growth", "run_calls"):
            if key not in certain and hours >= _SETTLED:
                yield key
        elif key not in by_key or hours >= _ACCEPTED_HOURS:
            yield key
        elif hours >= _SETTLED:
            seen = look(by_key[key], now, _DAY, history_days=rules.history_days, before=on.since - facts.first)
            if seen is not None and not seen.beyond(_RECOVERED):
                yield key


def _finding(facts: Facts, seen: Seen, now: int) -> Finding:
    measure = seen.measure
    value = measure.shown(now - seen.hours, now) or 0.0
    if measure.rule == "judge_score":
        usual = seen.usual
    elif measure.rule in SHARES:
        usual = (
            min(1.0, value * seen.usual / seen.value)
            if seen.value > 0
            else measure.shown(max(0, now - 8 * _DAY), now - _DAY) or 0.0
        )
    elif measure.rule == "retries":
        usual = measure.plain(seen.usual)
    elif measure.rule == "user_tokens":
        usual = min(value, math.exp(seen.usual))
    else:
        usual = value / math.exp(seen.value - seen.usual)
    scope = (who(facts, now, seen.hours) or EVERYTHING) if measure.rule == "user_tokens" else measure.scope
    return Finding(measure.rule, measure.scope, scope, seen.hours, value, usual, measure.keys, seen.surprise)
