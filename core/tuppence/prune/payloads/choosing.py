"""The spelling of a JSON value that has the fewest tokens, of those that give the value back exactly.

Which one that is depends on the payload, so they are counted, never guessed. Each is written, counted, read again and
compared; one that does not come back as it was is left out. Nothing is learned from payloads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tuppence.errors import ConfigError, RequestError
from tuppence.prune.audit import DEFAULT_MODEL, Audit, Cut, counter_for, untouched
from tuppence.prune.payloads.columns import as_columns, as_yaml_columns, from_columns, from_yaml_columns
from tuppence.prune.payloads.csv_form import as_csv, from_csv
from tuppence.prune.payloads.outline import as_outline
from tuppence.prune.payloads.outline_reading import from_outline
from tuppence.prune.payloads.values import JsonValue, compact, parsed, same
from tuppence.prune.payloads.yaml_form import as_yaml, from_yaml


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing a JSON value."""

    write: Callable[[JsonValue], str | None]
    """None where it has no way to say a value."""
    read: Callable[[str], JsonValue]
    """Raises `RequestError` for what it did not write."""


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "json": Form(json.dumps, parsed),
        "compact": Form(compact, parsed),
        "columns": Form(as_columns, from_columns),
        "csv": Form(as_csv, from_csv),
        "yaml": Form(as_yaml, from_yaml),
        "yaml columns": Form(as_yaml_columns, from_yaml_columns),
        "outline": Form(as_outline, from_outline),
    }
)
"""By encoding, the best known first: where two have as many tokens, the earlier is taken."""

ENCODINGS = tuple(FORMS)
STANDARD = ("json", "compact", "columns", "csv", "yaml", "yaml columns")
"""Those that any program and any model reads: no notation of ours."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A JSON value as text."""

    text: str
    encoding: str
    """What `decoded` reads it by."""
    tokens: int
    counts: Mapping[str, int]
    """Tokens in every encoding that can say the value, the one that `json.dumps` writes included."""
    audit: Audit


def encoded(value: JsonValue, encoding: str) -> str | None:
    """Write a value in one encoding; None where that cannot say this value exactly.

    Raises `RequestError` for what is no JSON value, and `ConfigError` for an encoding that does not exist.
    """
    return _written(parsed(compact(value)), encoding)


def decoded(text: str, encoding: str) -> JsonValue:
    """Read what was written in an encoding; raises `RequestError` where it was not."""
    return _form(encoding).read(text)


def shortest(value: JsonValue, *, model: str = DEFAULT_MODEL, encodings: Sequence[str] = STANDARD) -> Encoded:
    """Write a JSON value in as few tokens as `model` counts, never more than `json.dumps` does.

    The text is JSON, CSV or YAML; with `encodings=ENCODINGS` it may be an outline, which saves more. Raises
    `RequestError` for what is no JSON value, and `ConfigError` for an encoding that does not exist.
    """
    for name in encodings:
        _form(name)
    value = parsed(compact(value))
    texts = {"json": json.dumps(value)}
    for name in encodings:
        text = _written(value, name)
        if text is not None:
            texts[name] = text
    count = counter_for(model)
    counts = {name: count(text) for name, text in texts.items()}
    best = min(counts, key=lambda name: (counts[name], ENCODINGS.index(name)))
    audit = _audit(texts["json"], counts, best)
    return Encoded(texts[best], best, counts[best], MappingProxyType(counts), audit)


def _written(value: JsonValue, encoding: str) -> str | None:
    """Write a value, read it again, and compare."""
    form = _form(encoding)
    try:
        text = form.write(value)
        return text if text is not None and same(form.read(text), value) else None
    except (RequestError, RecursionError):
        return None


def _audit(text: str, counts: Mapping[str, int], best: str) -> Audit:
    if best == "json":
        return untouched(counts["json"], "no other encoding is shorter")
    cut = Cut("JSON", "payload", f"written as {best}, which reads back the same", counts["json"] - counts[best], text)
    return Audit(counts["json"], counts[best], (cut,))


def _form(encoding: str) -> Form:
    try:
        return FORMS[encoding]
    except KeyError:
        raise ConfigError(f"there is no encoding {encoding!r}: take one of {', '.join(ENCODINGS)}") from None
