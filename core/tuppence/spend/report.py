"""What the ledger says: calls, tokens, cost and savings, by whatever the calls are labelled with.

SQL adds up and Python only puts the parts of exact sums together. A figure that is not known must never look
like a zero: unpriced attempts and calls without a saving are counted beside the sums that they are missing
from.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tuppence.errors import LedgerError
from tuppence.prices import PicoUSD, usd
from tuppence.spend.hit_savings import HitReport, WrongHits, hit_report
from tuppence.spend.ledger import spill
from tuppence.spend.ledger.rows import TAG_COLUMNS, clean
from tuppence.spend.ledger.schema import read_only
from tuppence.spend.prefix_savings import PrefixLine, prefix_lines
from tuppence.spend.savings import COMPARED, COMPARED_TABLE
from tuppence.spend.sums import INPUT, OUTPUT, exact_money, exact_sum, joined

DIMENSIONS: Mapping[str, str] = {
    "day": "strftime('%Y-%m-%d', started_us / 1000000, 'unixepoch')",
    "tier": "tier",
    "model": "model",
    "cause": "cause",
    **{tag: f'"{tag}"' for tag in TAG_COLUMNS},
}
"""What a report can be grouped by, in SQL. A day is a day in UTC."""

_ADDITIVE = (
    "attempts", "hits", "errors", "input_tokens", "output_tokens", "estimated", "unpriced", "pico_usd", "saved_pico",
    "observed", "would_save_pico",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One group of attempts, or all of them."""

    key: tuple[str | None, ...]
    """Values of the report's dimensions; None where an attempt has none."""
    calls: int
    """Logical calls with an attempt in this group: one that went through two tiers is in the lines of both.
    """
    attempts: int
    """Tries to get an answer, cache hits left out."""
    hits: int
    """Answers from the cache."""
    errors: int
    """Attempts that failed."""
    input_tokens: int
    output_tokens: int
    estimated: int
    """Attempts whose tokens were estimated, because the provider did not say."""
    unpriced: int
    """Attempts of unknown price: they are missing from the cost."""
    pico_usd: PicoUSD
    compared: int
    """Calls that a saving is known for."""
    observed: int
    """Calls that were only observed, and whose optimised cost could be estimated."""
    would_save_pico: PicoUSD
    """An estimate of what these observed calls would have cost less."""
    saved_pico: PicoUSD
    """Baseline of the answers in this group less the cost of its attempts, over the compared calls: lines add
    up.
    """

    @property
    def cost_usd(self) -> Decimal:
        return usd(self.pico_usd)

    @property
    def saved_usd(self) -> Decimal | None:
        """Saving in dollars, below 0 where more was paid; None where no call could be compared."""
        return usd(self.saved_pico) if self.compared else None

    @property
    def would_save_usd(self) -> Decimal | None:
        """Estimated saving that observed calls let pass; None where none was observed."""
        return usd(self.would_save_pico) if self.observed else None

    @property
    def amplification(self) -> float:
        """Attempts per logical call."""
        return self.attempts / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """Lines by day or by falling cost, and their total over distinct calls."""

    by: tuple[str, ...]
    lines: tuple[Line, ...]
    total: Line
    baseline: str
    """What savings are measured against, in words."""
    unread: tuple[Path, ...] = ()
    """Spill files whose rows are not in the ledger yet, and so not in this report."""
    prefix: tuple[PrefixLine, ...] = ()
    """What providers' prompt caches gave, by tier; empty where none was used."""
    hits: HitReport | None = None
    """What answer caches gave; None where none was asked."""


def report(
    path: str | Path,
    *,
    by: Sequence[str] = ("tier",),
    since: datetime | None = None,
    until: datetime | None = None,
    where: Mapping[str, str] | None = None,
    wrong_hits: WrongHits | None = None,
) -> Report:
    """Add up the attempts of the ledger at `path` that started in [since, until) and carry all the tags of
    `where`.

    `wrong_hits` is what a semantic cache's audits say, to stand beside its hits. Times without a zone are UTC. Raises
    `LedgerError` for an unknown dimension or a file that is not a ledger.
    """
    unknown = [name for name in by if name not in DIMENSIONS]
    if unknown:
        raise LedgerError(f"a report cannot be grouped by {unknown}: it can by {list(DIMENSIONS)}")
    path = Path(path).absolute()
    condition, values = _condition(since, until, where or {})
    try:
        with closing(read_only(path)) as connection:
            # One snapshot for all queries, though others go on writing.
            connection.execute("BEGIN")
            connection.execute(COMPARED_TABLE)
            connection.execute(COMPARED.format(condition=condition), values)
            lines = _lines(connection, by, condition, values)
            total = _total(connection, lines, condition, values)
            baseline = _baseline(connection, condition, values)
            prefix = prefix_lines(connection, condition, values, now=time.time())
            hits = hit_report(connection, condition, values, wrong_hits)
    except sqlite3.Error as error:
        raise LedgerError(f"the ledger {path} cannot be read ({error})") from error
    lines.sort(key=lambda line: (_day(line, by), -line.pico_usd, tuple(value or "" for value in line.key)))
    return Report(tuple(by), tuple(lines) if by else (), total, baseline, tuple(spill.found(path)), prefix, hits)


