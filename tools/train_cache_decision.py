"""Learn the small logistic models by which the semantic cache decides, and write them as plain numbers.

    python tools/train_cache_decision.py --pairs P.jsonl[.gz] ... --intents I.jsonl[.gz] ... [--write]

A line of `--pairs` is {a, b, same, weight?, source?}: may one answer serve both? A line of `--intents` is {text,
intent}: questions with the same intent have the same answer. Both must be other data than what the cache is later
measured on. Prints how the models do on the fifth of the data that they have not seen; with `--write` they are learned
from all of it and written to core/tuppence/data/cache_decision.json.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tuppence.cache.decision.differences import compare
from tuppence.cache.decision.pairing import pair_features
from tuppence.cache.decision.reading import read
from tuppence.cache.decision.voting import NEIGHBOURS_VOTING, SUPPORTERS, vote_features, votes
from tuppence.cache.entries import Entry, Neighbour
from tuppence.embed.minilm import MiniLM

MODELS = Path(__file__).resolve().parents[1] / "core" / "tuppence" / "data" / "cache_decision.json"
RIDGE = 1.0
"""Strength of the pull of every weight to 0, as in the usual logistic regression with C = 1."""
SPEAKS_FOR = {"closeness", "share", "supporters"}
"""Likenesses; every other feature is a difference or a doubt."""
SERVED_FROM = 0.9
"""While a stream is simulated, this probability by the models of the last round keeps a question out of the store, as
serving it would."""
ORDERS = 3

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
            yield Sample(model, features, bool(pair["same"]), weight, source, is_held_out(pair["a"]))


def vote_samples(
    rows: Sequence[Mapping[str, Any]], vectors: Vectors, model: Mapping[str, Any], seed: int
) -> Iterator[Sample]:
    """Send the questions through a cache in random order, and yield what each answer with supporters was worth."""
    order = list({row["text"]: row["intent"] for row in rows}.items())
    random.Random(seed).shuffle(order)
    store = np.zeros((len(order), len(next(iter(vectors.values())))), np.float32)
    entries: list[Entry] = []
    for text, intent in order:
        vector = vectors[text]
        similarities = store[: len(entries)] @ vector
        nearest = np.argsort(-similarities)[:NEIGHBOURS_VOTING]
        neighbours = [Neighbour(entries[i], float(similarities[i])) for i in nearest]
        served = False
        for vote in votes(neighbours)[:2] if neighbours else ():
            if len(vote.members) > SUPPORTERS:
                comparison = compare(read(text), read(vote.members[0].entry.question))
                features = vote_features(vote, comparison)
                yield Sample(
                    "vote", features, vote.members[0].entry.answer == intent, 1.0, "intents", is_held_out(text)
                )
                served = served or probability(model, features) >= SERVED_FROM
        if not served:
            store[len(entries)] = vector
            entries.append(Entry(str(len(entries)), "", text, vector, b"", answer=intent))


def probability(model: Mapping[str, Any], features: Mapping[str, float]) -> float:
    score = model["intercept"] + sum(model["weights"][name] * value for name, value in features.items())
    return float(1.0 / (1.0 + np.exp(-score)))


def fitted(samples: Sequence[Sample]) -> dict[str, Any]:
    """Fit a logistic regression, leaving out what would speak for an answer though it is a difference, or against it
    though it is a likeness: chance in the data, or the way in which its pairs were found."""
    names = list(samples[0].features)
    while True:
        intercept, *weights = newton(samples, names)
        found = dict(zip(names, weights, strict=True))
        absurd = [name for name in names if (found[name] < 0) == (name in SPEAKS_FOR)]
        if not absurd:
            return {"intercept": intercept, "weights": {name: found.get(name, 0.0) for name in samples[0].features}}
        names.remove(max(absurd, key=lambda name: abs(found[name])))


def newton(samples: Sequence[Sample], names: Sequence[str]) -> list[float]:
    """Return intercept and weights of a logistic regression with a ridge: some steps on a convex function."""
    x = np.array([[1.0, *(sample.features[name] for name in names)] for sample in samples])
    y = np.array([sample.label for sample in samples], float)
    weight = np.array([sample.weight for sample in samples])
    ridge = np.diag([0.0] + [RIDGE] * len(names))
    beta = np.zeros(len(names) + 1)
    for _ in range(25):
        p = 1.0 / (1.0 + np.exp(-x @ beta))
        gradient = x.T @ (weight * (y - p)) - ridge @ beta
        curvature = (x * (weight * p * (1.0 - p))[:, None]).T @ x + ridge
        beta += np.linalg.solve(curvature, gradient)
    return [round(float(value), 4) for value in beta]


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


def learned(
    pairs: Sequence[Mapping[str, Any]], intents: Sequence[Mapping[str, Any]], vectors: Vectors
) -> dict[str, Any]:
    """Learn all models, reporting each on what it has not seen, then again from everything."""
    found = {}
    paired = list(pair_samples(pairs, vectors))
    for name in ("alike", "differing"):
        samples = [sample for sample in paired if sample.model == name]
        report(name, fitted([s for s in samples if not s.held_out]), samples)
        found[name] = fitted(samples)
    model: dict[str, Any] = {"intercept": -20.0, "weights": dict.fromkeys(_vote_names(), 0.0)}
    for _ in range(3):
        # What is served is not stored, so the model decides what it will learn from: a few rounds settle that.
        samples = [s for seed in range(ORDERS) for s in vote_samples(intents, vectors, model, seed)]
        model = fitted([s for s in samples if not s.held_out])
    report("vote", model, samples)
    found["vote"] = fitted(samples)
    return found


def _vote_names() -> list[str]:
    entry = Entry("", "", "", np.zeros(1, np.float32), b"", answer="a")
    (vote,) = votes([Neighbour(entry, 1.0)])
    return list(vote_features(vote, compare(read(""), read(""))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, nargs="+", required=True)
    parser.add_argument("--intents", type=Path, nargs="+", required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    pairs, intents = list(lines(options.pairs)), list(lines(options.intents))
    texts = [text for pair in pairs for text in (pair["a"], pair["b"])] + [row["text"] for row in intents]
    models = learned(pairs, intents, vectors_of(texts))
    print(json.dumps(models))
    if options.write:
        kept = json.loads(MODELS.read_text("utf-8"))
        MODELS.write_text(json.dumps({**kept, **models}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
