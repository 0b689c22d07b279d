"""What the semantic cache serves, and how much of it wrongly, at its shipped settings; nothing is tuned on the data.

    python benchmarks/semantic_cache.py --data DIR [--pairs N] [--only pairs,streams,...]

`DIR` holds `pairs.jsonl.gz` ({source, a, b, same}) and `stream_*.jsonl.gz` ({i, text, group}): in a stream, the model's
answer to a question is its group, and a hit is right if it serves the same group. All shares are of all requests (of
all pairs of their kind) unless the key says otherwise. The last line of output is one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import traps

from tuppence import Message, Policy, Reply, Request, Tier, Usage, token_rate
from tuppence.cache import Calibration, MemorySimilarStore, SemanticCache
from tuppence.cache.calibration import wilson
from tuppence.cache.decision import SAFE_THRESHOLD, judge
from tuppence.drivers import run
from tuppence.effects import Ask, Entry, Neighbour
from tuppence.embed.minilm import MiniLM
from tuppence.flow import plan
from tuppence.ports import Port
from tuppence.testing.models import ScriptedModels

PROMISED = 0.05
TRAPS_OF_A_KIND = 1_000
ORDERS = 200
_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99)
_COSINES = (0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)

Row = dict[str, Any]


def rows(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Embedded:
    """The local model's vectors of texts that are known beforehand, so that streams are not timed by the embedding."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._model = MiniLM()
        self.name = self._model.name
        known = sorted(set(texts))
        self._place = {text: at for at, text in enumerate(known)}
        self._vectors = self._model.embed(known)

    def __getitem__(self, text: str) -> npt.NDArray[np.float32]:
        vector: npt.NDArray[np.float32] = self._vectors[self._place[text]]
        return vector

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.stack([self[text] if text in self._place else self._model.embed([text])[0] for text in texts])

    async def aembed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.embed(texts)


# -- pairs


def judged(pairs: Sequence[Row], embedded: Embedded) -> list[tuple[float, float, bool]]:
    """Return the cosine of each pair, the decision's probability with `a` alone in the cache, and the label."""
    found = []
    for pair in pairs:
        entry = Entry("a", "s", pair["a"], embedded[pair["a"]], b"")
        similarity = float(embedded[pair["a"]] @ embedded[pair["b"]])
        judgement = judge(pair["b"], [Neighbour(entry, similarity)], threshold=SAFE_THRESHOLD)
        found.append((similarity, judgement.probability, bool(pair["same"])))
    return found


def pair_figures(found: Sequence[tuple[float, float, bool]]) -> Row:
    same = sum(label for _, _, label in found)
    served = [label for _, probability, label in found if probability >= SAFE_THRESHOLD]
    return {
        "duplicates_served": sum(served) / max(1, same),
        "false_share": 1 - sum(served) / max(1, len(served)),
        "traps_served": (len(served) - sum(served)) / max(1, len(found) - same),
        "n": len(found),
    }


def sweep(found: Sequence[tuple[float, float, bool]]) -> list[Row]:
    """Ours and plain cosine at several thresholds: share of the duplicates served, and how much of it was wrong."""
    same = sum(label for _, _, label in found)
    table = []
    for by, column, thresholds in (("decision", 1, _THRESHOLDS), ("cosine", 0, _COSINES)):
        for threshold in thresholds:
            served = [bool(one[2]) for one in found if one[column] >= threshold]
            wrong = len(served) - sum(served)
            table.append({
                "by": by, "threshold": threshold, "correct": sum(served) / max(1, same),
                "false_share": wrong / max(1, len(served)), "wilson95": wilson(wrong, len(served)),
            })  # fmt: skip
    return table


# -- streams


