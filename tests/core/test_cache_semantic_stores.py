"""The semantic cache in the flow over the stores of one machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tuppence.cache import MemorySimilarStore, MemoryStore, SemanticCache, SqliteSimilarStore, SqliteStore

pytest.register_assert_rewrite(f"{__package__}.flight_suite")

# After pytest knows that it holds assertions.
from .flight_suite import CrowdSuite  # noqa: E402
from .semantic_suite import OpenCache, SemanticSuite, Words  # noqa: E402
from .store_suite import Clock  # noqa: E402


class TestMemory(SemanticSuite):
    """One process: all share its stores."""

    @pytest.fixture
    def open_cache(self, clock: Clock) -> OpenCache:
        store, similar = MemoryStore(clock=clock), MemorySimilarStore(clock=clock)

        def open_one(**options: Any) -> SemanticCache:
            return SemanticCache(Words(), store=store, similar=similar, threshold=0.5, clock=clock, **options)

        return open_one


class TestSqlite(SemanticSuite):
    """Both kinds of answers in one file."""

    @pytest.fixture
    def open_cache(self, tmp_path: Path, clock: Clock) -> Iterator[OpenCache]:
        opened: list[SemanticCache] = []
        file = tmp_path / "cache.sqlite"

        def open_one(**options: Any) -> SemanticCache:
            store, similar = SqliteStore(file, clock=clock), SqliteSimilarStore(file, clock=clock)
            opened.append(SemanticCache(Words(), store=store, similar=similar, threshold=0.5, clock=clock, **options))
            return opened[-1]

        yield open_one
        for cache in opened:
            cache.close()


class TestCrowd(CrowdSuite):
    """Equal calls at the same time are one here, too."""

    @pytest.fixture
    def cache(self) -> SemanticCache:
        return SemanticCache(Words(), similar=MemorySimilarStore())
