"""The embedding cache: a text that was embedded is neither embedded nor paid for again.

Of a batch only what is missing is asked for, in one call. It must never serve a vector of another model, kind or
tenant, never fail an embedding because its store failed, and never keep the text itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tuppence.attempts import Result
from tuppence.cache.embedding_savings import Saved, SavingsTally
from tuppence.cache.exact import RemoteStore, Store
from tuppence.cache.flights import Flight, Flights, Seat
from tuppence.cache.kept_vectors import KeptVector, freeze_vector, thaw_vector
from tuppence.cache.steps import Steps, arun, run
from tuppence.cache.stores.opening import MEMORY, exact_store
from tuppence.context import Spend, current_tags, enclosing_spends
from tuppence.errors import ConfigError, RequestError
from tuppence.prices import Rate
from tuppence.tokens import count_tokens

Kind = Literal["document", "query"]
"""Many models embed the two differently, so that they never share an entry."""
StoreOption: TypeAlias = Store | str | Path
Ask: TypeAlias = Callable[[list[str]], Sequence[Sequence[float]]]
AsyncAsk: TypeAlias = Callable[[list[str]], Awaitable[Sequence[Sequence[float]]]]

# A vector of 1,536 dimensions takes 6 KB: a full file is some 6 GB.
_MAX_FILE_ENTRIES = 1_000_000
# Reads that an event loop may wait for: about 10 microseconds each from a file.
_LOOKS_IN_LOOP = 8


@dataclass(frozen=True, slots=True)
class _Look:
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Keep:
    texts: Mapping[str, str]
    vectors: Sequence[Sequence[float]]
    """In the order of `texts`."""


@dataclass(frozen=True, slots=True)
class _Missing:
    texts: list[str]


_Vectors: TypeAlias = dict[str, KeptVector]


@dataclass(slots=True)
class _Call:
    """One call of the cache under way."""

    keys: list[str]
    """One for each text."""
    texts: dict[str, str]
    """Distinct texts by their keys."""
    started_at: float
    spends: Sequence[Spend]
    flights: list[Flight] = field(default_factory=list)
    seats: dict[str, Seat] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    """Keys of the texts that the model was asked for."""


def open_store(option: StoreOption) -> Store:
    """Open a store: "memory" in this process, a path for a SQLite file of its own, an address such as
    `redis://host:6379/0`, or a store as it is.
    """
    if option == MEMORY:
        return exact_store(MEMORY)
    if isinstance(option, str | Path):
        return exact_store(option, max_entries=_MAX_FILE_ENTRIES)
    if not callable(getattr(option, "get", None)) or not callable(getattr(option, "put", None)):
        raise ConfigError(
            f"store is {option!r}: give 'memory', a file path, or a store such as MemoryStore(), or name a Redis by "
            "its redis:// URL"
        )
    return option


class EmbeddingCache:
    """Vectors by text, for one model and any function that asks it.

    `name` stands for the model with all that shapes its vectors, `model` is what it is priced and its tokens are
    counted by. Hits are booked where `rate` is known: in the `spend()` blocks around the call and by `record`. Entries
    stay until evicted unless `ttl_s` says otherwise: a vector does not age. `wait_s` bounds the wait for an equal text
    that is being embedded; 0 turns that off. Safe to use from threads, tasks of any event loop, and after a fork.
    """

    def __init__(
        self, store: Store, *, name: str, model: str = "", rate: Rate | None = None, ttl_s: float | None = None,
        wait_s: float = 30.0, record: Callable[[Result], None] | None = None,
    ) -> None:  # fmt: skip
        if ttl_s is not None and ttl_s <= 0:
            raise ConfigError(f"ttl_s is {ttl_s}: it must be above 0, or None to keep vectors until evicted")
        if wait_s < 0:
            raise ConfigError(f"wait_s is {wait_s}: it must be 0 (never wait for an equal text) or more")
        self._store = store
        self._name = name
        self._model = model or name
        self._ttl_s = ttl_s
        self._flights = Flights(wait_s=wait_s)
        self._tally = SavingsTally(self._model, rate, record)
        self._is_remote = isinstance(store, RemoteStore)

    @property
    def saved(self) -> Saved:
        return self._tally.saved

    def embed(self, texts: Sequence[str], ask: Ask, *, kind: Kind = "document") -> list[list[float]]:
        """Return a vector for each text, in float32 precision; `ask` gets those that nobody has, each once.

        Raises what `ask` raises, and `RequestError` where it does not return a vector for each text.
        """
        call = self._call(texts, kind)
        return self._served(call, run(self._steps(call), lambda step: self._perform(step, ask)))

    async def aembed(self, texts: Sequence[str], ask: AsyncAsk, *, kind: Kind = "document") -> list[list[float]]:
        """Do as `embed` does; the store is asked for more than a few texts in a thread."""
        call = self._call(texts, kind)
        in_thread = self._is_remote or len(call.texts) > _LOOKS_IN_LOOP

        async def perform(step: Any) -> Any:
            match step:
                case _Missing():
                    return await ask(step.texts)
                case Seat():
                    return await self._flights.wait_async(step)
                case _:
                    return await asyncio.to_thread(self._stored, step) if in_thread else self._stored(step)

        return self._served(call, await arun(self._steps(call), perform))

    def _perform(self, step: Any, ask: Ask) -> Any:
        match step:
            case _Missing():
                return ask(step.texts)
            case Seat():
                return self._flights.wait(step)
            case _:
                return self._stored(step)

    def _call(self, texts: Sequence[str], kind: Kind) -> _Call:
        tenant = current_tags().get("tenant")
        told = (json.dumps(["embedding", self._name, kind, tenant, text]) for text in texts)
        keys = [hashlib.blake2b(one.encode(), digest_size=16).hexdigest() for one in told]
        return _Call(keys, dict(zip(keys, texts, strict=True)), time.time(), enclosing_spends())

    # -- the order of steps, for both

    def _steps(self, call: _Call) -> Steps[_Vectors]:
        """Find or embed every text of the batch; return the vectors by key. No step is taken in `finally`."""
        try:
            found: _Vectors = yield _Look(tuple(call.texts))
            mine = self._board(call, (key for key in call.texts if key not in found))
            if mine:
                # The last to embed one of them may have kept it between the look and the boarding.
                late: _Vectors = yield _Look(tuple(mine))
                self._land(late)
                found |= late
                found |= yield from self._asked(call, [key for key in mine if key not in late])
            # Only now: two batches that wait for each other's texts have both embedded their own.
            found |= yield from self._others(call)
            return found
        finally:
            # Whatever was not embedded is for others to embed; what has landed stays so.
            for seat in call.seats.values():
                if not seat.future.cancel() and isinstance(landing := seat.future.result(), Flight):
                    call.flights.append(landing)
            for flight in call.flights:
                self._flights.hand_over(flight)

    def _board(self, call: _Call, keys: Iterable[str]) -> list[str]:
        """Return those of `keys` that this batch is to embed; for the others it has a seat."""
        mine = []
        for key in keys:
            place = self._flights.board(key)
            if isinstance(place, Seat):
                call.seats[key] = place
            else:
                call.flights.append(place)
                mine.append(key)
        return mine

    def _asked(self, call: _Call, keys: Sequence[str]) -> Steps[_Vectors]:
        if not keys:
            return {}
        texts = {key: call.texts[key] for key in keys}
        vectors = yield _Missing(list(texts.values()))
        if len(vectors) != len(texts):
            raise RequestError(
                f"{self._model} returned {len(vectors)} vectors for {len(texts)} texts: embed them without the cache"
            )
        call.sent.update(keys)
        made: _Vectors = yield _Keep(texts, vectors)
        # After the store: who comes now and finds nobody embedding must find the vector.
        self._land(made)
        return made

    def _others(self, call: _Call) -> Steps[_Vectors]:
        """Take what others embedded meanwhile, and embed what they left, once more in one call."""
        found: _Vectors = {}
        left: list[str] = []
        alone = False
        for key, seat in call.seats.items():
            # Who has waited once in vain does not wait again for each of the others.
            landing = None if alone and not seat.future.done() else (yield seat)
            alone = alone or landing is None
            vector = thaw_vector(landing) if isinstance(landing, bytes) else None
            if vector is not None:
                found[key] = vector
                continue
            left.append(key)
            if isinstance(landing, Flight):
                call.flights.append(landing)
        found |= yield from self._asked(call, left)
        return found

    def _land(self, vectors: Mapping[str, KeptVector]) -> None:
        for key, vector in vectors.items():
            self._flights.land(key, vector.value)

    # -- the store, which may fail

    def _stored(self, step: _Look | _Keep) -> _Vectors:
        return self._looked_up(step.keys) if isinstance(step, _Look) else self._kept(step)

    def _looked_up(self, keys: Iterable[str]) -> _Vectors:
        found: _Vectors = {}
        try:
            for key in keys:
                entry = self._store.get(key)
                if entry is not None and (vector := thaw_vector(entry[0])) is not None:
                    found[key] = vector
        except Exception as error:  # noqa: BLE001 - whatever a store raises, the model is still there
            # The rest are not tried: each would take its own time to fail.
            self._tally.fault(error)
        return found

    def _kept(self, step: _Keep) -> _Vectors:
        """Return the new vectors, kept or not."""
        made = {
            key: freeze_vector(vector, count_tokens(text, self._model).tokens)
            for (key, text), vector in zip(step.texts.items(), step.vectors, strict=True)
        }
        tenant = current_tags().get("tenant")
        try:
            for key, vector in made.items():
                if vector.is_finite:
                    self._store.put(key, vector.value, self._ttl_s, tenant=tenant)
        except Exception as error:  # noqa: BLE001 - the vectors are paid for, and are served all the same
            self._tally.fault(error)
        return made

    # -- what came of it

    def _served(self, call: _Call, vectors: _Vectors) -> list[list[float]]:
        """Return the vectors, each a list of its own, after counting and booking those that cost nothing."""
        tokens = sum(vectors[key].tokens for key in call.keys) - sum(vectors[key].tokens for key in call.sent)
        self._tally.served(
            hits=len(call.keys) - len(call.sent), misses=len(call.sent), tokens=tokens, started_at=call.started_at,
            spends=call.spends,
        )  # fmt: skip
        return [vectors[key].floats.tolist() for key in call.keys]
