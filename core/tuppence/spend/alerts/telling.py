"""Alerts in words: what is off, by how much, since when, what changed most, and where to look."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from tuppence.spend.alerts.alert import Alert
from tuppence.spend.alerts.facts import Facts
from tuppence.spend.alerts.finding import Finding
from tuppence.spend.alerts.measure import EVERYTHING
from tuppence.spend.alerts.rules import AlertRules
from tuppence.spend.digest.decomposition import decompose, largest
from tuppence.spend.digest.saying import driven, money
from tuppence.spend.digest.segments import Period

_DAY = 24
_WEEK = 7
_COMPARED_DAYS = 28
_NAMES = {
    "cost_per_request": "cost per request",
    "spend": "spend",
    "requests": "requests",
    "sessions": "sessions",
    "tokens_per_request": "input tokens per request",
    "user_tokens": "tokens of one user",
    "amplification": "attempts per request",
    "retries": "failures and repeats",
    "cache_hits": "answer cache hits",
    "prefix_hits": "prompt cache hits",
    "tier_mix": "price of the tiers that are asked",
    "price": "price of a model",
    "judge_score": "mean score of answers",
    "growth": "calls per run",
    "run_calls": "calls per run",
    "budget": "daily budget",
}
_LOOK_AT = {
    "cost_per_request": "tuppence report --by endpoint,tier --since 2d: which of the parts above is new",
    "spend": "who calls more: tuppence report --by user --since 2d; then a budget (docs: budgets)",
    "sessions": "who begins more: tuppence report --by user --since 2d; a crawler, a launch, a client that gives up",
    "requests": "who calls more: tuppence report --by user --since 2d; retries of a caller, a crawler, a launch",
    "tokens_per_request": "what was added to the prompt: longer histories, more passages, larger tool results",
    "user_tokens": "that user's sessions: a loop, a pasted file, a key that others use; a budget for each user ends it",
    "amplification": "failures and retries by cause: tuppence report --by cause,tier --since 2d",
    "retries": "failures and retries by cause: tuppence report --by cause,tier --since 2d",
    "cache_hits": "what changed in the prompt or the cache's scope; is its store reachable?",
    "prefix_hits": "what changed at the beginning of the prompt: a date, an id, the order of tools",
    "tier_mix": "the check and its thresholds, the route's rules, and whether the cheap tier is healthy",
    "price": "the provider's price list, and whether the model's name now means another model",
    "judge_score": "a changed model or prompt; hold the certificate against it: tuppence report --certificate FILE",
    "run_calls": "steps that see all earlier ones, a loop that does not end, retries inside of loops",
    "growth": "steps that see all earlier ones, pairs compared with each other, retries inside of loops",
    "budget": "tuppence report --by endpoint,user --since 1d",
}


def alert(facts: Facts, rules: AlertRules, finding: Finding, now: int, *, new: bool = True) -> Alert:
    """Put a finding into words and dollars."""
    before, after = _periods(facts, finding, now)
    past = max(0, now - rules.history_days * _DAY), max(0, now - _DAY)
    weights = {key[2]: facts.weights(key[2], past) for key in finding.keys}
    drivers = decompose(before, after, weights)
    extra = after.pico_usd - before.pico_usd
    begun = _moment(facts.first + now - finding.hours)
    said = f"{_figures(finding)} over the last {finding.hours} h, since {begun:%a %d %b %H:%M} UTC"
    if finding.rule != "budget" and drivers:
        most = ", ".join(driven(key, pico) for key, pico in largest(drivers, 3))
        said += f"; these hours cost {money(extra)} {'more' if extra >= 0 else 'less'} than usual: {most}"
    return Alert(
        finding.rule, finding.about, begun, _moment(facts.first + now), said, finding.value, finding.usual, extra,
        drivers, _LOOK_AT[finding.rule], new,
    )  # fmt: skip


def _periods(facts: Facts, finding: Finding, now: int) -> tuple[Period, Period]:
    """Return the usual for these hours, as the mean of the same weekdays where there are several, else of the days
    before, and the hours themselves. Days on which nothing was there do not count.
    """
    span = now - finding.hours, now
    spent = facts.summed("pico_usd", finding.keys)
    first = math.ceil(finding.hours / _DAY)
    past = {age: (span[0] - _DAY * age, span[1] - _DAY * age) for age in range(first, _COMPARED_DAYS + 1)}
    known = {age: one for age, one in past.items() if one[0] >= 0 and spent(*one)}
    weekdays = [one for age, one in known.items() if age % _WEEK == 0]
    usual = weekdays if len(weekdays) > 1 else list(known.values())
    return facts.period(usual, finding.keys), facts.period([span], finding.keys)


def _figures(finding: Finding) -> str:
    name = _NAMES[finding.rule]
    where = "" if finding.about == EVERYTHING else f" of {finding.about}"
    if finding.rule == "budget":
        return f"{finding.value:.0%} of the daily budget is spent ({finding.scope})"
    if finding.rule == "growth":
        return f"{name}{where} grow with their input to the power of {finding.value:.2f} (before: {finding.usual:.2f})"
    if finding.rule == "run_calls":
        return f"{name}{where}: {finding.value:.1f} times what runs of the same input made before"
    if finding.rule == "user_tokens":
        return f"user {finding.about} sends {finding.value:.0%} of everybody's usual tokens more than usual"
    if finding.rule == "judge_score":
        return f"{name}{where} is {finding.value:.3f}, usually {finding.usual:.3f}"
    change = finding.value / finding.usual - 1 if finding.usual else 0.0
    if finding.rule == "price":
        return f"tokens of {finding.about} cost {change:+.0%} beside what they did"
    seen, usual = (_number(finding.rule, number) for number in (finding.value, finding.usual))
    return f"{name}{where}: {seen}, usually {usual} ({change:+.0%})"


def _number(rule: str, value: float) -> str:
    if rule in ("cost_per_request", "spend", "tier_mix"):
        return f"${value:,.2f}" if value >= 10 else f"${value:.4f}" if value >= 0.01 else f"${value:.6f}"
    return f"{value:.1%}" if rule in ("cache_hits", "prefix_hits", "retries") else f"{value:,.2f}"


def _moment(hour: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
