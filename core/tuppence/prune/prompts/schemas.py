"""A JSON schema without what carries nothing: the same instances are valid, and no name, type, choice, bound or word of
a description is lost.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from tuppence.prune.prompts.definitions import settled
from tuppence.prune.prompts.vocabulary import NAMED, mapped

_DEFAULTS: Mapping[str, Any] = {
    "uniqueItems": False, "minItems": 0, "minLength": 0, "minProperties": 0, "deprecated": False, "readOnly": False,
    "writeOnly": False, "examples": [],
}  # fmt: skip
"""What a keyword that is left out means anyway (JSON Schema 2020-12, validation 6 and 9)."""
_SINCE_DRAFT_6 = re.compile(r"https?://json-schema\.org/(draft-0[67]|draft/20\d\d-\d\d)/schema#?")
_CHANGED_SINCE = frozenset({"prefixItems", "additionalItems", "dependencies", "$recursiveRef", "$dynamicRef"})
"""Keywords that the drafts from 6 on read differently, or that some of them lack."""
_BLANK_LINES = re.compile(r"\n{3,}")


def minified_schema(schema: Mapping[str, Any], *, name: str = "", strict: bool = False) -> dict[str, Any]:
    """Return an equal schema in fewer tokens; `name` is that of what the schema describes.

    With `strict`, what a provider's strict mode insists on stays: `required` and `additionalProperties`.
    """
    found = settled(schema)
    keep = {"required", "additionalProperties"} if strict else set()
    if '"unevaluatedProperties"' in json.dumps(found, default=repr):
        # To it, a property that `additionalProperties: true` let through counts as looked at.
        keep.add("additionalProperties")
    if _SINCE_DRAFT_6.fullmatch(str(found.get("$schema"))) and not _depends_on_draft(found):
        del found["$schema"]
    return _Minifying(keep).described(found, name)


def prose(text: str) -> str:
    """Return a description without indentation, trailing spaces and runs of blank lines; its words and lines stay."""
    lines = (line.rstrip(" \t") for line in inspect.cleandoc(text).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


class _Minifying:
    """One schema on its way."""

    def __init__(self, keep: set[str]) -> None:
        self.keep = keep

    def schema(self, schema: Any, name: str) -> Any:
        return self.described(schema, name) if isinstance(schema, Mapping) else schema

    def described(self, schema: Mapping[str, Any], name: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in schema.items():
            inner = self._inside(key, value, name)
            if key in self.keep or not _idle(key, inner, name):
                found[key] = inner
        return _without_null_defaults(found) if "properties" in found else found

    def _inside(self, key: str, value: Any, name: str) -> Any:
        if key == "description" and isinstance(value, str):
            return prose(value)
        if key in NAMED and isinstance(value, Mapping):
            return {inner: self.schema(one, inner) for inner, one in value.items()}
        return mapped({key: value}, lambda one: self.schema(one, name))[key]


def _idle(key: str, value: Any, name: str) -> bool:
    """Say whether a keyword carries nothing here."""
    if key == "title":
        return isinstance(value, str) and _letters(value) == _letters(name)
    if key == "description":
        return isinstance(value, str) and not value.strip()
    if key == "additionalProperties":
        return value is True or (isinstance(value, Mapping) and not value)
    if key == "required":
        return isinstance(value, list) and not value
    if key in _DEFAULTS:
        return type(value) is type(_DEFAULTS[key]) and bool(value == _DEFAULTS[key])
    return key == "$comment"


def _without_null_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out `default: null` of fields that may be left out: leaving them out says it."""
    properties = schema["properties"]
    if not isinstance(properties, Mapping):
        return schema
    required = schema.get("required") or ()
    shorter = {
        name: {key: value for key, value in one.items() if key != "default"}
        if isinstance(one, Mapping) and name not in required and "default" in one and one["default"] is None
        else one
        for name, one in properties.items()
    }
    return schema | {"properties": shorter}


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _depends_on_draft(schema: Any) -> bool:
    """Say whether a schema uses what the drafts do not agree on; a reference with neighbours is such a thing."""
    if isinstance(schema, Mapping):
        if _CHANGED_SINCE & schema.keys() or isinstance(schema.get("items"), list):
            return True
        if "$ref" in schema and len(schema) > 1:
            return True
        return any(map(_depends_on_draft, schema.values()))
    return isinstance(schema, list) and any(map(_depends_on_draft, schema))
