"""The scripted provider that the core's tests talk to, through whatever clients each folder has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tuppence.testing import ProviderServer


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server
