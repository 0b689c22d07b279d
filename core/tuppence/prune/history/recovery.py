"""Getting back what was cleared: the texts by their ids, in this process, for as long as there is room.

Texts are found within their tenant's scope alone. A restart forgets them; they come back with the next call of their
conversation, whose messages still hold them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from tuppence.errors import ConfigError
from tuppence.prune.history.stubs import id_of

TOOL_NAME = "recover_tool_output"
RECOVER_TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": TOOL_NAME,
        "description": "Returns the whole text of an earlier tool output that was cleared, by the id in its stub.",
        "parameters": {
            "type": "object",
            "properties": {"id": {"type": "string", "description": "The 8 hex digits after 'cleared'."}},
            "required": ["id"],
            "additionalProperties": False,
        },
    },
}
"""The tool as it is offered to a model, in OpenAI's form."""


class Recovery:
    """The texts cleared last. Safe for many threads."""

    __slots__ = ("_chars", "_limit", "_lock", "_texts")

    def __init__(self, *, max_chars: int = 50_000_000) -> None:
        if max_chars < 1:
            raise ConfigError(f"max_chars is {max_chars}: it must be at least 1")
        self._limit = max_chars
        self._lock = threading.Lock()
        self._chars = 0
        self._texts: OrderedDict[tuple[str, str], str] = OrderedDict()

    def __reduce__(self) -> tuple[Callable[..., Recovery], tuple[int]]:
        """Travel empty: a conversation brings its texts along to whatever process has its next call."""
        return _emptied, (self._limit,)

    def __len__(self) -> int:
        return len(self._texts)

    def put(self, text: str, *, scope: str = "") -> str:
        """Keep a text and return its id; the texts unused for longest go where there is no room."""
        key = scope, id_of(text)
        with self._lock:
            if key not in self._texts:
                self._texts[key] = text
                self._chars += len(text)
            self._texts.move_to_end(key)
            while self._chars > self._limit:
                _, gone = self._texts.popitem(last=False)
                self._chars -= len(gone)
        return key[1]

    def text(self, id: str, *, scope: str = "") -> str | None:  # noqa: A002 (the tool's own word)
        """Return a text that was cleared; None where it is not held."""
        with self._lock:
            key = scope, id.strip()
            if key in self._texts:
                self._texts.move_to_end(key)
            return self._texts.get(key)

    def answer(self, id: str, *, scope: str = "") -> str:  # noqa: A002 (the tool's own word)
        """Return what the tool answers a model: the text, or a sentence saying that there is none."""
        found = self.text(id, scope=scope)
        return f"No cleared tool output has the id {id!r}. Call the tool again." if found is None else found


def _emptied(max_chars: int) -> Recovery:
    return Recovery(max_chars=max_chars)
