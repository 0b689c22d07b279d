"""JSON payloads in fewer tokens: what is left of `json.dumps`, in every encoding, and whether all of it reads back.

    python benchmarks/pruning_parts/payloads.py --data DIR

DIR holds `json_payloads.jsonl.gz`: lines with a `kind` and a `payload`. Shares are means over payloads of o200k tokens
left; an encoding that cannot say a payload leaves it as `json.dumps` wrote it. `tokens_share` is what `shortest` leaves
by default, in standard encodings only. `shapes` are made up here, to show where
other payloads than records stand. Nothing is fitted on either. The last line of output is one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tuppence.errors import RequestError
from tuppence.prune.payloads import ENCODINGS, STANDARD, Encoded, same, shortest
from tuppence.prune.payloads.choosing import FORMS

NAME = "json_payloads.jsonl.gz"
WORDS = "the order was sent to your address and will arrive on time unless customs keeps it longer than usual".split()


def payloads(data: Path) -> dict[str, Any]:
    """Measure the payloads of a folder."""
    with gzip.open(data / NAME, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    values = [row["payload"] for row in rows]
    found = [shortest(value, encodings=ENCODINGS) for value in values]
    return {
        "payloads": len(values),
        "tokens_share": share(found, STANDARD),
        "tokens_share_with_outline": share(found),
        "round_trips": round_trips(values),
        "chosen": dict(Counter(shortest(value).encoding for value in values)),
        "encodings": {
            name: {
                "says": round(fmean(name in one.counts for one in found), 4),
                "tokens_share": share(found, [name]),
            }
            for name in FORMS
        },
        "kinds": {
            kind: best([one for one, row in zip(found, rows, strict=True) if row["kind"] == kind])
            for kind in dict.fromkeys(row["kind"] for row in rows)
        },
        "shapes": {name: best([shortest(value, encodings=ENCODINGS) for value in made]) for name, made in shapes()},
        "shapes_round_trips": round_trips([value for _, made in shapes() for value in made]),
    }


def share(found: Sequence[Encoded], encodings: Sequence[str] = ENCODINGS) -> float:
    """Return the mean share of tokens left by the best of some encodings; all of them where none says a payload."""
    left = []
    for one in found:
        counts = [one.counts[name] for name in encodings if name in one.counts]
        left.append(min(counts, default=one.counts["json"]) / one.counts["json"])
    return round(fmean(left), 4)


def best(found: Sequence[Encoded]) -> dict[str, float]:
    """Return what the default leaves, and what is left where an outline is allowed."""
    return {"standard": share(found, STANDARD), "with_outline": share(found)}


def round_trips(values: Sequence[Any]) -> float:
    """Return the share of payloads and encodings, of those that write the payload, that give it back exactly."""
    back = []
    for value in values:
        for form in FORMS.values():
            text = form.write(value)
            if text is not None:
                back.append(reads_back(text, value, form.read))
    return fmean(back)


def reads_back(text: str, value: Any, read: Any) -> bool:
    try:
        return same(read(text), value)
    except RequestError:
        return False


def shapes() -> Iterator[tuple[str, list[Any]]]:
    """Make up payloads that are not a shop's records, ten of each shape."""
    drawn = random.Random(0)
    makers = {
        "flat records": lambda: [{"id": i, "name": prose(drawn, 2), "score": drawn.random()} for i in range(20)],
        "deep nesting": lambda: nested(drawn, 8),
        "long text": lambda: {"title": prose(drawn, 5), "body": prose(drawn, 300), "tags": ["a", "b"]},
        "arrays of numbers": lambda: {"vector": [round(drawn.random(), 4) for _ in range(100)]},
        "heterogeneous": lambda: [drawn.choice([1, 2.5, "x y", None, True, {"k": [1, {"m": "v"}]}]) for _ in range(20)],
    }
    for name, make in makers.items():
        yield name, [make() for _ in range(10)]


def prose(drawn: random.Random, words: int) -> str:
    return " ".join(drawn.choice(WORDS) for _ in range(words)).capitalize() + ", please."


def nested(drawn: random.Random, depth: int) -> Any:
    if depth == 0:
        return drawn.choice([1, "leaf", None])
    return {drawn.choice(WORDS): nested(drawn, depth - 1), "level": depth, "also": [drawn.randrange(9)]}


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help="folder that holds json_payloads.jsonl.gz")
    print(json.dumps(payloads(options.parse_args().data)))
