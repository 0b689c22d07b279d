"""What a judge made of one settled call, and where that is kept.

A judgement holds numbers and labels. Text, and the judge's reason, which may quote it, are kept only where somebody
asked for examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from tuppence.prices import PicoUSD

Status = Literal["scored", "unreadable", "failed", "withheld", "unsuited", "dropped"]
"""`unreadable`: the judge gave no clean verdict. `failed`: it could not be asked. `withheld`: a guard keeps the call
from it. `unsuited`: this kind of judging says nothing of the call. `dropped`: too much was waiting."""
Leaning = Literal["", "first", "second"]

TOP_GRADE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One call judged, or why it was not."""

    call_id: str
    at: float
    """When the call came in, Unix seconds."""
    tier: str
    """Who answered: a tier, or the cache."""
    policy_version: str = ""
    tenant: str | None = None
    mode: str
    """`rated` or `pairwise`."""
    judge: str
    """Model that judged, by the name that its provider bills."""
    instructions: str
    """Hash of what the judge was told to do: scores under other instructions do not compare."""
    status: Status
    accuracy: int | None = None
    """Grade from 1 to 5; only `rated` judging gives it."""
    fluency: int | None = None
    preference: float | None = None
    """1 where the answer was better than the strongest tier's, 0.5 for a tie, 0 where it was worse; only `pairwise`."""
    leaning: Leaning = ""
    """Which place won both times, whatever stood there."""
    pico_usd: PicoUSD | None = 0
    """What judging cost; None where a price is not known."""
    count: int = 1
    """How many calls this stands for: dropped ones are counted together."""
    question: str = ""
    answer: str = ""
    reason: str = ""

    @property
    def week(self) -> str:
        """ISO week in UTC, such as `2026-W07`."""
        year, week, _ = datetime.fromtimestamp(self.at, UTC).isocalendar()
        return f"{year}-W{week:02}"

    def score(self, aspect: str) -> float | None:
        """Return the score of `accuracy`, `fluency` or `preference` in [0, 1]; None where there is none."""
        value: float | None = getattr(self, aspect)
        if value is None or aspect == "preference":
            return value
        return (value - 1) / (TOP_GRADE - 1)


class JudgementLog(Protocol):
    """Keeps judgements, maybe those of many processes; whatever it raises is told and fails no call."""

    def add(self, judgement: Judgement, /) -> None:
        """Keep a judgement; where the log outlives the process, it is there when this returns."""
        ...

    def read(self) -> Sequence[Judgement]:
        """Return all judgements, oldest first."""
        ...


class MemoryJudgements:
    """Judgements of this process."""

    def __init__(self) -> None:
        self._kept: list[Judgement] = []

    def add(self, judgement: Judgement) -> None:
        self._kept.append(judgement)

    def read(self) -> Sequence[Judgement]:
        return tuple(self._kept)
