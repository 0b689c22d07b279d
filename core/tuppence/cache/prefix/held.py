"""Which prefixes providers hold right now, as far as their answers told: what leaving one of them would cost.

Keeps digests and moments in this process, never a text, for a bounded number of prefixes. It must never mix two scopes:
what one tenant's provider holds is of no use to another.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from tuppence.cache.prefix.segments import Prompt

Scope = tuple[str, ...]


class Held:
    """Prefixes by scope, each with the moment until which its provider promised to keep it. Safe for many threads."""

    __slots__ = ("_limit", "_lock", "_scopes", "_until")

    def __init__(self, *, max_prefixes: int) -> None:
        self._limit = max_prefixes
        self._lock = threading.Lock()
        self._until: OrderedDict[tuple[Scope, str], float] = OrderedDict()
        self._scopes: dict[Scope, int] = {}

    def keep(self, scope: Scope, prefixes: Iterable[tuple[str, int]], at: float) -> None:
        """Note that the prefixes (digest, seconds) were in use `at` (Unix seconds): their lifetime begins anew."""
        with self._lock:
            for digest, seconds in prefixes:
                key = (scope, digest)
                if key not in self._until:
                    self._scopes[scope] = self._scopes.get(scope, 0) + 1
                self._until[key] = max(at + seconds, self._until.get(key, 0.0))
                self._until.move_to_end(key)
            while len(self._until) > self._limit:
                self._forget_oldest()

    def knows(self, scope: Scope) -> bool:
        """Say, in less than a microsecond, whether anything was ever held for this scope."""
        return scope in self._scopes

    def tokens(self, scope: Scope, prompt: Prompt, at: float) -> int:
        """Return how many of the prompt's tokens are held: those of the longest prefix that has not expired."""
        with self._lock:
            for segment in reversed(prompt.segments):
                if self._until.get((scope, segment.digest), 0.0) > at:
                    return segment.upto_tokens
        return 0

    def _forget_oldest(self) -> None:
        (scope, _), _ = self._until.popitem(last=False)
        self._scopes[scope] -= 1
        if not self._scopes[scope]:
            del self._scopes[scope]
