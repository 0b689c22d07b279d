"""What is asked of one answer's length, and how that is written into a request: a limit, stop sequences, a line at the
end of the question. What the caller set is never made larger, and a request that a line does not suit gets none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuppence.estimates import OUTPUT_LIMITS
from tuppence.prune.output.worth import CapWorth
from tuppence.request import Edits, Replace, Request

_STOP_NAMES = ("stop", "stop_sequences")


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """What past calls say about the length of the next answer."""

    brevity: str | None = None
    """A line to add to the question."""
    max_tokens: int | None = None
    """Limit of the answer, hidden reasoning included, as providers count it."""
    stop: tuple[str, ...] = ()
    why: str = ""
    """Where the numbers come from, or why there is none, in words a person can act on."""
    reasoning_tokens: int = 0
    """How much of `max_tokens` is room for hidden reasoning."""
    worth: CapWorth | None = None
    """What the limit is worth, where a price was given; told also where it was not set for that."""


@dataclass(frozen=True, slots=True)
class OutputNames:
    """How the provider, or the framework before it, spells what a plan sets."""

    limit: str = "max_tokens"
    stop: str = "stop"


_FRAMEWORK = OutputNames()


def output_edits(plan: OutputPlan, request: Request, *, names: OutputNames = _FRAMEWORK) -> Edits:
    """Write a plan into a request; `names` are used where the caller set neither limit nor stop sequences.

    A limit of the caller's is lowered to the plan's under the caller's own name for it and never raised. None is set
    that a thinking budget of the caller's would fill. Stop sequences of the caller's stay as they are.
    """
    params: dict[str, Any] = _limits(plan, request.params, names.limit)
    if plan.stop and not any(request.params.get(name) for name in _STOP_NAMES):
        params[names.stop] = list(plan.stop)
    line = _line(plan, request)
    return Edits((line,) if line else (), params)


def _limits(plan: OutputPlan, params: Mapping[str, Any], name: str) -> dict[str, Any]:
    cap = plan.max_tokens
    thinking = params.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    # Anthropic refuses a limit that is not above the budget for thinking.
    if cap is None or (isinstance(budget, int) and cap <= budget):
        return {}
    own = {key: params[key] for key in OUTPUT_LIMITS if isinstance(params.get(key), int)}
    return {key: cap for key, limit in own.items() if limit > cap} if own else {name: cap}


def _line(plan: OutputPlan, request: Request) -> Replace | None:
    """Add the line to the question, where there is one: a tool's result, a schema's JSON and a prefilled answer have no
    number of words.
    """
    last = request.messages[-1]
    if plan.brevity is None or request.tools or request.schema is not None or last.role != "user" or not last.text:
        return None
    if last.text.rstrip().endswith(plan.brevity):
        return None
    return Replace(len(request.messages) - 1, f"{last.text}\n\n{plan.brevity}")
