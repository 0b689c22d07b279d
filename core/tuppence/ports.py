"""The port: performs effects against real things. What is native to a framework or an SDK is behind `Models`.

A port belongs to one call. It reads clocks, waits and catches provider exceptions; it never decides anything.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from tuppence.attempts import Result
from tuppence.cache import ExactCache, SemanticCache
from tuppence.context import enclosing_spends
from tuppence.effects import (
    Ask,
    Audit,
    Call,
    Declined,
    Deliver,
    Effect,
    Embed,
    Failed,
    Keep,
    Lookup,
    Nearest,
    Open,
    Peek,
    Record,
    Release,
    Remember,
    Reserve,
    Reshape,
    Settle,
    Sleep,
)
from tuppence.failures import failed, is_control_flow
from tuppence.functions import answered_by, called
from tuppence.pacing import bounded, paced, pumped
from tuppence.request import Edits, Reply, Request
from tuppence.spend import Ledger

_clock = time.perf_counter


@dataclass(slots=True)
class Chunk:
    """One piece of a stream: its text, and the framework's own object that carries it."""

    text: str
    native: Any


class Models(Protocol):
    """The seam: asks native models, raising what they raise. One small class for each framework."""

    def ask(self, ask: Ask, /) -> Reply: ...
    async def aask(self, ask: Ask, /) -> Reply: ...
    def stream(self, ask: Ask, /) -> Iterator[Chunk | Reply]:
        """Yield chunks as they come, then the whole reply last."""
        ...

    def astream(self, ask: Ask, /) -> AsyncIterator[Chunk | Reply]: ...
    def reshape(self, request: Request, edits: Edits, /) -> Request:
        """Make edits on the caller's own request, and take what comes out for it from now on."""
        ...

    def replay(self, reply: Reply, /) -> Iterable[Any]:
        """Make native chunks of a reply that was not streamed (a cached or a function tier's)."""
        ...

    def freeze(self, reply: Reply, /) -> Any:
        """Turn a reply into JSON-able data for the cache."""
        ...

    def thaw(self, data: Any, /) -> Reply: ...
    def wrap(self, text: str, /) -> Any:
        """Make a native message of a function tier's text."""
        ...


