"""Read YAML as plain data and remember where each value stands. Never makes an object of a tag, never lets a later key
silently replace an earlier one.

Scalars are read as YAML 1.2 does: `off`, `yes` and `2026-11-01` are text, and a number with a point is a `Decimal`, so
that 0.15 dollars stay 0.15.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from tuppence.errors import ConfigError

Loc = tuple[str | int, ...]
"""Where a value is in the data: keys and positions, outermost first."""

# Far more than a policy needs; a file that passes them was not written by hand, or refers to itself.
_MAX_VALUES = 20_000
_MAX_DEPTH = 60
_PLAIN_KINDS = ("map", "seq", "str", "null", "bool", "int", "float")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at one place of a file."""

    loc: Loc
    message: str
    at_key: bool = False
    """The key itself is meant, not its value."""


@dataclass(slots=True)
class Source:
    """A file's data and where each part of it stands."""

    name: str
    data: Any = None
    faults: list[Fault] = field(default_factory=list)
    """What was wrong with the YAML itself, such as a key that stands twice."""
    _keys: dict[Loc, yaml.Mark] = field(default_factory=dict)
    _values: dict[Loc, yaml.Mark] = field(default_factory=dict)

    def place(self, loc: Loc, *, at_key: bool = False) -> tuple[int, int]:
        """Return line and column, from 1, of the innermost part of `loc` that the file has."""
        known: Loc = ()
        for part in loc:
            if (*known, part) in self._values:
                known = (*known, part)
        mark = self._keys.get(known) if at_key and known == loc else None
        mark = mark or self._values.get(known)
        return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)

    def error(self, faults: Iterable[Fault]) -> ConfigError:
        """Put all that is wrong into one error, a line for each, in the order of the file."""
        found = sorted({(self.place(fault.loc, at_key=fault.at_key), fault.message) for fault in faults})
        lines = [f"{self.name}:{line}:{column}: {message}" for (line, column), message in found]
        if len(lines) == 1:
            return ConfigError(lines[0])
        return ConfigError("\n".join([f"{self.name} has {len(lines)} errors:", *lines]))

    # -- from YAML's nodes to data

    def take(self, node: yaml.Node, loc: Loc) -> Any:
        self._values[loc] = node.start_mark
        if len(self._values) > _MAX_VALUES or len(loc) > _MAX_DEPTH:
            raise ConfigError(
                f"{self.name}:{node.start_mark.line + 1}: more than {_MAX_VALUES} values, or {_MAX_DEPTH} levels deep: "
                "does an alias contain itself?"
            )
        if node.tag.rpartition(":")[2] not in _PLAIN_KINDS or not node.tag.startswith("tag:yaml.org,2002:"):
            self.faults.append(Fault(loc, f"tag {node.tag!r} has no meaning here: write plain values"))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self.take(item, (*loc, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, loc)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                for part in _merged_nodes(value):
                    merged = {**self.take(part, loc), **merged}
                continue
            if not isinstance(key, yaml.ScalarNode):
                self.faults.append(
                    Fault(loc, f"line {key.start_mark.line + 1} has a list or mapping as a key: use text")
                )
                continue
            name = str(key.value)
            if name in own:
                first = self._keys[(*loc, name)].line + 1
                said = f"{name!r} stands twice (first in line {first}): keep one"
                self.faults.append(Fault((*loc, name), said, at_key=True))
            self._keys[(*loc, name)] = key.start_mark
            own[name] = self.take(value, (*loc, name))
        self._values[loc] = node.start_mark
        return {**merged, **own}

    def _scalar(self, node: yaml.Node, loc: Loc) -> Any:
        kind, text = node.tag.rpartition(":")[2], str(node.value)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        try:
            return int(text) if kind == "int" else Decimal(text) if kind == "float" else text
        except (ValueError, ArithmeticError):
            # Only an explicit tag can claim what the text is not.
            self.faults.append(Fault(loc, f"{text!r} is tagged as a number and is none: leave the tag out"))
            return text


def read(path: Path, name: str) -> Source:
    """Read the file at `path`; raise `ConfigError` where it cannot be read or is not YAML."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{name} cannot be read ({error.strerror or error}): name an existing YAML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error
    source = Source(name)
    try:
        node = yaml.compose(text, Loader=_Plain)
        source.data = None if node is None else source.take(node, ())
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_malformed(name, error)) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{name} is not YAML: {' '.join(str(error).split())}") from error
    return source


def _malformed(name: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = name if mark is None else f"{name}:{mark.line + 1}:{mark.column + 1}"
    fix = "indent with spaces, never tabs" if "\\t" in (error.problem or "") else "check indentation, colons and quotes"
    said = ", ".join(part for part in (error.context, error.problem) if part)
    return f"{place}: not YAML ({said}): {fix}"


def _merged_nodes(value: yaml.Node) -> Iterator[yaml.Node]:
    if not isinstance(value, yaml.SequenceNode):
        yield value
        return
    # YAML's merge type: the first of a list wins, and `_mapping` lets what it has win.
    yield from value.value


class _Plain(yaml.SafeLoader):
    """A composer with the scalars of YAML 1.2's core schema, and nothing that constructs."""

    # YAML 1.1, PyYAML's own, reads `mode: off` as false and `12:30` as 750.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own attribute


_Plain.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Plain.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Plain.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]{1,30}$"), list("-+0123456789"))
_Plain.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]{1,30}|[0-9]{1,30}(?:\.[0-9]{0,30})?)(?:[eE][-+]?[0-9]{1,2})?$"),
    list("-+.0123456789"),
)
_Plain.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])
