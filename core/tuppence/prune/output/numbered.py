"""Sources with numbers, so that an answer can point at them in place of repeating them. How they are shown, what a
model is told of it and what its answer may look like belong together, and stand here; reading answers is `pointers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tuppence.errors import RequestError
from tuppence.prune.sentences import Span, sentences

Unit = Literal["source", "sentence", "line"]

_MOST_ENUMERATED = 500
"""More values than this in one enum are refused by OpenAI's structured output, within its limit for a whole schema."""


@dataclass(frozen=True, slots=True)
class NumberedSources:
    """Texts, each numbered from 1, and the pieces in each that can be pointed at."""

    texts: tuple[str, ...]
    unit: Unit
    pieces: tuple[tuple[Span, ...], ...]
    """Of each text, by characters; the whole text where sources are not cut."""

    @property
    def rendered(self) -> str:
        """The sources with their numbers, for the prompt."""
        return "\n\n".join(self._shown(number) for number in range(1, len(self.texts) + 1))

    @property
    def instructions(self) -> str:
        """What to tell the model; the same for all sources of this kind, so that a cached prompt stays cached."""
        if self.unit == "source":
            return (
                "Do not repeat the text of the sources. Answer only with their numbers in square brackets: [3] for "
                "source 3, [1] [4] for two of them, [] if none has the answer."
            )
        return (
            f"Do not repeat the text of the sources. Answer only with the numbers of {self.unit}s in square brackets: "
            f"[2:4] for {self.unit} 4 of source 2, [2:4-6] for its {self.unit}s 4 to 6, [2:4] [5:1] for two places, "
            "[] if none has the answer."
        )

    @property
    def schema(self) -> dict[str, Any]:
        """A JSON schema for the answer: an object with a list of pointers; the numbers that exist where they are few.

        A server that decodes by the schema cannot write a number that is not in it.
        """
        names = self._names()
        item = {"enum": names} if 0 < len(names) <= _MOST_ENUMERATED else {"pattern": r"^[0-9]+(:[0-9]+(-[0-9]+)?)?$"}
        pointers = {"type": "array", "items": {"type": "string", **item}}
        return {
            "type": "object", "properties": {"pointers": pointers}, "required": ["pointers"],
            "additionalProperties": False,
        }  # fmt: skip

    def _names(self) -> list[str]:
        if self.unit == "source":
            return [str(number) for number in range(1, len(self.texts) + 1)]
        return [
            f"{number}:{place}"
            for number, spans in enumerate(self.pieces, 1)
            for place in range(1, len(spans) + 1)
        ]  # fmt: skip

    def _shown(self, number: int) -> str:
        text, spans = self.texts[number - 1], self.pieces[number - 1]
        if self.unit == "source":
            return f"[{number}] {text}"
        return "\n".join([f"[{number}]", *(f"{place}: {span.of(text)}" for place, span in enumerate(spans, 1))])


def numbered_passages(texts: Sequence[str]) -> NumberedSources:
    """Number whole texts: an answer points at `[3]`."""
    given = _several(texts)
    return NumberedSources(given, "source", tuple((Span(0, len(text)),) for text in given))


def numbered_sentences(texts: Sequence[str]) -> NumberedSources:
    """Number texts and the sentences in each: an answer points at `[2:4]` or `[2:4-6]`."""
    given = _several(texts)
    return NumberedSources(given, "sentence", tuple(tuple(sentences(text)) for text in given))


def numbered_lines(texts: Sequence[str]) -> NumberedSources:
    """Number texts and the lines in each that are not blank, for code, logs and tables."""
    given = _several(texts)
    return NumberedSources(given, "line", tuple(tuple(_lines(text)) for text in given))


def _several(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the texts; raise `RequestError` for a single one, whose letters would be numbered."""
    if isinstance(texts, str):
        raise RequestError(f"one text is given ({texts[:40]!r}): give a list of texts, such as [text]")
    return tuple(texts)


def _lines(text: str) -> list[Span]:
    found, at = [], 0
    for line in text.splitlines(keepends=True):
        if line.strip():
            found.append(Span(at, at + len(line.rstrip("\r\n"))))
        at += len(line)
    return found
