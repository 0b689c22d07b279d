"""A vector as the embedding cache keeps it: JSON around base64 of little-endian float32.

Never pickled, and never served where it cannot be read back whole.
"""

from __future__ import annotations

import base64
import json
import math
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class KeptVector:
    """A text's vector, and what the text costs when it must be embedded."""

    floats: array[float]
    tokens: int
    value: bytes
    """Both, as a store keeps them."""

    @property
    def is_finite(self) -> bool:
        """Whether it is worth keeping: a vector with a NaN in it would be served for ever."""
        return math.isfinite(sum(self.floats))


def freeze_vector(vector: Sequence[float], tokens: int) -> KeptVector:
    floats = array("f", vector)
    data = base64.b64encode(_little_endian(floats).tobytes()).decode()
    told = {"v": _FORMAT, "tokens": tokens, "f32": data}
    return KeptVector(floats, tokens, json.dumps(told, separators=(",", ":")).encode())


def thaw_vector(value: bytes) -> KeptVector | None:
    """Read what `freeze_vector` wrote; None for an entry that is torn, foreign or of another version."""
    try:
        told = json.loads(value)
        if told["v"] != _FORMAT:
            return None
        floats = array("f", base64.b64decode(told["f32"], validate=True))
        return KeptVector(_little_endian(floats), int(told["tokens"]), value) if floats else None
    except (ValueError, TypeError, KeyError):
        return None


def _little_endian(floats: array[float]) -> array[float]:
    """Swap the bytes where this machine's order is the other one."""
    if sys.byteorder == "little":
        return floats
    swapped = floats[:]
    swapped.byteswap()
    return swapped
