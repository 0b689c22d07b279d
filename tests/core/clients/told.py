"""What the tests of all wrapped clients ask, and how they read what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tuppence.attempts import Result

ASK: list[Any] = [{"role": "user", "content": "What is six by seven?"}]
Wrapped = Callable[..., Any]


def story(result: Result) -> list[tuple[str, str, str]]:
    return [(a.tier, a.cause, a.outcome) for a in result.attempts]


def counted(result: Result) -> list[tuple[int, int]]:
    return [(a.usage.input_tokens, a.usage.output_tokens) for a in result.attempts]
