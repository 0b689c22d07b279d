"""Condensates by the hash of what they were made from, so that a passage is paid for once.

They are the user's texts: the store here lives in this process's memory and forgets the oldest when it is full. Whoever
wants them kept brings a store of his own.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Protocol

from tuppence.errors import ConfigError

_MAX_CHARS = 8_000_000
"""About 16,000 passages of 500 characters, 10 to 30 MB of memory."""


class Condensates(Protocol):
    """Keeps condensates by key; may be a class of async methods, where it is only used in async programs."""

    def get(self, key: str, /) -> str | Awaitable[str | None] | None: ...

    def put(self, key: str, text: str, /) -> Awaitable[None] | None: ...


class KeptCondensates:
    """Keeps the condensates used last in memory, for all threads."""

    def __init__(self, *, max_chars: int = _MAX_CHARS) -> None:
        if max_chars < 1:
            raise ConfigError(f"max_chars={max_chars!r} leaves no room: give at least 1")
        self.max_chars = max_chars
        self.chars = 0
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[..., KeptCondensates], tuple[int]]:
        """Travel empty: they are the user's texts."""
        return _emptied, (self.max_chars,)

    def get(self, key: str, /) -> str | None:
        with self._lock:
            text = self._texts.get(key)
            if text is not None:
                self._texts.move_to_end(key)
            return text

    def put(self, key: str, text: str, /) -> None:
        with self._lock:
            self.chars += len(text) - len(self._texts.pop(key, ""))
            self._texts[key] = text
            while self.chars > self.max_chars:
                self.chars -= len(self._texts.popitem(last=False)[1])


def _emptied(max_chars: int) -> KeptCondensates:
    return KeptCondensates(max_chars=max_chars)


def key_of(*parts: str) -> str:
    """Hash what a condensate hangs on to 32 hex digits (BLAKE2b, 128 bits)."""
    body = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(body.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
