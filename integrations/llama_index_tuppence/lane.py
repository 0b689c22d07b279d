"""The batch lane for LlamaIndex: the tiers' own models, asked through the queue, and many calls that wait together.

A model is copied with clients that send through the lane, so that requests are made and answers read by the user's own
class. Which calls wait is said by the call or by the lane's rule; nothing here decides it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.llm import LLM

from llama_index_tuppence.cache_writes import telling
from llama_index_tuppence.dialects import STREAMS_OF_CHAT_COMPLETIONS, provider_of, speaks_chat_completions
from llama_index_tuppence.open_streams import LateClient, noting
from llama_index_tuppence.tiers import LlmTier
from tuppence.attempts import new_call_id
from tuppence.ports import Port
from tuppence.request import Request
from tuppence.tiers import Tier

# Most programs have no lane: what it takes is loaded by those that do.
if TYPE_CHECKING:
    from llama_index_tuppence.call import Call
    from llama_index_tuppence.models import Conversation
    from tuppence.batch.queue import Lane, LaneQueue

Asked = str | ChatMessage | Sequence[ChatMessage]


class NativeLane:
    """A lane, with the models that can be asked through it."""

    def __init__(self, option: Lane | LaneQueue | str | Path, tiers: Iterable[Tier]) -> None:
        from tuppence.batch.queue import open_lane

        self.lane: Lane = open_lane(option)
        self._tiers = tuple(tier for tier in tiers if isinstance(tier, LlmTier))

    @cached_property
    def models(self) -> Mapping[str, LLM]:
        """The models that ask through the lane, by their tiers' names."""
        found = {tier.name: _over_lane(tier.llm) for tier in self._tiers}
        return {name: llm for name, llm in found.items() if llm is not None}


def _over_lane(llm: LLM) -> LLM | None:
    """Copy a model so that it asks through the lane; None for one whose requests no batch takes."""
    from tuppence.batch.queue import over_lane

    told: Any = llm
    if speaks_chat_completions(llm):
        copy: Any = llm.model_copy(update={"reuse_client": True})
        own, own_async = _client(told._get_client()), _client(told._get_aclient())
        copy._client = noting(over_lane(own, own), STREAMS_OF_CHAT_COMPLETIONS)
        copy._aclient = noting(over_lane(own_async, own), STREAMS_OF_CHAT_COMPLETIONS)
        return copy  # type: ignore[no-any-return]
    if provider_of(llm) == "anthropic" and hasattr(getattr(told, "_client", None), "messages"):
        copy = llm.model_copy()
        copy._client = noting(telling(over_lane(told._client, told._client)), ("messages",))
        copy._aclient = noting(telling(over_lane(told._aclient, told._client)), ("messages",))
        return copy  # type: ignore[no-any-return]
    return None


def _client(client: Any) -> Any:
    """Return the SDK's client itself, where a tier has one that is made at its first use."""
    return client._client if isinstance(client, LateClient) else client


def waiting_port(
    lane: NativeLane | None, said: Mapping[str, Any], request: Request, conversation: Conversation
) -> Callable[..., Port]:
    """Return what makes the port of a call: one that waits where the call, or the lane's rule, says so."""
    choice, deadline_s = said.get("lane"), said.get("deadline_s")
    if lane is None and choice is deadline_s is None:
        return Port
    from tuppence.batch.queue import LanePort, deadline_without_lane

    if lane is None:
        deadline_without_lane(choice, deadline_s)
        return Port
    wait_s = lane.lane.deadline_of(choice, deadline_s, request.tags)
    if wait_s is None:
        return Port
    request.call_id = request.call_id or new_call_id()
    conversation.over = lane.models
    return partial(LanePort, lane=lane.lane, request=request, deadline_s=wait_s, takes=lane.models.keys())


class Batched:
    """Many questions at once, for a model whose calls may wait."""

    _chat: Callable[..., Call]
    _complete: Callable[..., Call]

    def batch(self, inputs: Sequence[Asked], *, return_exceptions: bool = False, **kwargs: Any) -> list[Any]:
        """Answer inputs side by side, in their order: texts as `complete` does, messages as `chat` does.

        `lane="batch"` has them wait for batch prices, at most `deadline_s`. Raises the first error, unless errors are
        to be returned in the places of their answers.
        """
        from tuppence.batch.queue import run_all

        calls = [self._opened(one, kwargs) for one in inputs]
        found = run_all([call.arun_hosted for call in calls])
        return found if return_exceptions else [_raised(one) for one in found]

    async def abatch(self, inputs: Sequence[Asked], *, return_exceptions: bool = False, **kwargs: Any) -> list[Any]:
        """Answer inputs as `batch` does, on this event loop."""
        calls = [self._opened(one, kwargs) for one in inputs]
        found = await asyncio.gather(*(call.arun() for call in calls), return_exceptions=True)
        return list(found) if return_exceptions else [_raised(one) for one in found]

    def _opened(self, asked: Asked, kwargs: Mapping[str, Any]) -> Call:
        if isinstance(asked, str):
            return self._complete(asked, False, dict(kwargs))
        return self._chat([asked] if isinstance(asked, ChatMessage) else asked, dict(kwargs))


def _raised(answer: Any) -> Any:
    if isinstance(answer, BaseException):
        raise answer
    return answer
