"""Learn what says that a sentence is needed, and write it as plain numbers.

    python tools/train_passage_scorer.py --questions Q.jsonl[.gz] ... [--embedding] [--write FILE]

A line of a file is {id, question, answers, gold: [passage numbers], docs: [{title, text}]}. Half of the questions, by a
hash of their id (`learned_from`), is learned from; the other half is for judging, and never read here. Every file
counts the same, however long it is. The weights go to core/tuppence/data/, or to FILE.
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
from scipy.optimize import minimize

from tuppence.embed import MiniLM
from tuppence.prune.audit import counter_for
from tuppence.prune.passages.asked import Asked, read_question
from tuppence.prune.passages.features import Look, Signs
from tuppence.prune.passages.likelihoods import softmax, weighed
from tuppence.prune.passages.material import Material, read_material
from tuppence.prune.passages.meaning import VectorCache, titled, with_meanings
from tuppence.prune.passages.passage import Passage
from tuppence.prune.passages.scorers import with_links, with_shares

DATA = Path(__file__).resolve().parents[1] / "core" / "tuppence" / "data"
RIDGE = 10.0
"""Pull of every weight, of features scaled to a deviation of 1, towards 0."""

Floats = npt.NDArray[np.float64]
Labels = list[list[bool]]


class Example(NamedTuple):
    """One question, read."""

    asked: Asked
    material: Material
    signs: Signs
    sentences: list[bool]
    """Which sentences of needed passages have an answer."""
    passages: list[bool]
    """Which passages are needed."""
    weight: float


def learned_from(identity: str) -> bool:
    """Say whether a question is for learning (half of them) or for judging."""
    return hashlib.blake2b(identity.encode(), digest_size=8).digest()[0] % 2 == 0


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        yield from (row for row in map(json.loads, file) if learned_from(row["id"]))


def example(row: Mapping[str, Any], weight: float, vectors: VectorCache | None = None) -> Example:
    passages = [Passage(doc["text"], title=doc["title"]) for doc in row["docs"]]
    material, asked = read_material(row["question"], passages, counter_for()), read_question(row["question"])
    answers, gold = [answer.lower() for answer in row["answers"]], set(row["gold"])
    held = [one.source in gold and any(a in one.text.lower() for a in answers) for one in material.sentences]
    needed = [source.number in gold for source in material.sources]
    signs = Look(asked, material).signs()
    if vectors is not None:
        question, *texts = vectors.of([material.question, *titled(material)])
        with_meanings(material, signs, [float(question @ vector) for vector in texts])
    return Example(asked, material, signs, held, needed, weight)


def fitted(
    groups: Sequence[Sequence[Mapping[str, float]]], labels: Labels, weights: Sequence[float]
) -> dict[str, float]:
    """Fit a conditional logit (McFadden 1974): of each group's choices, what is the likelihood of a labelled one?

    Where several are labelled each is a choice of its own. Groups without a label say nothing.
    """
    kept = [at for at, label in enumerate(labels) if any(label)]
    names = list(groups[0][0])
    table = np.array([[features[name] for name in names] for at in kept for features in groups[at]])
    deviation = table.std(axis=0) + 1e-9
    scaled = (table - table.mean(axis=0)) / deviation
    sizes = [len(groups[at]) for at in kept]
    of_group = np.repeat(np.arange(len(kept)), sizes)
    starts = np.r_[0, np.cumsum(sizes)[:-1]]
    target = np.concatenate([np.array(labels[at]) / sum(labels[at]) for at in kept])
    weight = np.array([weights[at] for at in kept])
    weight /= weight.mean()

    def loss(beta: Floats) -> tuple[float, Floats]:
        score = scaled @ beta
        score -= np.maximum.reduceat(score, starts)[of_group]
        log_total = np.log(np.add.reduceat(np.exp(score), starts))
        log_share = score - log_total[of_group]
        gradient = scaled.T @ ((np.exp(log_share) - target) * weight[of_group]) + RIDGE * beta
        return float(-(log_share * target * weight[of_group]).sum() + RIDGE * beta @ beta / 2), gradient

    beta = minimize(loss, np.zeros(len(names)), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return {name: round(float(one), 4) for name, one in zip(names, beta / deviation, strict=True)}


def in_passages(one: Example) -> list[dict[str, float]]:
    """Return each sentence's features with those of its passage."""
    return [one.signs.sentences[x.number] | one.signs.passages[x.source] for x in one.material.sentences]


def learned(examples: Sequence[Example]) -> dict[str, dict[str, float]]:
    """Fit the three models in turn; each one's likelihoods are features of the next."""
    weights = [one.weight for one in examples]
    needed = [one.passages for one in examples]
    first = fitted([one.signs.passages for one in examples], needed, weights)
    for one in examples:
        with_links(one.asked, one.material, one.signs, first)
    linked = fitted([one.signs.passages for one in examples], needed, weights)
    for one in examples:
        with_shares(one.signs, softmax([weighed(linked, passage) for passage in one.signs.passages]))
    held = fitted([in_passages(one) for one in examples], [one.sentences for one in examples], weights)
    return {"passage": first, "linked": linked, "sentence": held}


ABOUT = (
    "Weights of what says that a sentence of a passage is needed for a question: three conditional logit models, "
    "learned by tools/train_passage_scorer.py from the learning halves of NaturalQuestions with distractors, and of "
    "MuSiQue and HotpotQA. Features: core/tuppence/prune/passages/features.py and links.py."
)


def examples_of(paths: Sequence[Path], vectors: VectorCache | None) -> list[Example]:
    """Read the learning half of every file; each file counts the same."""
    return [example(row, 1 / len(own), vectors) for path in paths for own in [list(rows(path))] for row in own]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, nargs="+", required=True)
    parser.add_argument("--embedding", action="store_true", help="with MiniLM's embeddings: some ten minutes more")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    vectors = VectorCache(MiniLM(), 1_000_000) if options.embedding else None
    weights = learned(examples_of(options.questions, vectors))
    file = options.write or DATA / ("passage_scorer_embedding.json" if options.embedding else "passage_scorer.json")
    file.write_text(json.dumps({"about": ABOUT, "weights": weights}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
