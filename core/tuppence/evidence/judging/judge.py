"""The judge: a model that looks at a share of the settled calls, behind them.

It must never delay a call nor fail it, never see what a guard keeps from it, and never be left out of what the calls
cost: what it spends is written into the ledger under the calls that it judged, so that the saving shown there has it
subtracted. It decides nothing.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tuppence.assembly import LedgerOption, open_ledger
from tuppence.attempts import JUDGED, Attempt, Decision, Result
from tuppence.context import spend
from tuppence.effects import Record, Route
from tuppence.errors import ConfigError
from tuppence.evidence.judging.asking import asked
from tuppence.evidence.judging.behind import EXIT_WAIT_S, Behind, log
from tuppence.evidence.judging.judgements import Judgement, JudgementLog, MemoryJudgements, Status
from tuppence.evidence.judging.questions import answer_text, digest
from tuppence.evidence.judging.ratings import Grade, Rated, Rating
from tuppence.evidence.judging.reading import Unreadable
from tuppence.evidence.judging.sqlite import SqliteJudgements
from tuppence.forks import make_fork_safe
from tuppence.request import Reply, Request


@dataclass(frozen=True, slots=True)
class Case:
    """A settled call that is to be judged."""

    request: Request
    reply: Reply
    result: Result
    guards: tuple[Route, ...]


class Judge:
    """Judge a share of settled calls: `Judge(ChatTuppence(tiers=[model], ledger=None), judgements="judged.sqlite")`.

    The model is a facade or a tier without a ledger of its own: ChatTuppence, TuppenceLLM, `via(client, "model")` or
    `function_tier(name, function)`. `rating` is `Rated()` or `Pairwise(strongest)`. `share` of the calls are chosen by
    a hash of their id, the same in every process. `judgements` is a file, a log, or None for memory. `ledger` takes
    what the judged model's takes, and should be the same. `guards` hold beside those that a call brings along. Up to
    `room` calls wait; more are not judged, and counted.

    Raises `ConfigError` for options that cannot work.
    """

    def __init__(
        self, model: Any, *, rating: Rating | None = None, share: float = 0.01,
        judgements: JudgementLog | str | Path | None = None, ledger: LedgerOption = True, guards: Sequence[Route] = (),
        room: int = 256,
    ) -> None:  # fmt: skip
        if not 0.0 < share <= 1.0:
            raise ConfigError(f"share is {share}: it is the share of calls to judge, above 0 and at most 1")
        if room < 1:
            raise ConfigError(f"room is {room}: at least one call must be able to wait")
        self._given = (model, rating, share, judgements, ledger, guards, room)
        self._model = asked(model)
        self._rating = Rated() if rating is None else rating
        self._share = share
        self._ledger = open_ledger(ledger)
        self._guards = tuple(guards)
        self._instructions = digest(self._rating.instructions)
        self.judgements = _opened(judgements)
        self._begin()
        make_fork_safe(self)
        self._behind: Behind[Case] = Behind(self._judge, room=room, given_up=self._give_up)

    def _begin(self) -> None:
        # Reentrant: a call may be settled by the garbage collector, in the middle of anything.
        self._counting = threading.RLock()
        self._counts: Counter[str] = Counter()
        self._dropped: dict[tuple[object, ...], Judgement] = {}

    # -- in the call's way, and out of it at once

    def settled(self, request: Request, result: Result, *, guards: Sequence[Route] = ()) -> None:
        """Take in a settled call, and judge it later if it is one of the share. Asks nobody, and never raises.

        `guards` are those of the call's own policy: who may not see its prompt does not judge it.
        """
        if result.reply is None or not self.chooses(result.call_id):
            return
        case = Case(request, result.reply, result, (*self._guards, *guards))
        if not self._behind.put(case):
            self._drop(case)

    def record(self, call: Record, /) -> None:
        """Take in a settled call, as a recorder: `ChatTuppence(..., record=judge)`."""
        self.settled(call.request, call.result, guards=call.guards)

    def chooses(self, call_id: str) -> bool:
        """Say whether the call of this id is one of the share: the same for ever, and more with a greater share."""
        hashed = hashlib.blake2b(call_id.encode("utf-8", "surrogatepass"), digest_size=8, person=b"tuppence.judge")
        return int.from_bytes(hashed.digest()) < self._share * 2**64

    @property
    def counts(self) -> dict[str, int]:
        """How many of the calls that were chosen in this process came to what; see `Judgement.status`."""
        with self._counting:
            return dict(self._counts)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Return once all that waits is judged, or `timeout_s` are over; say which."""
        done = self._behind.flush(timeout_s)
        self._tell_dropped()
        return done

    def close(self, timeout_s: float = EXIT_WAIT_S) -> None:
        """Judge what waits, for `timeout_s` at most; the rest counts as dropped. So it is at the interpreter's exit."""
        self._behind.close(timeout_s)

    def _drop(self, case: Case) -> None:
        judgement = self._judgement(case, "dropped")
        key = (judgement.week, judgement.tenant, judgement.policy_version, judgement.tier)
        with self._counting:
            known = self._dropped.get(key)
            self._dropped[key] = judgement if known is None else replace(known, count=known.count + 1)
            self._counts["dropped"] += 1
            first = self._counts["dropped"] == 1
        if first:
            log.warning("a call is dropped that was to be judged, as more may be: the judgements say how many")

    def _give_up(self, left: Sequence[Case]) -> None:
        for case in left:
            self._drop(case)
        self._tell_dropped()

    # -- behind the call

    def _judge(self, case: Case) -> None:
        if not self._may_see(case):
            self._keep(self._judgement(case, "withheld"))
        elif not self._rating.suits(case.request, case.result):
            self._keep(self._judgement(case, "unsuited"))
        else:
            self._keep(self._graded(case))
        self._tell_dropped()

    def _may_see(self, case: Case) -> bool:
        """Ask the guards; one that breaks keeps the call back."""
        asked_tiers = (*self._model.tiers, *self._rating.tiers)
        try:
            choices = [guard(case.request, asked_tiers) for guard in case.guards]
        except Exception as error:  # noqa: BLE001 - guards fail closed, whatever they raise
            log.debug("a guard keeps a call from its judge: %s", error)
            return False
        return all(tier in choice.ladder for choice in choices if choice is not None for tier in asked_tiers)

    def _graded(self, case: Case) -> Judgement:
        status: Status = "scored"
        grade = Grade()
        with spend(tags=case.result.tags) as spent:
            try:
                grade = self._rating.grade(case.request, case.reply, self._model.ask)
            except Unreadable as error:
                status = "unreadable"
                log.debug("a judge's verdict cannot be read: %s", error)
            except Exception as error:  # noqa: BLE001 - whatever the models raise, the call is long answered
                status = "failed"
                log.debug("a judge could not be asked: %r", error)
        self._book(case.result, spent.attempts)
        costs = [attempt.pico_usd for attempt in spent.attempts]
        known = [cost for cost in costs if cost is not None]
        names = {tier.name for tier in self._model.tiers}
        billed = [a.model for a in spent.attempts if a.tier in names and a.outcome in ("accepted", "hit") and a.model]
        return replace(
            self._judgement(case, status, grade), judge=billed[-1] if billed else self._model.name,
            pico_usd=sum(known) if len(known) == len(costs) else None,
        )  # fmt: skip

    def _book(self, judged: Result, attempts: Sequence[Attempt]) -> None:
        """Write what judging cost under the call that was judged: as attempts that answered nobody."""
        if self._ledger is None or not attempts:
            return
        was = judged.decision
        decision = Decision(JUDGED, policy_version=was.policy_version, baseline=was.baseline, again=True)
        booked = [
            replace(
                attempt, cause="judge", baseline_pico=None, would_pico=None,
                outcome="consulted" if attempt.outcome in ("accepted", "hit") else attempt.outcome,
            )
            for attempt in attempts
        ]  # fmt: skip
        self._ledger.write(Result(judged.call_id, None, booked, decision, judged.tags))

    def _judgement(self, case: Case, status: Status, grade: Grade | None = None) -> Judgement:
        request, result, grade = case.request, case.result, grade or Grade()
        return Judgement(
            call_id=result.call_id, at=request.received_at, tier=result.tier or "",
            policy_version=result.decision.policy_version, tenant=result.tags.get("tenant"), mode=self._rating.mode,
            judge=self._model.name, instructions=self._instructions, status=status, accuracy=grade.accuracy,
            fluency=grade.fluency, preference=grade.preference, leaning=grade.leaning, question=request.question,
            answer=answer_text(case.reply), reason=grade.reason,
        )  # fmt: skip

    def _keep(self, judgement: Judgement) -> None:
        with self._counting:
            self._counts[judgement.status] += 1
        self._add(judgement)

    def _tell_dropped(self) -> None:
        with self._counting:
            dropped, self._dropped = self._dropped, {}
        for judgement in dropped.values():
            self._add(replace(judgement, call_id="", question="", answer=""))

    def _add(self, judgement: Judgement) -> None:
        try:
            self.judgements.add(judgement)
        except Exception as error:  # noqa: BLE001 - a log may be anybody's; nothing may end for it
            log.warning("a judgement cannot be kept, and is lost: %r", error)

    # -- other processes

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, self._given

    def before_fork(self) -> None:
        self._counting.acquire()

    def after_fork_in_parent(self) -> None:
        self._counting.release()

    def after_fork_in_child(self) -> None:
        self._begin()


def _rebuilt(
    model: Any, rating: Rating | None, share: float, judgements: JudgementLog | str | Path | None, ledger: LedgerOption,
    guards: Sequence[Route], room: int,
) -> Judge:  # fmt: skip
    return Judge(model, rating=rating, share=share, judgements=judgements, ledger=ledger, guards=guards, room=room)


def _opened(judgements: JudgementLog | str | Path | None) -> JudgementLog:
    if judgements is None:
        return MemoryJudgements()
    return SqliteJudgements(judgements) if isinstance(judgements, str | Path) else judgements
