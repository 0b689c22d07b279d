"""Other semantic caches at their defaults, beside this one, on the same questions with the same vectors.

Each runs in a process of its own, by an interpreter that has them: their dependencies need not agree with ours. One
that cannot be installed or fails is reported with the reason; none is left out.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semantic.data import Embedded, Row
from semantic.pairs import figures, judged, own_figures
from semantic.streams import shares, streamed
from tuppence.testing.redis_server import MISSING, running

HERE = Path(__file__).resolve().parents[1]
REQUIREMENTS = HERE / "peers.txt"
ENVIRONMENT = HERE.parent / ".venv-peers"
NAMES = ("gptcache", "redisvl", "langchain-redis", "betterdb-semantic-cache")
"""As in `peers.txt`."""
PAIRS = 1_000
"""Of each source, drawn at random; of a larger sample GPTCache alone would take a quarter of an hour."""
REQUESTS = 4_000
"""The first of each stream."""
TIMED = 10_000
LOOKUPS = 200
GIVE_UP_AFTER_S = 1_800

Streams = Mapping[str, Sequence[Row]]


def prepared() -> tuple[Path, dict[str, str]]:
    """Return an interpreter with what `peers.txt` lists, made if need be, and why what is missing is missing."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        print(f"setting up {ENVIRONMENT.name} from {REQUIREMENTS.name}, once", file=sys.stderr)
        venv.create(ENVIRONMENT, with_pip=True)
    failed = {}
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", line]
            done = subprocess.run(install, capture_output=True, text=True, check=False)
            if done.returncode:
                failed[line.partition("==")[0]] = _last_line(done.stderr)
    return python, failed


def peer_figures(
    python: Path, pairs: Mapping[str, Sequence[Row]], streams: Streams, embedded: Embedded, failed: Mapping[str, str]
) -> Row:
    """Run every peer, and this cache at its own defaults (`tuppence`), on the same sample."""
    pairs = {name: random.Random(0).sample(found, min(PAIRS, len(found))) for name, found in pairs.items()}
    streams = {name: stream[:REQUESTS] for name, stream in streams.items()}
    found: Row = {
        "tuppence": {
            "pairs": {name: own_figures(judged(sample, embedded)) for name, sample in pairs.items()},
            "streams": {name: streamed(stream, embedded) for name, stream in streams.items()},
        }
    }
    with tempfile.TemporaryDirectory() as folder:
        embedded.save(Path(folder))
        _write_work(Path(folder), pairs, streams, embedded.texts)
        for name in NAMES:
            told = _run(python, name, Path(folder))
            if "error" in told and (reason := failed.get(name)):
                told["error"] += f"; not installed: {reason}"
            found[name] = told if "error" in told else _figures(told, pairs)
    return found


def _write_work(folder: Path, pairs: Mapping[str, Sequence[Row]], streams: Streams, texts: Sequence[str]) -> None:
    work = {
        "pairs": {name: [[row["a"], row["b"]] for row in sample] for name, sample in pairs.items()},
        "streams": {name: [[row["text"], row["group"]] for row in stream] for name, stream in streams.items()},
        "timed": random.Random(0).sample(texts, min(TIMED + LOOKUPS, len(texts))),
        "lookups": LOOKUPS,
    }
    (folder / "work.json").write_text(json.dumps(work), encoding="utf-8")


def _run(python: Path, name: str, folder: Path) -> Row:
    """Run one peer against a Redis of its own; a failure is an answer."""
    if MISSING:
        return {"error": f"no Redis to run it on: not installed: {', '.join(MISSING)}"}
    try:
        with tempfile.TemporaryDirectory() as data, running(Path(data)) as server:
            command = [str(python), str(HERE / "semantic" / "peer.py"), name, str(folder), server.url]
            done = subprocess.run(command, capture_output=True, text=True, timeout=GIVE_UP_AFTER_S, check=False)
        if done.returncode:
            return {"error": _last_line(done.stderr)}
        told: Row = json.loads(_last_line(done.stdout))
    except (OSError, RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    return told


def _figures(told: Mapping[str, Any], pairs: Mapping[str, Sequence[Row]]) -> Row:
    """Count what a peer says that it served, as ours is counted."""
    return {
        "version": told["version"],
        "note": told["note"],
        "pairs": {
            name: figures(served, [bool(row["same"]) for row in pairs[name]]) for name, served in told["served"].items()
        },
        "streams": {name: shares(*counts) for name, counts in told["counts"].items()},
        "lookup_ms_p50": told["lookup_ms_p50"],
        "inserts_per_s": told["inserts_per_s"],
    }


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
