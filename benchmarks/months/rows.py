"""A day's columns as settled results, such as the real ledger takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from months.climbs import ACCEPTED, CAUSES, ESTIMATED, FAILED, HIT, OUTCOMES, STATUSES
from months.columns import Day, tag, tier_name
from tuppence.attempts import Attempt, Decision, Levers, Result
from tuppence.usage import Usage

if TYPE_CHECKING:
    from tuppence.spend import Feedback

TAGS = ("user", "endpoint", "task", "tenant", "session", "workflow")
_NO_USAGE = Usage()


def results(day: Day) -> Iterator[Result]:
    """Yield the calls that began on a day, by call, a framework's and a judge's further results behind each."""
    start = day.world.start.timestamp()
    ends = [*day.begins[1:].tolist(), len(day.rows)]
    for begin, end in zip(day.begins.tolist(), ends, strict=True):
        yield _result(day, begin, end, start)


def feedback(day: Day) -> Iterator[Feedback]:
    """Yield what judges of live traffic gave, a quarter of a minute after they were asked."""
    from tuppence.spend import Feedback

    start = day.world.start.timestamp()
    calls, scores = day.grades
    for call, score in zip(calls.tolist(), scores.tolist(), strict=True):
        yield Feedback(_call_id(day, call), score, int((start + day.calls.at[call] + 75.0) * 1e6))


def _call_id(day: Day, call: int) -> str:
    return f"{day.world.seed:x}-{day.number:x}-{call:x}"


def _result(day: Day, begin: int, end: int, start: float) -> Result:
    rows, calls, world = day.rows, day.calls, day.world
    call = int(rows.call[begin])
    attempts = [_attempt(day, row, start) for row in range(begin, end)]
    endpoint = int(calls.endpoint[call])
    user = int(calls.user[call])
    codes = (user, endpoint, endpoint, user % world.tenants, int(calls.session[call]), endpoint)
    tags = {name: tag(world, name, code) or "" for name, code in zip(TAGS, codes, strict=True)}
    watched = attempts[0].outcome == "observed"
    decision = Decision(
        "judged" if rows.judged[begin] else "observed" if watched else "optimise",
        again=bool(rows.again[begin]), baseline="" if watched else world.tiers[world.ladder - 1].name,
    )  # fmt: skip
    if attempts[-1].outcome == "accepted":
        decision.pruned_tokens = int(calls.pruned[call])
        decision.spared_output_tokens = int(calls.spared[call])
    return Result(_call_id(day, call), None, attempts, decision, tags)


def _attempt(day: Day, row: int, start: float) -> Attempt:
    rows, money, world = day.rows, day.money, day.world
    code, outcome = int(rows.tier[row]), int(rows.outcome[row])
    tier = world.tiers[code if code >= 0 else world.ladder - 1]
    tokens = rows.used[row].tolist()
    batch = "batch" if rows.lane[row] else "standard"
    usage = _NO_USAGE if outcome == HIT else Usage(
        input=tokens[0], cache_read=tokens[1], cache_write_5m=tokens[2], output=tokens[3],
        processing=batch, gpu_ms=int(money.gpu_ms[row]),
    )  # fmt: skip
    pico, baseline, score = int(money.pico[row]), int(money.baseline[row]), float(rows.score[row])
    levers = money.levers[row].tolist()
    version = "" if pico < 0 or outcome == HIT else f"{tier.version}+changed" if money.epoch[row] else tier.version
    return Attempt(
        tier_name(world, code), tier.model, CAUSES[rows.cause[row]], OUTCOMES[outcome], usage,
        None if pico < 0 else pico, STATUSES[rows.status[row]], version, start + float(rows.at[row]),
        float(rows.latency_ms[row]), None if math.isnan(score) else score,
        _error(outcome, int(rows.status[row])), None if baseline < 0 else baseline,
        levers=Levers(*levers) if outcome == ACCEPTED and any(levers) else None,
    )  # fmt: skip


def _error(outcome: int, status: int) -> str | None:
    if outcome != FAILED:
        return None
    return "ReadTimeout: the connection broke" if status == ESTIMATED else "RateLimitError: 429"
