"""What a data set is like before anybody pays for training on it: sizes, lengths, answers, and what speaks against it.

Streams over the rows; of each there are two numbers in memory.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuppence.distill.dataset.dataset import Dataset
from tuppence.distill.dataset.row import Json, Row
from tuppence.distill.dataset.splitting import SplitName
from tuppence.tokens import count_tokens

FEWEST = 300
"""Rows to train on from which a narrow task is learned: 15 intents take 300 (benchmarks/distill.py)."""
COMFORTABLE = 500
_LABELS = 0.2
"""Share of the rows that there are different answers at most, where the task is to name one of some labels."""
_LONG = 512
_CONTRADICTED = 0.05
_CHURN = 2.0
_SHOWN = 20
_PERCENTILES = (50, 90, 99)


@dataclass(frozen=True, slots=True)
class Answers:
    """How many different answers there are, and how they are spread."""

    different: int
    bits: float
    """Entropy of the answers, in bits: how much there is to know about one."""
    commonest: Mapping[str, int]

    def labels(self, rows: int) -> bool:
        """Say whether answers repeat so much that the task is to name one of some labels."""
        return bool(rows) and self.different <= max(2, _LABELS * rows)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What training would be on."""

    rows: Mapping[SplitName, int]
    tokens: Mapping[str, int]
    """Of the training rows by part: `system`, `user`, `assistant`, `tool`, `tools`, `answer`."""
    exact_tokens: bool
    """Counted with the model's own vocabulary; else an estimate on the high side."""
    prompt_tokens: Mapping[int, int]
    """Percentiles of the prompts' lengths, those of all sides."""
    answer_tokens: Mapping[int, int]
    answers: Answers
    prompts: int
    contradicted: int
    """Prompts that were answered in different ways; the first answer is learned."""
    warnings: tuple[str, ...]

    @property
    def training_tokens(self) -> int:
        """Tokens of one epoch."""
        return sum(self.tokens.values())


def statistics(data: Dataset, *, model: str = "gpt-4o-mini") -> Statistics:
    """Count a data set as `model` would read it."""
    tokens = dict.fromkeys(("system", "user", "assistant", "tool", "tools", "answer"), 0)
    asked, answered = array("q"), array("q")
    known: dict[str, int] = {}
    for side, count in data.sizes.items():
        for row in data.rows(side) if count else ():
            parts = _parts(row, model, known)
            asked.append(sum(parts.values()) - parts["answer"])
            answered.append(parts["answer"])
            if side == "train":
                for name, part in parts.items():
                    tokens[name] += part
    answers, rows = _answers(data), len(asked)
    told = Statistics(
        data.sizes, tokens, count_tokens("a", model).exact, _percentiles(asked), _percentiles(answered), answers,
        data.prepared.prompts, data.prepared.contradicted, (),
    )  # fmt: skip
    warnings = tuple(_warnings(data, told, rows))
    return Statistics(
        told.rows, tokens, told.exact_tokens, told.prompt_tokens, told.answer_tokens, answers, told.prompts,
        told.contradicted, warnings,
    )  # fmt: skip


def _parts(row: Row, model: str, known: dict[str, int]) -> Mapping[str, int]:
    found = dict.fromkeys(("system", "user", "assistant", "tool", "tools", "answer"), 0)
    for message in row.prompt:
        found[message["role"]] += _tokens(message, model, known)
    found["answer"] = _tokens(row.answer, model, known)
    found["tools"] = sum(_counted(str(tool["function"]), model, known) for tool in row.tools)
    return found


def _tokens(message: Json, model: str, known: dict[str, int]) -> int:
    calls = message.get("tool_calls") or ()
    spelt = "".join(f"{one['function']['name']}{one['function']['arguments']}" for one in calls)
    return _counted((message.get("content") or "") + spelt, model, known)


def _counted(text: str, model: str, known: dict[str, int]) -> int:
    """Count a text, or remember: system prompts and tools come in every row."""
    found = known.get(text)
    if found is None:
        found = count_tokens(text, model).tokens
        if len(known) < 1_000:
            known[text] = found
    return found


def _percentiles(lengths: Sequence[int]) -> Mapping[int, int]:
    ordered = sorted(lengths)
    return {p: ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in _PERCENTILES} if ordered else {}


def _answers(data: Dataset) -> Answers:
    counts = list(data.answers())
    rows = sum(times for _, times in counts)
    bits = -math.fsum(n / rows * math.log2(n / rows) for _, n in counts) if rows else 0.0
    return Answers(len(counts), max(0.0, bits), dict(counts[:_SHOWN]))


def _warnings(data: Dataset, told: Statistics, rows: int) -> list[str]:
    train = told.rows["train"]
    found = []
    if train < FEWEST:
        found.append(f"{train:,} rows to train on: a narrow task needs {FEWEST} to {COMFORTABLE}, record more first")
    elif train < COMFORTABLE:
        found.append(f"{train:,} rows to train on: enough for a very narrow task, {COMFORTABLE} are safer")
    if not told.rows["test"]:
        found.append("no row to test on: what training came to could not be judged")
    if rows and not told.answers.labels(rows) and told.answer_tokens.get(90, 0) > _LONG:
        found.append(
            f"a wide task: {told.answers.different:,} different answers to {rows:,} prompts, one in ten longer than "
            f"{told.answer_tokens[90]:,} tokens; a small model will miss what a large one knows"
        )
    if told.contradicted > _CONTRADICTED * max(1, told.prompts):
        found.append(
            f"{told.contradicted:,} of {told.prompts:,} prompts were answered in different ways: no model can learn "
            "both; look at the filters, or at the teacher's temperature"
        )
    monthly = data.template.changes_a_month
    if monthly is not None and monthly > _CHURN:
        found.append(f"the prompt changed {monthly:.1f} times a month: each change may call for training anew")
    return found
