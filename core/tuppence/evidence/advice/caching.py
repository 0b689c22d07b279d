"""Answers that were bought twice: exact repeats and other wordings in recorded traffic, put up to a month's money."""

from __future__ import annotations

from collections.abc import Iterator

from tuppence.cache.calibration import wilson
from tuppence.evidence.advice.advice import Advice, NotKnown, Range
from tuppence.evidence.advice.facts import LEAST_CALLS, Facts
from tuppence.evidence.advice.traffic import Traffic

_STILL_WRONG = 0.02
"""Share of wrong hits that a calibrated semantic cache promises to stay below unless told otherwise."""


def repeats(facts: Facts, traffic: Traffic | None) -> Iterator[Advice | NotKnown]:
    """Advise on the exact cache; where hits are in the ledger already, it is on and needs no advice."""
    if _hits(facts, "cache"):
        return
    if traffic is None or traffic.calls < LEAST_CALLS:
        yield NotKnown("exact cache", _needs(0 if traffic is None else traffic.calls))
        return
    if not traffic.repeats:
        return
    yield Advice(
        lever="exact cache", do="Serve exact repeats from a cache.",
        saves=_share(facts, traffic.repeats, traffic.calls, traffic.repeats_pico, traffic.pico_usd), effort="low",
        evidence=(
            (f"{traffic.repeats:,} of {traffic.calls:,} recorded calls ask word for word what was asked before "
            f"({traffic.repeats / traffic.calls:.1%}), for "
            f"{traffic.repeats_pico / max(1, traffic.pico_usd):.1%} of the money"),
            "entries are supposed to stay good for as long as the recording lasted: shorten ttl_s where they do not",
        ),
        config="cache: {store: answers.sqlite, ttl_s: 86400}\n",
    )  # fmt: skip


def wordings(facts: Facts, traffic: Traffic | None) -> Iterator[Advice | NotKnown]:
    """Advise on the semantic cache."""
    if _hits(facts, "similar"):
        return
    if traffic is None or traffic.compared < LEAST_CALLS:
        yield NotKnown("semantic cache", _needs(0 if traffic is None else traffic.compared)
                       + "; the extras semantic and embed compare them")  # fmt: skip
        return
    if not traffic.alike:
        return
    whole = _share(facts, traffic.alike, traffic.compared, traffic.alike_pico, traffic.pico_usd)
    yield Advice(
        lever="semantic cache", do="Serve questions asked in other words, once audits have found a threshold.",
        saves=whole.between(0.0, 1.0, 1.0), effort="medium",
        evidence=(
            (f"{traffic.alike:,} of {traffic.compared:,} recorded calls would have been served the answer to another "
            f"wording ({traffic.alike / traffic.compared:.1%}), exact repeats not counted"),
            f"how many of them wrongly is not known before audits: the threshold keeps below {_STILL_WRONG:.0%}",
        ),
        config=f"cache: {{store: answers.sqlite, semantic: {{max_wrong_share: {_STILL_WRONG}}}}}\n",
    )  # fmt: skip


def _needs(have: int) -> str:
    return (
        f"{LEAST_CALLS - have:,} more recorded calls (`record:` in the policy's file, then --traffic FILE): the ledger "
        "holds no text to compare"
    )


def _hits(facts: Facts, tier: str) -> int:
    return sum(one.rows for one in facts.groups if one.outcome == "hit" and one.tier == tier)


def _share(facts: Facts, found: int, calls: int, pico: int, of_pico: int) -> Range:
    """Put a share of recorded calls up to a month's money, by the money they cost; the interval is of their number."""
    dearness = (pico / max(1, of_pico)) / (found / calls)
    shares = (found / calls, *wilson(found, calls))
    return Range(*(round(facts.month_pico * min(1.0, one * dearness)) for one in shares))
