"""Other caches in the semantic cache's benchmark: run for real where they are there, else named with the reason."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PAIRS = [
    {"a": "How do I renew a passport?", "b": "How do I renew a passport?", "same": 1},
    {"a": "How do I renew a passport?", "b": "Who wrote the first opera?", "same": 0},
]
STREAM = [{"text": pair[side], "group": pair[side]} for pair in PAIRS for side in ("a", "b")]

pytestmark = pytest.mark.services


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from semantic import peers

    monkeypatch.setattr(peers, "LOOKUPS", 1)
    return peers


def figures(peers: ModuleType, python: Path, failed: dict[str, str]) -> dict[str, Any]:
    embedded = peers.Embedded.of(row["text"] for row in STREAM)
    found: dict[str, Any] = peers.peer_figures(python, {"qqp": PAIRS}, {"banking": STREAM}, embedded, failed)
    return found


def test_a_peer_that_is_there_is_asked_what_we_are_asked(peers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """redisvl is among our own dependencies: it serves the repeat, not the stranger, and starts each pair afresh."""
    monkeypatch.setattr(peers, "NAMES", ("redisvl",))
    found = figures(peers, Path(sys.executable), {})
    for name in ("tuppence", "redisvl"):
        assert found[name]["pairs"]["qqp"] == {
            "duplicates_served": 1.0, "false_share": 0.0, "traps_served": 0.0, "n": 2,
        }  # fmt: skip
        assert found[name]["streams"]["banking"]["exact_hit_rate"] == 0.5
    assert found["redisvl"]["inserts_per_s"] > 0


def test_a_peer_that_is_not_there_is_named_with_the_reason(peers: ModuleType, tmp_path: Path) -> None:
    """All of them, and what kept one from being installed is said as well."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"No module named '$2'\" >&2\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    found = figures(peers, python, {"gptcache": "no wheel for this machine"})
    assert found.keys() == {"tuppence", *peers.NAMES}
    assert found["redisvl"] == {"error": "No module named 'redisvl'"}
    assert found["gptcache"]["error"].endswith("not installed: no wheel for this machine")
