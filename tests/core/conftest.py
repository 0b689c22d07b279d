"""The scripted provider that the core's tests talk to, through whatever clients each folder has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tuppence.testing import ProviderServer

# Many import them for their words alone; whoever is first, their assertions speak.
pytest.register_assert_rewrite(f"{__package__}.semantic_suite", f"{__package__}.store_suite")


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server
