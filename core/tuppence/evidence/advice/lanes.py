"""Other ways to buy the same answers: in a batch lane, from a small model made for one task, on your own machines."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tuppence.evidence.advice.advice import Advice, NotKnown, Range
from tuppence.evidence.advice.facts import LEAST_CALLS, MONTH_DAYS, Facts, daily
from tuppence.prices import PriceBook, pico_usd, usd
from tuppence.usage import Usage

_VOLUME = 10_000
"""Calls a month from which a model made for one task is worth a project; chosen by hand."""
_TUNED_DEARER = 2
"""A tuned model's tokens cost twice its base model's: OpenAI's prices for gpt-4o-mini and gpt-4.1-mini."""
_MONTH_HOURS = MONTH_DAYS * 24


def batch(facts: Facts) -> Iterator[Advice | NotKnown]:
    """Advise on calls that look like a job's: many in a minute, and none of them names a user or a session."""
    for site, model in sorted({(one.site, one.model) for one in facts.bursts}):
        own = [one for one in facts.bursts if (one.site, one.model) == (site, model)]
        rate = PriceBook.default().rate(model, at=facts.at)
        rows = sum(one.rows for one in own)
        if rate is None or rows < LEAST_CALLS:
            continue
        saved: list[tuple[int, int]] = []
        for one in own:
            # A mean call: prices have steps by the length of a prompt.
            sent, said = one.input_tokens // one.rows, one.output_tokens // one.rows
            cost = rate.cost(Usage(input=sent, output=said, processing="batch"))
            if cost is None:
                break
            saved.append((one.day, max(0, one.pico_usd - cost * one.rows)))
        if len(saved) < len(own) or not any(pico for _, pico in saved):
            continue
        yield Advice(
            lever="batch", do=f"Send {site or 'these calls'} through {model}'s batch lane, if its answers may wait.",
            saves=facts.monthly(daily(saved)).between(0.0, 1.0, 1.0), effort="medium", site=site,
            evidence=(
                (f"{rows:,} calls came ten or more in a minute and name neither a user nor a session, for "
                f"${usd(sum(one.pico_usd for one in own)):.4f} in {facts.days} days"),
                ("the batch lane's list price for the same tokens, answers within 24 hours; whether somebody waits for "
                "them you know"),
            ),
        )  # fmt: skip


def tuning(facts: Facts) -> Iterator[Advice | NotKnown]:
    """Advise on a small model of one's own for a call site with volume, priced as the cheapest model in use."""
    rates = {one.model: PriceBook.default().rate(one.model, at=facts.at) for one in facts.groups if one.model}
    thousand = Usage(input=1000, output=1000)
    priced = {model: cost for model, rate in rates.items() if rate is not None and (cost := rate.cost(thousand))}
    if len(priced) < 2:
        return
    cheapest, dearest = min(priced, key=lambda model: priced[model]), max(priced, key=lambda model: priced[model])
    left = 1 - _TUNED_DEARER * priced[cheapest] / priced[dearest]
    for site in sorted({one.site for one in facts.groups if one.site and one.model == dearest}):
        own = facts.some(lambda one, site=site: one.site == site and one.model == dearest and one.outcome != "hit")  # type: ignore[misc]
        month = sum(one.rows for one in own) / facts.days * MONTH_DAYS
        if month < _VOLUME or left <= 0:
            continue
        yield Advice(
            lever="fine-tune", do=f"Train a small model for {site!r} on the answers that {dearest} gave.",
            saves=facts.monthly(daily((one.day, one.pico_usd) for one in own)).between(0.0, 0.5 * left, left),
            effort="high", site=site,
            evidence=(
                (f"{month:,.0f} calls a month of one kind go to {dearest}, for "
                f"${usd(sum(one.pico_usd for one in own)):.4f} in {facts.days} days"),
                (f"a tuned {cheapest} is taken to cost twice its list price, and to be good enough for half of the "
                "calls: only a graded test says whether it is"),
            ),
        )  # fmt: skip


def machines(facts: Facts, *, gpu_hour: Decimal) -> Iterator[Advice | NotKnown]:
    """Hold the bill of each model against one GPU that runs all month: below it, nothing can be saved."""
    rent = pico_usd(gpu_hour * Decimal(_MONTH_HOURS))
    for model in sorted({one.model for one in facts.groups if one.model}):
        own = facts.some(lambda one, model=model: one.model == model and one.outcome != "hit")  # type: ignore[misc]
        bill = facts.monthly(daily((one.day, one.pico_usd) for one in own))
        if bill.expected_pico <= rent:
            continue
        saves = Range(*(max(0, pico - rent) for pico in (bill.expected_pico // 2, 0, bill.high_pico)))
        if not saves.expected_pico:
            continue
        yield Advice(
            lever="self-host", do=f"Measure an open model in place of {model} on a machine of your own.",
            saves=saves, effort="high",
            evidence=(
                (f"{model} costs ${usd(bill.expected_pico):.2f} a month; one GPU at ${gpu_hour} an hour costs "
                f"${usd(rent):.2f}"),
                "that one GPU keeps up, and that an open model is good enough for half of the calls, is supposed",
            ),
        )  # fmt: skip
