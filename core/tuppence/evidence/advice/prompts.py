"""Prompts that say the same again and again: what a provider's prefix cache would read, and what is dead weight.

Of the ledger alone only a bound is known: no constant beginning is longer than the shortest prompt. Recorded traffic
says how long it really is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tuppence.cache.prefix.rules import PrefixRule, rule_for
from tuppence.evidence.advice.advice import Advice, NotKnown, Range
from tuppence.evidence.advice.facts import LEAST_CALLS, MONTH_DAYS, Facts, Group
from tuppence.evidence.advice.traffic import Traffic
from tuppence.prices import PriceBook, Rate
from tuppence.spend.cells import Cell
from tuppence.usage import Usage

_READ = 0.1
"""Where a provider that caches by itself reads more than this, the rest was asked for too late, and no plan helps."""


@dataclass(frozen=True, slots=True)
class _Site:
    """What is sent to one model at one call site."""

    site: str
    model: str
    calls: int
    input_tokens: int
    cached_tokens: int
    shortest: int


def prefixes(facts: Facts, traffic: Traffic | None, by_hour: Iterable[Cell]) -> Iterator[Advice | NotKnown]:
    """Advise to plan prefix caches where prompts begin alike and little is read.

    `by_hour` are hourly cells by task, endpoint and model: how soon calls follow each other.
    """
    hours = _hours(by_hour)
    for one in _sites(facts):
        rule, rate = rule_for(one.model, at=facts.at), PriceBook.default().rate(one.model, at=facts.at)
        if rule is None or rate is None or one.calls < LEAST_CALLS:
            continue
        known = None if traffic is None else traffic.constant.get(one.site)
        constant = one.shortest if known is None else min(known, one.shortest)
        if constant < rule.minimum_tokens:
            continue
        if rule.kind == "automatic" and one.cached_tokens > _READ * constant * one.calls:
            continue
        soon = _soon(hours.get((one.site, one.model), []), rule.lifetimes[0].seconds)
        saves = _read_in_place(one, constant, soon, rule, rate, facts)
        if saves is not None:
            yield _advice(one, constant, soon, rule, saves, measured=known is not None)
    if traffic is None:
        yield NotKnown("dead weight", "recorded traffic (`record:` in the policy's file, then --traffic FILE): the "
                       "ledger holds no text, and only a text says what never varies")  # fmt: skip


def _hours(by_hour: Iterable[Cell]) -> dict[tuple[str, str], list[int]]:
    """Return how many calls came in each hour, by call site and model."""
    found: dict[tuple[str, str], list[int]] = {}
    for cell in by_hour:
        task, endpoint, model = cell.key
        found.setdefault((task or endpoint or "", model or ""), []).append(cell.attempts)
    return found


def _soon(hours: list[int], lifetime_s: int) -> float:
    """Return the share of calls that follow another one within a lifetime, as if each hour's came at random: a Poisson
    process of n an hour has one in t seconds with probability 1 - exp(-n t / 3600). Calls in bursts follow sooner.
    """
    calls = sum(hours)
    return sum(n * -math.expm1(-n * lifetime_s / 3600) for n in hours) / calls if calls else 0.0


def _read_in_place(one: _Site, constant: int, soon: float, rule: PrefixRule, rate: Rate, facts: Facts) -> Range | None:
    """Price the constant beginning read in place of sent, less what writing it costs; what is read already counts off.

    One call at a time: prices have steps by the length of a prompt. None where reading saves nothing.
    """
    unread = max(0, constant - one.cached_tokens // one.calls)
    # The shortest lifetime is what the bucket of five minutes is named after.
    bills = rule.lifetimes[0].bucket
    fresh, read = rate.cost(Usage(input=unread)), rate.cost(Usage(cache_read=unread))
    write = fresh if bills is None else rate.cost(Usage(cache_write_5m=unread))
    if fresh is None or read is None or write is None or read >= fresh:
        return None
    month = one.calls / facts.days * MONTH_DAYS
    expected = (soon * (fresh - read) - (1 - soon) * (write - fresh)) * month
    return None if expected <= 0 else Range(round(expected), 0, round((fresh - read) * month))


def _advice(one: _Site, constant: int, soon: float, rule: PrefixRule, saves: Range, *, measured: bool) -> Advice:
    begins = (
        f"their beginning is the same for {constant:,} tokens" if measured
        else f"at most {constant:,} tokens of them can be constant: recorded traffic would say how many are"
    )  # fmt: skip
    share = one.cached_tokens / max(1, one.input_tokens)
    return Advice(
        lever="prefix cache", do=f"Have the beginning of {one.model}'s prompts read from its provider's cache.",
        saves=saves if measured else saves.between(0.0, 0.5, 1.0), effort="low", site=one.site,
        evidence=(
            (f"{one.calls:,} prompts of {one.input_tokens // one.calls:,} tokens on average, the shortest "
            f"{one.shortest:,}; {share:.0%} of the tokens came from a cache"),
            begins,
            (f"{rule.family} keeps prefixes of {rule.minimum_tokens:,} tokens for {rule.lifetimes[0].seconds // 60} "
            f"minutes; by the calls of each hour {soon:.0%} follow another one within that time"),
        ),
        config="prompt_cache: true\n",
    )  # fmt: skip


def dead_weight(facts: Facts, traffic: Traffic | None) -> Iterator[Advice | NotKnown]:
    """Advise to shorten instructions that every call repeats, and passages that come again within a prompt."""
    if traffic is None:
        return
    for site, begins in sorted(traffic.constant.items()):
        sent = [one for one in _sites(facts) if one.site == site]
        tokens, calls = sum(one.input_tokens for one in sent), sum(one.calls for one in sent)
        constant = min([begins, *(one.shortest for one in sent)])
        share = constant * calls / tokens if tokens else 0.0
        if calls < LEAST_CALLS or share < 0.2:
            continue
        spent = _input_pico(sent, facts)
        month = spent / facts.days * MONTH_DAYS * min(1.0, share)
        yield Advice(
            lever="dead weight", do=f"Shorten the instructions of {site or 'calls without a task'}: they never vary.",
            # Lossless tidying takes little; a rewrite by hand may halve them.
            saves=Range(round(month * 0.1), 0, round(month * 0.5)), effort="low", site=site,
            evidence=(
                (f"{constant:,} tokens begin every one of {traffic.calls_of(site):,} recorded prompts, {share:.0%} of "
                "what is sent"),
                "that tidying takes a tenth of them, and a rewrite up to half, is supposed",
            ),
            config="shape: [tidy]\n",
        )  # fmt: skip


def repeated(facts: Facts, traffic: Traffic | None) -> Iterator[Advice | NotKnown]:
    """Advise to leave out paragraphs that stand in the same prompt already."""
    if traffic is None or traffic.calls < LEAST_CALLS or not traffic.letters_twice:
        return
    share = traffic.letters_twice / traffic.letters
    month = _input_pico(_sites(facts), facts) / facts.days * MONTH_DAYS * share
    yield Advice(
        lever="repeated passages", do="Leave out passages that stand in the same prompt already.",
        saves=Range(round(month), 0, round(month)), effort="medium",
        evidence=(f"{share:.1%} of the letters of {traffic.calls:,} recorded prompts are paragraphs said twice",),
    )  # fmt: skip


def _sites(facts: Facts) -> list[_Site]:
    found: dict[tuple[str, str], list[Group]] = {}
    for one in facts.groups:
        if one.outcome != "hit" and one.input_tokens and one.cause != "judge":
            found.setdefault((one.site, one.model), []).append(one)
    return [
        _Site(
            site, model, sum(g.rows for g in groups), sum(g.input_tokens for g in groups),
            sum(g.cached_tokens for g in groups), min(g.shortest_input for g in groups),
        )
        for (site, model), groups in sorted(found.items())
    ]  # fmt: skip


def _input_pico(sites: list[_Site], facts: Facts) -> int:
    """Price what was sent, by a mean prompt; reads at their own price, 0 for a model without one."""
    book, paid = PriceBook.default(), 0
    for one in sites:
        rate, cached = book.rate(one.model, at=facts.at), one.cached_tokens // one.calls
        usage = Usage(input=one.input_tokens // one.calls - cached, cache_read=cached)
        paid += one.calls * ((rate.cost(usage) or 0) if rate is not None else 0)
    return paid
