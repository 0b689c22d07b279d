"""The text that all prompts of a call site share, with slots where they differ.

A skeleton is found by laying prompts over each other word by word; only runs of a few words, or the very beginning and
end, count as shared, for free texts have single words in common by chance. It reports; no row is changed by it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

SLOT = "{…}"
_RUN = 3
"""Words that a shared run within a text must have."""
_WORD = re.compile(r"\S+\s*")
_MOST_WORDS = 2_000
"""Words of one text that are looked at: the rest of a longer one counts as a slot."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Runs of shared text, in order; between them, before or after them something varies."""

    runs: tuple[str, ...]
    opens: bool
    """The first run begins the text."""
    closes: bool
    """The last run ends it."""

    @property
    def slots(self) -> int:
        inner = max(0, len(self.runs) - 1)
        return inner + (not self.opens) + (not self.closes) if self.runs else 1

    @property
    def text(self) -> str:
        """The shared text, with a mark for each slot."""
        joined = SLOT.join(self.runs)
        return f"{'' if self.opens else SLOT}{joined}{'' if self.closes or not self.runs else SLOT}"

    @property
    def letters(self) -> int:
        return sum(map(len, self.runs))

    def fits(self, text: str) -> bool:
        """Say whether all runs stand in a text, in order."""
        at = 0
        for run in self.runs:
            at = text.find(run.strip(), at)
            if at < 0:
                return False
            at += len(run.strip())
        return True


def digest(*texts: str) -> str:
    """Name texts by 16 hex digits."""
    whole = "\0".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, digest_size=8).hexdigest()


def skeleton_of(texts: Sequence[str]) -> Skeleton:
    """Lay texts over each other; one text alone is shared altogether, none at all share nothing."""
    if not texts:
        return Skeleton((), opens=False, closes=False)
    runs = [_words(texts[0])]
    for text in texts[1:]:
        words = _words(text)
        runs = _shared(runs, words)
        if not runs:
            break
    return _written(runs, texts)


_Run = list[str]


def _shared(runs: list[_Run], words: _Run) -> list[_Run]:
    """Keep of the runs what stands in `words` too, in order."""
    # A mark that is no word stands between runs: a block that went over a gap would tear words off the run behind it.
    flat = [word for run in runs for word in (*run, "")]
    blocks = SequenceMatcher(None, flat, words, autojunk=False).get_matching_blocks()
    kept = [flat[block.a : block.a + block.size] for block in blocks if block.size]
    last = len(kept) - 1
    return [run for n, run in enumerate(kept) if len(run) >= _RUN or (n in (0, last) and _at_an_end(run, words))]


def _at_an_end(run: _Run, words: _Run) -> bool:
    return words[: len(run)] == run or words[-len(run) :] == run


def _written(runs: list[_Run], texts: Sequence[str]) -> Skeleton:
    told = tuple("".join(run) for run in runs)
    if not told:
        return Skeleton((), opens=False, closes=False)
    opens = all(text.lstrip().startswith(told[0].rstrip()) for text in texts)
    closes = all(text.rstrip().endswith(told[-1].rstrip()) for text in texts)
    # One run may both open and close a text only where it is all of it.
    whole = len(told) > 1 or not opens or all(text.strip() == told[0].strip() for text in texts)
    return Skeleton(told, opens=opens, closes=closes and whole)


def _words(text: str) -> _Run:
    """Cut a text into words, each with the blanks behind it: joined again they are the text."""
    return _WORD.findall(text.lstrip())[:_MOST_WORDS]
