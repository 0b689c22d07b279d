"""Call sites: the families of calls, cut further where one system prompt, or none, serves several templates.

A site is told by its tag, by its system prompt, and where neither says enough by how its users' messages begin: a
beginning of some words that many different messages share is a template's, not a user's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tuppence.distill.dataset.families import Family
from tuppence.distill.dataset.scratch import Scratch

_LEAST = 20
"""Different messages that begin alike before that is a template..."""
_SHARE = 0.05
"""...and what part of a family's they must be: users too begin alike now and then ("How do I change my")."""
_NAME_CHARS = 40


@dataclass(frozen=True, slots=True)
class Site:
    """One call site."""

    number: int
    name: str
    """Its tag, or the first words of what does not vary."""
    family: int
    head: str
    """How its users' messages begin, where that tells it apart."""


def find_sites(scratch: Scratch, families: Sequence[Family]) -> tuple[Site, ...]:
    """Give every call its site, and return them."""
    untagged = {one.number for one in families if not one.tag}
    texts: dict[int, int] = {}
    heads: list[tuple[int, str, int]] = []
    counted = "SELECT family, head, COUNT(DISTINCT text) FROM calls GROUP BY family, head ORDER BY family, head"
    for family, head, different in scratch.each(counted):
        texts[family] = texts.get(family, 0) + different
        if head and family in untagged:
            heads.append((family, head, different))
    names: set[str] = set()
    found = [Site(one.number, _name(one.tag or one.system, names), one.number, "") for one in families]
    for family, head, different in heads:
        if different >= max(_LEAST, _SHARE * texts[family]):
            found.append(Site(len(found), _name(head, names), family, head))
    scratch.do("CREATE INDEX calls_by_beginning ON calls (family, head)")
    for site in found:
        where, values = ("family = ? AND head = ?", (site.head,)) if site.head else ("family = ?", ())
        scratch.do(f"UPDATE calls SET site = ? WHERE {where}", site.number, site.family, *values)
    scratch.do("CREATE INDEX calls_by_site ON calls (site, reason)")
    held = {number for (number,) in scratch.each("SELECT DISTINCT site FROM calls")}
    return tuple(site for site in found if site.number in held)


def _name(text: str, taken: set[str]) -> str:
    """Make a name that can be a folder's, and that no other site has."""
    words = re.sub(r"\W+", "-", text.strip().lower())[:_NAME_CHARS].strip("-_") or "calls"
    name, n = words, 1
    while name in taken:
        n += 1
        name = f"{words}-{n}"
    taken.add(name)
    return name
