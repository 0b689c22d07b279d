"""Fill a JSON schema with what a sentence offers: its numbers, quotations and names, in the order they stand.

The value always meets the schema's types, enums, required keys and bounds; what the sentence lacks is made up
by rule. It must never read anything but the schema and the sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

# Straight or typographic quotation marks, not an apostrophe inside a word.
_QUOTED = re.compile(r"(?<!\w)['\"“‘「]([^'\"”’」]+)['\"”’」](?!\w)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NAME = re.compile(r"[A-Z][\w'-]*(?:,? [A-Z][\w'-]*)*")

_BY_FORMAT = {
    "date": "2024-01-01",
    "time": "12:00:00Z",
    "date-time": "2024-01-01T12:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

_DEEPEST = 4
"""Levels at which a schema that contains itself is cut off by empty or null values."""


class Evidence:
    """What a sentence offers, each thing used once."""

    __slots__ = ("names", "numbers", "quoted", "sentence")

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        self.quoted = _QUOTED.findall(sentence)
        bare = _QUOTED.sub(" ", sentence)
        self.numbers = [float(number) for number in _NUMBER.findall(bare)]
        self.names = [found.group() for found in _NAME.finditer(bare) if not _starts_sentence(bare, found.start())]

    def number(self) -> float | None:
        return self.numbers.pop(0) if self.numbers else None

    def words(self) -> str | None:
        """Give the next quotation, else the next name."""
        for found in (self.quoted, self.names):
            if found:
                return found.pop(0)
        return None


def _starts_sentence(text: str, at: int) -> bool:
    before = text[:at].rstrip()
    return not before or before[-1] in ".!?:"


def filled(schema: Mapping[str, Any], evidence: Evidence, *, name: str = "value") -> Any:
    """Fill `schema` (with its `$defs`) from `evidence`; `name` names the whole where words are made up."""
    return _Filler(schema, evidence).fill(schema, name, 0)


class _Filler:
    def __init__(self, root: Mapping[str, Any], evidence: Evidence) -> None:
        self._root = root
        self._evidence = evidence

    def fill(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._chosen(schema["enum"])
        kind = schema.get("type") or ("object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("integer", "number"):
            return self._number(schema, whole=kind == "integer")
        if kind == "boolean":
            return True
        return None if kind == "null" else self._string(schema, name)

    def _resolved(self, schema: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
        """Follow references, merge `allOf`, take a union's first branch that is not null (null when deep)."""
        while True:
            if "$ref" in schema:
                schema = self._referred(schema["$ref"])
            elif "allOf" in schema:
                parts = [self._resolved(part, depth) for part in schema["allOf"]]
                schema = _merged([{key: schema[key] for key in schema if key != "allOf"}, *parts])
            elif branches := schema.get("anyOf") or schema.get("oneOf"):
                nulls = [one for one in branches if one.get("type") == "null"]
                others = [one for one in branches if one.get("type") != "null"]
                schema = (nulls + others if depth >= _DEEPEST else others + nulls)[0]
            else:
                return schema

    def _referred(self, reference: str) -> Mapping[str, Any]:
        target: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            target = target[step] if step else target
        found: Mapping[str, Any] = target
        return found

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = schema.get("required") or ()
        said = self._evidence.sentence.lower()
        wanted = [key for key in properties if key in required or (depth < _DEEPEST and key.lower() in said)]
        return {key: self.fill(properties[key], key, depth + 1) for key in wanted}

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        count = least if depth >= _DEEPEST else min(max(1, least), schema.get("maxItems", max(1, least)))
        parts = schema.get("prefixItems") or [schema.get("items") or {"type": "string"}] * count
        return [self.fill(part, name, depth + 1) for part in parts]

    def _chosen(self, values: list[Any]) -> Any:
        said = self._evidence.sentence.lower()
        return next((value for value in values if str(value).lower() in said), values[0])

    def _number(self, schema: Mapping[str, Any], *, whole: bool) -> int | float:
        step = 1 if whole else 0.5
        low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf) + step)
        high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf) - step)
        found = self._evidence.number()
        value = min(max(1.0 if found is None else found, low), high)
        if multiple := schema.get("multipleOf"):
            value = math.ceil(value / multiple) * multiple
        return int(value) if whole or value == int(value) else value

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        if (known := schema.get("format")) in _BY_FORMAT:
            return _BY_FORMAT[known]
        text = self._evidence.words() or f"{name} of: {self._evidence.sentence}"
        text = text.ljust(schema.get("minLength", 0), ".")
        return text[: schema.get("maxLength", len(text))]


def _merged(schemas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Join the parts of an `allOf`: properties and required keys add up, of the rest the last wins."""
    out: dict[str, Any] = {}
    for schema in schemas:
        out |= schema
    if properties := [schema["properties"] for schema in schemas if "properties" in schema]:
        out["properties"] = {key: value for part in properties for key, value in part.items()}
    if required := [key for schema in schemas for key in schema.get("required") or ()]:
        out["required"] = required
    return out
