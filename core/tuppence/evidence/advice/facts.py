"""What the ledger says, read once in one snapshot: sums by day, call site, model and what became of each attempt.

A call site is a call's `task`, its `endpoint` where there is none. No text is read, as the ledger holds none.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, func, select

from tuppence.errors import LedgerError
from tuppence.evidence.advice.advice import Range
from tuppence.prices import PicoUSD
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.places import shown_place
from tuppence.spend.ledger.tables import attempts
from tuppence.spend.sums import Adding, summed, tokens_in, tokens_out, total

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
MONTH_DAYS = 365.25 / 12
LEAST_CALLS = 300
"""Of 300 calls without one of a kind, that kind is less than 1% with probability 95% (the rule of three)."""
LEAST_DAYS = 3
_BURST = 10
"""Calls of one site in a minute, none of which names a user or a session, that look like a job's."""
_NEWEST_ANSWERS = 20_000


@dataclass(frozen=True, slots=True)
class Group:
    """Attempts of one day and kind, added up."""

    day: int
    site: str
    tier: str
    model: str
    cause: str
    outcome: str
    mode: str | None
    processing: str | None
    rows: int
    calls: int
    priced: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    shortest_input: int
    pico_usd: PicoUSD
    compared: int
    """Answers of observe mode that say what the first choice would have cost."""
    compared_pico: PicoUSD
    would_pico: PicoUSD


@dataclass(frozen=True, slots=True)
class Burst:
    """A day's calls of one site and model that came many in a minute, and nobody is named to wait for."""

    day: int
    site: str
    model: str
    rows: int
    input_tokens: int
    output_tokens: int
    pico_usd: PicoUSD


@dataclass(frozen=True, slots=True)
class Answer:
    """How long one answer was."""

    site: str
    model: str
    output_tokens: int
    reasoning_tokens: int
    finish: str | None
    input_tokens: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a ledger's calls."""

    groups: tuple[Group, ...]
    bursts: tuple[Burst, ...]
    answers: tuple[Answer, ...]
    """The newest, oldest first."""
    calls: int
    first_day: int
    last_day: int
    at: float
    """The newest call's time, Unix seconds: advice is for the prices of then."""

    @property
    def days(self) -> int:
        return self.last_day - self.first_day + 1

    @property
    def enough(self) -> bool:
        return self.calls >= LEAST_CALLS and self.days >= LEAST_DAYS

    @property
    def month_pico(self) -> PicoUSD:
        return round(sum(one.pico_usd for one in self.groups) / self.days * MONTH_DAYS)

    def some(self, wanted: Callable[[Group], bool]) -> list[Group]:
        return [one for one in self.groups if wanted(one)]

    def monthly(self, by_day: Mapping[int, int]) -> Range:
        """Put days up to a month: their mean, and two standard errors of it to either side, a 95% interval where days
        are alike. Days without an entry count as 0; nothing goes below 0.
        """
        values = [by_day.get(day, 0) for day in range(self.first_day, self.last_day + 1)]
        mean = sum(values) / len(values)
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1) / len(values))
        low, high = max(0.0, mean - 2 * spread), mean + 2 * spread
        return Range(*(round(max(0.0, one) * MONTH_DAYS) for one in (mean, min(low, mean), high)))


def daily(found: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Add up amounts by day."""
    sums: dict[int, int] = defaultdict(int)
    for day, amount in found:
        sums[day] += amount
    return sums


def facts_of(place: str | Path) -> Facts:
    """Read a ledger; raises `LedgerError` where there is none, or where it is empty."""
    with reading(place) as connection:
        groups = [_group(row) for row in summed(connection, _groups)]
        if not groups:
            raise LedgerError(f"the ledger {shown_place(place)} holds no calls yet: make some, then ask again")
        bursts = [_burst(row) for row in summed(connection, _bursts)]
        newest = connection.execute(select(func.max(attempts.c.started_us))).scalar_one()
        answers = _answers(connection)
    days = [one.day for one in groups]
    calls = sum(one.calls for one in groups)
    return Facts(tuple(groups), tuple(bursts), tuple(answers), calls, min(days), max(days), newest / 1e6)


_SITE = func.coalesce(attempts.c.task, attempts.c.endpoint, "")


def _groups(adding: Adding) -> Select[Any]:
    c = attempts.c
    keys = [c.started_us // DAY_US, _SITE, c.tier, c.model, c.cause, c.outcome, c.mode, c.processing]
    cheaper = c.would_pico.is_not(None) & c.pico_usd.is_not(None)
    return select(
        *keys, func.count(), func.count().filter((c.n == 1) & (c.again == 0)), func.count(c.pico_usd),
        adding(tokens_in(attempts)), adding(c.cache_read + c.audio_cache_read), adding(tokens_out(attempts)),
        func.min(tokens_in(attempts)), adding(c.pico_usd), func.count().filter(cheaper),
        adding(c.pico_usd, cheaper), adding(c.would_pico, cheaper),
    ).group_by(*keys)  # fmt: skip


def _group(row: Any) -> Group:
    rows, calls, priced, sent, cached, written, shortest, paid, compared, before, would = row[8:]
    figures = [rows, calls, priced, *map(total, (sent, cached, written)), shortest, total(paid), compared]
    values = [*row[:8], *figures, total(before), total(would)]
    return Group(*values)


def _bursts(adding: Adding) -> Select[Any]:
    c = attempts.c
    unattended = c.user.is_(None) & c.session.is_(None) & c.pico_usd.is_not(None) & (c.cause != "judge")
    unattended &= func.coalesce(c.processing, "standard") == "standard"
    keys = [_SITE.label("site"), c.model, (c.started_us // MINUTE_US).label("minute")]
    minutes = (
        select(
            *keys, func.count().label("rows"), func.sum(tokens_in(attempts)).label("sent"),
            func.sum(tokens_out(attempts)).label("written"), func.sum(c.pico_usd).label("pico"),
        ).where(unattended).group_by(*keys).having(func.count() >= _BURST).subquery()
    )  # fmt: skip
    m = minutes.c
    days = [m.minute // (DAY_US // MINUTE_US), m.site, m.model]
    figures = (func.sum(m.rows), adding(m.sent), adding(m.written), adding(m.pico))
    return select(*days, *figures).group_by(*days)


def _burst(row: Any) -> Burst:
    day, site, model, *figures = row
    return Burst(day, site, model, *map(total, figures))


def _answers(connection: Connection) -> list[Answer]:
    c = attempts.c
    spoken = c.outcome.in_(("accepted", "rejected", "abandoned", "observed")) & (tokens_out(attempts) > 0)
    columns = (_SITE, c.model, c.output, c.reasoning, c.outcome, c.extra, tokens_in(attempts))
    newest = select(*columns).where(spoken).order_by(c.started_us.desc(), c.id.desc()).limit(_NEWEST_ANSWERS)
    return [
        Answer(site, model, written, hidden, _ended(outcome, extra), sent)
        for site, model, written, hidden, outcome, extra, sent in reversed(connection.execute(newest).all())
    ]


def _ended(outcome: str, extra: Mapping[str, Any] | None) -> str | None:
    """Say how an answer ended, as `prune.output` reads it."""
    return "abandoned" if outcome == "abandoned" else (extra or {}).get("finish")
