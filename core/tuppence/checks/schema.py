"""Does the answer have the form that was asked for? JSON schemas and tool calls, by the `jsonschema` library, loaded
when first needed. References to other documents are never fetched: a schema must stand on its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from tuppence.attempts import Verdict
from tuppence.checks.compose import Composable
from tuppence.errors import ConfigError
from tuppence.request import Reply, Request, ToolCall
from tuppence.signals import read_json

_NO_SCHEMA = Verdict(1.0, "the request asks for no schema")
_MATCHES = Verdict(1.0, "the answer matches its schema")
_NO_CALLS = Verdict(1.0, "no tool call to validate")
_CALLS_VALID = Verdict(1.0, "the tool calls are valid")
# Enough for the schemas that one program uses, and bounded for a program that makes them as it goes.
_COMPILED_SCHEMAS = 128


class Model(Protocol):
    """A pydantic model class, or anything that validates JSON text and raises ValueError."""

    def model_validate_json(self, json_data: str, /) -> Any: ...


class Validator(Protocol):
    """What this room uses of a `jsonschema` validator."""

    def iter_errors(self, instance: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class MatchesSchema(Composable):
    """Scores 1 for an answer that is JSON and follows the schema, else 0 with the first fault."""

    schema: Mapping[str, Any] | Model | None

    def __call__(self, request: Request, reply: Reply) -> Verdict:
        schema = request.schema if self.schema is None else self.schema
        if schema is None:
            return _NO_SCHEMA
        text = reply.tool_calls[0].arguments if reply.tool_calls else reply.text
        fault = _fault_of_model(schema, text) if not isinstance(schema, Mapping) else _fault(schema, text)
        return _MATCHES if fault is None else Verdict(0.0, f"the answer does not match its schema: {fault}")


@dataclass(frozen=True, slots=True)
class ValidToolCalls(Composable):
    """Scores 1 where every tool call names a tool of the request and its arguments follow that tool's schema."""

    def __call__(self, request: Request, reply: Reply) -> Verdict:
        if not reply.tool_calls:
            wanted = _wanted_call(request)
            return _NO_CALLS if wanted is None else Verdict(0.0, f"the request wants {wanted}, and none was called")
        offered = {tool["function"]["name"]: tool["function"] for tool in request.tools if "function" in tool}
        for call in reply.tool_calls:
            fault = _fault_of_call(call, offered)
            if fault is not None:
                return Verdict(0.0, f"tool call {call.name!r}: {fault}")
        return _CALLS_VALID


def matches_schema(schema: Mapping[str, Any] | Model | None = None) -> MatchesSchema:
    """Reject answers that are not JSON of the schema: a JSON schema, a pydantic model, or None for the request's own.

    The answer is the first tool call's arguments where there is one (structured output by tool), else the whole text;
    one Markdown fence around it is allowed. Raises `ConfigError` for a schema that is not one.
    """
    if isinstance(schema, Mapping):
        _compiled(schema)
    elif schema is not None and not hasattr(schema, "model_validate_json"):
        raise ConfigError(f"matches_schema got {schema!r}: give a JSON schema (a mapping), a pydantic model or None")
    return MatchesSchema(schema)


def valid_tool_calls() -> ValidToolCalls:
    """Reject calls of unknown tools or with wrong arguments, and answers without the call that `tool_choice` wants."""
    return ValidToolCalls()


def _fault(schema: Mapping[str, Any], text: str) -> str | None:
    validator = _compiled(schema)
    try:
        value = read_json(text)
    except ValueError as error:
        return f"it is not JSON ({error})"
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    try:
        worst = best_match(validator.iter_errors(value))
    except Unresolvable as error:
        raise ConfigError(f"the schema refers to {error.ref!r}, which is not in it: put it under $defs") from error
    return None if worst is None else f"{worst.message[:200]} (at {worst.json_path})"


def _fault_of_model(model: Model, text: str) -> str | None:
    try:
        value = read_json(text)
        model.model_validate_json(json.dumps(value))
    except ValueError as error:
        return " ".join(str(error).split())[:300]
    return None


def _fault_of_call(call: ToolCall, offered: Mapping[str, Mapping[str, Any]]) -> str | None:
    tool = offered.get(call.name)
    if tool is None:
        return f"there is no such tool (the request offers {sorted(offered)})"
    # A tool without parameters is called with no text at all by some servers.
    arguments = call.arguments if call.arguments.strip() else "{}"
    return _fault({"type": "object", **(tool.get("parameters") or {})}, arguments)


def _wanted_call(request: Request) -> str | None:
    choice = request.params.get("tool_choice")
    if choice in ("required", "any"):
        return "a tool call"
    if isinstance(choice, Mapping):
        name = choice.get("name") or (choice.get("function") or {}).get("name")
        return f"a call of {name!r}" if name else ("a tool call" if choice.get("type") == "any" else None)
    return None


def _compiled(schema: Mapping[str, Any]) -> Validator:
    return _compile(json.dumps(schema, sort_keys=True, default=repr))


@lru_cache(maxsize=_COMPILED_SCHEMAS)
def _compile(schema_text: str) -> Validator:
    try:
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry
    except ImportError as error:
        raise ConfigError(
            f"schemas are checked by jsonschema, which is missing ({error}): pip install jsonschema"
        ) from error

    schema = json.loads(schema_text)
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise ConfigError(f"not a JSON schema: {error.message} at {error.json_path}: correct the schema") from error
    # A registry of our own: the default one fetches unknown references over the network.
    validator: Validator = kind(schema, registry=Registry())
    return validator