def streamed(stream: Sequence[Row], embedded: Embedded, calibration: Calibration | None = None) -> Row:
    """Send a stream through the flow itself; the model's answer to a question is its group."""
    groups = {row["text"]: row["group"] for row in stream}
    usage = Usage(input=20, output=20)

    def answer(ask: Ask) -> Reply:
        return Reply(groups[ask.request.question], finish="stop", usage=usage, model="m")

    cache = SemanticCache(embedded, similar=MemorySimilarStore(), calibration=calibration, ttl_s=None)
    rate = token_rate(input="1", output="1")
    policy = Policy(tiers=(Tier("model", model="m", rate=rate),), check=None, cache=cache)
    port = Port(ScriptedModels(model=answer), cache=cache)
    exact = similar = wrong = wrong_in_all = 0
    for row in stream:
        result = run(plan(Request((Message("user", row["text"]),)), policy), port)
        assert result.reply is not None
        if calibration is not None:
            cache.flush()
        right = result.reply.text == row["group"]
        wrong_in_all += not right
        exact += result.tier == "cache"
        similar += result.tier == "similar"
        wrong += result.tier == "similar" and not right
    cache.close()
    return {
        "exact_hit_rate": exact / len(stream),
        "semantic_hit_rate": similar / len(stream),
        "false_share_of_semantic": wrong / max(1, similar),
        "error_per_request": wrong_in_all / len(stream),
    }


def calibrated(stream: Sequence[Row], embedded: Embedded, orders: int) -> Row:
    """In how many random orders of a stream the promised share of wrong hits was kept."""
    kept, rates = 0, []
    for order in range(orders):
        shuffled = list(stream)
        random.Random(order).shuffle(shuffled)
        figures = streamed(shuffled, embedded, Calibration(max_wrong_share=PROMISED))
        kept += figures["false_share_of_semantic"] <= PROMISED
        rates.append(figures["semantic_hit_rate"])
    return {"promised": PROMISED, "held_share": kept / orders, "hit_rate": statistics.median(rates), "orders": orders}


# -- how long it takes


def p50_ms(work: Callable[[], object], times: int = 200) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list | tuple) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=int, help="take this many pairs of a source, drawn at random")
    parser.add_argument("--orders", type=int, default=ORDERS, help="random orders for the calibrated mode")
    parser.add_argument("--only", default="pairs,generated,streams,calibrated,embed", help="parts, with commas")
    args = parser.parse_args()
    parts = set(args.only.split(","))
    figures: Row = {}
    if {"pairs", "generated"} & parts:
        figures |= paired(args.data, parts, args.pairs)
    if {"streams", "calibrated"} & parts:
        figures |= all_streams(args.data, parts, args.orders)
    if "embed" in parts:
        model = MiniLM()
        figures["embed_ms_p50"] = p50_ms(lambda: model.embed(["How do I cancel my gym membership?"]))
    print(json.dumps(rounded(figures)))


def paired(data: Path, parts: set[str], most: int | None) -> Row:
    everything = rows(data / "pairs.jsonl.gz")
    sources = {name: [row for row in everything if row["source"] == name] for name in ("qqp", "fow")}
    if most is not None:
        sources = {name: random.Random(0).sample(found, min(most, len(found))) for name, found in sources.items()}
    made = list(traps.traps([row["a"] for row in sources["qqp"]], each=TRAPS_OF_A_KIND)) if "generated" in parts else []
    embedded = Embedded(
        text for pairs in (*sources.values(), [{"a": one.question, "b": one.changed} for one in made])
        for row in pairs for text in (row["a"], row["b"])
    )  # fmt: skip
    found = {name: judged(pairs, embedded) for name, pairs in sources.items()}
    figures = {name: pair_figures(one) for name, one in found.items()}
    if made:
        trapped = judged([{"a": one.question, "b": one.changed, "same": 0} for one in made], embedded)
        figures["generated"] = {"traps_served": pair_figures(trapped)["traps_served"], "n": len(trapped)}
    return {"pairs": figures, "sweep": sweep(found["qqp"])}


def all_streams(data: Path, parts: set[str], orders: int) -> Row:
    streams = {name: rows(data / f"stream_{name}.jsonl.gz") for name in ("qqp", "banking")}
    embedded = Embedded(row["text"] for stream in streams.values() for row in stream)
    figures: Row = {}
    if "streams" in parts:
        figures["streams"] = {name: streamed(stream, embedded) for name, stream in streams.items()}
    if "calibrated" in parts:
        figures["calibrated"] = calibrated(streams["banking"], embedded, orders)
    return figures


if __name__ == "__main__":
    main()
