"""The system prompts and tools of each family over time, in versions: what a model trained on them would depend on.

Keeps a bounded number of texts a family: of prompts that differ in every call, an even sample over the whole time.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from tuppence.distill.dataset.scratch import Scratch
from tuppence.distill.dataset.skeleton import Skeleton, digest, skeleton_of

_MOST = 512
"""Texts of a family that are kept."""
_REMEMBERED = 1_024
_OFTEN = 20
"""Calls that a text must have on average for each of them to be a version; else they differ by what is put in."""
_STAYS = 0.9
"""Share of its letters that a skeleton must keep for a further text to be of the same version..."""
_ALONE = 0.5
"""...and that two texts alone must share."""
_FEW = 8
_Spans = list[tuple[float, float, int]]
"""First and last moment and calls of texts."""
# Dates, times, ids and numbers change without anybody having edited a prompt.
_VOLATILE = re.compile(r"\d+(?:[.,:/-]\d+)*|\b[0-9a-f]{8}-[0-9a-f-]{27}\b")


def steady(text: str) -> str:
    """Return a text with every date, time, id and number written as 0."""
    return _VOLATILE.sub("0", text)


@dataclass(frozen=True, slots=True)
class Version:
    """One wording of a prompt's stable part, with its tools and schema."""

    name: str
    """Hash of it."""
    text: str
    """The stable part, its slots marked."""
    first_at: float
    last_at: float
    calls: int
    """Of those that were looked at: all, but for prompts that differ in every call."""


@dataclass(slots=True)
class _Seen:
    id: int
    last_at: float
    calls: int = 0
    first_at: float = 0.0


class Prompts:
    """Take in prompts as they come."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._recent: OrderedDict[tuple[int, str, str], _Seen] = OrderedDict()
        self._kept: dict[int, int] = {}
        self._stride: dict[int, int] = {}
        self._new: dict[int, int] = {}
        self._next = 1

    def see(self, family: int, at: float, system: str, tools: str) -> None:
        """Count one call with this system prompt and these tools."""
        key = (family, steady(system), tools)
        seen = self._recent.get(key)
        if seen is not None:
            self._recent.move_to_end(key)
            seen.calls += 1
            seen.first_at, seen.last_at = min(seen.first_at, at), max(seen.last_at, at)
            return
        if not self._wanted(family):
            return
        self._recent[key] = _Seen(self._next, at, 1, at)
        self._next += 1
        self._scratch.do("INSERT INTO prompts VALUES (?, ?, ?, ?, ?, ?, 0)", self._next - 1, *key, at, at)
        if len(self._recent) > _REMEMBERED:
            self._write(self._recent.popitem(last=False)[1])

    def close(self) -> None:
        """Write down what is still counted in memory."""
        while self._recent:
            self._write(self._recent.popitem()[1])

    def _write(self, seen: _Seen) -> None:
        self._scratch.do(
            "UPDATE prompts SET calls = calls + ?, first_at = min(first_at, ?), last_at = max(last_at, ?) WHERE id = ?",
            seen.calls, seen.first_at, seen.last_at, seen.id,
        )  # fmt: skip

    def _wanted(self, family: int) -> bool:
        """Take every n-th new text of a family; where too many are kept, drop every other one and double n."""
        new = self._new[family] = self._new.get(family, -1) + 1
        stride = self._stride.setdefault(family, 1)
        if new % stride:
            return False
        self._kept[family] = self._kept.get(family, 0) + 1
        if self._kept[family] > _MOST:
            self._thin(family)
        return True

    def _thin(self, family: int) -> None:
        ids = [found[0] for found in self._scratch.each("SELECT id FROM prompts WHERE family = ? ORDER BY id", family)]
        gone = set(ids[1::2])
        for key in [key for key, seen in self._recent.items() if seen.id in gone]:
            del self._recent[key]
        self._scratch.add_many("DELETE FROM prompts WHERE id = ?", ((one,) for one in sorted(gone)))
        self._kept[family] -= len(gone)
        self._stride[family] *= 2


def versions_of(scratch: Scratch, family: int) -> tuple[Version, ...]:
    """Return the versions of a family's prompt, the oldest first."""
    query = "SELECT text, tools, first_at, last_at, calls FROM prompts WHERE family = ? ORDER BY first_at, id"
    seen = list(scratch.each(query, family))
    by_text: dict[tuple[str, str], _Spans] = {}
    for text, tools, *rest in seen:
        by_text.setdefault((text, tools), []).append((rest[0], rest[1], rest[2]))
    if sum(row[4] for row in seen) >= _OFTEN * len(by_text) or len(by_text) == 1:
        return tuple(_version(text, tools, spans) for (text, tools), spans in by_text.items())
    return _by_skeleton(by_text)


def _version(text: str, tools: str, spans: _Spans) -> Version:
    first, last = min(s[0] for s in spans), max(s[1] for s in spans)
    return Version(digest(text, tools), text, first, last, sum(s[2] for s in spans))


@dataclass(slots=True)
class _Group:
    """Texts that are taken for one version."""

    skeleton: Skeleton
    tools: str
    texts: list[str]
    """The last few."""
    spans: _Spans

    def takes(self, text: str, tools: str, spans: _Spans) -> bool:
        """Take a text in where it leaves the skeleton nearly whole."""
        if tools != self.tools:
            return False
        narrowed = self.skeleton if self.skeleton.fits(text) else skeleton_of([*self.texts, text])
        # One text alone is shared altogether: what is put into it must first be found.
        least = _ALONE if len(self.texts) == 1 else _STAYS
        if narrowed.letters < least * max(1, self.skeleton.letters):
            return False
        self.skeleton = narrowed
        self.texts = [*self.texts[1 - _FEW :], text]
        self.spans += spans
        return True

    def holds(self, other: _Group) -> bool:
        """Say whether the other's texts have all of this stable part: then they had only more in common by chance."""
        return self.tools == other.tools and all(map(self.skeleton.fits, other.texts))


def _by_skeleton(by_text: Mapping[tuple[str, str], _Spans]) -> tuple[Version, ...]:
    """Lay texts over each other, the oldest first; a version is known by stable text that the others do not have."""
    groups: list[_Group] = []
    for (text, tools), spans in by_text.items():
        if not any(group.takes(text, tools, spans) for group in groups):
            groups.append(_Group(skeleton_of([text]), tools, [text], list(spans)))
    kept: list[_Group] = []
    for group in groups:
        earlier = next((one for one in kept if group.holds(one) or one.holds(group)), None)
        if earlier is None:
            kept.append(group)
            continue
        earlier.skeleton = group.skeleton if group.holds(earlier) else earlier.skeleton
        earlier.texts = [*earlier.texts, *group.texts][-_FEW:]
        earlier.spans += group.spans
    return tuple(_version(one.skeleton.text, one.tools, one.spans) for one in kept)
