"""The batch lane for LangChain: the tiers' own models, asked through the queue, and many calls that wait together.

A model is copied with clients that send through the lane, so that requests are made and answers read by the user's own
class. Which calls wait is said by the call or by the lane's rule; nothing here decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config, get_config_list

from langchain_tuppence.calls import waits
from langchain_tuppence.handles import Handle
from langchain_tuppence.runs import Told
from tuppence import drivers
from tuppence.batch.queue import Lane, LanePort, LaneQueue, open_lane, over_lane, run_all
from tuppence.flow import plan

if TYPE_CHECKING:
    from langchain_tuppence.calls import Call
    from langchain_tuppence.chat import ChatTuppence

Usual = Callable[[list[Any], list[RunnableConfig]], list[Any]]


class NativeLane:
    """A lane, with the models that can be asked through it."""

    def __init__(self, option: Lane | LaneQueue | str | Path, handles: Mapping[str, Handle]) -> None:
        self.lane = open_lane(option)
        self._handles = handles

    @cached_property
    def _over(self) -> Mapping[str, Handle]:
        found = {name: _over_lane(handle) for name, handle in self._handles.items()}
        return {name: handle for name, handle in found.items() if handle is not None}

    @cached_property
    def handles(self) -> Mapping[str, Handle]:
        """All models; those that batches are known for ask through the lane."""
        return {**self._handles, **self._over}

    def port(self, call: Call) -> LanePort:
        """Make the port of a call that waits."""
        assert call.waits_s is not None
        return LanePort(
            call.models, lane=self.lane, request=call.request, deadline_s=call.waits_s, takes=self._over.keys(),
            cache=call.policy.cache, ledger=call.ledger, on_settled=call.models.settled,
        )  # fmt: skip


def _over_lane(handle: Handle) -> Handle | None:
    """Copy a model so that it asks through the lane; None for one whose requests no batch takes."""
    model: Any = handle.model
    if hasattr(getattr(model, "root_client", None), "chat"):
        own, own_async = over_lane(model.root_client, model.root_client), model.root_async_client
        clients = {"root_client": own, "client": own.chat.completions, "streaming": False}
        if own_async is not None:
            own_async = over_lane(own_async, model.root_client)
            clients |= {"root_async_client": own_async, "async_client": own_async.chat.completions}
        return handle.over(model.model_copy(update=clients))
    if handle.provider == "anthropic" and hasattr(getattr(model, "_client", None), "messages"):
        copy = model.model_copy(update={"streaming": False})
        # LangChain keeps them as cached properties.
        copy.__dict__["_client"] = over_lane(model._client, model._client)
        copy.__dict__["_async_client"] = over_lane(model._async_client, model._client)
        return handle.over(copy)
    return None


def batch(
    llm: ChatTuppence, inputs: Sequence[Any], config: Any, kwargs: Mapping[str, Any], *, return_exceptions: bool,
    usual: Usual,
) -> list[Any]:  # fmt: skip
    """Answer inputs in their order: those that wait all together, the others by `usual`, before."""
    configs = [ensure_config(one) for one in get_config_list(config, len(inputs))]
    waiting = [at for at, one in enumerate(configs) if waits(llm.parts.lane, one, kwargs)]
    others = [at for at in range(len(inputs)) if at not in set(waiting)]
    answers: list[Any] = [None] * len(inputs)
    if others:
        _fill(answers, others, usual([inputs[at] for at in others], [configs[at] for at in others]))
    calls = [llm._opened(inputs[at], configs[at], None, dict(kwargs)) for at in waiting]
    limits = [conf.get("max_concurrency") for conf in configs[:1]]
    hosted = [partial(_answer, call, told) for call, told in calls]
    _fill(answers, waiting, run_all(hosted, at_once=next(iter(limits), None)))
    return answers if return_exceptions else [_raised(one) for one in answers]


def _fill(answers: list[Any], places: Iterable[int], found: Iterable[Any]) -> None:
    for at, one in zip(places, found, strict=True):
        answers[at] = one


def _raised(answer: Any) -> Any:
    if isinstance(answer, BaseException):
        raise answer
    return answer


async def _answer(call: Call, told: Told) -> AIMessage:
    assert isinstance(call.port, LanePort)
    call.port = call.port.hosted()
    try:
        await drivers.arun(plan(call.request, call.policy), call.port)
        message = call.finish()
    except BaseException as error:
        told.failed(error, call)
        raise
    told.ended(call)
    return message


def together(config: Any, count: int) -> list[RunnableConfig]:
    """Return the configs of calls that wait, which no limit of concurrency holds up: they ask nobody meanwhile."""
    return [{**one, "max_concurrency": None} for one in get_config_list(config, count)]
