"""Where a JSON schema holds further schemas: what stands elsewhere (enum, const, default, examples) is data, and is
never looked into. Keywords are those of JSON Schema draft 4 to 2020-12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"})
LISTED = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
SINGLE = frozenset(
    {
        "items", "additionalItems", "unevaluatedItems", "contains", "additionalProperties", "unevaluatedProperties",
        "propertyNames", "not", "if", "then", "else", "contentSchema",
    }
)  # fmt: skip


def mapped(schema: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a schema with `change` applied to each schema directly within it."""
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in NAMED and isinstance(value, Mapping):
            found[key] = {name: change(one) for name, one in value.items()}
        elif isinstance(value, list) and (key in LISTED or key == "items"):
            found[key] = [change(one) for one in value]
        elif key in SINGLE:
            found[key] = change(value)
        else:
            found[key] = value
    return found
