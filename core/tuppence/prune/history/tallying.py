"""Token counts that are made once for as long as the same texts keep coming; digests and numbers, never a text."""

from __future__ import annotations

import hashlib

from tuppence.prune.audit import TokenCounter

# A megabyte of digests and numbers.
_MOST_KNOWN = 8192


def digest_of(text: str) -> str:
    """Return 32 hex digits that stand for a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def tallied(count: TokenCounter) -> TokenCounter:
    """Return a counter that remembers what it counted: a history's texts come again with every call."""
    known: dict[str, int] = {}

    def counted(text: str) -> int:
        key = digest_of(text)
        found = known.get(key)
        if found is None:
            if len(known) >= _MOST_KNOWN:
                known.clear()
            found = known[key] = count(text)
        return found

    return counted
