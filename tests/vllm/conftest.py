"""A real vLLM server for the tests of each process: SmolLM2 with 135 million parameters, on a CPU, with adapters.

It is started once, for that takes half a minute; who wants to kill one starts it by `start_server`. Its answers are
poor. What is tested is what is asked, what comes back and what is accounted, never whether an answer is good.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tuppence.prices import token_rate
from tuppence.selfhost import Preset, VllmServer
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer

VLLM = Path(__file__).parents[2] / ".venv-vllm"
PYTHON = VLLM / "bin" / "python"
MODEL = VLLM / "smollm2"
NAME = "small"
PATIENCE_S = 240.0
"""Loading takes 25 s on two idle processors, and several times that where they are shared."""

SMALL = token_rate(input="1", cache_read="0.25", output="2")
LARGE = token_rate(input="10", output="20")
"""Dollars for a million tokens, easy to add up."""
ANSWER = "The large model knows: it was built in 1850."

StartServer = Callable[..., VllmServer]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here, and let the SDKs leave pooled connections to the garbage collector."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            for pooled in ("unclosed:ResourceWarning", ":pytest.PytestUnraisableExceptionWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore:{pooled}"))
            # langchain-openai's own, on any structured output by JSON schema: it dumps a parsed object as None.
            item.add_marker(pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"))


def _needs_vllm() -> None:
    missing = [str(path.relative_to(VLLM.parent)) for path in (PYTHON, MODEL) if not path.exists()]
    if missing:
        pytest.skip(f"not there: {missing}; make test-vllm makes them")


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    """The interpreter that has vLLM, torch and peft."""
    _needs_vllm()
    return PYTHON


@pytest.fixture(scope="session")
def small_model() -> Path:
    """The folder of SmolLM2-135M-Instruct."""
    _needs_vllm()
    return MODEL


@pytest.fixture(scope="session")
def preset() -> Preset:
    """As little as a server needs for these tests, beside whatever else runs here."""
    # The pages for sleeping are there with this; what frees a GPU's memory, a CPU does not have.
    preset = Preset.busy_cpu().with_tools("hermes").with_environment({"VLLM_SERVER_DEV_MODE": "1"})
    # Soon full: four answers at once, two that wait, and a 503 for the next.
    return preset.with_flags("--max-num-seqs", "4", "--max-num-queued-reqs", "6")


@pytest.fixture(scope="session")
def server(vllm_python: Path, small_model: Path, preset: Preset) -> Iterator[VllmServer]:
    """The server that all tests share; it is left as it was found: awake, and without adapters."""
    with VllmServer(
        small_model, served_name=NAME, python=vllm_python, preset=preset, lora=True, patience_s=PATIENCE_S
    ) as running:
        yield running


@pytest.fixture
def start_server(vllm_python: Path, small_model: Path, preset: Preset) -> Iterator[StartServer]:
    """Start a server of this test's own, that it may kill; it answers to the same name."""
    with ExitStack() as stack:

        def start() -> VllmServer:
            own = VllmServer(small_model, served_name=NAME, python=vllm_python, preset=preset, patience_s=PATIENCE_S)
            return stack.enter_context(own)

        yield start


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    """The API behind the server of one's own: its model `large-model` knows everything."""
    with ProviderServer() as scripted:
        scripted.model("large-model", replies=ANSWER)
        yield scripted


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    kept = SqliteLedger(tmp_path / "ledger.sqlite")
    yield kept
    kept.close()


Rows = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def rows(ledger: SqliteLedger, tmp_path: Path) -> Rows:
    """Read the ledger's attempts as any other program would, in the order they were made."""

    def rows() -> list[dict[str, Any]]:
        ledger.flush()
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM attempts ORDER BY started_us, n")]

    return rows