class Port:
    """Performs the effects of one call."""

    __slots__ = ("_known_ms", "_opened", "_spends", "_started", "cache", "ledger", "models", "on_settled")

    def __init__(
        self, models: Models, *, cache: ExactCache | None = None, ledger: Ledger | None = None,
        on_settled: Callable[[Result], None] | None = None,
    ) -> None:  # fmt: skip
        self.models = models
        self.cache = cache
        self.ledger = ledger
        self.on_settled = on_settled
        self._started = self._opened = _clock()
        self._known_ms = 0.0
        """When the cache had said what it knows, after the call was opened: how long a hit took."""
        self._spends = enclosing_spends()

    def elapsed_ms(self) -> float:
        """How long the ask under way, or the last one, has been running."""
        return (_clock() - self._started) * 1000

    def perform(self, effect: Effect[Any]) -> Any:
        kind = type(effect)
        if kind is Ask:
            return self.ask(effect)  # type: ignore[arg-type]
        if kind is Lookup:
            return self._known(self._cache().lookup(effect.key, self.models.thaw))  # type: ignore[attr-defined]
        if kind is Peek:
            return self._cache().peek(effect.key, self.models.thaw)  # type: ignore[attr-defined]
        if kind is Sleep:
            time.sleep(effect.seconds)  # type: ignore[attr-defined]
            return None
        if kind is Call:
            return called(effect)  # type: ignore[arg-type]
        if kind is Embed:
            return self._semantic().embed(effect.text)  # type: ignore[attr-defined]
        if kind is Nearest:
            return self._semantic().nearest(effect.scope, effect.vector)  # type: ignore[attr-defined]
        if kind is Reserve:
            return effect.store.reserve(effect)  # type: ignore[attr-defined]
        return self._quick(effect)

    async def aperform(self, effect: Effect[Any]) -> Any:
        kind = type(effect)
        if kind is Ask:
            return await self.aask(effect)  # type: ignore[arg-type]
        if kind is Lookup:
            return self._known(await self._cache().alookup(effect.key, self.models.thaw))  # type: ignore[attr-defined]
        if kind is Peek:
            return await self._cache().apeek(effect.key, self.models.thaw)  # type: ignore[attr-defined]
        if kind is Sleep:
            await asyncio.sleep(effect.seconds)  # type: ignore[attr-defined]
            return None
        if kind is Call:
            answer = effect.fn(*effect.args)  # type: ignore[attr-defined]
            return await answer if inspect.isawaitable(answer) else answer
        if kind is Embed:
            return await self._semantic().aembed(effect.text)  # type: ignore[attr-defined]
        if kind is Nearest:
            return await self._semantic().anearest(effect.scope, effect.vector)  # type: ignore[attr-defined]
        if kind is Reserve:
            return await effect.store.areserve(effect)  # type: ignore[attr-defined]
        return self._quick(effect)

    def _quick(self, effect: Effect[Any]) -> Any:
        """Perform what never waits, the same for both kinds of driver and for a call that is given up."""
        if type(effect) is Settle:
            self._settle(effect.result)
        elif type(effect) is Record:
            effect.recorder.record(effect)
        elif type(effect) is Release:
            effect.store.release(effect)
        elif type(effect) is Remember:
            self._remember(effect)
        elif type(effect) is Reshape:
            return self.models.reshape(effect.request, effect.edits)
        elif type(effect) is Open:
            return self._known(self._semantic().open(effect.entry, self.models.thaw))
        elif type(effect) is Keep:
            self._semantic().keep(effect, freeze=self.models.freeze)
        elif type(effect) is Audit:
            self._semantic().audit(effect, thaw=self.models.thaw)
        else:
            assert type(effect) is Deliver
        return None

    def _known(self, found: Any) -> Any:
        self._known_ms = (_clock() - self._opened) * 1000
        return found

    def _settle(self, result: Result) -> None:
        if result.attempts[-1].outcome == "hit":
            result.attempts[-1].latency_ms = self._known_ms
        if self.on_settled is not None:
            self.on_settled(result)
        self.record(result)

    def record(self, result: Result) -> None:
        """Write a settled call down, where somebody adds up or keeps books."""
        for spend in self._spends:
            spend.add(result)
        if self.ledger is not None:
            self.ledger.write(result)

    def _remember(self, done: Remember) -> None:
        if done.like is None:
            self._cache().remember(
                done.lease, done.reply, origin=done.origin, freeze=self.models.freeze, tags=done.tags,
                pico_usd=done.pico_usd, tenant=done.tenant,
            )  # fmt: skip
        else:
            self._semantic().remember_like(done, freeze=self.models.freeze)

    def _cache(self) -> ExactCache:
        assert self.cache is not None
        return self.cache

    def _semantic(self) -> SemanticCache:
        assert isinstance(self.cache, SemanticCache)
        return self.cache

    def ask(self, ask: Ask) -> Reply | Failed | Declined:
        self._started = _clock()
        try:
            if ask.tier.answer is not None:
                reply = answered_by(ask, self.models.wrap)
            elif ask.tier.timeout_s is None:
                reply = self.models.ask(ask)
            else:
                reply = bounded(lambda: self.models.ask(ask), ask.tier.timeout_s, ask.tier.name)
        except Exception as error:
            return self._failed(error)
        return self._answered(reply)

    async def aask(self, ask: Ask) -> Reply | Failed | Declined:
        self._started = _clock()
        try:
            if ask.tier.answer is not None:
                reply = answered_by(ask, self.models.wrap)
            elif ask.tier.timeout_s is None:
                reply = await self.models.aask(ask)
            else:
                async with asyncio.timeout(ask.tier.timeout_s):
                    reply = await self.models.aask(ask)
        except Exception as error:
            return self._failed(error)
        return self._answered(reply)

    def stream(self, ask: Ask) -> Generator[Chunk | Reply | Failed | Declined, None, None]:
        """Yield the chunks of one ask, then its outcome."""
        if ask.tier.answer is not None:
            yield self.ask(ask)
            return
        self._started = _clock()
        first: float | None = None
        items = self.models.stream(ask)
        if ask.tier.timeout_s is not None:
            items = pumped(items, ask.tier.timeout_s, ask.tier.name)
        try:
            for item in items:
                if type(item) is Chunk:
                    first = first or _clock()
                    yield item
                else:
                    yield self._timed(item, first)  # type: ignore[arg-type]
        except Exception as error:
            yield self._failed(error)

    async def astream(self, ask: Ask) -> AsyncGenerator[Chunk | Reply | Failed | Declined, None]:
        """Yield the chunks of one ask, then its outcome."""
        if ask.tier.answer is not None:
            yield await self.aask(ask)
            return
        self._started = _clock()
        first: float | None = None
        try:
            async with aclosing(paced(self.models.astream(ask), ask.tier.timeout_s)) as items:
                async for item in items:
                    if type(item) is Chunk:
                        first = first or _clock()
                        yield item
                    else:
                        yield self._timed(item, first)  # type: ignore[arg-type]
        except Exception as error:
            yield self._failed(error)

    def replay(self, reply: Reply) -> Iterable[Any]:
        return self.models.replay(reply)

    def _answered(self, reply: Reply | None) -> Reply | Declined:
        if reply is None:
            return Declined()
        reply.latency_ms = self.elapsed_ms()
        return reply

    def _timed(self, reply: Reply, first: float | None) -> Reply:
        reply.latency_ms = self.elapsed_ms()
        reply.first_token_ms = None if first is None else (first - self._started) * 1000
        return reply

    def may_have_bought(self, ask: Ask) -> bool:
        """Say whether an ask whose caller went away is to be billed by an estimate."""
        return True

    def _failed(self, error: Exception) -> Failed:
        if is_control_flow(error):
            raise error
        return failed(error, latency_ms=self.elapsed_ms())
