"""What a tag is called outside this process: a digest, so that any text will do and none of it is shown."""

from __future__ import annotations

import hashlib

_DIGITS = 32
"""128 bits: two tags of one store never meet."""


def hashed_tag(tag: str) -> str:
    """Return the hex digits that stand for `tag`; text that no encoding takes, such as half a pair, has some too."""
    return hashlib.sha256(tag.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
