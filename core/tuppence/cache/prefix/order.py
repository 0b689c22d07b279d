"""One order for a call's tools, so that equal sets of tools are sent as equal bytes.

Providers render tools in front of everything else: the same tools in another order are another prompt to their caches.
Nothing is taken out, added or reworded here, and where the caller has set a cache point on a tool nothing is moved.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# A megabyte or two of definitions: more than one application has.
_MAX_TOOLS = 1024
_OWN_MARK = "cache_control"


class ToolOrder:
    """Put tools in the order of their names, each in the wording in which it came first. Safe for many threads.

    Sorting needs no memory, so that every process and machine sends the same. The keys inside a tool are another
    matter: a model fills in a schema's properties in the order in which they stand, so they are never sorted. A tool
    that comes again with its keys in another order is sent as it was first seen in this process.
    """

    __slots__ = ("_digests", "_first", "_limit", "_lock")

    def __init__(self, *, max_tools: int = _MAX_TOOLS) -> None:
        self._limit = max_tools
        self._lock = threading.Lock()
        self._first: OrderedDict[bytes, str] = OrderedDict()
        self._digests: dict[str, bytes] = {}
        """Of each wording in `_first`: hashing a tool anew takes three times as long as writing it."""

    def __call__(self, tools: Sequence[Any], /) -> list[Any]:
        """Return the tools, in any provider's JSON form, in the order in which they are to be sent.

        The given objects are returned wherever their keys stand as they first did. Lists that hold anything but JSON
        objects, and lists in which a tool carries a cache point of the caller's, are returned as they are.
        """
        if not all(isinstance(tool, Mapping) for tool in tools) or any(map(_is_marked, tools)):
            return list(tools)
        named = []
        for tool in tools:
            try:
                wording = json.dumps(tool)
                first = self._first_wording(tool, wording)
            except (TypeError, ValueError):
                return list(tools)
            named.append((_name_of(tool), first, tool if first == wording else json.loads(first)))
        return [tool for *_, tool in sorted(named, key=lambda one: one[:2])]

    def _first_wording(self, tool: Mapping[str, Any], wording: str) -> str:
        digest = self._digests.get(wording) or _digest(tool)
        with self._lock:
            first = self._first.setdefault(digest, wording)
            self._digests[first] = digest
            self._first.move_to_end(digest)
            if len(self._first) > self._limit:
                _, forgotten = self._first.popitem(last=False)
                del self._digests[forgotten]
        return first


def tools_in_order(body: dict[str, Any], order: Callable[[Sequence[Any]], list[Any]] | None) -> dict[str, Any]:
    """Return the JSON of a request with its tools in order; the same object where there is nothing to do."""
    tools = body.get("tools")
    return {**body, "tools": order(tools)} if order is not None and isinstance(tools, list | tuple) and tools else body


def _digest(tool: Mapping[str, Any]) -> bytes:
    """Hash what a tool says, whatever the order of its keys."""
    return hashlib.blake2b(json.dumps(tool, sort_keys=True).encode(), digest_size=16).digest()


def _name_of(tool: Mapping[str, Any]) -> str:
    """Name a tool by what its provider calls it; one that the provider runs itself may have only a type."""
    name = _described(tool).get("name") or tool.get("type")
    return name if isinstance(name, str) else ""


def _is_marked(tool: Mapping[str, Any]) -> bool:
    return _OWN_MARK in tool or _OWN_MARK in _described(tool)


def _described(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what says what the tool is: OpenAI's chat completions keep it under `function` or `custom`."""
    inner = tool.get("function") or tool.get("custom")
    return inner if isinstance(inner, Mapping) else tool
