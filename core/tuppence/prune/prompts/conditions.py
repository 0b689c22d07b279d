"""A system prompt in sections, of which a request is sent those whose condition it meets.

Sections without a condition come first and never change, so that a provider's prefix cache holds them; the others
follow in the order in which they were given. A condition looks at every turn of the user, not the last one alone: what
was called for once stays for the conversation. In doubt a section is sent: a condition that breaks keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tuppence.effects import Shaped
from tuppence.errors import ConfigError
from tuppence.prune.audit import DEFAULT_MODEL, Audit, Cut, counter_for, untouched
from tuppence.request import NO_EDITS, Edits, Replace, Request
from tuppence.tiers import Tier

Condition = Callable[[Request], bool]
"""Does this request call for a section?"""

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_FENCED = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class PromptSection:
    """A part of a prompt, and when it is sent."""

    text: str
    name: str = ""
    """What audits call it; its first line where none is given."""
    when: Condition | None = None
    """None: always."""

    @property
    def label(self) -> str:
        return self.name or self.text.strip().split("\n", 1)[0][:60]


@dataclass(frozen=True, slots=True)
class AssembledPrompt:
    """A prompt as one request is sent it."""

    text: str
    sections: tuple[str, ...]
    """Names of those that are in it, in order."""
    audit: Audit


class DynamicPrompt:
    """Sections of one prompt, put together anew for every request; as a policy's shaper it edits the system message.

    Raises `ConfigError` where there is no section with text, or two have the same name.
    """

    __slots__ = ("_count", "_known", "full", "sections")

    def __init__(self, sections: Sequence[PromptSection], *, model: str = DEFAULT_MODEL) -> None:
        if not any(section.text.strip() for section in sections):
            raise ConfigError(f"a prompt of {len(sections)} sections without any text: give at least one that has some")
        labels = [section.label for section in sections if section.text.strip()]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ConfigError(f"sections named alike: {twice}: give each a name of its own")
        written = [section for section in sections if section.text.strip()]
        self.sections = tuple(sorted(written, key=lambda section: section.when is not None))
        """Those that are always sent come first."""
        self.full = _joined(self.sections)
        """All of them."""
        self._known = {self.full.strip()}
        self._count = counter_for(model)

    @classmethod
    def by_heading(cls, text: str, when: Mapping[str, Condition], *, model: str = DEFAULT_MODEL) -> DynamicPrompt:
        """Read a prompt that stands in one Markdown text, as `sections_by_heading` cuts it."""
        prompt = cls(sections_by_heading(text, when), model=model)
        prompt._known.add(text.strip())
        return prompt

    def __call__(self, request: Request, _tiers: tuple[Tier, ...] = (), /) -> Shaped:
        """Write the system message that is this prompt shorter; another one is not touched."""
        systems = (n for n, m in enumerate(request.messages) if m.role == "system" and m.text.strip() in self._known)
        at = next(systems, None)
        if at is None:
            return Shaped(NO_EDITS, "no system message is the prompt that was cut into sections")
        prompt = self.prompt_for(request)
        saved = self._count(request.messages[at].text) - prompt.audit.tokens_after
        # With all sections too it is written anew: the part that never changes then stands first in every call.
        if saved < 0 or prompt.text == request.messages[at].text:
            return Shaped(NO_EDITS, "")
        reason = f"{len(prompt.audit.cuts)} of {len(self.sections)} sections of the prompt are not called for"
        return Shaped(Edits((Replace(at, prompt.text),)), reason, saved)

    def prompt_for(self, request: Request) -> AssembledPrompt:
        """Put together what `request` calls for; the whole prompt where that would be nothing."""
        kept, left, broken = self._sorted(request)
        before = self._count(self.full)
        text = _joined(kept)
        if not kept or not left or (after := self._count(text)) > before:
            why = "every section is called for" if not left else "no section is called for: all of them are sent"
            return AssembledPrompt(self.full, _names(self.sections), untouched(before, "; ".join([why, *broken])))
        cuts = tuple(
            Cut("section", section.label, "its condition does not hold", self._count(section.text), section.text)
            for section in left
        )
        return AssembledPrompt(text, _names(kept), Audit(before, after, cuts, "; ".join(broken)))

    def _sorted(self, request: Request) -> tuple[list[PromptSection], list[PromptSection], list[str]]:
        """Return the sections to send, those to leave out, and which conditions broke."""
        kept: list[PromptSection] = []
        left: list[PromptSection] = []
        broken: list[str] = []
        for section in self.sections:
            try:
                called_for = section.when is None or section.when(request)
            except Exception as error:  # noqa: BLE001 - the user's own condition: whatever it raises, the section stays
                called_for = True
                broken.append(f"{section.label} is sent, its condition broke ({type(error).__name__}: {error})")
            (kept if called_for else left).append(section)
        return kept, left, broken


def sections_by_heading(text: str, when: Mapping[str, Condition]) -> list[PromptSection]:
    """Cut a Markdown prompt at its headings; those that `when` names, without their `#`, get that condition.

    A named section ends where a heading of its own or a higher level begins, so its subsections go with it. What no
    name covers is always sent. Raises `ConfigError` for a name that is no heading, or is one twice.
    """
    headings = list(_headings(text))
    titles = [heading[2] for heading in headings]
    wrong = sorted(name for name in when if titles.count(name) != 1)
    if wrong:
        raise ConfigError(f"when names {wrong}, which are not headings that stand there once; there are: {titles}")
    cuts: list[tuple[int, int, str]] = []
    for number, (level, start, title) in enumerate(headings):
        if title in when:
            if cuts and start < cuts[-1][1]:
                raise ConfigError(f"{title!r} lies inside {cuts[-1][2]!r}: give a condition to one of the two")
            end = next((other[1] for other in headings[number + 1 :] if other[0] <= level), len(text))
            cuts.append((start, end, title))
    return list(_pieces(text, cuts, when))


def _pieces(text: str, cuts: Sequence[tuple[int, int, str]], when: Mapping[str, Condition]) -> Iterator[PromptSection]:
    at = 0
    for number, (start, end, title) in enumerate(cuts):
        if text[at:start].strip():
            yield PromptSection(text[at:start].strip(), f"part {number + 1}")
        yield PromptSection(text[start:end].strip(), title, when[title])
        at = end
    if text[at:].strip():
        yield PromptSection(text[at:].strip(), f"part {len(cuts) + 1}")


def _headings(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield level, start and title of each heading outside of fenced code."""
    fenced = [range(*found.span()) for found in _FENCED.finditer(text)]
    for found in _HEADING.finditer(text):
        if not any(found.start() in block for block in fenced):
            yield len(found[1]), found.start(), found[2]


