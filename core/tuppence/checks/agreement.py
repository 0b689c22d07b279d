"""Does another model say the same? Two models that agree are seldom both wrong in the same way; asking costs a call."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tuppence.attempts import Verdict
from tuppence.checks.compose import Composable, tier_name
from tuppence.effects import Consult, Declined, Failed, Plan
from tuppence.request import Reply, Request, ToolCall
from tuppence.signals import numbers, words


@dataclass(frozen=True, slots=True)
class AgreesWith(Composable):
    """Scores how much the answer says the same as another tier's answer to the same request."""

    tier: str

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.tier})

    def __call__(self, request: Request, reply: Reply) -> Plan[Verdict]:
        return self._ask(request, reply)

    def _ask(self, request: Request, reply: Reply) -> Plan[Verdict]:
        other = yield from Consult(self.tier, request, "agreement")
        if isinstance(other, Failed):
            return Verdict(0.0, f"no second opinion: {self.tier} failed ({other.kind})")
        if isinstance(other, Declined):
            return Verdict(0.0, f"no second opinion: {self.tier} declined")
        if request.schema is not None and bool(reply.tool_calls) != bool(other.tool_calls):
            # One provider writes the object that was asked for, another calls a tool with it.
            score = float(_object(reply) == _object(other))
        else:
            score = likeness(reply, other)
        return Verdict(score, f"agrees with {self.tier} to {score:.2f}")


def agrees_with(tier: str) -> AgreesWith:
    """Score answers by their likeness to what the tier or judge called `tier` answers; 0 where it cannot be had."""
    return AgreesWith(tier_name(tier, asked_by="agrees_with"))


def likeness(first: Reply, second: Reply) -> float:
    """Compare two answers, in [0, 1]: 1 for the same tool calls, or the same words and numbers.

    Text: F1 over the words, as SQuAD measures answers (P. Rajpurkar et al., EMNLP 2016), and F1 over the numbers; the
    lower counts, for sentences that differ in a number contradict each other.
    """
    if first.tool_calls or second.tool_calls:
        return float(_calls(first.tool_calls) == _calls(second.tool_calls))
    if first.text.split() == second.text.split():
        return 1.0
    found = [_f1(read(first.text), read(second.text)) for read in (words, numbers)]
    # Neither has words nor numbers, and they are not the same: signs such as "<" and ">".
    return min((score for score in found if score is not None), default=0.0)


def _f1(first: Iterable[str], second: Iterable[str]) -> float | None:
    counts, others = Counter(first), Counter(second)
    total = counts.total() + others.total()
    return 2 * (counts & others).total() / total if total else None


def _calls(calls: tuple[ToolCall, ...]) -> list[tuple[str, str]]:
    return sorted((call.name, _plain(call.arguments)) for call in calls)


def _object(reply: Reply) -> str:
    return _plain(reply.tool_calls[0].arguments if reply.tool_calls else reply.text)


def _plain(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments
