"""Spend, attempts and hits over time, and what each tier did: one pass over the ledger, and one for each dimension."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, Table, and_, select

from tuppence.prices import PicoUSD
from tuppence.spend.cells import RETRIES
from tuppence.spend.hours import summed_up
from tuppence.spend.ledger.tables import days, hours, user_days
from tuppence.spend.page.axis import HOUR_US, hours_in, hours_of, place_on
from tuppence.spend.page.sections import Axis, Hour, Moment, Share, Split, TierLine
from tuppence.spend.selection import Selection
from tuppence.spend.sums import Adding, summed, tokens_in, tokens_out, total


class TierCells:
    """All figures by hour and tier: what is shown over time and what is shown by tier are sums of these.

    Rolled-up days are in their first hours.
    """

    def __init__(self, connection: Connection, selection: Selection, axis: Axis) -> None:
        self._axis = axis
        self._hours = list(_grouped(connection, selection, hours_of(axis), "tier", _figures, _day_figures))
        width = hours_in(axis)
        self._rows = [(hour // width, tier, figures) for hour, tier, figures in self._hours]

    def hours(self) -> tuple[Hour, ...]:
        """Return what each hour cost, those without attempts left out."""
        found: dict[int, list[int]] = {}
        for hour, _, (pico, *_, unpriced, _) in self._hours:
            sums = found.setdefault(hour, [0, 0])
            sums[0] += pico
            sums[1] += unpriced
        start_us = self._axis.starts_us[0] if found else 0
        return tuple(
            Hour(start_us + hour * HOUR_US, pico, unpriced) for hour, (pico, unpriced) in sorted(found.items())
        )

    def split(self, *, top: int) -> Split:
        """Return spend over time by those tiers that cost something, beyond the `top` dearest added up."""
        return _split("tier", self._axis, ((at, tier, row[0]) for at, tier, row in self._rows if row[0]), top)

    def moments(self) -> tuple[Moment, ...]:
        """Return what happened, for each stretch of time."""
        found = [[0] * 6 for _ in self._axis.starts_us]
        for at, tier, (_, tokens, cached, _, calls, asked, hits, *_) in self._rows:
            exact = hits if tier == "cache" else 0
            for i, value in enumerate((calls, asked, exact, hits - exact, tokens, cached)):
                found[at][i] += value
        return tuple(Moment(*figures) for figures in found)

    def tiers(self, quantiles: Mapping[str, tuple[float, float]]) -> tuple[TierLine, ...]:
        """Return a line for each tier, the dearest first."""
        sums: dict[str, list[int]] = {}
        for _, tier, figures in self._rows:
            line = sums.setdefault(tier or "", [0] * len(figures))
            for i, value in enumerate(figures):
                line[i] += value
        lines = [_tier_line(tier, line, quantiles) for tier, line in sums.items()]
        return tuple(sorted(lines, key=lambda line: (-line.pico_usd, -line.attempts, line.tier)))

    def calls(self) -> int:
        """Return how many logical calls there were."""
        return sum(moment.calls for moment in self.moments())


def split_by(connection: Connection, selection: Selection, axis: Axis, tag: str, *, top: int) -> Split:
    """Read spend over time by a tag; beyond the `top` dearest values all are added up."""
    rows = _grouped(
        connection, selection, axis, tag,
        lambda rows, adding: [adding(rows.c.pico_usd)], lambda adding: [adding(days.c.pico_usd)],
        table=user_days if tag == "user" and axis.step != "hour" else hours,
    )  # fmt: skip
    return _split(tag, axis, ((at, label, pico) for at, label, (pico,) in rows), top)


def _figures(rows: FromClause, adding: Adding) -> list[ColumnElement[Any]]:
    c = rows.c
    # Hits ask no model: they are no attempts, and their tokens were never sent.
    asked = c.outcome != "hit"
    counted = (
        and_(c.first == 1, c.again == 0), asked, c.outcome == "hit", c.outcome == "failed", c.cause.in_(RETRIES),
    )  # fmt: skip
    return [
        adding(c.pico_usd), adding(tokens_in(rows), asked), adding(c.cache_read + c.audio_cache_read, asked),
        adding(tokens_out(rows), asked), *(adding(c.attempts, condition) for condition in counted),
        adding(c.unpriced), adding(c.attempts, c.status == "estimated"),
    ]  # fmt: skip


def _day_figures(adding: Adding) -> list[ColumnElement[Any]]:
    c = days.c
    asked = c.outcome != "hit"
    counted = (asked, c.outcome == "hit", c.outcome == "failed", c.cause.in_(RETRIES))
    return [
        adding(c.pico_usd), adding(tokens_in(days), asked), adding(c.cache_read + c.audio_cache_read, asked),
        adding(tokens_out(days), asked), adding(c.calls), *(adding(c.attempts, condition) for condition in counted),
        adding(c.unpriced), adding(c.attempts, c.status == "estimated"),
    ]  # fmt: skip


def _grouped(
    connection: Connection,
    selection: Selection,
    axis: Axis,
    by: str,
    of_rows: Callable[[FromClause, Adding], list[ColumnElement[Any]]],
    of_days: Callable[[Adding], list[ColumnElement[Any]]],
    *,
    table: Table = hours,
) -> Iterator[tuple[int, str | None, list[int]]]:
    """Yield sums by stretch of time and label, those of days whose rows were rolled up after the others."""
    if not axis.starts_us:
        return

    def question(part: FromClause, adding: Adding) -> Select[Any]:
        place, label = place_on(axis, part.c.start_us).label("place"), part.c[by]
        return select(place, label, *of_rows(part, adding)).group_by(place, label)

    rows = summed_up(connection, selection, question, by=(by,), table=table)
    if selection.in_days((by,)):
        day, kept = place_on(axis, days.c.day_us).label("place"), days.c[by]
        rows = [*rows, *summed(
            connection,
            lambda adding: select(day, kept, *of_days(adding)).where(selection.met_by_day()).group_by(day, kept),
        )]  # fmt: skip
    for at, found, *sums in rows:
        yield int(at), found, [total(one) for one in sums]


def _tier_line(tier: str, figures: Sequence[int], quantiles: Mapping[str, tuple[float, float]]) -> TierLine:
    pico, tokens, cached, written, _, asked, hits, failed, retries, unpriced, estimated = figures
    p50, p95 = quantiles.get(tier, (None, None))
    return TierLine(tier, asked, hits, failed, retries, pico, unpriced, estimated, tokens, cached, written, p50, p95)


def _split(by: str, axis: Axis, rows: Iterable[tuple[int, str | None, PicoUSD]], top: int) -> Split:
    found: dict[str | None, list[PicoUSD]] = {}
    for at, label, pico in rows:
        found.setdefault(label, [0] * len(axis.starts_us))[at] += pico
    shares = sorted((Share(label, tuple(pico)) for label, pico in found.items()), key=_dearest)
    # One beyond the last is shown as itself: "1 more" would take the same place.
    if len(shares) <= top + 1:
        return Split(by, tuple(shares), None, len(shares))
    return Split(by, tuple(shares[:top]), _added(shares[top:]), len(shares))


def _dearest(share: Share) -> tuple[PicoUSD, str]:
    return -share.total, share.label or ""


def _added(shares: Sequence[Share]) -> Share:
    return Share(None, tuple(map(sum, zip(*(share.pico_usd for share in shares), strict=True))))
