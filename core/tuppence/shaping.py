"""What of a request is worth sending: the policy's shapers, one after the other, before anybody is asked.

Like the flow, a generator that does no I/O. A shaper that breaks, or returns what is no shape, is gone round, and the
request goes on as it was; one that asks a tier first is bound by the same guards, retries and accounting as every other
ask.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Sequence
from typing import Any

from tuppence.asking import Asking
from tuppence.books import Books, go_round
from tuppence.effects import Broken, Plan, Reshape, Shaped, Shaper
from tuppence.errors import ConfigError
from tuppence.request import Edits, ToolsEdit
from tuppence.tiers import Tier


def shaping(asking: Asking, tiers: tuple[Tier, ...]) -> Plan[None]:
    """Let every shaper shorten what the one before it left; in observe mode only say what they would do."""
    if asking.mode == "off":
        return
    would: list[Shaped] = []
    for shaper in asking.policy.shape:
        try:
            shaped = yield from _shaped(shaper, asking, tiers)
        except Exception as error:
            go_round(asking.books, "shape", error)
            continue
        if shaped is None:
            continue
        if asking.mode == "observe":
            would.append(shaped)
        else:
            yield from _reshape(asking, shaped)
    _say(asking.books, [shaped for shaped in would if shaped.tokens_saved])


def _shaped(shaper: Shaper, asking: Asking, tiers: tuple[Tier, ...]) -> Plan[Shaped | None]:
    """Ask a shaper; None where it would have to ask a tier first, and nothing may be spent."""
    shaped: object = shaper(asking.books.request, tiers)
    if isinstance(shaped, Coroutine):
        shaped.close()
        raise ConfigError("a shaper is an async function: write it as a plain one, and have it ask models by Consult")
    if not isinstance(shaped, Generator):
        return _read(shaped)
    if asking.mode != "observe":
        return _read((yield from asking.conduct(shaped)))
    return _unasked(shaped)


def _read(shaped: object) -> Shaped:
    """Return what a shaper gave; raise `ConfigError` where it is not what shapers return."""
    if not isinstance(shaped, Shaped):
        raise ConfigError(f"a shaper returned {type(shaped).__name__}: return a Shaped, or a plan of one")
    for part, kind in ((shaped.edits, Edits), (shaped.reason, str), (shaped.tokens_saved, int)):
        if not isinstance(part, kind):
            raise ConfigError(f"a shaper's Shaped holds {type(part).__name__} in place of {kind.__name__}: correct it")
    return shaped


def _unasked(plan: Plan[Any]) -> Shaped | None:
    """Run a plan that asks nobody; None where it would ask."""
    try:
        next(plan)
    except StopIteration as done:
        return _read(done.value)
    plan.close()
    return None


def _reshape(asking: Asking, shaped: Shaped) -> Plan[None]:
    edits, books = shaped.edits, asking.books
    if edits.messages:
        request = yield Reshape(books.request, edits)
        if type(request) is Broken:
            books.fault("shape", request.error)
            return
        books.request = request
    if edits.tools is not None:
        asking.tools = _after(asking.tools, edits.tools, books)
    decision = books.decision
    decision.pruned_tokens += shaped.tokens_saved
    if shaped.reason:
        decision.shape = f"{decision.shape}; {shaped.reason}" if decision.shape else shaped.reason


def _after(before: ToolsEdit | None, edit: ToolsEdit, books: Books) -> ToolsEdit:
    """Edit what the shapers before left of the tools; where that breaks, they go as they were."""

    def edited(tools: Sequence[Any]) -> list[Any]:
        left = list(tools) if before is None else before(tools)
        try:
            return list(edit(left))
        except Exception as error:
            go_round(books, "shape", error)
            return left

    return edited


def _say(books: Books, would: Sequence[Shaped]) -> None:
    """Observe mode: say by how much the prompt would have been shorter."""
    if would and not books.decision.would:
        tokens = sum(shaped.tokens_saved for shaped in would)
        # Each saw the request as it came: two may have counted the same words.
        most = "up to " if len(would) > 1 else ""
        books.decision.would = f"send {most}{tokens} tokens less ({'; '.join(shaped.reason for shaped in would)})"
