"""How each provider caches the beginning of prompts, read from versioned data: lengths, lifetimes, marks.

What a page of the provider says is data here, with the page's address. Prices never are: they come from the price
list. A model that no rule names has none; nothing is guessed from a similar name.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

Kind = Literal["marked", "automatic"]
"""`marked`: what is kept, and paid for, is what the request marks. `automatic`: the provider keeps what it likes."""
SegmentName = Literal["tools", "system", "documents", "turns", "tail"]
WriteBucket = Literal["cache_write_5m", "cache_write_1h"]
"""The bucket of usage that a write is billed in; 5m is the provider's ordinary lifetime, whatever its length."""

_DATA = Path(__file__).resolve().parents[2] / "data" / "prefix_caches.json"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a prefix is kept after it was last used."""

    name: str
    """As the provider spells it, for example `1h`."""
    seconds: int
    """The time that is promised; it begins anew with every use."""
    bucket: WriteBucket | None
    """None: a write is billed like other input."""


@dataclass(frozen=True, slots=True)
class PrefixRule:
    """How one model's provider caches prefixes."""

    family: str
    kind: Kind
    minimum_tokens: int
    """Shorter prefixes are not cached, and no error says so."""
    step_tokens: int
    """Reads are rounded down to a multiple of this."""
    lifetimes: tuple[Lifetime, ...]
    """Shortest first."""
    max_marks: int
    marks_on: frozenset[SegmentName]
    """Where the API takes a mark."""
    lookback_blocks: int | None
    """How many content blocks before a mark are searched for an earlier one; None: all."""
    key_param: str | None
    """Parameter that keeps requests with the same prefix together."""
    off_params: Mapping[str, Any]
    """Parameters without which the provider writes, and bills, what nobody marked."""
    own_params: frozenset[str]
    """Parameters by which a caller decides himself."""
    assumed: bool
    """No page names the model: the largest documented minimum of its family is taken."""
    note: str
    source: str

    @property
    def asks_nothing(self) -> bool:
        """The provider caches by itself and takes no hint: whatever client asks it, there is nothing to send."""
        return self.kind == "automatic" and self.key_param is None


def rule_for(model: str, *, provider: str | None = None, at: float | None = None) -> PrefixRule | None:
    """Return how `model` (with or without a provider prefix) is cached at a moment (Unix seconds; now without one).

    None where no rule names the model, or where `provider` is none that is known to serve it.
    """
    day = datetime.fromtimestamp(time.time() if at is None else at, UTC).date().isoformat()
    return _found(model.strip().lower(), None if provider is None else provider.strip().lower().replace("_", "-"), day)


@lru_cache(maxsize=1024)
def _found(model: str, provider: str | None, day: str) -> PrefixRule | None:
    data = _data()
    for entry in data["rules"]:
        family = data["families"][entry["family"]]
        known = provider is None or provider in family["hosts"]
        if known and entry.get("since", "") <= day and re.search(entry["models"], model):
            return _rule(entry, family, data["sources"][entry["source"]])
    return None


def _rule(entry: Mapping[str, Any], family: Mapping[str, Any], source: str) -> PrefixRule:
    return PrefixRule(
        family=entry["family"],
        kind=family["kind"],
        minimum_tokens=entry["minimum_tokens"],
        step_tokens=family["step_tokens"],
        lifetimes=tuple(Lifetime(one["name"], one["seconds"], one["bucket"]) for one in family["lifetimes"]),
        max_marks=family.get("max_marks", 0),
        marks_on=frozenset(family.get("marks_on", ())),
        lookback_blocks=family.get("lookback_blocks"),
        key_param=family.get("key_param"),
        off_params=family.get("off_params", {}),
        own_params=frozenset(family["own_params"]),
        assumed=entry.get("assumed", False),
        note=family["note"],
        source=source,
    )


@cache
def _data() -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(_DATA.read_text(encoding="utf-8"))
    return data
