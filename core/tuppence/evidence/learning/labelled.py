"""Labelled questions as arrays: what every tier of a ladder made of each question, at what cost, and the traits that a
learned check would have seen. Read once, then learned from, split and judged as often as wanted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tuppence.checks.learned import Weighing, question_traits, with_answers
from tuppence.checks.learned.traits import Traits
from tuppence.errors import ConfigError
from tuppence.evidence.outcomes import Outcome, Outcomes
from tuppence.evidence.replay.recorded import request_of
from tuppence.request import Reply
from tuppence.usage import Usage

FloatArray = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

_PICO_PER_USD = 1e12


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The traits of one stage: a row a question, a column a trait."""

    tier: str
    other: str | None
    names: tuple[str, ...]
    values: FloatArray

    def weigh(self, weighing: Weighing) -> FloatArray:
        """Return the weighted sums, as `weighing` gives them for each row's traits."""
        weights = np.array([weighing.weights.get(name, 0.0) for name in self.names])
        return np.asarray(self.values @ weights + weighing.intercept)


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Questions on which all tiers of a ladder, and the helper if there is one, were asked, graded and priced."""

    tiers: tuple[str, ...]
    """In the order in which they are climbed; the last is the strongest."""
    helper: str | None
    quality: FloatArray
    """(questions, tiers): scores in [0, 1]."""
    cost_usd: FloatArray
    """(questions, tiers), in dollars."""
    helper_quality: FloatArray
    """(questions,): scores of the helper's own answers; 0 without one."""
    helper_usd: FloatArray
    """(questions,): what the helper's opinion cost; 0 without one."""
    tables: tuple[Table, ...]
    ids: tuple[str, ...]
    """The questions' own."""
    skipped: int = 0
    """Rows left out, because a tier was not asked, graded or priced on them."""

    def __len__(self) -> int:
        return len(self.quality)

    def table(self, tier: str, other: str | None) -> Table:
        """Return the traits of a tier's answers beside another's, or without one; raises `ConfigError` without any."""
        for table in self.tables:
            if (table.tier, table.other) == (tier, other):
                return table
        beside = "" if other is None else f" beside {other}'s"
        raise ConfigError(
            f"the labels are of {list(self.tiers)} with helper {self.helper}, not of {tier}'s answers{beside}"
        )

    def take(self, index: Index) -> Labelled:
        """Return some of the questions, in the order of `index`."""
        tables = tuple(replace(table, values=table.values[index]) for table in self.tables)
        return replace(
            self,
            quality=self.quality[index],
            cost_usd=self.cost_usd[index],
            helper_quality=self.helper_quality[index],
            helper_usd=self.helper_usd[index],
            tables=tables,
            ids=tuple(self.ids[one] for one in index),
        )

    def climbing(self, order: Sequence[str]) -> Labelled:
        """Return the same questions as a ladder of `order`: some of the tiers, the strongest last."""
        columns = [self.tiers.index(tier) for tier in order]
        return replace(self, tiers=tuple(order), quality=self.quality[:, columns], cost_usd=self.cost_usd[:, columns])

    def split(self, share: float, *, seed: int) -> tuple[Labelled, Labelled]:
        """Draw a share of the questions by a hash of their ids; return about so many, and the rest.

        In which order the rows came decides nothing, and a question that is added moves no other to the other side.
        """
        lots = np.array([_lot(one, seed) for one in self.ids])
        order = np.argsort(lots, kind="stable")
        first = int((lots < share).sum())
        return self.take(order[:first]), self.take(order[first:])


def labelled(rows: Iterable[Outcomes], *, tiers: Sequence[str], helper: str | None = None) -> Labelled:
    """Read the rows on which all of `tiers` (the strongest last) and the helper were asked.

    Raises `ConfigError` for a ladder of fewer than two tiers, a helper that is one of them, and where no row has all.
    """
    if len(tiers) < 2 or len(set(tiers)) < len(tiers):
        raise ConfigError(f"the tiers are {list(tiers)}: give at least two different ones, cheapest first")
    if helper in tiers:
        raise ConfigError(
            f"the helper {helper!r} is a tier of the ladder {list(tiers)}: leave the helper out, for the "
            "answers of tiers are compared anyway"
        )
    asked = (*tiers, *(() if helper is None else (helper,)))
    all_rows = list(rows)
    usable = whole(all_rows, asked)
    outcomes = [[row.by_model[name] for name in asked] for row in usable]
    quality = np.array([[one.score for one in of_row] for of_row in outcomes], dtype=np.float64)
    usd = np.array([[(one.pico_usd or 0) / _PICO_PER_USD for one in of_row] for of_row in outcomes])
    count = len(tiers)
    return Labelled(
        tuple(tiers),
        helper,
        quality[:, :count],
        usd[:, :count],
        quality[:, count] if helper is not None else np.zeros(len(usable)),
        usd[:, count] if helper is not None else np.zeros(len(usable)),
        _tables(usable, tuple(tiers), helper),
        tuple(row.id for row in usable),
        skipped=len(all_rows) - len(usable),
    )


def whole(rows: Sequence[Outcomes], asked: Sequence[str]) -> list[Outcomes]:
    """Keep the rows on which all of `asked` were asked, graded and priced; raises `ConfigError` where none is."""
    found = [row for row in rows if all(_is_whole(row.by_model.get(name)) for name in asked)]
    if not found:
        raise ConfigError(_nothing_usable(rows, asked))
    return found


def reply_of(outcome: Outcome, tier: str) -> Reply:
    """Make the reply that an outcome tells of, as a replay would."""
    usage = Usage(input=outcome.input_tokens or 0, output=outcome.output_tokens or 0)
    return Reply(outcome.answer, finish="stop", usage=usage, tier=tier)


def _lot(id: str, seed: int) -> float:  # noqa: A002
    digest = hashlib.blake2b(f"{seed}/{id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64


def _is_whole(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.score is not None and outcome.pico_usd is not None


def _nothing_usable(rows: Sequence[Outcomes], asked: Sequence[str]) -> str:
    if not rows:
        return "there are no outcomes (0 rows): record traffic or import a labelled set first"
    known = sorted({name for row in rows for name in row.by_model})
    unknown = [name for name in asked if name not in known]
    if unknown:
        return f"no row has an outcome of {unknown}: the models in the {len(rows)} rows are {known}"
    return (
        f"none of the {len(rows)} rows has a score and a cost for all of {list(asked)}: grade the answers of every "
        "tier on the same questions"
    )


def _tables(rows: Sequence[Outcomes], tiers: tuple[str, ...], helper: str | None) -> tuple[Table, ...]:
    """Read the traits of every stage at which a tier below the strongest may be judged, in whatever order."""
    questions = [question_traits(request_of(row)) for row in rows]
    drafting = tiers[:-1]
    tables = []
    for tier in drafting:
        beside = (helper,) if helper is not None else (other for other in drafting if other != tier)
        tables += [_table(rows, questions, tier, other) for other in (None, *beside)]
    return tuple(tables)


def _table(rows: Sequence[Outcomes], questions: Sequence[Traits], tier: str, other: str | None) -> Table:
    def reply(row: Outcomes, name: str) -> Reply:
        return reply_of(row.by_model[name], name)

    traits = [
        with_answers(question, reply(row, tier), None if other is None else reply(row, other))
        for row, question in zip(rows, questions, strict=True)
    ]
    names = tuple(sorted({name for one in traits for name in one}))
    values = np.array([[one.get(name, 0.0) for name in names] for one in traits], dtype=np.float64)
    return Table(tier, other, names, values)
