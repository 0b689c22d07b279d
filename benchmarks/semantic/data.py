"""The benchmark's data, and a vector of each of its texts: made once, by all cores, and handed to other processes."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tuppence.embed import Vector, Vectors
from tuppence.embed.minilm import MiniLM

Row = dict[str, Any]
AT_ONCE = 256
"""Texts that a thread embeds in one go; they are of about equal length, so that little is padding."""


def rows(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Embedded:
    """The local model's vectors of texts that are known beforehand, so that nothing else is timed by the embedding."""

    def __init__(self, texts: Sequence[str], vectors: Vectors) -> None:
        self.texts = texts
        self.vectors = vectors
        self._model = MiniLM()
        self.name = self._model.name
        self._place = {text: at for at, text in enumerate(texts)}

    @classmethod
    def of(cls, texts: Iterable[str]) -> Embedded:
        """Embed each distinct text once."""
        known = sorted(set(texts), key=lambda text: (len(text), text))
        model = MiniLM()
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            parts = list(threads.map(model.embed, _chunks(known)))
        return cls(known, np.concatenate([model.embed([]), *parts]))

    def save(self, folder: Path) -> None:
        """Write `texts.json` and, row by row, `vectors.npy`."""
        (folder / "texts.json").write_text(json.dumps(self.texts), encoding="utf-8")
        np.save(folder / "vectors.npy", self.vectors)

    @classmethod
    def load(cls, folder: Path) -> Embedded:
        """Read what `save` wrote; processes on one machine share the memory of the vectors."""
        texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
        return cls(texts, np.load(folder / "vectors.npy", mmap_mode="r"))

    def __getitem__(self, text: str) -> Vector:
        vector: Vector = self.vectors[self._place[text]]
        return vector

    def embed(self, texts: Sequence[str], /) -> Vectors:
        return np.stack([self[text] if text in self._place else self._model.embed([text])[0] for text in texts])

    async def aembed(self, texts: Sequence[str], /) -> Vectors:
        return self.embed(texts)


def _chunks(texts: Sequence[str]) -> Iterable[Sequence[str]]:
    return [texts[begin : begin + AT_ONCE] for begin in range(0, len(texts), AT_ONCE)]


def like(vectors: Vectors, n: int, *, noise: float = 0.35, seed: int = 0) -> Vectors:
    """Return `n` vectors of length 1: those given, and copies of them moved by a random step of length `noise`.

    A copy lies at a cosine of about .94 from its original: entries of a cache come in such families.
    """
    rng = np.random.default_rng(seed)
    made = np.empty((n, vectors.shape[1]), np.float32)
    for begin in range(0, n, len(vectors)):
        part = made[begin : begin + len(vectors)]
        part[:] = vectors[: len(part)]
        if begin:
            step = rng.standard_normal(part.shape, np.float32)
            part += step * (noise / np.linalg.norm(step, axis=1, keepdims=True))
            part /= np.linalg.norm(part, axis=1, keepdims=True)
    return made
