"""Runs a plan outside of the flow: a user's own callable is asked wherever the plan would consult a tier.

The one place here that waits for anything. What the callable or a store raises becomes a value that the plan decides
about; only what steers a framework passes.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tuppence.effects import Broken, Call, Consult, Effect, Plan
from tuppence.errors import RequestError
from tuppence.failures import failed, is_control_flow
from tuppence.request import Reply, Request

R = TypeVar("R")

Model = Callable[[str], str | Reply]
"""Answers a prompt; a `Reply` may say what was used, text alone does not."""
AsyncModel = Callable[[str], Awaitable[str | Reply]]


def driven(plan: Plan[R], model: Model) -> R:
    """Run `plan` to its end with a plain callable; raises `RequestError` where that is async."""
    # One loop serves both: with nothing to wait for, a coroutine runs to its end at the first push.
    running = adriven(plan, model)
    try:
        running.send(None)
    except StopIteration as done:
        result: R = done.value
        return result
    running.close()
    raise RequestError("the model or the store is async, but the call is sync: use acondense")


async def adriven(plan: Plan[R], model: Model | AsyncModel) -> R:
    """Run `plan` to its end with an async callable, or a plain one; stores may be either too."""
    outcome: Any = None
    while True:
        try:
            effect = plan.send(outcome)
        except StopIteration as done:
            result: R = done.value
            return result
        try:
            outcome = await _performed(effect, model)
        except Exception as error:
            if is_control_flow(error):
                raise
            outcome = failed(error) if isinstance(effect, Consult) else Broken(error)


async def _performed(effect: Effect[Any], model: Model | AsyncModel) -> Any:
    if isinstance(effect, Consult):
        answer = await _waited(model(prompt_of(effect.request)))
        return answer if isinstance(answer, Reply) else Reply(_text(answer))
    if isinstance(effect, Call):
        return await _waited(effect.fn(*effect.args))
    raise TypeError(f"a plan that is driven by a callable cannot have {type(effect).__name__} performed")


async def _waited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _text(answer: object) -> str:
    if isinstance(answer, str):
        return answer
    raise TypeError(f"the model returned {type(answer).__name__}: return text or a Reply")


def prompt_of(request: Request) -> str:
    """Write a request as one text, for models that take no messages."""
    return "\n\n".join(message.text for message in request.messages)
