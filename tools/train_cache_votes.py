"""Learn how much the neighbours of a question are to be believed, and write it as plain numbers.

    python tools/train_cache_votes.py --intents I.jsonl[.gz] ... [--write]

A file is one source, a line of it {text, intent}: questions with the same intent have the same answer. The sources must
be other data than what the cache is later measured on, and each counts the same, however long it is. Prints for every
source what a model that learned from the others serves of it, and how much wrongly; with `--write` the model learned
from all of them goes to core/tuppence/data/cache_votes.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from logistic import Example, fitted, probability

from tuppence.cache.decision.judging import CONSIDERED, LEAST_SIMILARITY, nearest_alike
from tuppence.cache.decision.reading import read
from tuppence.cache.decision.voting import vote_features, votes
from tuppence.cache.entries import Entry, Neighbour
from tuppence.cache.semantic import NEIGHBOURS
from tuppence.embed.minilm import MiniLM

MODEL = Path(__file__).resolve().parents[1] / "core" / "tuppence" / "data" / "cache_votes.json"
SPEAKS_FOR = {"say", "lead"}
"""Likenesses and agreement; every other feature is a difference or a doubt."""
SERVED_FROM = 0.9
"""While a stream is simulated, this probability by the model of the last round keeps a question out of the store, as
serving it would."""
FIRST = {"intercept": 7.5, "weights": {"lead": 5.0}}
"""The model of the first round serves what is ahead by .3 or more."""
ROUNDS = 2
LONGEST = 1_500
"""Questions of one source: longer streams add time and hardly another neighbourhood."""
UNRELATED, REFUSED = 150, 0.6
"""Questions drawn from each source to stand beside each other without any likeness, and how many of them got the one
answer that what cannot be answered gets."""

HEARD = 2
"""Answers of a question that are learned from: those behind them are hardly ever right, and say so plainly."""
WEIGHT = 1_000.0
"""Of each source, as if it had so many questions."""
WEIGHT_UNRELATED = 100.0
"""Harsher than any scope is likely to be: with 300 as much of it was served, and less of all the others."""

Row = tuple[str, str]
Model = Mapping[str, Any]
Vectors = Mapping[str, npt.NDArray[np.float32]]


def source(path: Path) -> list[Row]:
    """Read a file's questions, each once; those that have two intents have none that is known."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    intents: dict[str, set[str]] = {}
    for row in rows:
        intents.setdefault(row["text"], set()).add(row["intent"])
    return [(text, found.pop()) for text, found in intents.items() if len(found) == 1]


def unrelated(sources: Mapping[str, Sequence[Row]]) -> list[Row]:
    """Make a source in which many questions share one answer though nothing else: "I cannot help with that"."""
    draw = random.Random(0)
    drawn = [text for rows in sources.values() for text, _ in draw.sample(rows, min(UNRELATED, len(rows)))]
    return [(text, "refused" if draw.random() < REFUSED else text) for text in drawn]


class Step(NamedTuple):
    """What became of one question of a stream."""

    examples: list[Example]
    """The answers with most say, and whether they were right."""
    right: bool | None
    """Whether what was served was right; None where nothing was."""


def walked(rows: Sequence[Row], vectors: Vectors, model: Model) -> Iterator[Step]:
    """Send questions through a cache in which a model decides; what is served is not stored."""
    store = np.zeros((len(rows), len(vectors[rows[0][0]])), np.float32)
    entries: list[Entry] = []
    for text, intent in rows:
        similarities = store[: len(entries)] @ vectors[text]
        nearest = np.argsort(-similarities, kind="stable")[:NEIGHBOURS]
        neighbours = [Neighbour(entries[i], float(similarities[i])) for i in nearest]
        heard = sorted(_heard(text, neighbours), key=lambda one: -one[0]["say"])[:HEARD]
        examples = [Example(features, answer == intent) for features, answer in heard]
        likeliest = max(examples, key=lambda one: probability(model, one.features), default=None)
        if likeliest is not None and probability(model, likeliest.features) >= SERVED_FROM:
            yield Step(examples, likeliest.label)
        else:
            store[len(entries)] = vectors[text]
            entries.append(Entry(str(len(entries)), "", text, vectors[text], b"", answer=intent))
            yield Step(examples, None)


def _heard(text: str, neighbours: Sequence[Neighbour]) -> Iterator[tuple[dict[str, float], str]]:
    """Yield what speaks for each answer that the model is asked about, and the answer."""
    if not neighbours or neighbours[0].similarity < LEAST_SIMILARITY:
        return
    reading = read(text)
    for vote in votes(neighbours)[:CONSIDERED]:
        if vote.evidence is not None and (found := nearest_alike(reading, vote.members)).serves:
            yield vote_features(vote.evidence, found.comparison), found.neighbour.entry.answer


def learned(sources: Mapping[str, Sequence[Row]], vectors: Vectors) -> tuple[Model, dict[str, list[Example]]]:
    """Return the model learned from all sources, and what it learned of each.

    What is served is not stored, so a model decides what the next learns from: a few rounds settle that.
    """
    model: Model = FIRST
    for turn in range(ROUNDS):
        examples = {name: _of_source(name, rows, vectors, model, turn) for name, rows in sources.items()}
        model = fitted([one for found in examples.values() for one in found], SPEAKS_FOR)
    return model, examples


def _of_source(name: str, rows: Sequence[Row], vectors: Vectors, model: Model, seed: int) -> list[Example]:
    found = [one for step in walked(shuffled(rows, seed), vectors, model) for one in step.examples]
    weight = (WEIGHT_UNRELATED if name == "unrelated" else WEIGHT) / len(found)
    return [one._replace(weight=weight) for one in found]


def shuffled(rows: Sequence[Row], seed: int) -> list[Row]:
    return random.Random(seed).sample(rows, min(LONGEST, len(rows)))


def report(name: str, model: Model, rows: Sequence[Row], vectors: Vectors) -> None:
    """Print what a model that knows nothing of a source serves of it, in an order that nothing was learned from."""
    stream = shuffled(rows, ROUNDS)
    right = [step.right for step in walked(stream, vectors, model) if step.right is not None]
    print(f"{name}: {len(right)} of {len(stream)} served, {len(right) - sum(right)} wrongly", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--intents", type=Path, nargs="+", required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    sources = {path.name: source(path) for path in options.intents}
    sources["unrelated"] = unrelated(sources)
    texts = sorted({text for rows in sources.values() for text, _ in rows})
    vectors = dict(zip(texts, MiniLM().embed(texts), strict=True))
    model, examples = learned(sources, vectors)
    for name, rows in sources.items():
        others = [one for other, found in examples.items() if other != name for one in found]
        report(name, fitted(others, SPEAKS_FOR), rows, vectors)
    print(json.dumps(model))
    if options.write:
        kept = json.loads(MODEL.read_text("utf-8"))
        MODEL.write_text(json.dumps({"about": kept["about"], "vote": model}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
