"""The worker: makes batches of what waits in a queue, and hands the answers back.

Several may work on one queue, on one machine or many; any of them may be killed at any moment. A claim bears the name
of its job, so that whoever takes it over goes on with what was sent. It decides nothing about a call: what the lane
has no answer for, the caller's own flow asks at once.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator

from tuppence.batch.jobs import BatchJobs
from tuppence.batch.lines import Answer, BatchError, Line
from tuppence.batch.queue.billing import Billing, attempt_of
from tuppence.batch.queue.errands import Claim, Done
from tuppence.batch.queue.queue import Gathering, LaneQueue
from tuppence.errors import TuppenceError
from tuppence.spend import Ledger

log = logging.getLogger("tuppence.batch")

_DAY_S = 86_400.0


class LaneWorker:
    """Works on `queue` for the endpoints of `jobs`, such as `[("https://api.openai.com/v1", BatchJobs(...))]`.

    The jobs need neither ledger nor budgets: calls reserve and settle for themselves. What a caller who has gone leaves
    to be paid is written into `ledger`. A worker that does not say for `lease_s` that it lives loses its claims to
    others. What is answered and accounted is forgotten `keep_s` after its deadline.
    """

    def __init__(
        self, queue: LaneQueue, jobs: Iterable[tuple[str, BatchJobs]], *, when: Gathering | None = None,
        ledger: Ledger | None = None, lease_s: float = 60.0, look_s: float = 2.0, keep_s: float = 7 * _DAY_S,
    ) -> None:  # fmt: skip
        self._queue = queue
        self._jobs = {(endpoint.rstrip("/"), url): one for endpoint, one in jobs for url in one.provider.urls}
        self._when = when or Gathering()
        self._billing = None if ledger is None else Billing(queue, ledger)
        self._lease_s = lease_s
        self._look_s = look_s
        self._keep_s = keep_s
        self._held: dict[str, Claim] = {}

    def run(self, stop: threading.Event, *, until_empty: bool = False) -> None:
        """Work until `stop` is set, or nothing waits any more; what is under way then goes on with the next worker."""
        beating = threading.Thread(target=self._beat, args=(stop,), name="tuppence-lane-lease", daemon=True)
        beating.start()
        try:
            while not stop.is_set():
                try:
                    self.step()
                    if until_empty and self._is_through():
                        return
                except Exception as error:  # noqa: BLE001 - whatever a provider's SDK raises, others' requests go on
                    log.warning("the batch lane's worker goes on after %s: %s", type(error).__name__, error)
                stop.wait(self._look_s)
        finally:
            stop.set()
            beating.join()

    def step(self) -> None:
        """Do all that can be done now: claim, send, look, hand back, bill. Never sleeps; a kill in it loses nothing."""
        self._take_claims()
        troubles = [error for claim in self._renewed() if (error := self._tried(claim)) is not None]
        if self._billing is not None:
            self._billing.bill()
        self._queue.forget(before=time.time() - self._keep_s)
        if troubles:
            raise troubles[0]

    def _is_through(self) -> bool:
        standing = self._queue.standing()
        served = {endpoint for endpoint, _ in self._jobs}
        return not any(endpoint in served and fate in ("waiting", "claimed") for endpoint, fate in standing)

    # -- claims

    def _take_claims(self) -> None:
        now = time.time()
        for claim in self._queue.take_over(self._jobs, now=now, lease_s=self._lease_s):
            self._held.setdefault(claim.id, claim)
        for endpoint, url in self._jobs:
            while found := self._queue.claim(endpoint, url, self._when, now=now, lease_s=self._lease_s):
                self._held[found.id] = found

    def _renewed(self) -> list[Claim]:
        kept = self._queue.renew(list(self._held.values()), now=time.time(), lease_s=self._lease_s)
        self._held = {claim.id: claim for claim in kept}
        return kept

    def _beat(self, stop: threading.Event) -> None:
        """Renew leases while a long upload holds the other thread up."""
        while not stop.wait(self._lease_s / 4):
            try:
                self._queue.renew(list(self._held.values()), now=time.time(), lease_s=self._lease_s)
            except TuppenceError as error:
                log.warning("leases could not be renewed: %s", error)

    # -- jobs

    def _tried(self, claim: Claim) -> Exception | None:
        """Advance one claim, and return what went wrong: it must not keep the other claims waiting."""
        try:
            self._advance(claim)
        except Exception as error:  # noqa: BLE001 - told to the caller, once all claims had their turn
            return error
        return None

    def _advance(self, claim: Claim) -> None:
        """Bring one claim's job a step further; a claim that can be no job is handed back without answers."""
        jobs = self._jobs[claim.endpoint, claim.url]
        try:
            job_id = self._job(jobs, claim)
        except BatchError as error:
            log.warning("requests for %s go at once, for no batch can be made of them: %s", claim.endpoint, error)
            self._finish(claim, (Done(one, None, str(error)) for one, _, _ in self._queue.claimed(claim)))
            return
        status = jobs.advance(job_id)
        if status.done:
            self._finish(claim, (_done(answer) for answer in jobs.results(job_id)))
        elif status.state == "open" and self._queue.deserted(claim):
            jobs.cancel(job_id)

    def _job(self, jobs: BatchJobs, claim: Claim) -> str:
        """Return the id of a claim's job, which is made if nobody has done so."""
        return jobs.submit(self._lines(claim), name=claim.id).id

    def _lines(self, claim: Claim) -> Iterator[Line]:
        for name, url, body in self._queue.claimed(claim):
            yield Line(name, json.loads(body), url)

    def _finish(self, claim: Claim, answers: Iterator[Done]) -> None:
        self._queue.finish(claim, answers, now=time.time())
        self._held.pop(claim.id, None)


def _done(answer: Answer) -> Done:
    if answer.body is None:
        return Done(answer.custom_id, None, answer.error or "the batch ended without an answer")
    return Done(answer.custom_id, json.dumps(answer.body, ensure_ascii=False), attempt=attempt_of(answer))
