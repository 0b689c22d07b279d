"""Route by how much there is to read: short questions start low, long ones and tables higher."""

from __future__ import annotations

from dataclasses import dataclass

from tuppence.effects import Choice
from tuppence.errors import ConfigError
from tuppence.request import Request
from tuppence.routes.compose import Composable
from tuppence.routes.rungs import Rung, start_on
from tuppence.signals import count_words, has_table
from tuppence.tiers import Tier


@dataclass(frozen=True, slots=True)
class BySize(Composable):
    """Start by the words of all messages; a table in the last question moves one rung up."""

    small_words: int
    large_words: int

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice:
        words = sum(count_words(message.text) for message in request.messages)
        rung: Rung = "lowest" if words <= self.small_words else "middle" if words < self.large_words else "highest"
        if not has_table(request.question):
            return start_on(ladder, rung, f"{words} words")
        return start_on(ladder, "middle" if rung == "lowest" else "highest", f"{words} words and a table")


def by_size(*, small_words: int = 150, large_words: int = 1500) -> BySize:
    """Start on the lowest tier up to `small_words`, on the strongest from `large_words`, else in the middle.

    A word is about 1.3 tokens of English; two Chinese or Japanese characters count as one.
    """
    if not 0 <= small_words < large_words:
        raise ConfigError(
            f"small_words is {small_words}, large_words is {large_words}: both must be 0 or more, the first the smaller"
        )
    return BySize(small_words, large_words)
