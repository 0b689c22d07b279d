"""What turns a text into a vector: one protocol, so that a local model, a provider and a framework's own class serve
alike.

Whoever embeds says which model did it: vectors of two models are never compared, and never share a cache entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Vector: TypeAlias = "npt.NDArray[np.float32]"
"""One text's embedding: shape (dimensions,), length 1."""
Vectors: TypeAlias = "npt.NDArray[np.float32]"
"""Embeddings of several texts: shape (texts, dimensions), each row of length 1."""


class Embedder(Protocol):
    """A model that embeds texts; raises what it raises."""

    @property
    def name(self) -> str:
        """Model and version, as in `all-MiniLM-L6-v2-int8`: part of every key that a vector is found by."""
        ...

    def embed(self, texts: Sequence[str], /) -> Vectors:
        """Embed `texts` in one go; no texts give shape (0, dimensions)."""
        ...

    async def aembed(self, texts: Sequence[str], /) -> Vectors: ...


def unit(vectors: Sequence[Sequence[float]], dimensions: int = 0) -> Vectors:
    """Return `vectors` as rows of length 1; a row of zeros stays one. No vectors give shape (0, dimensions)."""
    import numpy as np

    if not vectors:
        return np.empty((0, dimensions), np.float32)
    rows: Vectors = np.asarray(vectors, np.float32)
    lengths: Vectors = np.linalg.norm(rows, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    return rows / lengths
