"""Goes through a JSON schema from its root to all that an answer can reach; refuses what short names could break."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tuppence.errors import ConfigError

Schema = Mapping[str, Any]

_STRUCTURE = frozenset("type properties required additionalProperties items prefixItems enum const $ref".split())
CHOICES = ("anyOf", "oneOf", "allOf")
DEFINITIONS = ("$defs", "definitions")
_BOUNDS = frozenset(
    """format pattern minLength maxLength minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minItems maxItems
    uniqueItems minProperties maxProperties""".split()
)
_WORDS = frozenset(
    """title description default examples discriminator deprecated readOnly writeOnly $comment $schema $defs
    definitions""".split()
)
_KNOWN = _STRUCTURE | _BOUNDS | _WORDS | frozenset(CHOICES)
_SHAPES = ("type", "properties", "items", "prefixItems", "enum", "const", "$ref", *CHOICES)


def checked(root: Schema) -> None:
    """Raise `ConfigError` unless every key of every answer is declared by the schema."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    try:
        validator_for(root, default=Draft202012Validator).check_schema(dict(root))
    except SchemaError as error:
        raise ConfigError(f"not a JSON schema: {error.message} at {error.json_path}: correct the schema") from error
    for node, _ in reached(root):
        fault = _fault(node)
        if fault:
            raise ConfigError(f"the schema cannot be written in short names: {fault}; leave it as it is")


def reached(root: Schema) -> Iterator[tuple[Schema, bool]]:
    """Yield every part of the schema that an answer can reach, and whether it is the only one that can hold there.

    A part that is reached in both ways is yielded twice. Raises `ConfigError` for references that lead nowhere.
    """
    seen: set[tuple[int, bool]] = set()
    waiting: list[tuple[Any, bool]] = [(root, True)]
    while waiting:
        node, sure = waiting.pop()
        if (id(node), sure) in seen:
            continue
        seen.add((id(node), sure))
        if not isinstance(node, Mapping):
            raise ConfigError(f"the schema cannot be written in short names: a part of it is {node!r}")
        yield node, sure
        waiting += [(below, sure) for below in reversed(_below(root, node))]
        for name in CHOICES:
            branches = alternatives(node, name)
            waiting += [(branch, sure and len(branches) == 1) for branch in reversed(branches)]


def alternatives(node: Schema, name: str) -> list[Any]:
    """List the branches of a choice, without that for null."""
    return [branch for branch in node.get(name, ()) if branch != {"type": "null"}]


def resolved(root: Schema, node: Schema) -> Schema:
    """Follow references, and choices of one branch, to the part that says what stands here; {} for real choices."""
    passed: set[int] = set()
    while id(node) not in passed:
        passed.add(id(node))
        if "$ref" in node:
            node = _target(root, node["$ref"])
            continue
        branches = [branch for name in CHOICES for branch in alternatives(node, name)]
        if not branches:
            return node
        if len(branches) > 1:
            return {}
        node = branches[0]
    return {}


def _below(root: Schema, node: Schema) -> list[Any]:
    below = [*node.get("properties", {}).values(), *node.get("prefixItems", ())]
    below += [node["items"]] if "items" in node else []
    if "$ref" in node:
        target, passed = node, list[int]()
        while "$ref" in target:
            if id(target) in passed:
                raise ConfigError(f"the schema's reference {node['$ref']!r} leads back to itself: correct the schema")
            passed.append(id(target))
            target = _target(root, target["$ref"])
        below.append(target)
    return below


def _target(root: Schema, reference: str) -> Schema:
    if reference == "#":
        return root
    place, _, name = reference.removeprefix("#/").partition("/")
    found = root.get(place, {}).get(name) if place in DEFINITIONS else None
    if not isinstance(found, Mapping):
        raise ConfigError(f"the schema refers to {reference!r}: only '#/$defs/NAME' can be followed; put it there")
    return found


def _fault(node: Schema) -> str:
    """Say why names matter in this part of the schema, or nothing."""
    unknown = sorted(node.keys() - _KNOWN)
    if unknown:
        return f"{unknown[0]!r} may depend on names"
    if node.get("additionalProperties", False) is not False:
        return "additionalProperties allows keys that are not declared"
    if len(node.get("allOf", ())) > 1:
        return "'allOf' joins several schemas"
    if set(node.get("required", ())) - node.get("properties", {}).keys():
        return "'required' names a key that is not declared"
    if len([name for name in ("properties", "$ref", "enum", *CHOICES) if name in node]) > 1:
        return "properties, references, enums and choices stand beside each other"
    if not any(name in node for name in _SHAPES):
        return "a part without a type allows keys that are not declared"
    kinds = node.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if "object" in kinds and "properties" not in node:
        return "an object without properties allows any key"
    if "array" in kinds and "items" not in node and "prefixItems" not in node:
        return "an array without items allows any key in them"
    if any(isinstance(value, dict | list) for value in (*node.get("enum", ()), node.get("const"))):
        return "an enum or const holds objects"
    return ""
