"""The batch server, in a process of its own: `python server.py BOOKS`. Prints its address; writes its books when told.

Of the requests 1% fail and 0.5% expire when they are run the first time, chosen by their own text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tuppence.testing import ProviderServer


class FirstTries:
    """What becomes of lines: those that fail or expire do so once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def fate(self, _: str, body: Mapping[str, Any]) -> Any:
        number = int(body["messages"][0]["content"].rpartition(" ")[2])
        kind = "fail" if number % 100 == 7 else "expire" if number % 200 == 11 else None
        if kind is None or number in self._seen:
            return None
        self._seen.add(number)
        return kind


def main(books: Path) -> None:
    with ProviderServer() as server:
        server.batches.fate(FirstTries().fate)
        print(server.base_url, flush=True)
        # Until whoever started it closes the line.
        sys.stdin.read()
        with books.open("w", encoding="utf-8") as file:
            for one in server.batches.ran():
                file.write(f"{json.dumps(asdict(one))}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
