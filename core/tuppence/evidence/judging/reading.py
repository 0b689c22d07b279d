"""Read a judge's verdict. A verdict that could be read in two ways is none: no score is better than a guessed one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tuppence.evidence.judging.judgements import TOP_GRADE
from tuppence.signals import read_json

PLACES = ("first", "second", "tie")

# Models that think aloud may draft a verdict and then change it.
_THOUGHT = re.compile(r".*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_GRADE = re.compile(rf"\s*([1-{TOP_GRADE}])(?:\.0+)?(?:\s*/\s*{TOP_GRADE}|\s+(?:out\s+)?of\s+{TOP_GRADE})?\s*")
# Nobody's verdict is longer; what follows could only be an answer quoted.
_READ_CHARS = 20_000
# Enough for a verdict among words and code; looking behind each of thousands of brackets would take seconds.
_TRIES = 50


class Unreadable(ValueError):
    """A judge's reply without a clean verdict; the message says what was wrong with it."""


def read_grades(text: str) -> tuple[int, int, str]:
    """Return the grades of accuracy and fluency and the reason; raises `Unreadable`."""
    told = _object(text, "accuracy", "fluency")
    return _grade(told, "accuracy"), _grade(told, "fluency"), _reason(told)


def read_comparison(text: str) -> tuple[str, str]:
    """Return `first`, `second` or `tie`, and the reason; raises `Unreadable`."""
    told = _object(text, "better")
    place = str(told["better"]).strip().casefold().removesuffix(" answer")
    if place not in PLACES:
        raise Unreadable(f"better is {told['better']!r}, none of {PLACES}")
    return place, _reason(told)


def _object(text: str, *names: str) -> Mapping[str, Any]:
    """Find the one JSON object that has these keys, alone or among words; equal repetitions count once."""
    text = _THOUGHT.sub("", text, count=1)[:_READ_CHARS]
    found: list[Mapping[str, Any]] = []
    for value in _values(text):
        if isinstance(value, Mapping):
            lowered = {str(key).strip().casefold(): item for key, item in value.items()}
            if all(name in lowered for name in names):
                found.append(lowered)
    verdicts = {json.dumps([one[name] for name in names], sort_keys=True) for one in found}
    if len(verdicts) != 1:
        raise Unreadable(f"{len(verdicts)} different verdicts in the reply, looking for {', '.join(names)}")
    return found[0]


def _values(text: str) -> list[Any]:
    try:
        return [read_json(text)]
    except ValueError:
        pass
    values: list[Any] = []
    decoder, at = json.JSONDecoder(), text.find("{")
    for _ in range(_TRIES):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
            values.append(value)
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)
    return values


def _grade(told: Mapping[str, Any], name: str) -> int:
    value = told[name]
    spelt = _GRADE.fullmatch(str(value)) if isinstance(value, int | float | str) else None
    if spelt is None or isinstance(value, bool):
        raise Unreadable(f"{name} is {value!r}, no whole number from 1 to {TOP_GRADE}")
    return int(spelt[1])


def _reason(told: Mapping[str, Any]) -> str:
    return str(told.get("reason", ""))[:500]
