"""What a plan is: a generator that does no I/O, yields effects, and is sent their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")


class Effect(Generic[T_co]):
    """Something to be done outside; `outcome = yield from effect` has the type that the effect promises."""

    __slots__ = ()

    def __iter__(self) -> Generator[Effect[Any], Any, T_co]:
        outcome: T_co = yield self
        return outcome


Plan = Generator[Effect[Any], Any, R]

Gate = Callable[[str], bool]
"""Asked with the text streamed so far: may the user see it from here on?"""


def live(_text: str) -> bool:
    """Let every chunk through as it comes."""
    return True


def held(_text: str) -> bool:
    """Hold all chunks until the reply has been checked."""
    return False


@dataclass(slots=True)
class Broken:
    """Outcome of an effect that only optimises or records, and failed: the call goes on without it."""

    error: Exception
