"""Python objects that a file names as `module:name`. Imports the module and nothing more."""

from __future__ import annotations

import importlib
from functools import reduce
from typing import Any

from tuppence.config.faults import did_you_mean, path
from tuppence.config.source import Fault, Loc


def imported(reference: str, loc: Loc) -> Any:
    """Import what `reference` names; a `Fault` where it is not there or cannot be called."""
    module_name, _, name = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001 - a user's module may raise anything while it is imported
        return Fault(
            loc,
            f"{path(loc)} is {reference!r}: {module_name} cannot be imported ({type(error).__name__}: {error}): "
            "name a module that this program can import",
        )
    try:
        found: Any = reduce(getattr, name.split("."), module)
    except AttributeError:
        hint = did_you_mean(name, [n for n in vars(module) if not n.startswith("_")])
        return Fault(
            loc, f"{path(loc)} is {reference!r}: {module_name} has no {name!r}: {hint or 'correct the name'}".rstrip()
        )
    if not callable(found):
        return Fault(
            loc, f"{path(loc)} is {reference!r}, which is no function but {type(found).__name__}: name a function"
        )
    return found
