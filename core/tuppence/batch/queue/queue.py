"""The durable queue: requests that wait, who has claimed them, and what came of them.

Whoever is killed when, a request that was put is answered once: claims are taken over as a whole by whoever finds
their lease run out, and an answer counts only for a request that has none yet. This room sends nothing and prices
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tuppence.batch.queue.database import Database
from tuppence.batch.queue.errands import Claim, Done, Errand, Fate, Landed, Unbilled, Waiting
from tuppence.batch.queue.tables import claims, requests
from tuppence.batch.written import read

_CHUNK = 500
"""Ids a statement, and rows of a claim that memory holds: SQLite takes 32,766 parameters, and bodies may be long."""


@dataclass(frozen=True, slots=True)
class Gathering:
    """When requests are enough for a batch: as soon as any of the three says so."""

    most: int = 50_000
    """So many wait; no claim is larger."""
    gather_s: float = 60.0
    """The oldest has waited so long."""
    takes_s: float = 3600.0
    """The nearest deadline is no further than a batch usually takes."""


class LaneQueue:
    """A queue at `place`: a file for the processes of one machine, a `postgresql://` address for many machines.

    Every method is one transaction (a long one for `finish`, many), and raises `QueueError` where the place cannot be
    used. Moments are Unix seconds.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = place
        self._database = Database(place)

    def __reduce__(self) -> tuple[type[LaneQueue], tuple[str | Path]]:
        return type(self), (self.place,)

    @property
    def name(self) -> str:
        return self._database.name

    # -- the caller's end

    def put(self, items: Sequence[Waiting]) -> None:
        """Take requests in. One that is there already stays what it is; one that was given up waits again."""
        with self._database.writing() as rows:
            for chunk in _chunks(items):
                rows.execute(_insertion(rows), [_row(one) for one in chunk])
                rows.execute(
                    update(requests)
                    .where(requests.c.id == bindparam("known"), _is("cancelled", "missed"))
                    .values(
                        state="waiting", error=None, claim=None, put_us=bindparam("put"),
                        deadline_us=bindparam("deadline"),
                    ),
                    [{"known": one.id, "put": _us(one.put_at), "deadline": _us(one.deadline_at)} for one in chunk],
                )  # fmt: skip
                joined = _set(left_behind=0).where(_is("waiting", "claimed"))
                rows.execute(joined, [{"known": one.id} for one in chunk])

    def landed(self, ids: Collection[str]) -> list[Landed]:
        """Return what came of those of `ids` that wait no more."""
        found: list[Landed] = []
        columns = (requests.c.id, requests.c.state, requests.c.answer, requests.c.error, requests.c.attempt, _free)
        with self._database.reading() as rows:
            for chunk in _chunks(ids):
                query = select(*columns).where(requests.c.id.in_(chunk), requests.c.state.in_(_ENDED))
                found += [_landed(row) for row in rows.execute(query)]
        return found

    def leave(self, ids: Collection[str]) -> dict[str, Fate]:
        """Go on without these: what nobody has claimed is cancelled, the rest is billed by the worker when it comes.
        Return what each is now.
        """
        fates: dict[str, Fate] = {}
        with self._database.writing() as rows:
            for chunk in _chunks(ids):
                mine = requests.c.id.in_(chunk)
                rows.execute(update(requests).where(mine, requests.c.state == "waiting").values(state="cancelled"))
                rows.execute(update(requests).where(mine, requests.c.state == "claimed").values(left_behind=1))
                fates.update((one.id, one.state) for one in rows.execute(select(requests).where(mine)))
        return fates

    def settled(self, ids: Collection[str]) -> None:
        """Note that the answers of these are in a ledger."""
        with self._database.writing() as rows:
            for chunk in _chunks(ids):
                rows.execute(_set(settled=1), [{"known": one} for one in chunk])

    # -- the worker's end

    def claim(self, endpoint: str, url: str, when: Gathering, *, now: float, lease_s: float) -> Claim | None:
        """Claim requests for one batch, the nearest deadlines first, if there are enough by now; None otherwise.

        What several workers claim at the same time never overlaps.
        """
        open_here = and_(
            requests.c.state == "waiting", requests.c.endpoint == endpoint, requests.c.url == url,
            requests.c.deadline_us > _us(now),
        )  # fmt: skip
        with self._database.writing() as rows:
            if not _enough(rows, open_here, when, now):
                return None
            query = select(requests.c.id).where(open_here).order_by(requests.c.deadline_us, requests.c.id)
            ids = list(rows.execute(query.limit(when.most).with_for_update(skip_locked=True)).scalars())
            if not ids:
                return None
            claim = Claim(os.urandom(10).hex(), endpoint, url)
            rows.execute(
                claims.insert().values(
                    id=claim.id, endpoint=endpoint, url=url, lease_us=_us(now + lease_s), made_us=_us(now)
                )
            )  # fmt: skip
            rows.execute(_set(state="claimed", claim=claim.id), [{"known": one} for one in ids])
        return claim

    def take_over(self, kinds: Collection[tuple[str, str]], *, now: float, lease_s: float) -> list[Claim]:
        """Take the claims whose workers have let their lease run out: as they are, for what was sent is sent.

        `kinds` are the endpoints and urls that the new worker serves.
        """
        mine = or_(*(and_(claims.c.endpoint == endpoint, claims.c.url == url) for endpoint, url in kinds))
        run_out = and_(mine, claims.c.lease_us < _us(now))
        with self._database.writing() as rows:
            query = select(claims.c.id, claims.c.endpoint, claims.c.url).where(run_out)
            found = [Claim(*row) for row in rows.execute(query.with_for_update(skip_locked=True))]
            ids = [one.id for one in found]
            rows.execute(update(claims).where(claims.c.id.in_(ids)).values(lease_us=_us(now + lease_s)))
        return found

    def renew(self, held: Collection[Claim], *, now: float, lease_s: float) -> list[Claim]:
        """Say that the worker of these claims lives; return those that are still its own to work on."""
        kept: list[Claim] = []
        with self._database.writing() as rows:
            for claim in held:
                changed = rows.execute(
                    update(claims).where(claims.c.id == claim.id).values(lease_us=_us(now + lease_s))
                )
                kept += [claim] * changed.rowcount
        return kept

    def claimed(self, claim: Claim) -> Iterator[tuple[str, str, str]]:
        """Yield id, url and body of a claim's requests, always in the same order."""
        after = ""
        while True:
            query = select(requests.c.id, requests.c.url, requests.c.body).where(
                requests.c.claim == claim.id, requests.c.id > after
            )
            with self._database.reading() as rows:
                found = rows.execute(query.order_by(requests.c.id).limit(_CHUNK)).all()
            yield from ((row.id, row.url, row.body) for row in found)
            if len(found) < _CHUNK:
                return
            after = found[-1].id

    def deserted(self, claim: Claim) -> bool:
        """Say whether nobody waits for any of a claim's requests any more."""
        with self._database.reading() as rows:
            mine = and_(requests.c.claim == claim.id, requests.c.state == "claimed")
            return rows.execute(select(func.count()).where(mine, requests.c.left_behind == 0)).scalar_one() == 0

    def finish(self, claim: Claim, answers: Iterable[Done], *, now: float) -> None:
        """Store what came of a claim's requests, and close the claim; an answer that is told twice counts once."""
        open_still = and_(
            requests.c.id == bindparam("known"), requests.c.claim == claim.id, requests.c.state == "claimed"
        )
        names = ("state", "answer", "error", "attempt")
        statement = update(requests).where(open_still).values(
            done_us=_us(now), **{name: bindparam(f"new_{name}") for name in names}
        )  # fmt: skip
        for chunk in _chunks(answers):
            with self._database.writing() as rows:
                rows.execute(statement, [_ended(one) for one in chunk])
        with self._database.writing() as rows:
            # What its batch says nothing of is no longer to be waited for either.
            rest = update(requests).where(requests.c.claim == claim.id, requests.c.state == "claimed")
            rows.execute(rest.values(state="missed", error="the batch has no answer for it", done_us=_us(now)))
            rows.execute(delete(claims).where(claims.c.id == claim.id))

    # -- what nobody came for, and what is old

    def unbilled(self, *, now: float, grace_s: float) -> list[Unbilled]:
        """Return answers that were paid for and that no caller has put into a ledger, nor will."""
        nobody = or_(requests.c.left_behind == 1, requests.c.deadline_us < _us(now - grace_s))
        query = select(requests).where(
            requests.c.state == "answered", requests.c.settled == 0, requests.c.attempt.is_not(None), nobody
        )
        with self._database.reading() as rows:
            return [_unbilled(row) for row in rows.execute(query.limit(_CHUNK))]

    def forget(self, *, before: float) -> int:
        """Delete what was due before a moment and holds nothing to be billed; say how much that was."""
        old = and_(requests.c.state != "claimed", requests.c.deadline_us < _us(before))
        done = or_(requests.c.state != "answered", requests.c.settled == 1, requests.c.attempt.is_(None))
        with self._database.writing() as rows:
            return int(rows.execute(delete(requests).where(old, done)).rowcount)

    def standing(self) -> Mapping[tuple[str, Fate], int]:
        """Count requests by endpoint and by what became of them."""
        query = select(requests.c.endpoint, requests.c.state, func.count().label("n"))
        with self._database.reading() as rows:
            found = rows.execute(query.group_by(requests.c.endpoint, requests.c.state))
            return {(row.endpoint, row.state): row.n for row in found}


