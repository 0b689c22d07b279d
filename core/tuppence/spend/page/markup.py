"""HTML that cannot be broken by what stands in it: text is escaped unless it was made here.

Labels are other people's input; a tag may hold a script.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

_VOID = frozenset({"meta", "br", "link", "col"})


class Html(str):
    """Text that is HTML already, since `element` made it or it stands in this package."""

    __slots__ = ()


def element(name: str, /, *children: str | Html, **attributes: str | int | bool | None) -> Html:
    """Make an element. Attributes that are None or False are left out, and underscores in their names are hyphens.

    `class_` is `class`, as Python keeps that word.
    """
    spelt = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{spelt}>")
    return Html(f"<{name}{spelt}>{joined(children)}</{name}>")


def joined(children: Iterable[str | Html]) -> Html:
    """Put pieces one behind the other, escaping what is plain text."""
    return Html("".join(child if isinstance(child, Html) else escape(visible(child)) for child in children))


def data(value: Any) -> Html:
    """Spell data as JSON that no `</script>` can end early."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Html(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def visible(text: str) -> str:
    """Spell what cannot be seen or turns the reading direction round, so that no label can pretend to be another."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _attribute(key: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    return f" {key}" if value is True else f' {key}="{escape(visible(str(value)))}"'
