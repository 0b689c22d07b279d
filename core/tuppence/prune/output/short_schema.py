"""JSON answers with short names: a schema whose long property names and enum values are replaced by short ones, and the
way back. A model writes the short names, the program reads the long ones.

Only for schemas in which every key is declared: where a name could also be data, such as free keys, patterns for names
or conditions on them, it is refused. What comes back is validated against the schema as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuppence.errors import ConfigError
from tuppence.prune.audit import TokenCounter, counter_for
from tuppence.prune.output.aliases import Aliases, aliases_for
from tuppence.prune.output.errors import AnswerError
from tuppence.prune.output.saving import OutputSaving
from tuppence.prune.output.schema_walk import CHOICES, DEFINITIONS, Schema, checked, reached, resolved
from tuppence.signals import read_json

_LEFT_OUT = ("default", "examples", "discriminator", "title", *DEFINITIONS)
"""Written in the long names, or no more than them, and nothing is validated by them; definitions stand at the root."""


@dataclass(frozen=True, slots=True)
class ShortSchema:
    """A JSON schema in short names."""

    original: Schema
    schema: Schema
    """To ask with: names explained in the descriptions."""
    aliases: Aliases

    def read(self, text: str) -> Any:
        """Read an answer as a model wrote it and expand it; raises `AnswerError`."""
        try:
            value = read_json(text)
        except ValueError as error:
            raise AnswerError(f"the answer is not JSON ({error}): ask for one JSON value and nothing else") from error
        return self.expand(value)

    def expand(self, value: Any) -> Any:
        """Write an answer in its long names and hold it to the original schema; raises `AnswerError`."""
        try:
            expanded = self._expanded(value, self.original)
            fault = _fault(self.original, expanded)
        except RecursionError as error:
            raise AnswerError("the answer is nested too deeply to be read: ask for a flatter one") from error
        if fault is not None:
            raise AnswerError(f"the answer does not match its schema: {fault}")
        return expanded

    def shorten(self, value: Any) -> Any:
        """Write a value of the original schema in short names, for examples in a prompt; `expand` undoes it."""
        return self._shortened(value, self.original)

    def saving(self, value: Any, *, counter: TokenCounter | None = None) -> OutputSaving:
        """Count the saving on an answer in long names; prompt tokens are those of both schemas, as compact JSON."""
        count = counter or counter_for()
        texts = (value, self.shorten(value), self.original, self.schema)
        before, after, schema_before, schema_after = (count(_compact(text)) for text in texts)
        return OutputSaving(before, after, schema_before, schema_after)

    def _expanded(self, value: Any, node: Schema) -> Any:
        node = resolved(self.original, node)
        if isinstance(value, dict):
            unknown = sorted(value.keys() - self.aliases.shown)
            if unknown:
                raise AnswerError(f"the answer has keys that its schema does not name: {unknown[:5]}")
            back = self.aliases.long_keys
            return {
                back.get(key, key): self._expanded(one, self._below(node, back.get(key, key)))
                for key, one in value.items()
            }  # fmt: skip
        if isinstance(value, list):
            return [self._expanded(one, self._at(node, place)) for place, one in enumerate(value)]
        return self.aliases.long_value(node, value) if isinstance(value, str) else value

    def _shortened(self, value: Any, node: Schema) -> Any:
        node = resolved(self.original, node)
        if isinstance(value, Mapping):
            short = self.aliases.short_keys
            return {short.get(key, key): self._shortened(one, self._below(node, key)) for key, one in value.items()}
        if isinstance(value, list):
            return [self._shortened(one, self._at(node, place)) for place, one in enumerate(value)]
        return self.aliases.short_value(node, value) if isinstance(value, str) else value

    @staticmethod
    def _below(node: Schema, name: str) -> Schema:
        below: Schema = node.get("properties", {}).get(name, {})
        return below

    @staticmethod
    def _at(node: Schema, place: int) -> Schema:
        prefix = node.get("prefixItems", ())
        found: Schema = prefix[place] if place < len(prefix) else node.get("items", {})
        return found


def short_schema(schema: Schema, *, counter: TokenCounter | None = None) -> ShortSchema:
    """Return `schema` in short names where these are fewer tokens by `counter`.

    Objects that say nothing of further keys are closed, as structured output wants them. Raises `ConfigError` for a
    schema in which names matter, that is not one, or that refers outside itself.
    """
    try:
        original = json.loads(json.dumps(schema))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"not a JSON schema ({error}): give a mapping, such as Model.model_json_schema()") from error
    checked(original)
    aliases = aliases_for(original, counter or counter_for())
    short = _short(original, aliases)
    if "title" in original:
        # Frameworks call the function after it.
        short["title"] = original["title"]
    used = {id(node) for node, _ in reached(original)}
    for place in DEFINITIONS:
        if place in original:
            short[place] = {
                name: _short(node, aliases) for name, node in original[place].items() if id(node) in used
            }  # fmt: skip
    return ShortSchema(original, short, aliases)


def _short(node: Schema, aliases: Aliases) -> dict[str, Any]:
    """Write one part of the schema in short names; what they mean stands in its description."""
    out: dict[str, Any] = {name: value for name, value in node.items() if name not in _LEFT_OUT}
    keys, values = aliases.short_keys, aliases.values_at(node)
    meanings = {keys[name]: name for name in node.get("properties", ()) if name in keys}
    meanings |= {short: value for value, short in values.items()}
    if meanings:
        told = ", ".join(f"{short} = {long}" for short, long in meanings.items())
        out["description"] = "; ".join(filter(None, [node.get("description", ""), told]))
    if "enum" in node:
        out["enum"] = [values.get(value, value) if isinstance(value, str) else value for value in node["enum"]]
    if "properties" in node:
        out["properties"] = {keys.get(name, name): _short(below, aliases) for name, below in node["properties"].items()}
        out["additionalProperties"] = False
    if "required" in node:
        out["required"] = [keys.get(name, name) for name in node["required"]]
    for name in (*CHOICES, "prefixItems"):
        if name in node:
            out[name] = [_short(below, aliases) for below in node[name]]
    if "items" in node:
        out["items"] = _short(node["items"], aliases)
    return out


def _fault(schema: Schema, value: Any) -> str | None:
    from jsonschema.exceptions import best_match
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry

    # A registry of our own: the default one fetches unknown references over the network.
    validator = validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())
    worst = best_match(validator.iter_errors(value))
    return None if worst is None else f"{worst.message[:200]} (at {worst.json_path})"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
