"""What the ledger says: calls, tokens, cost and savings, by whatever the calls are labelled with.

SQL adds up and Python only puts the parts of exact sums together. A figure that is not known must never look
like a zero: unpriced attempts and calls without a saving are counted beside the sums that they are missing
from.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from tuppence.errors import LedgerError
from tuppence.prices import PicoUSD, usd
from tuppence.spend.ledger import spill
from tuppence.spend.ledger.places import file_of
from tuppence.spend.ledger.rows import TAG_COLUMNS

if TYPE_CHECKING:
    from tuppence.spend.hit_savings import HitReport, WrongHits
    from tuppence.spend.prefix_savings import PrefixLine
    from tuppence.spend.rolled_up import RolledUp
    from tuppence.spend.waterfall import Waterfall

DIMENSIONS = ("day", "tier", "model", "cause", *TAG_COLUMNS)
"""What a report can be grouped by. A day is a day in UTC."""


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
    waterfall: Waterfall | None = None
    """Where the saving comes from."""
    rolled_up: RolledUp | None = None
    """Days that are only sums, whose calls are in the lines and in the waterfall; None where there are none."""


def report(
    place: str | Path,
    *,
    by: Sequence[str] = ("tier",),
    since: datetime | None = None,
    until: datetime | None = None,
    where: Mapping[str, str] | None = None,
    wrong_hits: WrongHits | None = None,
) -> Report:
    """Add up the attempts of a ledger, a file or an address, that started in [since, until) and carry all the tags of
    `where`.

    `wrong_hits` is what a semantic cache's audits say, to stand beside its hits. Times without a zone are UTC. Raises
    `LedgerError` for an unknown dimension or a place that is not a ledger.
    """
    unknown = [name for name in by if name not in DIMENSIONS]
    if unknown:
        raise LedgerError(f"a report cannot be grouped by {unknown}: it can by {list(DIMENSIONS)}")
    from tuppence.spend.hit_savings import hit_report
    from tuppence.spend.lines import lines_of
    from tuppence.spend.prefix_savings import prefix_lines
    from tuppence.spend.rolled_up import rolled_up
    from tuppence.spend.selection import Selection
    from tuppence.spend.side_by_side import side_by_side
    from tuppence.spend.waterfall import waterfall_of

    now = time.time()
    (lines, prefix, days, falls), hits = side_by_side(
        place, Selection(since, until, where or {}),
        lambda reader, chosen: (
            lines_of(reader, chosen, by), prefix_lines(reader, chosen, now=now), rolled_up(reader, chosen, tuple(by)),
            waterfall_of(reader, chosen),
        ),
        lambda reader, chosen: hit_report(reader, chosen, wrong_hits),
    )  # fmt: skip
    made = [Line(key, **asdict(sums)) for key, sums in lines.by_key.items()]
    made.sort(key=lambda line: (_day(line, by), -line.pico_usd, tuple(value or "" for value in line.key)))
    whole = _total(made, calls=lines.calls, compared=falls.compared)
    return Report(
        tuple(by), tuple(made) if by else (), whole, _against(falls.baselines), tuple(_unread(place)), prefix, hits,
        falls, days,
    )  # fmt: skip


def _unread(place: str | Path) -> list[Path]:
    path = file_of(place)
    if path is None:
        from tuppence.spend.ledger.postgres import PostgresDatabase

        path = PostgresDatabase(str(place)).spilled
    return spill.found(path)


def _total(lines: Sequence[Line], **counted: int) -> Line:
    """Add the lines up; calls are counted apart, since one call may be in several lines."""
    sums = {one.name: sum(getattr(line, one.name) for line in lines) for one in fields(Line) if one.name != "key"}
    return Line(key=(), **(sums | counted))


def _against(baselines: Sequence[str]) -> str:
    names = [repr(name) for name in baselines]
    if not names:
        return "every call on the policy's strongest tier alone"
    return f"every call on tier {' or '.join(names)} alone" + (", as its policy says" if len(names) > 1 else "")


def _day(line: Line, by: Sequence[str]) -> str:
    return (line.key[by.index("day")] or "") if "day" in by else ""
