"""What merging passages on the same topic gives: thresholds found on one half of the data, judged on the other.

    python benchmarks/pruning_parts/topics.py --data DIR [--rows N] [--embedding]

Halves by the hash of the id. `documents`: the passages of one retrieval (`rag_nq20`), each of four sentences or more
cut in two; pieces of one article are one topic, told by its title, which is not compared. `intents`: sets of 48 bank
questions of six intents; the intents of the two halves are different ones. For each false-merge rate: the rate that
held, pairwise precision, recall and F1, and the adjusted Rand index (Hubert and Arabie, 1985; mean over the sets).
`overlapping`: the same retrievals in chunks of three sentences, each of which shares one with the next, as text
splitters cut: tokens after merging, and answers that survive. `top`: the n most important topics of the passages as
they are, beside the n passages that BM25 puts first. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from math import comb
from pathlib import Path
from typing import Any

import numpy as np

from tuppence.embed import Embedder, MiniLM, Vectors
from tuppence.prune.audit import counter_for
from tuppence.prune.lexical import Bm25
from tuppence.prune.passages import Passage, as_sent
from tuppence.prune.sentences import sentences
from tuppence.prune.topics import (
    EmbeddedSimilarity,
    Similarity,
    TermSimilarity,
    TopicMerger,
    calibrate_linking,
    linking_at,
)
from tuppence.prune.topics.clusters import grouped
from tuppence.prune.topics.linking import compared_pairs

RATES = (0.05, 0.02, 0.01, 0.002)
MERGED_AT = 0.01
TOPS = (5, 10)
_SET_INTENTS, _SET_EACH = 6, 8

Row = dict[str, Any]
Sets = list[list[Passage]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--embedding", action="store_true", help="compare by MiniLM vectors too")
    args = parser.parse_args()
    similarities: list[Similarity] = [TermSimilarity()]
    if args.embedding:
        similarities.append(EmbeddedSimilarity(_Remembering(MiniLM())))
    print(json.dumps(topic_figures(args.data, similarities, rows=args.rows)))


class _Remembering:
    """Embeds each text once a run."""

    def __init__(self, embedder: Embedder) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._vectors: dict[str, Any] = {}

    def embed(self, texts: Sequence[str], /) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._embedder.embed(new), strict=True))
        return np.stack([self._vectors[text] for text in texts])

    async def aembed(self, texts: Sequence[str], /) -> Vectors:
        return self.embed(texts)


def topic_figures(folder: Path, similarities: Sequence[Similarity], *, rows: int = 300) -> dict[str, Any]:
    """Measure every similarity on documents and intents, and what merging does to prompts."""
    retrievals = _read(folder / "pruning" / "rag_nq20.jsonl.gz")[:rows]
    questions = [row for row in _read(folder / "caching" / "intents.jsonl.gz") if row["source"] == "banking77"]
    halves: dict[str, tuple[Sets, Sets]] = {
        "documents": _halved([(row["id"], _cut_in_two(row)) for row in retrievals]),
        "intents": (_intent_sets(questions, 0), _intent_sets(questions, 1)),
    }
    return {
        one.name: {
            **{name: _judged(learn, judge, one) for name, (learn, judge) in halves.items()},
            **_prompts(retrievals, halves["documents"][0], one),
        }
        for one in similarities
    }


def _judged(learn: Sets, judge: Sets, similarity: Similarity) -> dict[str, Any]:
    """Compare groups with topics, at each rate; the topic stands in a passage's title."""
    tables = [(similarity.compare([p.text for p in one]), [p.title for p in one]) for one in judge]
    unrelated, related = compared_pairs(learn, topic_of=_title, similarity=similarity)
    figures: dict[str, Any] = {"pairs": {"unrelated": len(unrelated), "related": len(related)}}
    for rate in RATES:
        linking = linking_at(rate, unrelated, related, similarity=similarity.name)
        pairs, rand = Counter[str](), 0.0
        for table, topics in tables:
            group = {at: n for n, members in enumerate(grouped(table, linking.threshold)) for at in members}
            labels = [group[at] for at in range(len(topics))]
            pairs += _pairs(topics, labels)
            rand += adjusted_rand(topics, labels) / len(tables)
        right, wrong, missed = pairs["right"], pairs["wrong"], pairs["missed"]
        precision, recall = right / max(1, right + wrong), right / max(1, right + missed)
        figures[str(rate)] = {
            "threshold": round(linking.threshold, 3),
            "rate": round(wrong / max(1, wrong + pairs["apart"]), 4),
            "precision": round(precision, 3), "recall": round(recall, 3),
            "f1": round(2 * precision * recall / max(1e-9, precision + recall), 3), "ari": round(rand, 3),
        }  # fmt: skip
    return figures


def _pairs(topics: Sequence[str], labels: Sequence[int]) -> Counter[str]:
    counts = Counter[str]()
    for i in range(len(topics)):
        for j in range(i):
            together, same = labels[i] == labels[j], topics[i] == topics[j]
            counts["right" if together and same else "wrong" if together else "missed" if same else "apart"] += 1
    return counts


