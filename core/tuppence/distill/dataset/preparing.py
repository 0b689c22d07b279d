"""One site's rows made ready: repeats left out, what is alike kept together, every row on its side of the split."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from tuppence.distill.dataset.duplicates import SAMPLE, Alike
from tuppence.distill.dataset.row import Json, Row, read_row, told_apart
from tuppence.distill.dataset.scratch import Scratch
from tuppence.distill.dataset.splitting import LEFT_OUT, NAMES, Shares, split

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What making a site's rows ready came to."""

    prompts: int
    """Different ones."""
    contradicted: int
    """Prompts that were answered in different ways."""
    sample: tuple[str, ...]
    """Users' first messages, evenly over the time."""


_ROW = "SELECT call_id, at, body, session FROM calls WHERE id = ?"
_SHOWN = 64


def prepare(scratch: Scratch, site: int, shares: Shares) -> Prepared:
    """Mark each row of a site with its side, or with why it is left out."""
    wanted = "SELECT id FROM calls WHERE site = ? AND reason IS NULL ORDER BY at, id"
    ids = array("q", (found[0] for found in scratch.each(wanted, site)))
    sample = [row_of(scratch, one).prompt for one in evenly(ids, SAMPLE)]
    alike = Alike(scratch, sample)
    places, times = array("q"), array("d")
    for place, one in enumerate(ids):
        call_id, at, body, session = scratch.one(_ROW, one) or ("", 0.0, b"", None)
        reason = alike.see(read_row(call_id, at, body), session)
        if reason is None:
            places.append(place)
            times.append(at)
        else:
            scratch.do("UPDATE calls SET reason = ?, body = NULL WHERE id = ?", reason, one)
    sides = split(times, array("q", map(alike.cluster, places)), shares)
    marks = ((None if s == LEFT_OUT else NAMES[s], ids[p]) for s, p in zip(sides, places, strict=True))
    scratch.add_many("UPDATE calls SET split = ? WHERE id = ?", marks)
    scratch.do(
        "UPDATE calls SET reason = 'like an earlier split', body = NULL "
        "WHERE site = ? AND reason IS NULL AND split IS NULL", site,
    )  # fmt: skip
    shown = tuple(first for prompt in evenly(sample, _SHOWN) if (first := _first(prompt)))
    return Prepared(*alike.prompts, shown)


def _first(prompt: tuple[Json, ...]) -> str:
    return told_apart(prompt)[1]


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most so many of the items, evenly over all."""
    step = max(1.0, len(items) / most)
    return [items[int(n * step)] for n in range(min(most, len(items)))]


def row_of(scratch: Scratch, one: int) -> Row:
    call_id, at, body, _ = scratch.one(_ROW, one) or ("", 0.0, b"", None)
    return read_row(call_id, at, body)
