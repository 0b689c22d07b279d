"""Which calls are sent by the same piece of a program: told by their tag, or by the text that does not vary.

Works online, on one prompt after the other, and holds a bounded number of texts. Two calls with the same tag `task` (or
`endpoint`) are always of one family. Without tags, two system prompts are when most of the shorter one stands in the
other, or both begin alike for a good while: a prompt with a date or a name in it, or one that was edited.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from tuppence.request import Request

_LIKE = 0.5
"""Share of the shorter prompt's words that must stand in the other, in order."""
_BEGINNING = 200
"""Characters that two prompts begin alike with, or half of the shorter one: what programs share by accident, such as
"You are a helpful assistant.", is shorter."""
_WORDS = 400
"""Of long prompts only so many words are compared, half from the front and half from the back."""
_REMEMBERED = 4_096
_MOST = 200
"""Untagged families; what comes after them falls into one that is told as such."""
REST = "(other prompts)"


@dataclass(slots=True)
class Family:
    """Calls of one piece of a program."""

    number: int
    tag: str
    """The tag `task` or `endpoint` that its calls bear; "" where they bear none."""
    system: str
    """A system prompt of it, the latest that was seen."""
    words: Sequence[str] = field(repr=False)


class Families:
    """Give each request its family."""

    def __init__(self) -> None:
        self.all: list[Family] = []
        self._tagged: dict[str, Family] = {}
        self._untagged: list[Family] = []
        self._known: OrderedDict[str, Family] = OrderedDict()
        self._rest: Family | None = None

    def of(self, request: Request, system: str) -> Family:
        """Return the family of a request whose system messages read `system`, a new one where none fits."""
        tag = request.tags.get("task") or request.tags.get("endpoint") or ""
        if tag:
            if tag not in self._tagged:
                self._tagged[tag] = self._new(tag, system)
            return self._tagged[tag]
        known = self._known.get(system)
        if known is None:
            known = self._known[system] = self._by_text(system)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(system)
        return known

    def _by_text(self, system: str) -> Family:
        words = _words(system)
        found = next((one for one in reversed(self._untagged) if _alike(one, system, words)), None)
        if found is not None:
            # A prompt may be rewritten step by step: the next version is most like the latest.
            found.system, found.words = system, words
            return found
        if len(self._untagged) >= _MOST:
            self._rest = self._rest or self._new(REST, "")
            return self._rest
        made = self._new("", system)
        self._untagged.append(made)
        return made

    def _new(self, tag: str, system: str) -> Family:
        self.all.append(Family(len(self.all), tag, system, _words(system)))
        return self.all[-1]


def _alike(family: Family, system: str, words: Sequence[str]) -> bool:
    if not system.strip() or not family.system.strip():
        return system.strip() == family.system.strip()
    beginning = min(_BEGINNING, int(_LIKE * min(len(family.system), len(system))) + 1)
    if family.system[:beginning] == system[:beginning]:
        return True
    matcher = SequenceMatcher(None, family.words, words, autojunk=False)
    wanted = _LIKE * min(len(family.words), len(words))
    if matcher.quick_ratio() * (len(family.words) + len(words)) / 2 <= wanted:
        return False
    return sum(block.size for block in matcher.get_matching_blocks()) > wanted


def _words(text: str) -> Sequence[str]:
    words = text.split()
    return words if len(words) <= _WORDS else [*words[: _WORDS // 2], *words[-_WORDS // 2 :]]
