"""Recorded traffic, read back: what replay, labels and training take of a line that `tuppence.recording` wrote."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast, get_args

from tuppence.attempts import Cause, CostStatus
from tuppence.attempts import Outcome as Ending
from tuppence.evidence.outcomes.chat_texts import answers_nothing
from tuppence.evidence.outcomes.fields import Misread, count, mapping, number, score, text
from tuppence.evidence.outcomes.rows import Outcome, Outcomes
from tuppence.prices import PicoUSD
from tuppence.recording.lines import KEY, PROBABILITY, VERSION
from tuppence.request import Capability, Finish, Message, Reply, Request, Role, ToolCall
from tuppence.usage import Processing, Usage

__all__ = ["CHECK", "KEY", "PROBABILITY", "RecordedAttempt", "RecordedCall", "call_of"]

CHECK = "check"
"""Signal: the score that the policy's check gave."""

_ROLES, _CAPABILITIES, _FINISHES = get_args(Role), get_args(Capability), get_args(Finish)
_CAUSES, _ENDINGS, _STATUSES = get_args(Cause), get_args(Ending), get_args(CostStatus)
_PROCESSINGS = get_args(Processing)
_USAGE = frozenset(f.name for f in fields(Usage))


@dataclass(frozen=True, slots=True)
class RecordedAttempt:
    """One provider call of a recorded call, as the books had it."""

    tier: str
    model: str
    cause: Cause
    outcome: Ending
    score: float | None
    """What the policy's check gave, in [0, 1]."""
    pico_usd: PicoUSD | None
    status: CostStatus
    latency_ms: float
    error: str | None
    """The exception's class."""
    reply: Reply | None
    """What came back, in part where it broke off; None where nothing did."""
    signals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One settled call: what was asked, and every attempt at an answer."""

    call_id: str
    request: Request
    attempts: tuple[RecordedAttempt, ...]
    policy_version: str
    mode: str

    def outcomes(self) -> Outcomes | None:
        """Return what each tier made of the question, by the tier's name; None where only a cache answered.

        Cost, tokens and latency of a tier are those of all its attempts, retries and failures included; the answer is
        its last. Judges are left out. Nothing is graded: the check's opinion is a signal.
        """
        tried: dict[str, list[RecordedAttempt]] = {}
        for attempt in self.attempts:
            if attempt.cause not in ("judge", "hit"):
                tried.setdefault(attempt.tier, []).append(attempt)
        by_model = {tier: made for tier, attempts in tried.items() if (made := _outcome(attempts)) is not None}
        if not by_model:
            return None
        tags = {**self.request.tags, "policy_version": self.policy_version}
        task, at = tags.get("task", ""), self.request.received_at
        return Outcomes(self.call_id, self.request.question, by_model, task=task, tags=tags, at=at)


def _outcome(attempts: list[RecordedAttempt]) -> Outcome | None:
    answered = [a for a in attempts if a.outcome not in ("failed", "abandoned") and a.reply is not None]
    if not answered:
        return None
    last = answered[-1]
    assert last.reply is not None
    answer = last.reply.text or "".join(f"{c.name}({c.arguments})" for c in last.reply.tool_calls)
    usages = [a.reply.usage for a in attempts if a.reply is not None and a.reply.usage is not None]
    costs = [a.pico_usd for a in attempts]
    return Outcome(
        None, answer, answers_nothing(answer),
        sum(u.input_tokens for u in usages), sum(u.output_tokens for u in usages),
        None if None in costs else sum(c for c in costs if c is not None), math.fsum(a.latency_ms for a in attempts),
        last.signals, served=last.outcome == "accepted",
    )  # fmt: skip


def call_of(row: Mapping[str, Any]) -> RecordedCall:
    """Read a recorded call; raises `Misread` for another version, or for a value that no recorder writes."""
    if row.get(KEY) != VERSION:
        raise Misread(KEY, row.get(KEY), f"read it with the tuppence that wrote it; this one knows form {VERSION}")
    messages = [_message(told) for told in _listed(row.get("messages"), "messages")]
    attempts = [_attempt(told) for told in _listed(row.get("attempts"), "attempts")]
    call_id, at = row.get("call_id"), number(row.get("at"), "at")
    if not messages or not isinstance(call_id, str) or at is None:
        raise Misread("the recorded call", call_id, "it lacks a call_id, at or messages: remove the line")
    request = Request(
        tuple(messages), mapping(row.get("params"), "params"),
        tuple(mapping(tool, "tools") for tool in _listed(row.get("tools"), "tools")),
        None if row.get("schema") is None else mapping(row["schema"], "schema"),
        {name: text(told, f"tags[{name!r}]") for name, told in mapping(row.get("tags"), "tags").items()},
        call_id=call_id, received_at=at,
    )  # fmt: skip
    policy, mode = text(row.get("policy"), "policy"), text(row.get("mode"), "mode")
    return RecordedCall(call_id, request, tuple(attempts), policy, mode)


def _message(told: object) -> Message:
    row = mapping(told, "messages")
    media = frozenset(
        cast("Capability", _word(one, "media", _CAPABILITIES)) for one in _listed(row.get("media"), "media")
    )
    role = cast("Role", _word(row.get("role"), "role", _ROLES))
    return Message(role, text(row.get("text"), "text"), _calls(row.get("tool_calls")), media, row.get("extra"))


def _attempt(told: object) -> RecordedAttempt:
    row = mapping(told, "attempts")
    given = mapping(row.get("signals"), "signals")
    signals = {name: value for name in given if (value := number(given[name], f"signals[{name!r}]")) is not None}
    latency_ms = number(row.get("latency_ms"), "latency_ms") or 0.0
    graded = score(row.get("score"), "score", (0.0, 1.0))
    status = cast("CostStatus", _word(row.get("status"), "status", _STATUSES))
    reply = None
    if row.get("reply") is not None:
        reply = _reply(mapping(row["reply"], "reply"), _usage(row.get("usage")), signals.get(PROBABILITY))
        reply.usage_is_estimate, reply.latency_ms = status == "estimated", latency_ms
        reply.model = text(row.get("model"), "model")
    return RecordedAttempt(
        text(row.get("tier"), "tier"), text(row.get("model"), "model"),
        cast("Cause", _word(row.get("cause"), "cause", _CAUSES)),
        cast("Ending", _word(row.get("outcome"), "outcome", _ENDINGS)), graded, count(row.get("pico_usd"), "pico_usd"),
        status, latency_ms, text(row.get("error"), "error") or None, reply,
        signals if graded is None else {**signals, CHECK: graded},
    )  # fmt: skip


def _reply(said: Mapping[str, Any], usage: Usage, probability: float | None) -> Reply:
    finish = None if said.get("finish") is None else cast("Finish", _word(said["finish"], "finish", _FINISHES))
    # One token as probable as all were on average: what is read off the whole answer stays the same.
    logprobs = None if probability is None else (math.log(probability) if probability > 0 else -math.inf,)
    first_token_ms = number(said.get("first_token_ms"), "first_token_ms")
    return Reply(
        text(said.get("text"), "text"), _calls(said.get("tool_calls")), finish, usage, logprobs=logprobs,
        first_token_ms=first_token_ms,
    )  # fmt: skip


def _calls(told: object) -> tuple[ToolCall, ...]:
    calls = [_listed(one, "tool_calls") for one in _listed(told, "tool_calls")]
    if any(len(one) != 3 for one in calls):
        raise Misread("tool_calls", told, "each is [id, name, arguments]")
    return tuple(ToolCall(*(text(part, "tool_calls") for part in one)) for one in calls)


def _usage(told: object) -> Usage:
    made: dict[str, Any] = {}
    for name, value in mapping(told, "usage").items():
        if name not in _USAGE:
            raise Misread(f"usage.{name}", value, f"a usage has {', '.join(sorted(_USAGE))}")
        if name in ("calls", "media"):
            made[name] = tuple(_counted(one, name) for one in _listed(value, name))
        elif name == "processing":
            made[name] = _word(value, name, _PROCESSINGS)
        else:
            made[name] = text(value, name) if name == "geo" else count(value, name) or 0
    return Usage(**made)


def _counted(told: object, name: str) -> tuple[str, int]:
    pair = _listed(told, name)
    if len(pair) != 2:
        raise Misread(name, told, "each is [kind, count]")
    return text(pair[0], name), count(pair[1], name) or 0


def _word(value: object, name: str, known: tuple[str, ...]) -> object:
    if value not in known:
        raise Misread(name, value, f"it is one of {', '.join(known)}")
    return value


def _listed(value: object, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Misread(name, value, "give a list")
    return value
