"""Recorded traffic as a recorder writes it, in as many lines as a test needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Line = dict[str, Any]
DAY_S = 86_400
START = 1_772_409_600.0
"""2026-03-02, 0 h."""
SYSTEM = "You sort what customers of a bank write.\nAnswer with one label and nothing else."
KINDS = ("card", "transfer", "cash", "login")
_WORDS = (
    "yesterday morning abroad Lisbon Prague airport wallet salary invoice passport phone broken lost stolen twice late "
    "pending refused blocked cousin landlord rent euro dollar yen fee charge statement weekend holiday taxi hotel"
).split()


def question(number: int) -> str:
    """A question that shares no run of words with another number's."""
    picked = [_WORDS[(number // len(_WORDS) ** place) % len(_WORDS)] for place in range(3)]
    return f"{picked[0]} {picked[1]} {number} {picked[2]} {(number * 7919) % 10007}"


def attempt(tier: str, text: str, outcome: str = "accepted", **changes: Any) -> Line:
    reply = {"text": text, "finish": changes.pop("finish", "stop"), **changes.pop("reply", {})}
    made: Line = {
        "tier": tier, "model": f"{tier}-1", "cause": "draft", "outcome": outcome, "status": "exact", "latency_ms": 5.0,
        "pico_usd": 1_000_000_000, "usage": {"input": 60, "output": 2}, "reply": reply,
    }  # fmt: skip
    return made | changes


def call(number: int, text: str | None = None, answer: str | None = None, **changes: Any) -> Line:
    """One call an hour; by default the teacher alone was asked and answered well."""
    asked = question(number) if text is None else text
    system = changes.pop("system", SYSTEM)
    told = [{"role": "system", "text": system}] if system else []
    made: Line = {
        "tuppence.traffic": 1, "call_id": f"call-{number}", "at": START + number * 3_600,
        "messages": [*told, {"role": "user", "text": asked}],
        "attempts": [attempt("large", KINDS[number % len(KINDS)] if answer is None else answer)],
    }  # fmt: skip
    return made | changes


def feedback(call_id: str, score: float, at: float = START) -> Line:
    return {"tuppence.feedback": 1, "call_id": call_id, "score": score, "at": at}


def write(path: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def lines_of(path: Path) -> Sequence[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
