"""From a ledger, and recorded traffic where there is any, to what to do first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import chain
from pathlib import Path

from tuppence.errors import ConfigError
from tuppence.evidence.advice import answers, caching, lanes, prompts, waste
from tuppence.evidence.advice.advice import Advice, Advised, NotKnown
from tuppence.evidence.advice.alike import compare
from tuppence.evidence.advice.facts import LEAST_CALLS, LEAST_DAYS, Facts, facts_of
from tuppence.evidence.advice.traffic import Traffic, traffic_of
from tuppence.evidence.outcomes import read_traffic
from tuppence.spend.cells import cells

GPU_HOUR = Decimal("2.50")
"""USD for an hour of one large GPU, where nobody names a price: about what clouds ask for an H100 on demand."""


def advise(place: str | Path, *, traffic: str | Path | None = None, gpu_hour: Decimal = GPU_HOUR) -> Advised:
    """Rank what would save most for the effort, by the calls of the ledger at `place`.

    `traffic` is a file of recorded calls, which tells what a ledger without texts cannot. Where calls are few, nothing
    is advised, and `unknown` says how many more it takes. Raises `LedgerError` and `OutcomesError` for what cannot be
    read.
    """
    if gpu_hour <= 0:
        raise ConfigError(f"gpu_hour is {gpu_hour}: give the price of a GPU's hour in USD, above 0")
    facts = facts_of(place)
    if not facts.enough:
        return Advised((), (NotKnown("everything", _too_few(facts)),), facts.calls, facts.days, facts.month_pico)
    found = list(_all(facts, place, None if traffic is None else _recorded(Path(traffic)), gpu_hour))
    advice = sorted(
        (one for one in found if isinstance(one, Advice)), key=lambda one: (-one.worth, one.lever, one.site)
    )
    unknown = tuple(one for one in found if isinstance(one, NotKnown))
    return Advised(tuple(_overlapping(advice)), unknown, facts.calls, facts.days, facts.month_pico)


def _all(facts: Facts, place: str | Path, traffic: Traffic | None, gpu_hour: Decimal) -> Iterator[Advice | NotKnown]:
    by_task = cells(place, by=("task",), every="day")
    by_hour = cells(place, by=("task", "endpoint", "model"), every="hour")
    return chain(
        caching.repeats(facts, traffic), caching.wordings(facts, traffic),
        prompts.prefixes(facts, traffic, by_hour), prompts.dead_weight(facts, traffic),
        prompts.repeated(facts, traffic),
        waste.observed(facts), waste.losing_cascades(facts, by_task), waste.retries(facts),
        answers.limits(facts),
        lanes.batch(facts), lanes.tuning(facts), lanes.machines(facts, gpu_hour=gpu_hour),
    )  # fmt: skip


def _recorded(path: Path) -> Traffic:
    """Count over a file of recorded calls; the local embedder compares questions where it is installed."""
    found = traffic_of(read_traffic(path))
    try:
        from tuppence.embed.minilm import MiniLM

        embedder = MiniLM()
    except ConfigError:
        return found
    compare(read_traffic(path), found, embedder)
    return found


def _too_few(facts: Facts) -> str:
    calls, days = max(0, LEAST_CALLS - facts.calls), max(0, LEAST_DAYS - facts.days)
    parts = [f"{calls:,} more calls" if calls else "", f"{days} more days" if days else ""]
    return f"not enough traffic: {' and '.join(part for part in parts if part)}"


def _overlapping(advice: Iterable[Advice]) -> Iterator[Advice]:
    """Name, beside each piece of advice, the others that count on the same calls' money."""
    told = list(advice)
    for one in told:
        others = {
            other.lever for other in told
            if other is not one and (not one.site or not other.site or one.site == other.site)
        }  # fmt: skip
        yield replace(one, overlaps=tuple(sorted(others)))