_ENDED = ("answered", "missed", "cancelled")
_free = case(
    (or_(requests.c.settled == 1, requests.c.left_behind == 1, requests.c.attempt.is_(None)), 1), else_=0
).label("free")  # fmt: skip
"""Somebody has billed it, or will: an equal request, an earlier caller, or the worker."""


def _enough(rows: Connection, open_here: Any, when: Gathering, now: float) -> bool:
    count, oldest, nearest = rows.execute(
        select(func.count(), func.min(requests.c.put_us), func.min(requests.c.deadline_us)).where(open_here)
    ).one()
    if not count:
        return False
    return bool(
        count >= when.most or oldest <= _us(now - when.gather_s) or nearest <= _us(now + when.takes_s)
    )  # fmt: skip


def _is(one: Fate, other: Fate) -> Any:
    # Not `in_`, which many parameters at once do not go with.
    return or_(requests.c.state == one, requests.c.state == other)


def _insertion(rows: Connection) -> Any:
    kind: Any = postgresql if rows.dialect.name == "postgresql" else sqlite
    return kind.insert(requests).on_conflict_do_nothing(index_elements=["id"])


def _row(one: Waiting) -> dict[str, Any]:
    return {
        "id": one.id, "endpoint": one.endpoint, "url": one.url, "body": one.body, "errand": one.errand.spelt(),
        "state": "waiting", "left_behind": 0, "settled": 0, "put_us": _us(one.put_at),
        "deadline_us": _us(one.deadline_at),
    }  # fmt: skip


def _set(**values: Any) -> Any:
    """Change the request that the parameter `known` names."""
    return update(requests).where(requests.c.id == bindparam("known")).values(**values)


def _ended(one: Done) -> dict[str, Any]:
    state = "missed" if one.body is None else "answered"
    return {
        "known": one.id, "new_state": state, "new_answer": one.body, "new_error": one.error or None,
        "new_attempt": one.attempt,
    }  # fmt: skip


def _landed(row: Any) -> Landed:
    usage = None if row.free else read(row.attempt).usage
    return Landed(row.id, row.state, row.answer, row.error or "", usage)


def _unbilled(row: Any) -> Unbilled:
    return Unbilled(
        row.id, Errand.read(row.errand), row.attempt, row.put_us / 1e6, row.done_us / 1e6, bool(row.left_behind)
    )


def _us(seconds: float) -> int:
    return int(seconds * 1e6)


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    source = iter(items)
    while chunk := list(islice(source, _CHUNK)):
        yield chunk
