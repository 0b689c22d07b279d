"""What survives of retrieved passages under a budget, by scorer, on questions that nothing was learned from.

    python benchmarks/pruning_parts/passages.py --data DIR [--budgets .1,.2,.3,.5] [--scorers bm25,default,embedding]

DIR holds `rag_nq20.jsonl.gz` and `rag_multihop.jsonl.gz`. Half of the questions, by a hash of their id, were learned
from and are left out here (`judged`). answer: some answer stands in what is sent, titles included, in any case of
letters. gold: of every passage that is needed something is sent. Tokens are o200k's, titles included.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuppence.prune.passages import (
    Bm25Scorer,
    EmbeddingScorer,
    LearnedScorer,
    Passage,
    PassagePruner,
    PrunedPassages,
    Scorer,
)

SETS = {"nq20": "rag_nq20.jsonl.gz", "multihop": "rag_multihop.jsonl.gz"}
Row = Mapping[str, Any]
Figures = dict[str, float]


def judged(identity: str) -> bool:
    """Say whether a question is for judging: `tools/train_passage_scorer.py` learns from the others only."""
    return hashlib.blake2b(identity.encode(), digest_size=8).digest()[0] % 2 == 1


def questions(path: Path) -> list[Row]:
    """Read the questions that nothing was learned from."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [row for row in map(json.loads, lines) if judged(row["id"])]


def passages_of(row: Row) -> list[Passage]:
    return [Passage(doc["text"], id=str(at), title=doc["title"]) for at, doc in enumerate(row["docs"])]


def answered(row: Row, texts: Sequence[str]) -> bool:
    """Say whether some answer stands in what is sent."""
    sent = "\n".join(texts).lower()
    return any(answer.lower() in sent for answer in row["answers"])


def survival(
    data: Path, budgets: Sequence[float], scorers: Mapping[str, Scorer]
) -> dict[str, dict[str, dict[str, Figures]]]:
    """Return {set: {scorer: {budget: {answer, gold, tokens_share}}}}."""
    return {
        name: {
            scorer: _figures(rows, {f"{one:g}": PassagePruner(share=one, scorer=scores) for one in budgets})
            for scorer, scores in scorers.items()
        }
        for name, rows in ((name, questions(data / file)) for name, file in SETS.items())
    }


def stopped_early(data: Path, probabilities: Sequence[float], scorer: Scorer) -> dict[str, dict[str, Figures]]:
    """Return {set: {probability: {answer, gold, tokens_share}}} where no ceiling is set."""
    pruners = {f"{one:g}": PassagePruner(keep_probability=one, scorer=scorer) for one in probabilities}
    return {name: _figures(questions(data / file), pruners) for name, file in SETS.items()}


def ms_per_context(data: Path, scorers: Mapping[str, Scorer], *, contexts: int = 200) -> dict[str, float]:
    """Return each scorer's median CPU milliseconds for the 20 passages of a question, token counts included.

    The first five contexts load vocabularies and are not counted; embeddings are those of texts never seen before.
    """
    rows = questions(data / SETS["nq20"])[: contexts + 5]
    found: dict[str, float] = {}
    for name, scorer in scorers.items():
        pruner = PassagePruner(share=0.2, scorer=scorer)
        took = []
        for row in rows:
            passages, started = passages_of(row), time.process_time()
            pruner.prune(row["question"], passages)
            took.append(time.process_time() - started)
        found[name] = round(1000 * statistics.median(took[5:]), 2)
    return found


def _figures(rows: Sequence[Row], pruners: Mapping[str, PassagePruner]) -> dict[str, Figures]:
    """Prune each question by all pruners before the next one, so that its sentences are embedded once."""
    found: dict[str, list[tuple[bool, bool, float]]] = {name: [] for name in pruners}
    for row in rows:
        passages = passages_of(row)
        for name, pruner in pruners.items():
            found[name].append(_outcome(row, pruner.prune(row["question"], passages)))
    return {
        name: dict(zip(("answer", "gold", "tokens_share"), map(_mean, zip(*outcomes, strict=True)), strict=True))
        for name, outcomes in found.items()
    }


def _outcome(row: Row, kept: PrunedPassages) -> tuple[bool, bool, float]:
    return (
        answered(row, [one.sent for one in kept.passages]),
        set(row["gold"]) <= {one.index for one in kept.passages},
        kept.audit.tokens_after / kept.audit.tokens_before,
    )


def _mean(values: Sequence[float]) -> float:
    return round(statistics.fmean(values), 4)


def scorers_named(names: str) -> dict[str, Scorer]:
    """Make scorers; only `embedding` needs the extra of that name."""
    makers: dict[str, Callable[[], Scorer]] = {
        "bm25": Bm25Scorer,
        "default": LearnedScorer,
        "embedding": EmbeddingScorer,
    }
    return {name: makers[name]() for name in names.split(",")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--budgets", default=".1,.2,.3,.5")
    parser.add_argument("--scorers", default="bm25,default")
    parser.add_argument("--contexts", type=int, default=200)
    options = parser.parse_args()
    scorers = scorers_named(options.scorers)
    found: dict[str, Any] = dict(survival(options.data, [float(x) for x in options.budgets.split(",")], scorers))
    found["stopped_early"] = stopped_early(options.data, (0.8, 0.9, 0.95, 0.99), LearnedScorer())
    found["ms_per_context"] = ms_per_context(options.data, scorers, contexts=options.contexts)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
