"""The semantic store in memory, held against what every such store owes, and what only it can show."""

from collections.abc import Callable

import pytest

from tuppence.cache.entries import SimilarStore
from tuppence.cache.stores.similar_memory import MemorySimilarStore

pytest.register_assert_rewrite(f"{__package__}.similar_stores")

from .similar_stores import Clock, EvictionSuite, SimilarStoreSuite  # noqa: E402 - after pytest knows that it asserts


class TestMemory(SimilarStoreSuite):
    """All that a store owes."""

    @pytest.fixture
    def store(self, clock: Clock) -> SimilarStore:
        return MemorySimilarStore(clock=clock)


class TestMemoryEviction(EvictionSuite):
    """What goes when there is no room."""

    @pytest.fixture
    def open_store(self, clock: Clock) -> Callable[..., SimilarStore]:
        return lambda **bounds: MemorySimilarStore(clock=clock, **bounds)
