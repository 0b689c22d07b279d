"""The outside of a question: how long it is, what it is made of, and its words. What a learned route weighs. Knows
nothing of models or weights; a name means the same number wherever it is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from tuppence.signals.words import count_words, words

# The middle of a longer text is left out: reading stays well under a millisecond.
SAMPLE_CHARS = 4_000

_OPTION = re.compile(r"^[ \t]*\(?(?:[A-Ja-j]|\d{1,2})[.):][ \t]+(\S.*)$", re.MULTILINE)
_NUMERIC_OPTION = re.compile(r"[\W\d]*\d[\W\d]*\w{0,3}")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_NUMBER_OR_SIGN = re.compile(r"\d+|[^\w\s]")
_NOT_DIGIT = re.compile(r"\D+")
_NOT_SYMBOL = re.compile(r"[^-+*/^=<>$\\%|{}\[\]]+")
_NOT_CAPITAL = re.compile(r"[^A-Z]+")
_SENTENCE_END = re.compile(r"[.!?。！？](?:\s|$)")
_NEGATION = re.compile(
    r"\b(?:not|except|never|no|none|least|false|incorrect|without|nicht|kein\w*|nie|außer|ohne|pas|jamais|sauf|sans|"
    r"nunca|excepto|sin|non|mai|tranne|senza)\b|n't\b|不|没有|除了|ない",
    re.IGNORECASE,
)
_MANY = 3
_LARGEST = 1e9

THEMES: Mapping[str, str] = MappingProxyType(
    {
        "words": "size", "asked_words": "size", "sentences": "size", "lines": "size",
        "word_chars": "wording", "different_words": "wording", "capitals": "wording", "negations": "wording",
        "quotes": "wording", "commas": "wording", "question_marks": "wording", "blanks": "wording",
        "numbers": "numbers", "digits": "numbers", "largest_number": "numbers", "symbols": "symbols",
        "options": "options", "option_chars": "options", "option_spread": "options", "numeric_options": "options",
    }
)  # fmt: skip
"""The traits that `shape` reads, and a word for a person on what each is about."""


def shape(text: str) -> dict[str, float]:
    """Measure `text` by the traits of `THEMES`; counts are logarithmic or capped, so that no text is far out.

    `asked_words` are those before the first option of a list or a multiple choice; shares are of all characters.
    """
    sample = sampled(text)
    chars = max(1, len(sample))
    pieces = sample.split()
    found = list(_OPTION.finditer(sample))
    asked = sample[: found[0].start()] if found else sample
    numbers = [float(number) for number in _NUMBER.findall(sample)[:_MOST_NUMBERS]]
    return {
        "words": math.log1p(count_words(text)),
        "asked_words": math.log1p(count_words(asked)),
        "sentences": math.log1p(len(_SENTENCE_END.findall(asked))),
        "lines": math.log1p(sample.count("\n")),
        "word_chars": math.log(max(1.0, sum(map(len, pieces)) / max(1, len(pieces)))),
        "different_words": len(set(sample.lower().split())) / max(1, len(pieces)),
        "capitals": len(_NOT_CAPITAL.sub("", sample)) / chars,
        "negations": float(min(_MANY, len(_NEGATION.findall(asked)))),
        "quotes": math.log1p(sample.count('"') + sample.count("'")),
        "commas": sample.count(",") / max(1, len(pieces)),
        "question_marks": float(min(_MANY, asked.count("?") + asked.count("？"))),
        "blanks": float("__" in asked),
        "numbers": math.log1p(len(numbers)),
        "digits": len(_NOT_DIGIT.sub("", sample)) / chars,
        "largest_number": math.log1p(min(_LARGEST, max(numbers, default=0.0))),
        "symbols": len(_NOT_SYMBOL.sub("", sample)) / chars,
        **_options([match[1].strip() for match in found]),
    }


# Beyond this the count is far out anyway, and a pasted table would only take time.
_MOST_NUMBERS = 200


def _options(found: list[str]) -> dict[str, float]:
    lengths = [len(option) for option in found] or [0]
    mean = sum(lengths) / len(lengths)
    variance = sum((length - mean) ** 2 for length in lengths) / len(lengths)
    numeric = sum(_NUMERIC_OPTION.fullmatch(option) is not None for option in found)
    return {
        "options": math.log1p(len(found)),
        "option_chars": math.log1p(mean),
        "option_spread": math.log1p(math.sqrt(variance)),
        "numeric_options": numeric / max(1, len(found)),
    }


def terms(text: str) -> list[str]:
    """List the words of `text`, case-folded, then its whole numbers and its signs, each with repeats."""
    sample = sampled(text)
    return words(sample) + _NUMBER_OR_SIGN.findall(sample)


def sampled(text: str) -> str:
    """Return `text`, without its middle where it is longer than `SAMPLE_CHARS`."""
    half = SAMPLE_CHARS // 2
    return text if len(text) <= SAMPLE_CHARS else f"{text[:half]}\n{text[-half:]}"
