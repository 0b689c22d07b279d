"""Which index should find neighbours in this process: numpy, usearch, faiss and hnswlib side by side.

    python benchmarks/vector_index.py --data DIR [--sizes 10000,100000] [--indexes numpy,usearch-i8,...] [--python PATH]

Vectors are those of real questions (`pairs.jsonl.gz` in DIR, MiniLM), and, beyond their number, of the same moved by
noise. Each index runs in a process of its own, one thread each; the libraries are installed from `peers.txt` into
`.venv-peers`, or found by `--python`. A graph of a million entries takes a quarter of an hour.

The last line of output is one JSON object: {size: {index: {lookup_ms_p50, recall, inserts_per_s, ...}}}. Times are CPU
times; `recall` is the share of the true 20 nearest that was found, `recall_after` the same after a tenth has expired,
and `ghosts` counts keys that were found though they had been removed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from indexes.contender import INDEXES, LOOKUPS
from semantic.data import Embedded, Row, like, rows
from semantic.peers import prepared

from tuppence.embed import Vectors

REAL = 20_000
"""Questions that are embedded; what is stored beyond them is made from them."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_CONTENDER = Path(__file__).resolve().parent / "indexes" / "contender.py"


def real_vectors(data: Path) -> Vectors:
    """Embed questions of the data, in a random order."""
    questions = sorted({row["a"] for row in rows(data / "pairs.jsonl.gz")})
    drawn = random.Random(0).sample(questions, min(REAL, len(questions)))
    return Embedded.of(drawn).embed(drawn)


def measured(python: Path, name: str, vectors: Path) -> Row:
    """Run one index on the vectors of a file; what fails says why."""
    command = [str(python), str(_CONTENDER), name, str(vectors)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | _ONE_THREAD, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["it said nothing"])[-1]}
    found: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Measure what was asked for and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sizes", default="10000,100000", help="entries, with commas")
    parser.add_argument("--indexes", default=",".join(INDEXES), help=f"of {', '.join(INDEXES)}")
    parser.add_argument("--python", type=Path, help="an interpreter that has what peers.txt lists")
    args = parser.parse_args()
    python = args.python or prepared()[0]
    real = real_vectors(args.data)
    asked, stored = real[:LOOKUPS], real[LOOKUPS:]
    figures: Row = {}
    for size in map(int, args.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            vectors = Path(folder) / "vectors.npy"
            np.save(vectors, np.concatenate([asked, like(stored, size)]))
            for name in args.indexes.split(","):
                found = figures.setdefault(str(size), {})[name] = measured(python, name, vectors)
                print(f"{size} {name}: {found}", file=sys.stderr)
    print(table(figures), file=sys.stderr)
    print(json.dumps(figures))


def table(figures: Mapping[str, Row]) -> str:
    """Lay the figures out as in docs/caching.md."""
    columns = ("lookup_ms_p50", "recall", "inserts_per_s", "memory_mib", "remove_us", "recall_after")
    lines = [f"| entries | index | {' | '.join(columns)} |", f"|{' --- |' * (len(columns) + 2)}"]
    for size, found in figures.items():
        for name, row in found.items():
            shown = " | ".join(str(row.get(column, "-")) for column in columns)
            lines.append(f"| {int(size):,} | {name} | {shown} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
