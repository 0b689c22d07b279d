"""A world for every test: server, ledger and handlers, new and together."""

import gc
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuppence.testing import ProviderServer

pytest.register_assert_rewrite(f"{__package__}.world")

from . import world as worlds  # noqa: E402 - after pytest knows that its assertions explain themselves


@pytest.fixture(scope="package", autouse=True)
def _one_certificate_store() -> Iterator[None]:
    """Read the machine's certificates once, not twice a model: nothing here speaks TLS, and it took half the time."""
    store = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda *_args, **_options: store)
        yield


@pytest.fixture(scope="package", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Let `gc.collect()` look only at what tests made: most of its time went into the modules."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def world(server: ProviderServer, tmp_path: Path) -> Iterator[worlds.World]:
    with worlds.world(server, tmp_path) as made:
        yield made
