"""What the answer caches gave: how many calls they served, the money and the time that it saved, and why they did not.

Only calls that went through a policy count: neither those that were just watched nor cached embeddings. A figure that
nobody knows must never look like a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Connection,
    FromClause,
    Select,
    Text,
    and_,
    case,
    exists,
    false,
    func,
    not_,
    null,
    or_,
    select,
    union_all,
)

from tuppence.attempts import JUDGED
from tuppence.prices import PicoUSD, usd
from tuppence.spend.comparing import ANSWER, APART, doubtful, looked_at, stands_before, watched
from tuppence.spend.hours import summed_up
from tuppence.spend.ledger.tables import attempts
from tuppence.spend.ranks import Rank, ranked
from tuppence.spend.selection import Selection
from tuppence.spend.sums import Adding, summed, total

KINDS = {"cache": "exact", "similar": "similar"}
"""Tier of the rows of hits, and what they are called."""
TOP_MISSES = 5


@dataclass(frozen=True, slots=True)
class HitLine:
    """Hits of one kind."""

    kind: str
    hits: int
    compared: int
    """Those of them that a saving is known for."""
    saved_pico: PicoUSD
    """Baseline of these answers less all that their calls cost, a verifier included."""
    median_ms: float
    """Middle time from the question to the answer."""
    total_ms: float

    @property
    def saved_usd(self) -> Decimal | None:
        return usd(self.saved_pico) if self.compared else None


@dataclass(frozen=True, slots=True)
class WrongHits:
    """What audits say of hits that would be served: handed to the report, for the ledger does not know it."""

    audits: int
    wrong: int
    interval: tuple[float, float]
    """95 % interval of the share of wrong ones."""

    @property
    def share(self) -> float | None:
        return self.wrong / self.audits if self.audits else None


@dataclass(frozen=True, slots=True)
class HitReport:
    """Hits beside the calls that models answered."""

    calls: int
    """Logical calls through a policy, hits included."""
    lines: tuple[HitLine, ...]
    asked_median_ms: float | None
    """Middle time that a call took which models answered, checks and retries included; None where there was none."""
    missed: tuple[tuple[str, int], ...]
    """Most frequent reasons why a cache did not serve, and the calls of each."""
    wrong: WrongHits | None = None

    def rate(self, line: HitLine) -> float:
        """Return the share of all calls that hits of this kind served."""
        return line.hits / self.calls if self.calls else 0.0

    def saved_s(self, line: HitLine) -> float | None:
        """Estimate the seconds saved: each hit against the middle time of calls that models answered."""
        if self.asked_median_ms is None:
            return None
        return (line.hits * self.asked_median_ms - line.total_ms) / 1000


def hit_report(connection: Connection, selection: Selection, wrong: WrongHits | None) -> HitReport | None:
    """Read what caches gave to the selected calls; None where no cache was asked."""
    chosen = and_(selection.met_by(attempts), _THROUGH_A_POLICY)
    missed = connection.execute(_missed(chosen)).all()
    served = _served(connection, selection)
    if not missed and not served:
        return None
    calls, saved = _begun(connection, selection), dict.fromkeys(KINDS, (0, 0))
    doubted = doubtful(connection, selection)
    for tier, count, *sums in summed(connection, lambda adding: _saved(selection, doubted, adding)):
        if tier is None:
            calls += count
            continue
        baseline, cost = map(total, sums)
        saved[tier] = (saved[tier][0] + count, saved[tier][1] + baseline - cost)
    middle = _medians(connection, chosen)
    lines = tuple(
        HitLine(kind, hits, *saved[tier], middle.get(tier, 0.0), total_ms)
        for tier, kind in KINDS.items() for hits, total_ms in (served.get(tier, (0, 0.0)),)
    )  # fmt: skip
    return HitReport(calls, lines, middle.get(_ASKED), _top(missed), wrong)


_THROUGH_A_POLICY = attempts.c.policy_version > ""
_ASKED = ""
"""What answers of models are kept apart by, where hits go by their tier."""


def _top(missed: Sequence[Any]) -> tuple[tuple[str, int], ...]:
    ranked = sorted(((why, calls) for why, calls in missed), key=lambda one: (-one[1], one[0]))
    return tuple(ranked[:TOP_MISSES])


def _begun(connection: Connection, selection: Selection) -> int:
    """Count the calls that begin in the selection."""

    def question(rows: FromClause, adding: Adding) -> Select[Any]:
        return select(adding(rows.c.attempts)).where(rows.c.policy_version > "", rows.c.first == 1)

    return sum(total(found) for (found,) in summed_up(connection, selection, question))


def _missed(chosen: ColumnElement[bool]) -> Select[Any]:
    """Spell why caches did not serve: it stands on the first row of each try of a call."""
    before, why = attempts.alias("before"), attempts.c.extra["missed"].as_string()
    told_before = exists().where(
        before.c.call_id == attempts.c.call_id, before.c.id < attempts.c.id, before.c.extra["missed"].as_string() == why
    )
    once = or_(attempts.c.again == 0, not_(told_before))
    told = select(why.label("why")).where(chosen, attempts.c.extra.is_not(None), attempts.c.n == 1, once).subquery()
    return select(told.c.why, func.count()).where(told.c.why.is_not(None)).group_by(told.c.why)


def _served(connection: Connection, selection: Selection) -> dict[str, tuple[int, float]]:
    """Return how many hits of each kind there were, and their times added up."""

    def question(rows: FromClause, adding: Adding) -> Select[Any]:
        c = rows.c
        hits = (c.policy_version > "", c.outcome == "hit", c.tier.in_(KINDS))
        return select(c.tier, adding(c.attempts), func.sum(c.latency_ms)).where(*hits).group_by(c.tier)

    found: dict[str, tuple[int, float]] = {}
    for tier, hits, ms in summed_up(connection, selection, question):
        known = found.get(tier, (0, 0.0))
        found[tier] = known[0] + total(hits), known[1] + ms
    return found


def _saved(selection: Selection, calls: CTE, adding: Adding) -> CompoundSelect[Any]:
    """Spell the answers that hits gave, their baseline, and all that their calls cost: of plain calls, and of the
    doubtful. One row without a tier says how many doubtful calls there are beyond those that begin in the selection.
    """
    c = attempts.c
    plain = (
        select(c.tier, func.count(), adding(c.baseline_pico), adding(_cost(selection)))
        .where(selection.met_by(attempts), _THROUGH_A_POLICY, c.outcome == "hit", c.tier.in_(KINDS))
        .where(not_(watched(attempts)), c.call_id.not_in(select(calls.c.call_id)))
        .group_by(c.tier)
    )
    rows, answer = looked_at(selection, calls), attempts.alias("answer")
    answered, governed = rows.c.part == ANSWER, rows.c.policy_version > ""
    others = (
        select(answer.c.tier, func.count().filter(answered), adding(rows.c.baseline_pico, answered),
               adding(rows.c.pico_usd))
        .where(answer.c.id == rows.c.answer, answer.c.outcome == "hit", answer.c.tier.in_(KINDS))
        .where(rows.c.part != APART, governed)
        .group_by(answer.c.tier)
    )  # fmt: skip
    beyond = func.count(rows.c.call_id.distinct()) - func.count().filter(rows.c.n == 1)
    nothing = adding(rows.c.pico_usd, false())
    return union_all(plain, others, select(null().cast(Text), beyond, nothing, nothing).where(governed))


def _cost(selection: Selection) -> ColumnElement[int]:
    """Spell what the call of a plain hit cost: its own row, and what was asked before it, such as a verifier."""
    before = attempts.alias("before_it")
    asked = (
        select(func.sum(before.c.pico_usd))
        .where(stands_before(before, attempts), selection.timely(before))
        .scalar_subquery()
    )
    return attempts.c.pico_usd + case((attempts.c.n == 1, 0), else_=func.coalesce(asked, 0))


def _medians(connection: Connection, chosen: ColumnElement[bool]) -> dict[str, float]:
    """Return the middle time of hits by tier, and of answers that models gave; of an even number, the mean of both."""
    found = ranked(connection, _times(chosen), (Rank(0.5), Rank(0.5, above=True)))
    return {of: sum(middles) / 2 for of, middles in found.items()}


def _times(chosen: ColumnElement[bool]) -> Select[Any]:
    """Spell the time of each answer. Where a model gave it, that is with what was asked before it in the same try of
    the call. What came by batch is left out: a caller who was served at once would not have waited for that.
    """
    c, before = attempts.c, attempts.alias("before_it")
    earlier = (
        select(func.sum(before.c.latency_ms))
        .where(
            before.c.call_id == c.call_id, before.c.n < c.n, before.c.again == c.again,
            before.c.mode.is_distinct_from(JUDGED),
        )
        .scalar_subquery()
    )  # fmt: skip
    hit = c.outcome == "hit"
    whole = c.latency_ms + case((or_(hit, c.n == 1), 0.0), else_=func.coalesce(earlier, 0.0))
    live = c.processing.is_distinct_from("batch")
    answers = and_(live, c.latency_ms.is_not(None), or_(c.outcome == "accepted", and_(hit, c.tier.in_(KINDS))))
    return select(case((hit, c.tier), else_=_ASKED).label("of"), whole.label("ms")).where(chosen, answers)
