"""What the last weeks' traffic was made of: answers by tier and tokens, hits, and what was paid beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, func, not_, or_, select

from tuppence.attempts import JUDGED
from tuppence.prices import PicoUSD
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import attempts
from tuppence.spend.selection import Selection
from tuppence.spend.sums import Adding, summed, total
from tuppence.usage import Processing, Usage

# As `Usage` orders its first fields.
_TOKENS = (
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "audio_cache_read", "output",
    "audio_output",
)  # fmt: skip


class Answered(NamedTuple):
    """One call's answer."""

    tier: str
    model: str
    usage: Usage
    pico_usd: PicoUSD
    """As recorded."""


@dataclass(frozen=True, slots=True)
class Recent:
    """Traffic of a span of time; attempts of unknown price are in none of it."""

    answered: tuple[Answered, ...]
    hits: int
    paid: PicoUSD
    """For everything."""
    climbing: PicoUSD
    """Part of it that went into drafts that were rejected, and into checking drafts."""

    @property
    def for_answers(self) -> PicoUSD:
        return sum(one.pico_usd for one in self.answered)


def recent(
    place: str | Path, *, since: datetime, until: datetime, where: Mapping[str, str] | None = None
) -> Recent:  # fmt: skip
    """Read the traffic of [since, until); raise `LedgerError` where the place cannot be read."""
    selection = Selection(since, until, where or {})
    with reading(place) as connection:
        answered = _answered(connection, selection)
        ((hits, paid, climbing),) = summed(connection, lambda adding: _beside(selection, adding))
    return Recent(answered, hits or 0, total(paid), total(climbing))


def _answered(connection: Connection, selection: Selection) -> tuple[Answered, ...]:
    """Read answers one by one; those with images and the like have no one price, and are left out."""
    c = attempts.c
    plain = and_(c.outcome == "accepted", c.pico_usd.is_not(None), c.media_input + c.media_output == 0)
    question = select(c.tier, c.model, c.pico_usd, c.processing, *(c[name] for name in _TOKENS))
    return tuple(
        Answered(tier, model, _usage(processing or "standard", *tokens), pico)
        for tier, model, pico, processing, *tokens in connection.execute(
            question.where(selection.met_by(attempts), plain).order_by(c.id)
        )
    )


def _usage(processing: Processing, *tokens: int) -> Usage:
    plain, read, minutes, hour, audio, audio_read, output, audio_output = tokens
    return Usage(plain, read, minutes, hour, audio, audio_read, output, audio_output, processing=processing)


def _beside(selection: Selection, adding: Adding) -> Select[Any]:
    c = attempts.c
    checks = and_(c.outcome == "consulted", c.cause.in_(("judge", "agreement")), c.mode.is_distinct_from(JUDGED))
    figures = (
        func.count().filter(c.outcome == "hit"),
        adding(c.pico_usd, c.pico_usd.is_not(None)),
        adding(c.pico_usd, or_(c.outcome == "rejected", checks)),
    )
    return select(*figures).where(selection.met_by(attempts), not_(c.cause == "observed"))
