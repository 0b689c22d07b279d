"""Learn the small logistic models by which the semantic cache decides, and write them as plain numbers.

    python tools/train_cache_decision.py --pairs P.jsonl[.gz] ... [--write]

A line of `--pairs` is {a, b, same, weight?, source?, group?}: may one answer serve both? Pairs of one group are held
out together: give one to all pairs that shared questions link. They must be other data than what the cache is later
measured on. Prints how the models do on the fifth of the data that they have not seen; with `--write` they are learned
from all of it and written to core/tuppence/data/cache_decision.json.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from logistic import Example, fitted, probability

from tuppence.cache.decision.differences import compare
from tuppence.cache.decision.pairing import pair_features
from tuppence.cache.decision.reading import read
from tuppence.embed.minilm import MiniLM

MODELS = Path(__file__).resolve().parents[1] / "core" / "tuppence" / "data" / "cache_decision.json"
SPEAKS_FOR = {"closeness"}
"""Likenesses; every other feature is a difference or a doubt."""

Vectors = Mapping[str, npt.NDArray[np.float32]]


class Sample(NamedTuple):
    """What a model learns from."""

    model: str
    features: dict[str, float]
    label: bool
    weight: float
    source: str
    held_out: bool


def lines(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            yield from (json.loads(line) for line in file)


def is_held_out(text: str) -> bool:
    """Put a fifth of all texts aside, the same ones each time."""
    return hashlib.sha256(text.encode()).digest()[0] % 5 == 0


def pair_samples(pairs: Sequence[Mapping[str, Any]], vectors: Vectors) -> Iterator[Sample]:
    """Yield the pairs that no difference decides; the models are asked for no others."""
    for pair in pairs:
        first, second = read(pair["a"]), read(pair["b"])
        comparison = compare(first, second)
        if comparison.decisive is None:
            similarity = float(vectors[pair["a"]] @ vectors[pair["b"]])
            model, features = pair_features(similarity, comparison)
            weight, source = float(pair.get("weight", 1.0)), str(pair.get("source", ""))
            held_out = is_held_out(pair.get("group", pair["a"]))
            yield Sample(model, features, bool(pair["same"]), weight, source, held_out)


def learned_from(samples: Sequence[Sample]) -> dict[str, Any]:
    return fitted([Example(sample.features, sample.label, sample.weight) for sample in samples], SPEAKS_FOR)


def report(name: str, model: Mapping[str, Any], samples: Sequence[Sample]) -> None:
    """Print, for the texts that were held out, what is served at several thresholds and how much of it wrongly."""
    tried = [sample for sample in samples if sample.held_out]
    sources = sorted({sample.source for sample in tried})
    for threshold in (0.5, 0.8, 0.9, 0.95, 0.97, 0.99):
        row = []
        for source in sources:
            of_source = [s for s in tried if s.source == source]
            served = [s.label for s in of_source if probability(model, s.features) >= threshold]
            wrong = len(served) - sum(served)
            row.append(f"{source} {len(served)}/{len(of_source)}, {wrong} wrong")
        print(f"{name} >= {threshold}: {'; '.join(row)}")


def vectors_of(texts: Sequence[str]) -> Vectors:
    known = sorted(set(texts))
    return dict(zip(known, MiniLM().embed(known), strict=True))


def learned(pairs: Sequence[Mapping[str, Any]], vectors: Vectors) -> dict[str, Any]:
    """Learn both models, reporting each on what it has not seen, then again from everything."""
    found = {}
    paired = list(pair_samples(pairs, vectors))
    for name in ("extended", "reworded"):
        samples = [sample for sample in paired if sample.model == name]
        report(name, learned_from([s for s in samples if not s.held_out]), samples)
        found[name] = learned_from(samples)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, nargs="+", required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    pairs = list(lines(options.pairs))
    models = learned(pairs, vectors_of([text for pair in pairs for text in (pair["a"], pair["b"])]))
    print(json.dumps(models))
    if options.write:
        kept = json.loads(MODELS.read_text("utf-8"))
        MODELS.write_text(json.dumps({**kept, **models}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