def mentions(*words: str) -> Condition:
    """Hold where a user's turn has one of these words or phrases: whole words, in any case."""
    if not words or not all(word.strip() for word in words):
        raise ConfigError(f"mentions{words!r} needs at least one word, and none of them empty")
    ends = ((r"(?<!\w)" + re.escape(word.strip()) + r"(?!\w)") for word in words)
    return matches("|".join(ends), flags=re.IGNORECASE)


def matches(pattern: str, *, flags: int = 0) -> Condition:
    """Hold where the regular expression is found in a user's turn."""
    try:
        compiled = re.compile(pattern, flags)
    except re.error as error:
        raise ConfigError(f"the pattern {pattern!r} is no regular expression: {error}") from error
    return lambda request: any(compiled.search(m.text) for m in request.messages if m.role == "user")


def tagged(**tags: str) -> Condition:
    """Hold where the request carries all of these tags."""
    if not tags:
        raise ConfigError('tagged() needs at least one tag, such as tagged(task="billing")')
    return lambda request: all(request.tags.get(name) == value for name, value in tags.items())


def has_tool(*names: str) -> Condition:
    """Hold where the request offers a tool of one of these names; any tool where no name is given."""
    return lambda request: any(not names or _tool_name(tool) in names for tool in request.tools)


def _tool_name(tool: Mapping[str, object]) -> object:
    described = tool.get("function", tool)
    return described.get("name") if isinstance(described, Mapping) else None


def _joined(sections: Sequence[PromptSection]) -> str:
    return "\n\n".join(section.text.strip("\n") for section in sections)


def _names(sections: Sequence[PromptSection]) -> tuple[str, ...]:
    return tuple(section.label for section in sections)
