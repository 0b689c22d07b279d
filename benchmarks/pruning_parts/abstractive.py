"""What condensing by a small real model gives: tokens, time, and what survives beside whole sentences of the same
length.

    python benchmarks/pruning_parts/abstractive.py --data DIR [--passages N]

The first passage of each row of `rag_nq20` that has 120 tokens or more, condensed by SmolLM2-135M on this machine to a
third of its tokens, without a question. `taken`: replies that could stand for their passage; `refused`: why others
could not. `facts`: share of numbers, dates, names, negations and quotations that stand in what was taken; `extractive`:
the same for the first whole sentences that fit in as many tokens. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tuppence.demo.local_model import LOCAL_MODEL, local_rate, served
from tuppence.prices import timed
from tuppence.prune.abstractive import Condensed, Condenser
from tuppence.prune.audit import counter_for
from tuppence.prune.passages import Passage
from tuppence.request import Reply
from tuppence.usage import Usage

_LEAST_TOKENS = 120
_SHARE = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--passages", type=int, default=40)
    args = parser.parse_args()
    print(json.dumps(abstractive_figures(args.data, passages=args.passages)))


def abstractive_figures(folder: Path, *, passages: int = 40) -> dict[str, Any]:
    """Condense with the local model, one passage after the other."""
    count, rate = counter_for(), local_rate()
    done: list[Condensed] = []
    started = time.perf_counter()
    with served() as url, httpx.Client(base_url=url, timeout=300) as client:
        for passage in _passages(folder, passages):
            condenser = Condenser("smollm2", count(passage.text) // _SHARE, rate=rate)
            done.append(condenser.condense([passage], lambda prompt: _asked(client, prompt)))
    seconds = (time.perf_counter() - started) / len(done)
    taken = [one for one in done if one.audit.cuts]
    return {
        "passages": len(done),
        "taken": round(len(taken) / len(done), 3),
        "refused": dict(Counter(_kind(one.audit.kept_because) for one in done if not one.audit.cuts)),
        "tokens_share": round(sum(o.audit.tokens_after for o in done) / sum(o.audit.tokens_before for o in done), 3),
        "tokens_share_taken": _share([(o.audit.tokens_after, o.audit.tokens_before) for o in taken]),
        "facts": _stand([one.survival.by_kind() for one in taken]),
        "extractive": _stand([one.extractive.by_kind() for one in taken]),
        "seconds": round(seconds, 1),
        "micro_usd": round(sum(one.bill.pico for one in done) / len(done) / 1e6, 2),
    }


def _asked(client: httpx.Client, prompt: str) -> Reply:
    system, user = prompt.split("\n\n<passage ", 1)
    messages = [{"role": "system", "content": system}, {"role": "user", "content": f"<passage {user}"}]
    body = {"model": LOCAL_MODEL, "messages": messages, "max_tokens": 300, "temperature": 0}
    begun = time.perf_counter()
    reply = client.post("chat/completions", json=body).raise_for_status().json()
    usage = timed(local_rate(), Usage(), (time.perf_counter() - begun) * 1000)
    choice = reply["choices"][0]
    return Reply(choice["message"]["content"], finish=choice["finish_reason"], usage=usage)


def _stand(counted: list[Any]) -> dict[str, float | None]:
    sums: dict[str, list[tuple[int, int]]] = {}
    for kinds in counted:
        for kind, pair in kinds.items():
            sums.setdefault(kind, []).append(pair)
    everything = [pair for pairs in sums.values() for pair in pairs]
    return {"all": _share(everything), **{kind: _share(pairs) for kind, pairs in sorted(sums.items())}}


def _share(pairs: list[tuple[int, int]]) -> float | None:
    of = sum(pair[1] for pair in pairs)
    return round(sum(pair[0] for pair in pairs) / of, 3) if of else None


def _kind(why: str) -> str:
    """Take what is particular to a passage out of a reason."""
    return re.sub(r"'[^']*'", "...", why.split(": ", 1)[-1]).split(", ")[0]


def _passages(folder: Path, number: int) -> Iterator[Passage]:
    count = counter_for()
    with gzip.open(folder / "pruning" / "rag_nq20.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            long = next((doc for doc in row["docs"] if count(doc["text"]) >= _LEAST_TOKENS), None)
            if long is not None and number > 0:
                number -= 1
                yield Passage(long["text"], row["id"], long["title"])


if __name__ == "__main__":
    main()
