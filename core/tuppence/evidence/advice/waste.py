"""Money that bought nothing, or would not have been spent: retries, cascades that cost more than they spare, and what
observe mode says the policy would have done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tuppence.evidence.advice.advice import Advice, NotKnown
from tuppence.evidence.advice.facts import LEAST_CALLS, Facts, daily
from tuppence.prices import usd
from tuppence.spend.cells import Cell

_RETRIES = ("retry", "validation_retry")
_OBSERVE = (
    "a cheaper tier before the strongest one, and mode: observe: it says what each call would have cost; "
    "`tuppence calibrate` then says which answers may be kept"
)
_NOTABLE = 0.01
"""Retries below one attempt in a hundred are the weather."""


def retries(facts: Facts) -> Iterator[Advice | NotKnown]:
    """Advise on attempts that repeat one: what they cost is the most that can be saved, half is expected."""
    again = facts.some(lambda one: one.cause in _RETRIES)
    tries = sum(one.rows for one in facts.groups if one.outcome not in ("hit", "observed"))
    rows = sum(one.rows for one in again)
    whole = facts.monthly(daily((one.day, one.pico_usd) for one in again))
    if not tries or rows / tries < _NOTABLE or not whole.expected_pico:
        return
    worst = max({one.site for one in again}, key=lambda site: sum(one.pico_usd for one in again if one.site == site))
    validation = sum(one.rows for one in again if one.cause == "validation_retry")
    yield Advice(
        lever="retries", do="Find out why answers are asked for again, and allow fewer tries.",
        saves=whole.between(0.0, 0.5, 1.0), effort="low", site=worst,
        evidence=(
            (f"{rows:,} of {tries:,} attempts repeat one ({rows / tries:.1%}), {validation:,} of them because a check "
            "rejected the answer of the last tier"),
            f"they cost ${usd(sum(one.pico_usd for one in again)):.4f} in {facts.days} days, most at {_named(worst)}",
            "that half of them is needed is supposed",
        ),
        config="retries: {per_tier: 1, validation: 0}\n",
    )  # fmt: skip


def losing_cascades(facts: Facts, by_task: list[Cell]) -> Iterator[Advice | NotKnown]:
    """Advise to start at the strongest tier where drafts cost more than they spare, by task, day for day."""
    for task in sorted({cell.key[0] for cell in by_task if cell.key[0]}):
        own = [cell for cell in by_task if cell.key[0] == task]
        compared = sum(cell.compared for cell in own)
        lost = daily((cell.start_us // 86_400_000_000, cell.compared_pico - cell.baseline_pico) for cell in own)
        if compared < LEAST_CALLS or sum(lost.values()) <= 0:
            continue
        saves = facts.monthly(lost)
        if not saves.low_pico:
            continue
        paid, alone = (sum(getattr(cell, name) for cell in own) for name in ("compared_pico", "baseline_pico"))
        yield Advice(
            lever="route", do=f"Start {task!r} at the strongest tier: cheap drafts do not pay there.",
            saves=saves, effort="low", site=task,
            evidence=(
                (f"{compared:,} calls cost ${usd(paid):.4f}, drafts included; the strongest tier alone would have cost "
                f"${usd(alone):.4f}"),
            ),
            config=f"route: {{by_task: {{{json.dumps(task)}: strongest}}}}\n",
        )  # fmt: skip


def observed(facts: Facts) -> Iterator[Advice | NotKnown]:
    """Advise to let the policy decide, where observe mode has seen that its choice is cheaper."""
    seen = facts.some(lambda one: one.mode == "observe" and one.compared > 0)
    calls = sum(one.compared for one in seen)
    if not calls:
        if not any(one.cause in ("draft", "escalation") and one.outcome == "rejected" for one in facts.groups):
            yield NotKnown("route", _OBSERVE)
        return
    if calls < LEAST_CALLS:
        yield NotKnown("route", f"{LEAST_CALLS - calls} more calls in mode observe: {calls} say what would be done")
        return
    saves = facts.monthly(daily((one.day, one.compared_pico - one.would_pico) for one in seen))
    if not saves.expected_pico:
        return
    before, after = (sum(getattr(one, name) for one in seen) for name in ("compared_pico", "would_pico"))
    yield Advice(
        lever="route", do="Let the policy choose the tier: mode optimise, after its check was certified.",
        # How many cheap answers would have been rejected, and the strongest asked after all, nobody has seen.
        saves=saves.between(0.0, 0.6, 1.0), effort="medium",
        evidence=(
            (f"{calls:,} calls in mode observe cost ${usd(before):.4f}; the policy's first choices would have cost "
            f"${usd(after):.4f}"),
            "that two of five first answers would be rejected is supposed: `tuppence calibrate` measures it",
        ),
        config="mode: optimise\n",
    )  # fmt: skip


def _named(site: str) -> str:
    return repr(site) if site else "calls without a task or endpoint"
