"""What flows beside a call: tags, the logical call id, and who listens to settled calls. One context variable
a concern.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from types import MappingProxyType

from tuppence.attempts import Attempt, Result
from tuppence.errors import RequestError
from tuppence.prices import PicoUSD, usd
from tuppence.request import Tags

_tags: ContextVar[Tags] = ContextVar("tuppence_tags", default=MappingProxyType({}))
_call_id: ContextVar[str | None] = ContextVar("tuppence_call_id", default=None)
_cache_tags: ContextVar[frozenset[str]] = ContextVar("tuppence_cache_tags", default=frozenset())
_spends: ContextVar[tuple[Spend, ...]] = ContextVar("tuppence_spends", default=())


def current_tags() -> Tags:
    return _tags.get()


def current_call_id() -> str | None:
    return _call_id.get()


def current_cache_tags() -> frozenset[str]:
    return _cache_tags.get()


def checked_tags(tags: Mapping[str, object]) -> Tags:
    """Return `tags` as they can be stored; raise `RequestError` for a value that is not text, naming it."""
    for name, value in tags.items():
        if not isinstance(value, str):
            raise RequestError(f"tag {name!r} is {value!r} ({type(value).__name__}): tags are text, use str(...)")
    return {name: str(value) for name, value in tags.items()}


@contextmanager
def tags(**values: str) -> Iterator[None]:
    """Tag every call inside: `with tags(user="ann", endpoint="/chat"): ...`; inner values win."""
    token = _tags.set({**_tags.get(), **checked_tags(values)})
    try:
        yield
    finally:
        _tags.reset(token)


@contextmanager
def cache_tags(*names: str) -> Iterator[None]:
    """Say what the answers inside hang on: `with cache_tags("pricing-page"): ...`; inner names are added.

    `cache.invalidate(tag="pricing-page")` then takes those answers out of the cache.
    """
    if not all(names):
        raise RequestError(f"cache tags are {names!r}: nobody can ask for an empty one, name it like 'pricing-page'")
    token = _cache_tags.set(_cache_tags.get() | frozenset(names))
    try:
        yield
    finally:
        _cache_tags.reset(token)


@contextmanager
def logical_call(call_id: str) -> Iterator[None]:
    """Account every attempt inside under one logical call, so that a framework's own retries are seen as retries."""
    token = _call_id.set(call_id)
    try:
        yield
    finally:
        _call_id.reset(token)


class Spend:
    """What calls came to, added up; safe to read at any time and to share between threads."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        """Every provider call, hits included, in the order in which their calls were settled."""
        self.pruned_tokens = 0
        """Input tokens that were left out: of prompts by shapers, of what was retrieved by context pruners."""
        self._ids: set[str] = set()
        self._adding = threading.Lock()

    def add(self, result: Result) -> None:
        """Count one settled call."""
        with self._adding:
            self._ids.add(result.call_id)
            self.attempts += result.attempts
            self.pruned_tokens += result.decision.pruned_tokens

    def leave_out(self, tokens: int) -> None:
        """Count what was left out of a context before any call was made with it."""
        with self._adding:
            self.pruned_tokens += tokens

    @property
    def calls(self) -> int:
        """Number of logical calls, hits included; a framework's own retry of one is the same call."""
        return len(self._ids)

    @property
    def hits(self) -> int:
        return sum(a.outcome == "hit" for a in self.attempts)

    @property
    def pico_usd(self) -> PicoUSD:
        return sum(a.pico_usd or 0 for a in self.attempts)

    @property
    def usd(self) -> Decimal:
        """Exact dollars of the priced attempts."""
        return usd(self.pico_usd)

    @property
    def unpriced(self) -> int:
        """Number of attempts whose price is unknown: `usd` is short by what they cost."""
        return sum(a.pico_usd is None for a in self.attempts)

    @property
    def tokens(self) -> int:
        return sum(a.usage.total_tokens for a in self.attempts)

    @property
    def by_tier(self) -> dict[str, Decimal]:
        """Dollars of each tier."""
        return self._by(lambda attempt: attempt.tier)

    @property
    def by_model(self) -> dict[str, Decimal]:
        """Dollars of each model, by the name that its provider bills."""
        return self._by(lambda attempt: attempt.model)

    def _by(self, name_of: Callable[[Attempt], str]) -> dict[str, Decimal]:
        sums: dict[str, PicoUSD] = {}
        for attempt in list(self.attempts):
            name = name_of(attempt)
            sums[name] = sums.get(name, 0) + (attempt.pico_usd or 0)
        return {name: usd(pico) for name, pico in sums.items()}


@contextmanager
def spend(tags: Tags | None = None) -> Iterator[Spend]:
    """Collect what the calls inside cost, and tag them: `with spend(tags={"user": "ann"}) as s: ...; s.usd`."""
    collected = Spend()
    spends = _spends.set((*_spends.get(), collected))
    tagged = _tags.set({**_tags.get(), **checked_tags(tags or {})})
    try:
        yield collected
    finally:
        _tags.reset(tagged)
        _spends.reset(spends)


def collect_here(collected: Spend) -> None:
    """Collect what calls cost from here on, for as long as this context lives: for one that ends by itself."""
    _spends.set((*_spends.get(), collected))


def enclosing_spends() -> tuple[Spend, ...]:
    """Return the `spend()` blocks around this place: taken when a call begins, since it may end anywhere."""
    return _spends.get()
