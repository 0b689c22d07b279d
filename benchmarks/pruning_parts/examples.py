"""What selecting few-shot examples gives: does one with the right label stand among the k, and at how many tokens?

    python benchmarks/pruning_parts/examples.py --data DIR [--requests N] [--embedding] [--model]

A collection of five examples for each intent, the first five of the training split of `intents` (Banking77,
CLINC150), and requests of the test split. `recall`: an example of the request's own intent is among the selected;
`vote`: most of them have it, ties going to the earlier of the collection. Beside `random` (of 20 draws, seeded) and
`first`. Nothing is fitted. `tokens_share`: of the tokens of the whole collection. `--model` asks SmolLM2-135M for the
intents of Banking77, with 0 to 16 examples; `needed_examples` then says how many it needs. The last line is one JSON
object.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import httpx

from tuppence.demo.local_model import LOCAL_MODEL, served
from tuppence.embed import Embedder, MiniLM
from tuppence.prices import PriceBook
from tuppence.prune.audit import counter_for
from tuppence.prune.prompts.examples import Example, ExampleSelector, block_costs, needed_examples, plainly

KS = (1, 2, 4, 8, 16)
DIVERSITY = 0.3
_EACH = 5
_DRAWS = 20

Row = dict[str, str]
Pick = Callable[[Row], Sequence[Example]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--embedding", action="store_true", help="select by MiniLM vectors too")
    parser.add_argument("--model", action="store_true", help="ask SmolLM2-135M, on this machine")
    args = parser.parse_args()
    embedder = MiniLM() if args.embedding else None
    figures = example_figures(args.data, requests=args.requests, embedder=embedder)
    if args.model:
        figures["smollm2"] = asked_model(args.data, requests=min(args.requests, 60))
    print(json.dumps(figures))


def example_figures(folder: Path, *, requests: int = 300, embedder: Embedder | None = None) -> dict[str, Any]:
    """Measure selection on both sets of intents."""
    return {source: _measured(*_data(folder, source, requests), embedder) for source in ("banking77", "clinc150")}


def _measured(examples: list[Example], asked: list[Row], embedder: Embedder | None) -> dict[str, Any]:
    count = counter_for()
    whole = count("\n\n".join(plainly(one) for one in examples))
    figures: dict[str, Any] = {"examples": len(examples), "tokens": whole}
    for k in KS:
        ways: dict[str, Pick] = {"words": _selecting(examples, k), "words_diverse": _selecting(examples, k, DIVERSITY)}
        if embedder is not None:
            ways["embedding"] = _selecting(examples, k, embedder=embedder)
            ways["embedding_diverse"] = _selecting(examples, k, DIVERSITY, embedder)
        ways["first"] = lambda _row, k=k: examples[:k]  # type: ignore[misc]
        figures[str(k)] = {name: _recalled(asked, pick, whole) for name, pick in ways.items()}
        draws = [_recalled(asked, _drawing(examples, k, seed), whole) for seed in range(_DRAWS)]
        figures[str(k)]["random"] = {name: round(sum(d[name] for d in draws) / _DRAWS, 3) for name in draws[0]}
    figures["block"] = _block(whole, figures["8"]["words"]["tokens_share"])
    return figures


def _selecting(examples: list[Example], k: int, diversity: float = 0.0, embedder: Embedder | None = None) -> Pick:
    selector = ExampleSelector(examples, k=k, diversity=diversity, embedder=embedder)
    return lambda row: selector.select(row["text"]).examples


def _drawing(examples: list[Example], k: int, seed: int) -> Pick:
    draw = random.Random(seed)
    return lambda _row: draw.sample(examples, k)


def _recalled(asked: Iterable[Row], pick: Pick, whole: int) -> dict[str, float]:
    count = counter_for()
    recalled = voted = tokens = rows = 0
    for row in asked:
        picked = pick(row)
        labels = Counter(one.answered for one in picked)
        recalled += row["intent"] in labels
        voted += labels.most_common(1)[0][0] == row["intent"]
        tokens += count("\n\n".join(plainly(one) for one in picked))
        rows += 1
    return {
        "recall": round(recalled / rows, 3), "vote": round(voted / rows, 3),
        "tokens_share": round(tokens / rows / whole, 4),
    }  # fmt: skip


def _block(whole: int, share: float) -> dict[str, Any]:
    """Say from which share of cache hits on sending the whole collection as a fixed block beats eight selected."""
    book = PriceBook.default()
    miss: dict[str, Literal["input", "cache_write_5m"]] = {
        "openai/gpt-4.1-mini": "input",
        "anthropic/claude-sonnet-4-6": "cache_write_5m",
    }
    figures: dict[str, Any] = {}
    for model, written in miss.items():
        rate = book.rate(model)
        assert rate is not None, f"{model} is not in the price list"
        costs = block_costs(
            fixed_tokens=whole, selected_tokens=round(whole * share), rate=rate, hit_share=0.9, written_as=written
        )
        assert costs is not None
        assert costs.break_even is not None
        figures[model] = {
            "fixed_pico": round(costs.fixed_pico), "selected_pico": round(costs.selected_pico),
            "break_even_hits": round(float(costs.break_even), 3),
        }  # fmt: skip
    return figures


# -- a real model


def asked_model(folder: Path, *, requests: int) -> dict[str, Any]:
    """Have SmolLM2 name the intents with 0 to 16 examples, and say how many it needs."""
    examples, asked = _data(folder, "banking77", requests)
    intents = sorted({one.answered for one in examples})
    outcomes: dict[int, list[float]] = {}
    with served() as url, httpx.Client(base_url=url, timeout=300) as client:
        for k in (0, 1, 4, 16):
            selector = ExampleSelector(examples, k=k)
            outcomes[k] = [_graded(client, intents, row, selector.select(row["text"]).text) for row in asked]
            print(f"k={k}: {sum(outcomes[k]) / len(outcomes[k]):.3f}", flush=True)
    needed = needed_examples(outcomes, margin=0.05)
    return {
        "requests": len(asked), "right": {str(k): round(sum(s) / len(s), 3) for k, s in outcomes.items()},
        "needed": needed.k, "reason": needed.reason, "more": needed.more,
    }  # fmt: skip


def _graded(client: httpx.Client, intents: Sequence[str], row: Row, shown: str) -> float:
    known = f"Name the intent of the bank customer's message. The intents are: {', '.join(intents)}."
    prompt = f"{known}\n\n{shown}\n\nInput: {row['text']}\nOutput:"
    body = {"model": LOCAL_MODEL, "prompt": prompt, "max_tokens": 16, "temperature": 0, "stop": ["\n"]}
    reply = client.post("completions", json=body).raise_for_status().json()
    return float(reply["choices"][0]["text"].strip() == row["intent"])


# -- the data


def _data(folder: Path, source: str, requests: int) -> tuple[list[Example], list[Row]]:
    with gzip.open(folder / "caching" / "intents.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["source"] == source]
    taken = Counter[str]()
    examples: list[Example] = []
    for row in rows:
        if row["split"] == "train" and taken[row["intent"]] < _EACH:
            taken[row["intent"]] += 1
            examples.append(Example(row["text"], row["intent"]))
    tested = [row for row in rows if row["split"] == "test"]
    return examples, sorted(tested, key=lambda row: hashlib.blake2b(row["text"].encode()).digest())[:requests]


if __name__ == "__main__":
    main()
