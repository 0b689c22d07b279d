"""Route by words that the question holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tuppence.effects import Choice
from tuppence.errors import ConfigError
from tuppence.request import Request
from tuppence.routes.compose import Composable
from tuppence.routes.rungs import start_from
from tuppence.tiers import Tier


@dataclass(frozen=True, slots=True)
class ByKeywords(Composable):
    """Start at the strongest tier of which a keyword occurs in the last question; else nothing to say."""

    patterns: Mapping[str, re.Pattern[str]]

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice | None:
        question = request.question
        for tier in reversed(ladder):
            pattern = self.patterns.get(tier.name)
            found = pattern.search(question) if pattern is not None else None
            if found is not None:
                return start_from(ladder, tier.name, f"the question says {found.group()!r}")
        return None

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.patterns)


def by_keywords(keywords: Mapping[str, str]) -> ByKeywords:
    """Start at a tier for certain words: `by_keywords({"contract": "large", "opening hours": "small"})`.

    Whole words, whatever their case; of several that occur the strongest tier counts.
    """
    of_tier: dict[str, list[str]] = {}
    for keyword, name in keywords.items():
        if not keyword.strip():
            raise ConfigError(f"a keyword for tier {name!r} is blank ({keyword!r}): give a word or phrase")
        of_tier.setdefault(name, []).append(_whole(keyword.strip()))
    return ByKeywords({name: re.compile("|".join(found), re.IGNORECASE) for name, found in of_tier.items()})


def _whole(keyword: str) -> str:
    """Match `keyword` as a word of its own, where its script has spaces between words."""
    before = r"(?<!\w)" if _spaced(keyword[0]) else ""
    after = r"(?!\w)" if _spaced(keyword[-1]) else ""
    return before + re.escape(keyword) + after


def _spaced(character: str) -> bool:
    """False from Thai to Khmer and from kana on to the ideographs, which are written without spaces."""
    return not (
        "\u0e00" <= character <= "\u0fff" or "\u1780" <= character <= "\u17ff" or "\u3040" <= character <= "\u9fff"
    )
