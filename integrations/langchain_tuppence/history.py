"""Chat histories shortened in front of any model, as one step of a chain: shapers without `ChatTuppence`.

The shapers are those of a policy, and so are their accounting, their kill switch and what happens when one breaks: the
messages then go on as they came. The caller's own messages are never changed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage, HumanMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig, RunnableLambda
from langchain_core.runnables.config import get_callback_manager_for_config

from langchain_tuppence.calls import tags_of
from langchain_tuppence.chat import ChatTuppence
from langchain_tuppence.messages import neutral
from langchain_tuppence.models import NativeModels
from langchain_tuppence.runs import Stage
from langchain_tuppence.tiers import built
from tuppence import drivers
from tuppence.assembly import LedgerOption, open_ledger, open_shape
from tuppence.attempts import Decision, Result
from tuppence.effects import Shaper
from tuppence.failures import is_control_flow
from tuppence.flow import shape_only
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.prices import PriceBook
from tuppence.prune.history import HistoryShaper
from tuppence.request import Request
from tuppence.tiers import Tier

log = logging.getLogger("tuppence.prune")

OnShaped = Callable[[Decision], object]
"""Told of each prompt: `decision.shape` says in words what was left out, `decision.pruned_tokens` how much."""


def prune_history(
    model: Any, *, shape: Sequence[Shaper] | None = None, judges: Sequence[Any] = (), ledger: LedgerOption = True,
    prices: PriceBook | None = None, on_shaped: OnShaped | None = None,
) -> Runnable[LanguageModelInput, list[BaseMessage]]:  # fmt: skip
    """Return the step that shortens a chat history before `model` is asked: `prompt | prune_history(llm) | llm`.

    Messages or a prompt in, messages out. What is cut is decided by the model's price, and decided once: keep the
    runnable, it remembers its conversations. `shape` are the shapers, by default a `HistoryShaper`; models that they
    ask for a summary are `judges`, as in `ChatTuppence`, and what those cost is in `ledger`, in `spend()` blocks and
    in the config's `SpendCallbackHandler`s. With `ChatTuppence` give `shape` to the model itself.
    """
    front = Front(shape=shape, judges=judges, ledger=ledger, prices=prices, on_shaped=on_shaped)
    tiers = front.readers(model)

    def prune(given: LanguageModelInput, config: RunnableConfig) -> list[BaseMessage]:
        return front.shaped(_messages(given), tiers, config)

    async def aprune(given: LanguageModelInput, config: RunnableConfig) -> list[BaseMessage]:
        return await front.ashaped(_messages(given), tiers, config)

    return RunnableLambda(prune, afunc=aprune, name="prune_history")


class Front:
    """What stands before a model that is not tuppence's: the shapers, and the models that they may ask."""

    __slots__ = ("_handles", "_ledger", "_on_shaped", "_policy", "_prices")

    def __init__(
        self, *, shape: Sequence[Shaper] | None = None, judges: Sequence[Any] = (), ledger: LedgerOption = True,
        prices: PriceBook | None = None, on_shaped: OnShaped | None = None,
    ) -> None:  # fmt: skip
        self._prices = prices or PriceBook.default()
        asked, self._handles = built(judges, self._prices)
        shapers = (HistoryShaper(),) if shape is None else open_shape(shape)
        # The tier stands for whatever model is asked behind it: no policy of ours asks that one.
        self._policy = Policy(tiers=(Tier("model"),), judges=asked, shape=shapers, check=None, surface="langchain")
        # Where nobody can be asked there is nothing to write down.
        self._ledger = open_ledger(ledger) if asked else None
        self._on_shaped = on_shaped

    def readers(self, model: Any) -> tuple[Tier, ...]:
        """Describe the model that will read what is sent: its price decides what is cut."""
        bare = model
        while isinstance(bare, RunnableBinding):
            bare = bare.bound
        return bare.policy.tiers if isinstance(bare, ChatTuppence) else built([model], self._prices)[0]

    def shaped(self, messages: list[BaseMessage], tiers: tuple[Tier, ...], config: RunnableConfig) -> list[BaseMessage]:
        """Return what to send in place of `messages`."""
        try:
            models, port = self._opened(messages, config)
            with _counted(models, config):
                result = drivers.run(shape_only(models.request, self._policy, tiers), port)
            return self._told(models, result)
        except Exception as error:  # noqa: BLE001 - shapers are the user's own too: whatever breaks, the model is asked
            return _as_they_came(messages, error)

    async def ashaped(
        self, messages: list[BaseMessage], tiers: tuple[Tier, ...], config: RunnableConfig
    ) -> list[BaseMessage]:
        try:
            models, port = self._opened(messages, config)
            with _counted(models, config):
                result = await drivers.arun(shape_only(models.request, self._policy, tiers), port)
            return self._told(models, result)
        except Exception as error:  # noqa: BLE001 - shapers are the user's own too: whatever breaks, the model is asked
            return _as_they_came(messages, error)

    def _opened(self, messages: list[BaseMessage], config: RunnableConfig) -> tuple[NativeModels, Port]:
        request = Request(
            tuple([neutral(one) for one in messages]), tags=tags_of(config, {}), received_at=time.time(),
            native=messages,
        )  # fmt: skip
        models = NativeModels(self._handles, request, kwargs={}, tools=None, structured=None)
        return models, Port(models, ledger=self._ledger, on_settled=models.settled)

    def _told(self, models: NativeModels, result: Result) -> list[BaseMessage]:
        if self._on_shaped is not None:
            self._on_shaped(result.decision)
        return list(models.request.native)


@contextmanager
def _counted(models: NativeModels, config: RunnableConfig) -> Iterator[None]:
    """Have what is asked meanwhile counted and traced under the config's run, and shown to nobody."""
    manager = get_callback_manager_for_config(config)
    stage = Stage(manager)
    stage.split(manager)
    run_id = manager.parent_run_id
    models.opened(manager, run_id, shown=False, watched=stage.watched, spends=stage.spends)
    if run_id is None:
        yield
        return
    for handler in stage.spends:
        handler.entered(run_id)
    try:
        yield
    finally:
        for handler in stage.spends:
            handler.left(run_id)


def _as_they_came(messages: list[BaseMessage], error: Exception) -> list[BaseMessage]:
    if is_control_flow(error):
        raise error
    # Its message may quote one of them.
    log.warning("messages go on as they came: %s", type(error).__name__)
    return messages


def _messages(given: LanguageModelInput) -> list[BaseMessage]:
    if isinstance(given, PromptValue):
        return given.to_messages()
    return [HumanMessage(given)] if isinstance(given, str) else convert_to_messages(given)
