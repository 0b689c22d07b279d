"""Data sets made of recorded traffic, one for each call site: `Dataset.from_traffic("traffic.jsonl", site="intent")`.

Here the steps follow each other: read, choose, part by site, leave out repeats, split. What each step does is in a
module of its own; rows stay on disk throughout.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

from tuppence.distill.dataset.about import Template, Traffic, template_of, traffic_of
from tuppence.distill.dataset.chat_form import Redact
from tuppence.distill.dataset.choosing import choose, choose_teachers
from tuppence.distill.dataset.filters import Filters
from tuppence.distill.dataset.preparing import Prepared, prepare, row_of
from tuppence.distill.dataset.reading import Source, read_into
from tuppence.distill.dataset.row import Row
from tuppence.distill.dataset.scratch import Scratch
from tuppence.distill.dataset.sites import Site, find_sites
from tuppence.distill.dataset.skeleton import digest
from tuppence.distill.dataset.splitting import NAMES, Shares, SplitName
from tuppence.distill.errors import DistillError
from tuppence.evidence.judging.judgements import Judgement

_ANSWER_CHARS = 200

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, slots=True)
class Made:
    """How a data set came about, for its provenance."""

    sources: tuple[Source, ...]
    filters: Filters
    teacher: str
    """"" where the site has no single one."""
    redaction: str | None
    shares: Shares


class Dataset:
    """The rows of one call site, each on its side of the split. Belongs to the `Datasets` that it came from."""

    def __init__(self, scratch: Scratch, site: Site, made: Made, prepared: Prepared) -> None:
        self._scratch, self._site = scratch, site
        self.name = site.name
        self.made = made
        self.prepared = prepared
        self._alone: Datasets | None = None

    @classmethod
    def from_traffic(
        cls, path: Paths, *, site: str | None = None, filters: Filters | None = None, redact: Redact | None = None,
        judged: Iterable[Judgement] = (), shares: Shares | None = None,
    ) -> Dataset:  # fmt: skip
        """Make the data set of one call site; raises `DistillError` where there are several and none is named.

        Arguments as of `Datasets`. Its rows are on disk until `close`.
        """
        found = Datasets(path, filters=filters, redact=redact, judged=judged, shares=shares)
        try:
            one = found.only() if site is None else found[site]
        except DistillError:
            found.close()
            raise
        one._alone = found
        return one

    def close(self) -> None:
        """Remove the rows from disk, where this data set was made alone; else its `Datasets` does."""
        if self._alone is not None:
            self._alone.close()

    def __enter__(self) -> Dataset:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return sum(self.sizes.values())

    @cached_property
    def sizes(self) -> Mapping[SplitName, int]:
        """Rows of each side."""
        counted = "SELECT split, COUNT(*) FROM calls WHERE site = ? AND reason IS NULL GROUP BY split"
        found = {str(side): int(rows) for side, rows in self._scratch.each(counted, self._site.number)}
        return {name: found.get(name, 0) for name in NAMES}

    @cached_property
    def dropped(self) -> Mapping[str, int]:
        """Calls that are on no side, by the reason why."""
        counted = (
            "SELECT reason, COUNT(*) FROM calls WHERE site = ? AND reason IS NOT NULL GROUP BY reason "
            "ORDER BY COUNT(*) DESC, reason"
        )
        return {str(reason): int(rows) for reason, rows in self._scratch.each(counted, self._site.number)}

    def rows(self, side: SplitName | None = None) -> Iterator[Row]:
        """Yield the rows of a side, or all, in the order of time."""
        chosen = "SELECT id FROM calls WHERE site = ? AND reason IS NULL {} ORDER BY at, id"
        given = (self._site.number,) if side is None else (self._site.number, side)
        ids = self._scratch.each(chosen.format("" if side is None else "AND split = ?"), *given)
        return (row_of(self._scratch, found[0]) for found in ids)

    def answers(self) -> Iterator[tuple[str, int]]:
        """Yield the different answers of all sides with how often each was given, the commonest first."""
        self._scratch.do("DELETE FROM answers")
        for row in self.rows():
            self._scratch.do(
                "INSERT INTO answers VALUES (?, ?, 1) ON CONFLICT (hash) DO UPDATE SET rows = rows + 1",
                digest(row.answer_text), row.answer_text[:_ANSWER_CHARS],
            )  # fmt: skip
        counted = self._scratch.each("SELECT text, rows FROM answers ORDER BY rows DESC, text")
        return ((str(text), int(times)) for text, times in counted)

    @cached_property
    def template(self) -> Template:
        """What does not vary in this site's prompts."""
        return template_of(self._scratch, self._site, self.prepared.sample)

    @cached_property
    def traffic(self) -> Traffic:
        """What all calls of the site came to, those that are not learned from too."""
        return traffic_of(self._scratch, self._site, self.made.teacher)


class Datasets:
    """All call sites of recorded traffic, the one with the most rows first: use as a context manager, or `close` it.

    `path` is a file that `record=` wrote, or several, with users' feedback among the calls or in files of its own.
    `redact` takes out of every text what must not be learned, whatever was taken out when recording; a call for which
    it raises is left out. `judged` are judgements, as `SqliteJudgements.read()` returns them.

    Raises `OutcomesError` naming file and line of what cannot be read, and `DistillError` where no call is recorded or
    the teacher is not known.
    """

    def __init__(
        self, path: Paths, *, filters: Filters | None = None, redact: Redact | None = None,
        judged: Iterable[Judgement] = (), shares: Shares | None = None,
    ) -> None:  # fmt: skip
        filters, shares = filters or Filters(), shares or Shares()
        paths = [Path(path)] if isinstance(path, str | os.PathLike) else [Path(one) for one in path]
        self._scratch = Scratch()
        try:
            reading = read_into(self._scratch, paths, filters, redact, judged)
            choose(self._scratch, filters)
            sites = find_sites(self._scratch, reading.families.all)
            teachers = choose_teachers(self._scratch, [one.number for one in sites], filters, reading.escalations)
            named = None if redact is None else getattr(redact, "__qualname__", type(redact).__name__)
            sources = tuple(reading.sources)
            found = [
                Dataset(
                    self._scratch, site, Made(sources, filters, teachers[site.number], named, shares),
                    prepare(self._scratch, site.number, shares),
                )
                for site in sites
            ]  # fmt: skip
        except BaseException:
            self.close()
            raise
        self.calls, self.repeated = reading.calls, reading.repeated
        self.all = tuple(sorted(found, key=lambda one: (-len(one), one.name)))

    def only(self) -> Dataset:
        """Return the one site that has rows; raises `DistillError` where there are more, or none."""
        having = [one for one in self.all if len(one)]
        if len(having) != 1:
            raise DistillError(f"traffic of {len(having)} call sites has rows to learn from: {self._told()}; name one")
        return having[0]

    def __getitem__(self, name: str) -> Dataset:
        for one in self.all:
            if one.name == name:
                return one
        raise DistillError(f"there is no call site {name!r}; there are {self._told()}")

    def __iter__(self) -> Iterator[Dataset]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def close(self) -> None:
        """Remove the rows from disk."""
        self._scratch.close()

    def __enter__(self) -> Datasets:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _told(self) -> str:
        shown = [f"{one.name} ({len(one):,})" for one in self.all[:10]]
        return ", ".join(shown) + (f" and {len(self.all) - 10} more" if len(self.all) > 10 else "")