def _baseline(connection: sqlite3.Connection, condition: str, values: Sequence[str | int]) -> str:
    query = f"SELECT DISTINCT baseline FROM attempts WHERE {condition} AND baseline <> '' ORDER BY 1"
    names = [repr(name) for (name,) in connection.execute(query, values)]
    if not names:
        return "every call on the policy's strongest tier alone"
    return f"every call on tier {' or '.join(names)} alone" + (", as its policy says" if len(names) > 1 else "")


def _day(line: Line, by: Sequence[str]) -> str:
    return (line.key[by.index("day")] or "") if "day" in by else ""


def _condition(since: datetime | None, until: datetime | None, where: Mapping[str, str]) -> tuple[str, list[str | int]]:
    terms, values = ["TRUE"], list[str | int]()
    for moment, comparison in ((since, ">="), (until, "<")):
        if moment is not None:
            terms.append(f"started_us {comparison} ?")
            values.append(_microseconds(moment))
    for name, value in where.items():
        if name in TAG_COLUMNS:
            terms.append(f'"{name}" = ?')
        else:
            terms.append("EXISTS (SELECT 1 FROM json_each(attempts.tags) WHERE key = ? AND value = ?)")
            values.append(clean(name))
        values.append(clean(value))
    return " AND ".join(terms), values


def _microseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    since_epoch = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000_000 + since_epoch.microseconds


def _lines(
    connection: sqlite3.Connection, by: Sequence[str], condition: str, values: Sequence[str | int]
) -> list[Line]:
    keys = "".join(f"{DIMENSIONS[name]}, " for name in by)
    grouped = f"GROUP BY {', '.join(map(str, range(1, len(by) + 1)))}" if by else ""
    query = f"""
        SELECT
            {keys}
            COUNT(DISTINCT attempts.call_id),
            COUNT(*) FILTER (WHERE outcome <> 'hit'),
            COUNT(*) FILTER (WHERE outcome = 'hit'),
            COUNT(*) FILTER (WHERE outcome = 'failed'),
            COUNT(*) FILTER (WHERE status = 'estimated'),
            COUNT(*) FILTER (WHERE pico_usd IS NULL),
            COUNT(DISTINCT compared.call_id),
            COUNT(would_pico) FILTER (WHERE pico_usd IS NOT NULL),
            {exact_sum(INPUT, "outcome <> 'hit'")}, '[]',
            {exact_sum(OUTPUT, "outcome <> 'hit'")}, '[]',
            {exact_money("pico_usd", "TRUE")},
            {exact_money("pico_usd", "compared.call_id IS NOT NULL")},
            {exact_money("baseline_pico", "attempts.id = compared.answer")},
            {exact_money("pico_usd", "would_pico IS NOT NULL")},
            {exact_money("would_pico", "pico_usd IS NOT NULL")}
        FROM attempts LEFT JOIN compared ON compared.call_id = attempts.call_id
        WHERE {condition}
        {grouped}
    """
    return [_line(row[: len(by)], row[len(by) :]) for row in connection.execute(query, values)]


def _total(connection: sqlite3.Connection, lines: Sequence[Line], condition: str, values: Sequence[str | int]) -> Line:
    """Add the lines up; calls are counted anew, since one call may be in several lines."""
    (calls,) = connection.execute(f"SELECT COUNT(DISTINCT call_id) FROM attempts WHERE {condition}", values).fetchone()
    (compared,) = connection.execute("SELECT COUNT(*) FROM compared").fetchone()
    sums = {name: sum(getattr(line, name) for line in lines) for name in _ADDITIVE}
    return Line(key=(), calls=calls, compared=compared, **sums)


def _line(key: tuple[str | None, ...], figures: tuple[Any, ...]) -> Line:
    calls, attempts, hits, errors, estimated, unpriced, compared, observed, *parts = figures
    sums = [joined(*parts[i : i + 3]) for i in range(0, len(parts), 3)]
    tokens_in, tokens_out, pico, compared_pico, baseline_pico, observed_pico, would_pico = sums
    return Line(
        key=key, calls=calls, attempts=attempts, hits=hits, errors=errors, input_tokens=tokens_in,
        output_tokens=tokens_out, estimated=estimated, unpriced=unpriced, pico_usd=pico, compared=compared,
        saved_pico=baseline_pico - compared_pico, observed=observed, would_save_pico=observed_pico - would_pico,
    )  # fmt: skip
