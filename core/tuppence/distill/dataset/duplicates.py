"""Prompts that ask the same, word for word or nearly: found by MinHash over what varies in them.

What all prompts of a site share is left out of the comparison, else a long template would make everything alike.
Signatures and buckets are on disk; in memory are 8 bytes a row and the templates' pieces. MinHash is `rensa`'s: of
short questions it signs 27,000 a second on one core, datasketch 5,000.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import eq
from typing import Any

from tuppence.distill.dataset.filters import Reason
from tuppence.distill.dataset.prompts import steady
from tuppence.distill.dataset.row import Json, Row, told_apart
from tuppence.distill.dataset.scratch import Scratch
from tuppence.errors import ConfigError

PERMUTATIONS = 256
BANDS = 32
"""Of 8 permutations each: two prompts of similarity s meet in one with probability 1 - (1 - s^8)^32, 85% at 0.7 and
99.7% at 0.8 (J. Leskovec et al., Mining of Massive Datasets, section 3.4)."""
TOGETHER = 0.7
"""Estimated Jaccard similarity from which two prompts are of one cluster, and so never on two sides of a split."""
SAME = 0.9
"""From here on, with the same answer, the later one teaches nothing new and is left out."""
_LETTERS = 5
"""A piece of text that is compared, as usual for texts of a sentence or more."""
_WINDOW = 64
_WINDOWS = 10
_FEWEST = 3
_COMMON = 0.5
"""Share of a window's prompts that hold a piece which belongs to the template, not to the question."""
_SYSTEMS = 256

Pieces = frozenset[str]


class Alike:
    """Rows of one site, as they come; says of each whether an earlier one asked the same."""

    def __init__(self, scratch: Scratch, sample: Iterable[tuple[Json, ...]]) -> None:
        try:
            from rensa import RMinHash
        except ImportError as error:
            raise ConfigError("near duplicates are found by rensa: pip install 'tuppence[distill]'") from error
        self._sign: Callable[[list[str]], bytes] = lambda pieces: _signed(RMinHash, pieces)
        self._scratch = scratch
        self._of_system = lru_cache(_SYSTEMS)(_pieces)
        self._template = self._common(list(sample))
        self._cluster = array("q")
        for table in ("buckets", "signatures", "asked", "sessions"):
            scratch.do(f"DELETE FROM {table}")

    def see(self, row: Row, session: str | None) -> Reason | None:
        """Take in the next row; return why it is left out, or None."""
        place = len(self._cluster)
        self._cluster.append(place)
        self._link_session(place, session)
        system, *turns = told_apart(row.prompt)
        pieces, answer = self._varying(system, turns), _hash(row.answer_text)
        asked = _hash("\0".join([*sorted(pieces), *(t["function"]["name"] for t in row.tools)]))
        known = self._scratch.one("SELECT id, answer FROM asked WHERE hash = ?", asked)
        if known is not None:
            self._link(known[0], place)
            if known[1] == answer:
                return "duplicate"
            self._scratch.do("UPDATE asked SET others = others + 1 WHERE hash = ?", asked)
            return "contradiction"
        # A date in the system prompt makes two questions no less alike, though the answer may hang on it.
        return self._near(place, asked, answer, self._sign(sorted(self._varying(steady(system), turns))))

    def cluster(self, place: int) -> int:
        """Return the number of the cluster that the row seen as `place` is in, once all are seen."""
        while self._cluster[place] != place:
            self._cluster[place] = place = self._cluster[self._cluster[place]]
        return place

    @property
    def prompts(self) -> tuple[int, int]:
        """Different prompts, and those of them that were answered in different ways."""
        found = self._scratch.one("SELECT COUNT(*), SUM(others > 0) FROM asked") or (0, 0)
        return found[0], found[1] or 0

    def _near(self, place: int, asked: bytes, answer: bytes, signature: bytes) -> Reason | None:
        bands = [bytes((n,)) + signature[n * _BAND : (n + 1) * _BAND] for n in range(BANDS)]
        for (other,) in list(self._scratch.each(_MET, *bands)):
            known = self._scratch.one("SELECT digest, answer FROM signatures WHERE id = ?", other)
            assert known is not None
            likeness = _likeness(signature, known[0])
            if likeness >= TOGETHER:
                self._link(other, place)
            if likeness >= SAME and known[1] == answer:
                return "near duplicate"
        self._scratch.do("INSERT INTO asked VALUES (?, ?, ?, 0)", asked, place, answer)
        self._scratch.do("INSERT INTO signatures VALUES (?, ?, ?)", place, signature, answer)
        self._scratch.add_many("INSERT OR IGNORE INTO buckets VALUES (?, ?)", ((band, place) for band in bands))
        return None

    def _link_session(self, place: int, session: str | None) -> None:
        """Keep a conversation together: each of its calls holds the turns before."""
        if session is None:
            return
        known = self._scratch.one("SELECT id FROM sessions WHERE name = ?", session)
        if known is None:
            self._scratch.do("INSERT INTO sessions VALUES (?, ?)", session, place)
        else:
            self._link(known[0], place)

    def _link(self, one: int, other: int) -> None:
        first, second = sorted((self.cluster(one), self.cluster(other)))
        self._cluster[second] = first

    def _varying(self, system: str, turns: Sequence[str]) -> Pieces:
        """Return the pieces of a prompt that are not its template's; those of its turns where nothing else is left."""
        told = _pieces("\n".join(turns))
        return ((self._of_system(system) | told) - self._template) or told

    def _common(self, sample: Sequence[tuple[Json, ...]]) -> Pieces:
        """Return what most prompts of some stretch of time hold: a template that was edited midway is found so too."""
        common: set[str] = set()
        for start in range(0, len(sample), _WINDOW):
            window = {told_apart(prompt) for prompt in sample[start : start + _WINDOW]}
            if len(window) < _FEWEST:
                continue
            held: Counter[str] = Counter()
            for system, *turns in window:
                held.update(self._of_system(system) | self._of_system(steady(system)) | _pieces("\n".join(turns)))
            # Of a few prompts half may be alike by what is asked.
            share = _COMMON if len(window) >= _WINDOW // 4 else 1.0
            common |= {piece for piece, times in held.items() if times >= share * len(window)}
        return frozenset(common)


SAMPLE = _WINDOW * _WINDOWS
"""Prompts, evenly over the time, that tell the template's pieces."""
_BAND = PERMUTATIONS // BANDS * 4
_MET = f"SELECT DISTINCT id FROM buckets WHERE band IN ({', '.join('?' * BANDS)}) ORDER BY id"


def _pieces(text: str) -> Pieces:
    # A lone surrogate of a broken text has no UTF-8, which is what is hashed.
    words = " ".join(text.encode("utf-8", "replace").decode().split())
    return frozenset(words[at : at + _LETTERS] for at in range(max(1, len(words) - _LETTERS + 1)))


def _signed(kind: Any, pieces: list[str]) -> bytes:
    """Return a signature as 32-bit numbers."""
    sketch = kind(num_perm=PERMUTATIONS, seed=1)
    sketch.update(pieces)
    return array("I", sketch.digest()).tobytes()


def _likeness(one: bytes, other: bytes) -> float:
    """Estimate the Jaccard similarity of what two signatures were made of; its standard error is at most 0.032."""
    same: int = sum(map(eq, memoryview(one).cast("I"), memoryview(other).cast("I")))
    return same / PERMUTATIONS


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
