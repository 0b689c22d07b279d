"""Outcomes: what each model made of a question, how good that was, and what it cost. What everything in `evidence`
learns from, tests on and replays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tuppence.errors import TuppenceError
from tuppence.prices import PicoUSD

LabelOrigin = Literal["gold", "validator", "feedback", "judge"]
"""Who says how good an answer is: a known right answer, a program, the user, or a model."""


class OutcomesError(TuppenceError, ValueError):
    """Outcomes that cannot be read or labelled; the message names file and line where there are such."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one model made of one question."""

    score: float | None
    """How good the answer is, in [0, 1]; None where nobody has graded it."""
    answer: str = ""
    """The answer's text, or what was extracted from it for comparison."""
    no_answer: bool = False
    """The model gave no answer that could be read: a refusal, or nothing in the form that was asked for."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    pico_usd: PicoUSD | None = None
    """What the call cost; None where no price is known."""
    latency_ms: float | None = None
    signals: Mapping[str, float] = field(default_factory=dict)
    """What else was measured on the answer, by name: a sequence probability, a share of votes, a schema's verdict."""
    served: bool = False
    """The user was given this answer: what a user's feedback on the call is about."""
    labelled_by: LabelOrigin | None = None
    """Where the score comes from; None where nobody graded the answer, or its source does not say."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One question, and the outcome of each model that was asked."""

    id: str
    query: str
    by_model: Mapping[str, Outcome]
    dataset: str = ""
    """Where the question comes from: a data set, an endpoint, a tenant's traffic."""
    task: str = ""
    """What kind of question it is, where somebody said; a data set's `category`."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """The request's tags: tenant, user, session, prompt version."""
    at: float | None = None
    """When it was asked, Unix seconds."""
