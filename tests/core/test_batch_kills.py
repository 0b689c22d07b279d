"""A batch job whose process is killed at any boundary is finished by the next: nothing lost, nothing paid twice."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tuppence.prices import pico_usd
from tuppence.testing import ProviderServer

PROGRAM = Path(__file__).with_name("batch_process.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")


def first_try_fails(server: ProviderServer) -> None:
    """Have the lines that say so fail, or expire, when they are run the first time."""
    seen: Counter[str] = Counter()

    def fate(_: str, body: Mapping[str, Any]) -> Any:
        text = body["messages"][0]["content"]
        seen[text] += 1
        kind = text.split()[0]
        return kind if kind in ("fail", "expire") and seen[text] == 1 else None

    server.batches.fate(fate)


def ledger_rows(path: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as rows:
        return rows.execute("SELECT call_id, cause, outcome, pico_usd FROM attempts").fetchall()


@pytest.mark.parametrize(("kind", "again"), [("openai", 2), ("anthropic", 0)])
def test_killed_at_every_boundary(kind: str, again: int, tmp_path: Path, server: ProviderServer) -> None:
    """After every transaction, and after every act at the provider before its outcome is stored."""
    pytest.importorskip(kind)
    first_try_fails(server)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), server.base_url, kind],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) > 10
    assert [one["killed"] for one in told] == [False] + [True] * (len(told) - 2) + [False]
    billed = Counter(one.body for one in server.batches.ran() if one.status == 200)
    assert set(billed.values()) == {1}, "the provider ran a line twice"
    assert len(billed) == (3 + again) * len(told), "the provider never ran a line"
    for one in told:
        assert one["answers"] == [[f"line {n}", True] for n in range(4 + again)]
        rows = ledger_rows(tmp_path / str(one["boundary"]) / "ledger.sqlite")
        outcomes = Counter(row[2] for row in rows)
        assert (outcomes["accepted"], outcomes["hit"], outcomes["failed"]) == (3 + again, 1, again)
        assert len({row[0] for row in rows}) == 4 + again
        spent = sum(row[3] for row in rows)
        assert pico_usd(one["held"]) == 0
        assert pico_usd(one["spent"]) == spent
