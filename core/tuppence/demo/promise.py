"""What may be promised of the demo's own run: counted like any other traffic, by the code that counts a user's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tuppence.demo.comparison import Answered, Comparison
from tuppence.evidence.certificate.floor import least_labels, usable
from tuppence.evidence.outcomes import Outcome, Outcomes

# What `tuppence calibrate` asks for unless it is told otherwise.
TARGET, DELTA = 0.95, 0.1


def promise(compared: Sequence[Comparison], models: Sequence[str]) -> str:
    """Say in a line whether this run could be certified, and how a user's own traffic is."""
    rows = list(outcomes(compared))
    graded, least = usable(rows, models), least_labels(TARGET, DELTA)
    alone = ", and one model has no stronger one to be held against" if len(models) == 1 else ""
    tiers = ",".join(models) if len(models) > 1 else "CHEAP,STRONG"
    return (
        f"no certificate: {graded} of {len(rows)} questions have graded answers, where {least} are the least that can "
        f"promise {TARGET:.0%} of the strongest tier's quality{alone}. Record your traffic, grade it, and: "
        f"tuppence calibrate traffic.jsonl --tiers {tiers} --out certificate.json"
    )


def outcomes(compared: Sequence[Comparison]) -> Iterator[Outcomes]:
    """Yield what was answered to each question, chain beside chain. Nobody graded it: the check looks at form."""
    for comparison in compared:
        for number, (unchanged, changed) in enumerate(comparison.pairs):
            by_model = {model: one for answered in (unchanged, changed) for model, one in _outcomes(answered)}
            yield Outcomes(f"{comparison.title}/{number}", unchanged.question.text, by_model)


def _outcomes(answered: Answered) -> Iterator[tuple[str, Outcome]]:
    for attempt in answered.attempts:
        text = answered.text if attempt.outcome in ("accepted", "observed") else ""
        if attempt.cause != "hit":
            yield attempt.model, Outcome(None, text, pico_usd=attempt.pico_usd, latency_ms=attempt.latency_ms)
