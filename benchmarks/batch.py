"""Whether a batch job of a hundred thousand requests comes back whole when its client is killed, and what it is billed.

    python benchmarks/batch.py [--requests 100000] [--seed 0]

A scripted batch server runs in a process of its own; of the requests 1% fail and 0.5% expire when they are first run.
The client is ended by SIGKILL three times: after an upload and after a batch was made, each before it could store what
came of that, and at a random moment of fetching and accounting; each time another goes on. What is counted comes from
the server's own books, the ledger's rows and the file of answers, never from what the client says: `lost` are requests
without an answer of their own, `duplicated` those answered more than once, `double_billed` those that the server ran to
their end more than once or the ledger charged more than once, `out_of_order` lines that are not where they were.
`requests_per_s` is over all of it, kills and restarts included; `peak_mb` is the client's resident memory.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

from batch_parts.client import lines

from tuppence.testing.batches_run import body_digest

PARTS = Path(__file__).with_name("batch_parts")
_STARTED = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="of the random moment of the third kill")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(_measured(Path(folder), args.requests, random.Random(args.seed))))


def _measured(folder: Path, count: int, chance: random.Random) -> dict[str, Any]:
    books = folder / "books.jsonl"
    server = subprocess.Popen(
        [sys.executable, str(PARTS / "server.py"), str(books)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        base_url = _pipe(server.stdout).readline().strip()
        began = time.perf_counter()
        at_random = (int(chance.uniform(0.3, 0.9) * count), chance.uniform(0.0, 4.0) * count / 100_000)
        peaks = [
            _client(folder, base_url, count, "upload"),
            _client(folder, base_url, count, "create"),
            _client(folder, base_url, count, kill=at_random),
            _client(folder, base_url, count),
        ]
        took_s = time.perf_counter() - began
    finally:
        _pipe(server.stdin).close()
        server.wait()
    return {"requests": count, **_counted(folder, books, count), "requests_per_s": round(count / took_s, 1),
            "peak_mb": round(max(peaks), 1), "kills": 3, "seconds": round(took_s, 1)}  # fmt: skip


def _client(
    folder: Path, base_url: str, count: int, die_after: str = "", *, kill: tuple[int, float] | None = None
) -> float:  # fmt: skip
    """Run a client until it ends or is ended; return its peak memory in megabytes, as far as it told.

    `kill` ends it so many seconds after it has heard that so many requests have ended at the server.
    """
    command = [sys.executable, str(PARTS / "client.py"), str(folder), base_url, str(count), die_after]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak_mb = 0.0
    for line in _pipe(client.stdout):
        told = json.loads(line)
        peak_mb = max(peak_mb, told["peak_mb"])
        if kill is not None and told["done"] >= kill[0]:
            time.sleep(kill[1])
            client.send_signal(signal.SIGKILL)
    ended = client.wait()
    _say(f"the client that was to die {die_after or ('at random' if kill else 'never')} ended with {ended}")
    assert ended == (-signal.SIGKILL if die_after or kill else 0), ended
    return peak_mb


def _counted(folder: Path, books: Path, count: int) -> dict[str, int]:
    """Count from the file of answers, the server's books and the ledger."""
    ran: Counter[str] = Counter()
    with books.open(encoding="utf-8") as file:
        for told in map(json.loads, file):
            ran[told["body"]] += told["status"] == 200
    charged = _charged(folder / "ledger.sqlite")
    answered: Counter[str] = Counter()
    lost = out_of_order = 0
    with (folder / "out.jsonl").open(encoding="utf-8") as file:
        for line, told in zip(lines(count), map(json.loads, file), strict=False):
            out_of_order += told["custom_id"] != line.custom_id
            answered[told["custom_id"]] += 1
            text = told["response"]["choices"][0]["message"]["content"] if told["response"] else ""
            lost += not text.endswith(str(line.body["messages"][0]["content"]))
    twice = sum(times > 1 for times in ran.values()) + sum(times > 1 for times in charged.values())
    unbilled = count - sum(times == 1 for times in charged.values()) - sum(times > 1 for times in charged.values())
    never = sum(ran[body_digest(line.body)] == 0 for line in lines(count))
    return {
        "lost": lost + count - len(answered) + never, "duplicated": sum(times > 1 for times in answered.values()),
        "double_billed": twice, "unbilled": unbilled, "out_of_order": out_of_order,
    }  # fmt: skip


def _charged(ledger: Path) -> Counter[str]:
    """Count the rows by which each call was charged."""
    with sqlite3.connect(ledger) as rows:
        found = rows.execute("SELECT call_id FROM attempts WHERE pico_usd > 0")
        return Counter(call for (call,) in found)


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def _say(what: str) -> None:
    print(f"[{time.perf_counter() - _STARTED:6.1f} s] {what}", file=sys.stderr)


if __name__ == "__main__":
    main()
