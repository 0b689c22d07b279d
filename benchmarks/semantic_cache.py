"""What the semantic cache serves, how much of it wrongly, and how fast: at shipped settings, nothing tuned on the data.

    python benchmarks/semantic_cache.py --data DIR [--pairs N] [--orders N] [--only pairs,streams,...]
    python benchmarks/semantic_cache.py --data DIR --peers [--peers-python PATH]

`DIR` holds `pairs.jsonl.gz` ({source, a, b, same}) and `stream_*.jsonl.gz` ({i, text, group}): in a stream, the model's
answer to a question is its group, and a hit is right if it serves the same group. All shares are of all requests (of
all pairs of their kind) unless the key says otherwise. The last line of output is one JSON object.

`--peers` runs other semantic caches at their defaults on a sample, beside this one. They are installed from `peers.txt`
into `.venv-peers` (`python -m venv .venv-peers && .venv-peers/bin/pip install -r benchmarks/peers.txt` does the same),
or found by `--peers-python`. A Redis with search is started for each from the wheels of the extra `test-services`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from semantic import traps
from semantic.data import Embedded, Row, rows
from semantic.pairs import judged, own_figures, sweep
from semantic.peers import peer_figures, prepared
from semantic.stores import store_figures
from semantic.streams import all_streamed, calibrated

from tuppence.embed.minilm import MiniLM

T = TypeVar("T")
TRAPS_OF_A_KIND = 1_000
ORDERS = 200
PARTS = ("pairs", "generated", "streams", "calibrated", "stores", "embed", "ingestion")
STORED = 10_500
"""Questions that the stores are filled with and asked for, first of all as they are."""
_QUESTION = "How do I cancel my gym membership?"


class Data:
    """What is in the folder, with what is made of it, and the vectors of all that `parts` need."""

    def __init__(self, folder: Path, parts: set[str], most_pairs: int | None) -> None:
        labelled = rows(folder / "pairs.jsonl.gz")
        self.questions = sorted({row["a"] for row in labelled})
        self.stored = _sample(self.questions, STORED) if "stores" in parts else []
        self.pairs = {name: _sample(found, most_pairs) for name, found in _pairs(labelled, parts).items()}
        wants_streams = {"streams", "calibrated", "peers"} & parts
        self.streams = {name: rows(folder / f"stream_{name}.jsonl.gz") for name in ("qqp", "banking") if wants_streams}
        texts = {row[side] for found in self.pairs.values() for row in found for side in ("a", "b")}
        texts |= {row["text"] for stream in self.streams.values() for row in stream}
        # An audit compares answers: those of the banking stream are embedded beforehand too, few as they are.
        texts |= {row["group"] for row in self.streams.get("banking", ())}
        self.embedded = Embedded.of({*texts, *self.stored})


def _pairs(labelled: Sequence[Row], parts: set[str]) -> dict[str, list[Row]]:
    """Return the pairs of every kind that `parts` need; generated ones are traps, all of them."""
    found: dict[str, list[Row]] = {}
    if {"pairs", "peers"} & parts:
        found |= {name: [row for row in labelled if row["source"] == name] for name in ("qqp", "fow")}
    if {"generated", "peers"} & parts:
        real = [row["a"] for row in labelled if row["source"] == "qqp"]
        made = traps.traps(real, each=TRAPS_OF_A_KIND)
        found["generated"] = [{"a": one.question, "b": one.changed, "same": 0} for one in made]
    return found


def _sample(all_: list[T], most: int | None) -> list[T]:
    return all_ if most is None or most >= len(all_) else random.Random(0).sample(all_, most)


def measured(data: Data, parts: set[str], orders: int) -> Row:
    """Run the parts that use vectors made beforehand, those that are timed first."""
    figures: Row = {}
    if "stores" in parts:
        figures |= _said("stores", store_figures(data.embedded.embed(data.stored)))
    if {"pairs", "generated"} & parts:
        found = {name: judged(pairs, data.embedded) for name, pairs in data.pairs.items()}
        figures["pairs"] = _said("pairs", {name: own_figures(one) for name, one in found.items()})
        figures["sweep"] = sweep(found.get("qqp", []))
    with tempfile.TemporaryDirectory() as folder:
        data.embedded.save(Path(folder))
        if "streams" in parts:
            figures["streams"] = _said("streams", all_streamed(data.streams, Path(folder)))
        if "calibrated" in parts:
            figures["calibrated"] = _said("calibrated", calibrated(data.streams["banking"], Path(folder), orders))
    return figures


def embed_ms_p50(times: int = 200) -> float:
    model, taken = MiniLM(), []
    for _ in range(times):
        started = time.perf_counter()
        model.embed([_QUESTION])
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


_STARTED = time.perf_counter()


def _said(part: str, figures: Any) -> Any:
    """Tell on the way what was found, for who waits."""
    print(f"{time.perf_counter() - _STARTED:6.0f} s  {part}: {json.dumps(rounded(figures))}", file=sys.stderr)
    return figures


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list | tuple) else value


def main() -> None:
    """Run what was asked for and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=int, help="take this many pairs of a source, drawn at random")
    parser.add_argument("--orders", type=int, default=ORDERS, help="random orders for the calibrated mode")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, with commas: {', '.join(PARTS)}")
    parser.add_argument("--peers", action="store_true", help="other semantic caches too")
    parser.add_argument("--peers-python", type=Path, help="an interpreter that has what peers.txt lists")
    args = parser.parse_args()
    parts = set(args.only.split(",")) - {""}
    if unknown := parts - set(PARTS):
        parser.error(f"--only: no part is named {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    figures: Row = {}
    if "embed" in parts:
        figures["embed_ms_p50"] = embed_ms_p50()
    data = Data(args.data, parts | ({"peers"} if args.peers else set()), args.pairs)
    _said("embedded", len(data.embedded.texts))
    figures |= measured(data, parts, args.orders)
    if "ingestion" in parts:
        # Both frameworks: processes that only send streams do without.
        from semantic.ingestion import ingested_again

        figures["embedding_cache"] = _said("ingestion", ingested_again(data.questions))
    if args.peers:
        python, failed = (args.peers_python, {}) if args.peers_python else prepared()
        figures["peers"] = _said("peers", peer_figures(python, data.pairs, data.streams, data.embedded, failed))
    print(json.dumps(rounded(figures)))


if __name__ == "__main__":
    main()
