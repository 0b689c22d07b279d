"""Outcomes made by rule: three models whose chance to be right falls with how hard a question is, and whose answers are
longer where they are less sure. So there is something to learn, and the truth is known.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

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
        # Never twice the same, and no larger where more are drawn: that would be another kind of question.
        label = number * 7_919 % 10_007
        query = f"Question {label}: " + " then add ".join(str(draw.randrange(50)) for _ in range(steps)) + "?"
        yield Outcomes(f"q{number}", query, by_model, dataset="made-up", task="sums" if hardness < 2 else "puzzles")


def with_a_useless_medium(rows: Iterable[Outcomes]) -> list[Outcomes]:
    """Let the medium model answer as the small one does, but for one question in fifty, at twelve times its price."""
    return [
        replace(row, by_model={**row.by_model, "medium": replace(answers, pico_usd=(medium.pico_usd or 0) * 12)})
        for number, row in enumerate(rows)
        for medium in [row.by_model["medium"]]
        for answers in [row.by_model["small"] if number % 50 else medium]
    ]


def _outcome(name: str, hardness: float, truth: int, draw: random.Random) -> Outcome:
    right = draw.random() < 1 / (1 + math.exp(-2.5 * (_ABLE[name] - hardness)))
    answer = truth if right else 100 + draw.randrange(1000)
    tokens = int(20 + 30 * hardness + (0 if right else 60) + draw.randrange(20))
    return Outcome(
        float(right), str(answer), input_tokens=40, output_tokens=tokens, pico_usd=_PICO_USD[name] * tokens // 100,
        latency_ms=tokens * 2.0,
    )  # fmt: skip
