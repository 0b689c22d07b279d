"""Say in a person's words what pydantic found: which value, what is wrong, what would be right. Never shows a traceback
of the machinery, nor its links.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from tuppence.config.source import Fault, Loc


def faults_of(error: ValidationError, root: type[BaseModel]) -> list[Fault]:
    """Turn everything that pydantic found into faults at their places."""
    return [_fault(found, root) for found in error.errors(include_url=False)]


def path(loc: Loc) -> str:
    """Spell a place as people write it: `tiers[1].price.input`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".") or "the file"


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Name the known word that was probably meant, or nothing."""
    close = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}? " if close else ""


def shown(value: Any) -> str:
    """Show a value briefly."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fault(found: Mapping[str, Any], root: type[BaseModel]) -> Fault:
    loc: Loc = found["loc"]
    kind = found["type"]
    if kind == "extra_forbidden":
        return Fault(loc, _unknown_key(loc, root), at_key=True)
    if kind == "missing":
        return Fault(loc, f"{path(loc)} is missing: add it")
    value = found["input"]
    if kind == "literal_error":
        words = [w.strip("' ") for w in found["ctx"]["expected"].replace(" or ", ", ").split(",")]
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        return Fault(loc, f"{path(loc)} is {shown(value)}: {hint}it is one of {', '.join(words)}")
    if kind == "value_error":
        return Fault(loc, f"{path(loc)} is {shown(value)}: {found['ctx']['error']}")
    if kind == "string_pattern_mismatch":
        return Fault(loc, f"{path(loc)} is {shown(value)}: {_form(found['ctx']['pattern'])}")
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return Fault(loc, f"{path(loc)} is {shown(value)}: give a mapping (keys and values)")
    said = found["msg"][0].lower() + found["msg"][1:]
    return Fault(loc, f"{path(loc)} is {shown(value)}: {said.replace('input should', 'it should')}")


def _unknown_key(loc: Loc, root: type[BaseModel]) -> str:
    known = list(_keys(root, loc[:-1]))
    where = f" in {path(loc[:-1])}" if len(loc) > 1 else ""
    return f"unknown key {str(loc[-1])!r}{where}: {did_you_mean(str(loc[-1]), known)}it can be {', '.join(known)}"


def _form(pattern: str) -> str:
    if pattern.startswith("^https?"):
        return "give an address that starts with http:// or https://"
    if ":" in pattern:
        return "give a Python object as 'module:name', such as 'my_app.routing:choose'"
    return "give the name of an environment variable, never the key itself"


def _keys(root: type[BaseModel], loc: Loc) -> Iterator[str]:
    """List the keys that the model at `loc` knows."""
    model = root
    for part in loc:
        if isinstance(part, int):
            continue
        found = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
        inner = None if found is None else _model_in(found.annotation)
        model = inner or model
    return (field.alias or name for name, field in model.model_fields.items())


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Find the model inside `list[Model]`, `Model | None` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
