"""What is left of a tool's result that is cleared: the part of it that is in use or stands nowhere else, and its id.

A stub must hold every value that a call took up since. It is a function of texts alone, so that the same conversation
gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FEWEST_ROWS = 4
"""Shorter lists are left as they are: what a stub says about the rest is as long as a row."""
_WORD = re.compile(r"[^\W_](?:[\w.@:/+-]*[^\W_])?")


def id_of(text: str) -> str:
    """Return the id by which a cleared text is found again: 8 hex digits of its digest."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def stub(text: str, why: str, kept: str, recover_with: str = "") -> str:
    """Write what stands in place of a text that is cleared: its id, why, how to get it back, and what is kept of it."""
    how = f"; {recover_with} brings it back" if recover_with else ""
    head = f"[cleared {id_of(text)}: {why}{how}]"
    return f"{head}\n{kept}" if kept else head


def json_in(text: str) -> Any:
    """Return the JSON value that a text is, None where it is none. Numbers keep their spelling."""
    if text[:1] not in "[{":
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def as_json(value: Any) -> str:
    """Write what is left of a value."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the scalars of a JSON value as text, each with the names that lead to it; places in lists do not count."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from leaves(part, f"{path}.{name}")
    elif isinstance(value, list):
        for part in value:
            yield from leaves(part, path)
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)


def words_of(texts: Sequence[str]) -> frozenset[str]:
    """List the words, numbers and ids that stand in texts."""
    return frozenset(word for text in texts for word in _WORD.findall(text))


def rows_in_use(rows: Sequence[Any], used: frozenset[str]) -> list[Any]:
    """Return the rows of a list of which something was taken up that tells them from most others."""
    told = [{text for _, text in leaves(row)} for row in rows]
    counts = Counter(text for texts in told for text in texts)
    telling = {text for text, count in counts.items() if 2 * count <= len(rows) and len(text) > 1}
    return [row for row, texts in zip(rows, told, strict=True) if any(_used(t, used) for t in texts & telling)]


def _used(text: str, used: frozenset[str]) -> bool:
    words = _WORD.findall(text)
    return bool(words) and all(word in used for word in words)


def lines_in_use(text: str, used: frozenset[str]) -> str:
    """Return the lines of a text that hold an id, a number or a name that was taken up, and stands in few of them."""
    lines = text.splitlines()
    told = [set(filter(_tells, _WORD.findall(line))) for line in lines]
    counts = Counter(word for words in told for word in words)
    telling = {word for word, count in counts.items() if word in used and count <= max(1, len(lines) // 2)}
    return "\n".join(line for line, words in zip(lines, told, strict=True) if words & telling)


def _tells(text: str) -> bool:
    """Say whether a word can be told from the words around it: names, ids, dates, numbers of two digits or more."""
    return len(text) > 1 and any(letter.isdigit() or letter.isupper() for letter in text)


def listing_in_use(value: Any, used: frozenset[str]) -> tuple[Any, int] | None:
    """Return a list, or an object that wraps one, without the rows that nothing took up, and how many those are.

    A list among other things in an object is part of what the object says: that is no listing. None where there is
    none of `FEWEST_ROWS` rows or more, or nothing to leave out.
    """
    if _is_listing(value):
        kept = rows_in_use(value, used)
        return (kept, len(value) - len(kept)) if len(kept) < len(value) else None
    if not isinstance(value, Mapping):
        return None
    lists = [name for name, part in value.items() if isinstance(part, Mapping | list) and part]
    if len(lists) != 1 or not _is_listing(value[lists[0]]):
        return None
    found = listing_in_use(value[lists[0]], used)
    if found is None or 2 * len(as_json(value[lists[0]])) < len(as_json(value)):
        return None
    kept, gone = found
    # An empty list would say that there was nothing.
    return {name: kept if name == lists[0] else part for name, part in value.items() if kept or name != lists[0]}, gone


def _is_listing(value: Any) -> bool:
    rows = value if isinstance(value, list) else ()
    return len(rows) >= FEWEST_ROWS and all(isinstance(row, Mapping | list) for row in rows)


def left_of(old: Any, new: Any, *, same_call: bool) -> Any:
    """Return what of an object or a list does not stand in a later one about the same thing; None where it is another.

    Two results are about the same thing where the same call brought them, or where they are objects that share an id
    and contradict each other in none.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping) and old and (same_call or _same_thing(old, new)):
        held = Counter(leaves(new))
        return {name: part for name, part in old.items() if name not in new or Counter(leaves(part, f".{name}")) - held}
    if isinstance(old, list) and isinstance(new, list) and old and same_call:
        rows = {as_json(row) for row in new}
        return [row for row in old if as_json(row) not in rows]
    return None


def _same_thing(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    ids = [name for name in old if name.lower().endswith("id") and isinstance(old[name], str | int)]
    return bool(ids) and all(old[name] == new.get(name) for name in ids)
