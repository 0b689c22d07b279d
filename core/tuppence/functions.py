"""The user's own functions that a call runs: tiers that are functions, and what routes and checks want called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tuppence.effects import Ask, Call
from tuppence.errors import RequestError
from tuppence.request import Reply


def answered_by(ask: Ask, wrap: Callable[[str], Any]) -> Reply | None:
    """Ask a function tier; None where it declines. `wrap` makes a native message of its text."""
    assert ask.tier.answer is not None
    answer = ask.tier.answer(ask.request)
    if isinstance(answer, str):
        answer = Reply(answer, finish="stop", model=ask.tier.name)
    elif answer is not None and not isinstance(answer, Reply):
        raise RequestError(
            f"the function of tier {ask.tier.name!r} returned {answer!r} ({type(answer).__name__}): "
            "return text, a Reply, or None to decline"
        )
    if answer is not None and answer.native is None:
        answer.native = wrap(answer.text)
    return answer


def called(call: Call) -> Any:
    """Call a function of the user's from a sync call; raise `RequestError` where it is async."""
    answer = call.fn(*call.args)
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        name = getattr(call.fn, "__name__", repr(call.fn))
        raise RequestError(f"{name} is async, but the call is sync: use ainvoke/astream, or give a plain function")
    return answer
