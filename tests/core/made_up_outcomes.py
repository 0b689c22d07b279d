"""Outcomes made by rule: three models whose chance to be right falls with how hard a question is, and whose answers are
longer where they are less sure. So there is something to learn, and the truth is known.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from tuppence.evidence.outcomes import Outcome, Outcomes

MODELS = ("small", "medium", "large")
_ABLE = {"small": 1.0, "medium": 2.0, "large": 3.5}
_PICO_USD = {"small": 10_000_000, "medium": 60_000_000, "large": 1_000_000_000}


def made_up(count: int, *, seed: int) -> Iterator[Outcomes]:
    """Yield questions with the outcomes of all three models."""
    draw = random.Random(seed)
    for number in range(count):
        hardness = draw.random() * 4
        truth = draw.randrange(100)
        by_model = {name: _outcome(name, hardness, truth, draw) for name in MODELS}
        steps = 1 + int(hardness * 3)
        query = f"Question {number}: " + " then add ".join(str(draw.randrange(50)) for _ in range(steps)) + "?"
        yield Outcomes(f"q{number}", query, by_model, dataset="made-up", task="sums" if hardness < 2 else "puzzles")


def _outcome(name: str, hardness: float, truth: int, draw: random.Random) -> Outcome:
    right = draw.random() < 1 / (1 + math.exp(-2.5 * (_ABLE[name] - hardness)))
    answer = truth if right else 100 + draw.randrange(1000)
    tokens = int(20 + 30 * hardness + (0 if right else 60) + draw.randrange(20))
    return Outcome(
        float(right), str(answer), input_tokens=40, output_tokens=tokens, pico_usd=_PICO_USD[name] * tokens // 100,
        latency_ms=tokens * 2.0,
    )  # fmt: skip
