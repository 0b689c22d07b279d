"""Read everything the page shows: two connections at a time, since SQLite computes outside Python's lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from sqlalchemy import Connection, func, make_url, select

from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import attempts
from tuppence.spend.page.axis import axis_of
from tuppence.spend.page.over_time import TierCells, split_by
from tuppence.spend.page.savings import savings
from tuppence.spend.page.sections import Facts
from tuppence.spend.page.single_calls import dearest, latencies
from tuppence.spend.selection import Selection

T = TypeVar("T")

TOP_LABELS = 8
"""Tiers, users or endpoints that are told apart in a picture: more colours cannot be."""
TOP_CALLS = 15


def read_facts(
    place: str | Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    where: Mapping[str, str] | None = None,
) -> Facts:
    """Read the attempts of a ledger that started in [since, until) and carry all tags of `where`.

    Raises `LedgerError` where the ledger cannot be read.
    """
    selection = Selection(since, until, where or {})
    with _readers(place) as ask:
        axis = ask(partial(axis_of, selection=selection)).result()
        # The longest first, so that neither reader waits long for the other at the end.
        cells = ask(partial(TierCells, selection=selection, axis=axis))
        saved = ask(partial(savings, selection=selection))
        waits = ask(partial(latencies, selection=selection))
        users, endpoints = (
            ask(partial(split_by, selection=selection, axis=axis, tag=tag, top=TOP_LABELS))
            for tag in ("user", "endpoint")
        )
        dear = ask(partial(dearest, selection=selection, top=TOP_CALLS))
        by_tier = cells.result()
        return Facts(
            ledger=name_of(place), made_us=time.time_ns() // 1000, where=tuple(selection.where.items()), axis=axis,
            splits=(by_tier.split(top=TOP_LABELS), users.result(), endpoints.result()), moments=by_tier.moments(),
            hours=by_tier.hours(), tiers=by_tier.tiers(waits.result()), calls=by_tier.calls(),
            savings=saved.result(), dearest=dear.result(),
        )  # fmt: skip


@contextmanager
def _readers(place: str | Path) -> Iterator[Callable[[Callable[[Connection], T]], Future[T]]]:
    """Open the ledger twice and hand out what asks it questions, two at a time.

    Both look at the same rows: where others have written between the two looks, there is one reader only.
    """
    with reading(place) as first, reading(place) as second:
        free = SimpleQueue[Connection]()
        for connection in (first, second):
            _hasten(connection)
        twins = [first, second] if _newest(first) == _newest(second) else [first]
        for connection in twins:
            free.put(connection)

        def answer(question: Callable[[Connection], T]) -> T:
            connection = free.get()
            try:
                return question(connection)
            finally:
                free.put(connection)

        with ThreadPoolExecutor(len(twins)) as workers:
            yield lambda question: workers.submit(answer, question)


def _hasten(connection: Connection) -> None:
    """Let SQLite sort in memory and read without copying: a fifth less time over a million rows."""
    if connection.dialect.name == "sqlite":
        for setting in ("mmap_size = 1073741824", "cache_size = -65536"):
            connection.exec_driver_sql(f"PRAGMA {setting}")


def _newest(connection: Connection) -> int | None:
    newest: int | None = connection.execute(select(func.max(attempts.c.id))).scalar()
    return newest


def name_of(place: str | Path) -> str:
    """Name a ledger without telling folders, user or password: a page is passed on."""
    if isinstance(place, str) and "://" in place:
        url = make_url(place)
        return f"{url.host or 'localhost'}/{url.database or ''}"
    return Path(place).name
