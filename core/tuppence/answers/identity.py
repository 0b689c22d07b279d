"""What a chain is, in a few hex digits that are the same in every process: by them its answers are found again.

It reads classes, plain settings, prompts, the code of functions and what they close over. In doubt two equal chains are
told apart, which costs a run; what it cannot see (a function's module, a service's own settings) is `version`'s to say.
"""

from __future__ import annotations

import hashlib
import re
import types
from collections.abc import Iterator, Mapping, Sequence, Set
from enum import Enum
from functools import cached_property, partial
from typing import Any

from pydantic import BaseModel, PydanticUserError, SecretBytes, SecretStr

from tuppence.policy import Policy

_DEPTH = 24
# What differs between two starts of one program: addresses and random ids.
_PASSING = re.compile(r"0x[0-9a-fA-F]{6,}|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
# Who listens, under which labels, and with whose key: nothing of it changes an answer. What variables a template has is
# in the template, and stands in no order beside it.
_ASIDE = frozenset(
    {
        "api_key",
        "cache",
        "callback_manager",
        "callbacks",
        "ledger_option",
        "metadata",
        "name",
        "run_name",
        "tags",
        "template_vars",
        "verbose",
    }
)


def fingerprint(chain: object, parts: tuple[type, ...]) -> str:
    """Hash a chain's configuration to 16 hex digits. `parts` are the framework's classes to look into.

    Of any other object the class and its plain settings count, not what it holds: a vector store's documents are the
    corpus version's to name, and a client holds keys.
    """
    told = "\n".join(_described(chain, parts, "", frozenset()))
    return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _described(value: object, parts: tuple[type, ...], at: str, above: frozenset[int]) -> Iterator[str]:
    """Yield a line for everything that can be told of `value`, each under its path."""
    if value is None or isinstance(value, str | bytes | int | float | Enum | re.Pattern):
        yield f"{at}={_PASSING.sub('', repr(value))}"
        return
    if isinstance(value, SecretStr | SecretBytes) or id(value) in above or len(above) > _DEPTH:
        return
    above |= {id(value)}
    inner: Iterator[tuple[object, object]]
    if isinstance(value, Mapping):
        # A run's settings hold handlers under this name; a schema may have a field of it.
        held = ((key, one) for key, one in value.items() if key != "callbacks" or isinstance(one, Mapping))
        inner = iter(sorted(held, key=lambda item: repr(item[0])))
    elif isinstance(value, Set):
        inner = enumerate(sorted(value, key=repr))
    elif isinstance(value, Sequence):
        inner = enumerate(value)
    elif (found := _code(value)) is not None:
        inner = iter(found.items())
    else:
        yield f"{at}:{_named(value if isinstance(value, type) else type(value))}"
        inner = iter(_settings(value, parts).items())
    for key, one in inner:
        yield from _described(one, parts, f"{at}.{key}", above)


def _settings(value: object, parts: tuple[type, ...]) -> dict[str, object]:
    """Return the attributes of an object that say what it does."""
    if isinstance(value, type):
        return _schema(value)
    held = {name: one for name, one in sorted(_held(value).items()) if not _is_aside(name)}
    if isinstance(value, parts):
        # Tiers are held as they were given; what was made of them is the policy's to say.
        policy = getattr(value, "policy", None)
        return {**held, "policy": policy.scope} if isinstance(policy, Policy) else held
    return {name: one for name, one in held.items() if isinstance(one, (str, bool, int, float, Enum, *parts))}


def _held(value: object) -> dict[str, Any]:
    """Return an object's attributes: those that it would be made again from, where it says so, and nothing derived."""
    kind = type(value)
    if "__getstate__" in vars(kind):
        state = kind.__getstate__(value)
        return state if isinstance(state, dict) else {}
    held: dict[str, Any] = getattr(value, "__dict__", {})
    return {name: one for name, one in held.items() if not isinstance(getattr(kind, name, None), cached_property)}


def _schema(kind: type) -> dict[str, object]:
    """Return the schema of a class that answers are parsed into; nothing for other classes."""
    if not issubclass(kind, BaseModel):
        return {}
    try:
        return {"schema": kind.model_json_schema()}
    except PydanticUserError:
        return {}


def _is_aside(name: str) -> bool:
    """Say whether an attribute changes no answer; what a client talks to stands beside it as settings, too."""
    return name.lstrip("_") in _ASIDE or name.endswith("client")


def _code(value: object) -> dict[str, Any] | None:
    """Say what a function does: its code, defaults and what it closes over; None for what is no function."""
    if isinstance(value, partial):
        return {"partial": value.func, "args": value.args, "kwargs": value.keywords}
    if isinstance(value, types.MethodType):
        return {"method": value.__func__, "of": value.__self__}
    if isinstance(value, types.BuiltinFunctionType):
        return {"builtin": value.__qualname__}
    if not isinstance(value, types.FunctionType):
        return None
    cells = [_cell(cell) for cell in value.__closure__ or ()]
    return {
        "function": _named(value), "code": _compiled(value.__code__), "defaults": value.__defaults__,
        "kwdefaults": value.__kwdefaults__, "over": cells,
    }  # fmt: skip


def _cell(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        # A name that is not bound yet.
        return None


def _compiled(code: types.CodeType) -> tuple[object, ...]:
    return code.co_code, code.co_names, [_constant(one) for one in code.co_consts]


def _constant(value: object) -> object:
    if isinstance(value, types.CodeType):
        return _compiled(value)
    # The order of a set of texts is another one in every process.
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


def _named(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"