def adjusted_rand(one: Sequence[object], other: Sequence[object]) -> float:
    """Return the agreement of two groupings, 0 by chance, 1 where they are the same."""
    both = sum(comb(n, 2) for n in Counter(zip(one, other, strict=True)).values())
    first, second = (sum(comb(n, 2) for n in Counter(labels).values()) for labels in (one, other))
    pairs = comb(len(one), 2)
    by_chance = first * second / pairs if pairs else 0.0
    most = (first + second) / 2
    return (both - by_chance) / (most - by_chance) if most != by_chance else 1.0


def _prompts(retrievals: Sequence[Row], learn: Sets, similarity: Similarity) -> dict[str, Any]:
    """Say what merging and choosing does to tokens and answers, on the half that was not learnt from."""
    linking = calibrate_linking(learn, topic_of=_title, false_merge_rate=MERGED_AT, similarity=similarity)
    judged = [row for row in retrievals if _half(row["id"]) == 1]
    figures: dict[str, Any] = {"overlapping": _shares(judged, TopicMerger(linking, similarity), _overlapping)}
    figures["top"] = {
        str(n): {
            "topics": _shares(judged, TopicMerger(linking, similarity, top=n), _as_they_are),
            "passages": _first_passages(judged, n),
        }
        for n in TOPS
    }
    return figures


def _shares(rows: Sequence[Row], merger: TopicMerger, passages_of: Any) -> dict[str, float]:
    before = after = answers = 0
    for row in rows:
        merged = merger.merge(passages_of(row), row["question"])
        before, after = before + merged.audit.tokens_before, after + merged.audit.tokens_after
        answers += _answered(row, [as_sent(one.title, one.text) for one in merged.passages])
    return {"tokens_share": round(after / before, 3), "answer": round(answers / len(rows), 3)}


def _first_passages(rows: Sequence[Row], n: int) -> dict[str, float]:
    count = counter_for()
    before = after = answers = 0
    for row in rows:
        shown = [as_sent(one.title, one.text) for one in _as_they_are(row)]
        scores = Bm25(shown).scores(row["question"])
        best = sorted(sorted(range(len(shown)), key=lambda at: -scores[at])[:n])
        before, after = before + count("\n\n".join(shown)), after + count("\n\n".join(shown[at] for at in best))
        answers += _answered(row, [shown[at] for at in best])
    return {"tokens_share": round(after / before, 3), "answer": round(answers / len(rows), 3)}


def _answered(row: Row, shown: Sequence[str]) -> bool:
    text = "\n\n".join(shown).casefold()
    return any(answer.casefold() in text for answer in row["answers"])


# -- the data


def _as_they_are(row: Row) -> list[Passage]:
    return [Passage(doc["text"], f"{row['id']}/{n}", doc["title"]) for n, doc in enumerate(row["docs"])]


def _cut_in_two(row: Row) -> list[Passage]:
    return [piece for doc in _as_they_are(row) for piece in _pieces(doc, parts=2)]


def _overlapping(row: Row) -> list[Passage]:
    return [piece for doc in _as_they_are(row) for piece in _windows(doc, size=3, step=2)]


def _pieces(doc: Passage, *, parts: int) -> Iterator[Passage]:
    """Cut where that leaves two sentences to each part."""
    length = len(sentences(doc.text))
    size = -(-length // parts) if length >= 2 * parts else length
    return _windows(doc, size=size, step=size)


def _windows(doc: Passage, *, size: int, step: int) -> Iterator[Passage]:
    spans = sentences(doc.text)
    for start in range(0, max(1, len(spans) - (size - step)), step):
        end = spans[min(start + size, len(spans)) - 1].end
        yield Passage(doc.text[spans[start].start : end], f"{doc.id}.{start}", doc.title)


def _intent_sets(questions: Sequence[Row], half: int) -> Sets:
    """Make sets of the intents of one half: six intents in turn, eight questions of each."""
    by_intent: dict[str, list[Row]] = {}
    for row in questions:
        if _half(row["intent"]) == half:
            by_intent.setdefault(row["intent"], []).append(row)
    intents = sorted(by_intent)
    sets: Sets = []
    for number in range(60):
        chosen = [intents[(number + 5 * k) % len(intents)] for k in range(_SET_INTENTS)]
        first = number * _SET_EACH
        take = [by_intent[one][(first + n) % len(by_intent[one])] for one in chosen for n in range(_SET_EACH)]
        sets.append([Passage(row["text"], str(n), row["intent"]) for n, row in enumerate(take)])
    return sets


def _halved(sets: Sequence[tuple[str, list[Passage]]]) -> tuple[Sets, Sets]:
    return [one for name, one in sets if _half(name) == 0], [one for name, one in sets if _half(name) == 1]


def _half(name: str) -> int:
    return hashlib.blake2b(name.encode(), digest_size=2).digest()[1] % 2


def _title(passage: Passage) -> str:
    return passage.title


def _read(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main()
