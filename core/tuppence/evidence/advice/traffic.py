"""What recorded traffic says that a ledger cannot: which requests repeat, how prompts begin, which passages come twice.

Texts are read and compared here and leave only as counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tuppence.evidence.outcomes.traffic import RecordedCall
from tuppence.request import Request
from tuppence.tokens import count_tokens

_LONG = 200
"""Letters of a paragraph from which its repetition is no phrase."""
_Told = list[tuple[str, str]]


@dataclass(slots=True)
class Traffic:
    """Counts over recorded calls."""

    calls: int = 0
    pico_usd: int = 0
    repeats: int = 0
    """Calls that ask, word for word, what was asked before, in the same context and tenant."""
    repeats_pico: int = 0
    alike: int = 0
    """Calls that a semantic cache at its shipped settings would serve, and an exact one would not."""
    alike_pico: int = 0
    compared: int = 0
    """Calls that were so compared: the first of the recording, and none without the extras semantic and embed."""
    constant: dict[str, int] = field(default_factory=dict)
    """Tokens of the messages with which every prompt of a call site begins, by site."""
    letters: int = 0
    """Length of all prompts."""
    letters_twice: int = 0
    """Length of the paragraphs that stand in the same prompt already."""
    by_site: Counter[str] = field(default_factory=Counter)

    def calls_of(self, site: str) -> int:
        return self.by_site[site]


def site_of(request: Request) -> str:
    return request.tags.get("task") or request.tags.get("endpoint") or ""


def traffic_of(calls: Iterable[RecordedCall]) -> Traffic:
    """Count over recorded calls, oldest first."""
    found, seen = Traffic(), set[str]()
    beginnings: dict[str, _Told] = {}
    for call in calls:
        request, paid = call.request, sum(one.pico_usd or 0 for one in call.attempts)
        site = site_of(request)
        found.calls += 1
        found.pico_usd += paid
        found.by_site[site] += 1
        if cacheable(request):
            key = request.fingerprint(request.tags.get("tenant", ""))
            if key in seen:
                found.repeats += 1
                found.repeats_pico += paid
            seen.add(key)
        _count_twice(found, request)
        told: _Told = [(message.role, message.text) for message in request.messages]
        known = beginnings.setdefault(site, told[:-1])
        beginnings[site] = known[: _shared(known, told)]
    found.constant = {
        site: sum(count_tokens(text, "gpt-4o").tokens for _, text in told) for site, told in beginnings.items() if told
    }
    return found


def _count_twice(found: Traffic, request: Request) -> None:
    """Count the paragraphs that a prompt says again: a passage that two queries retrieved, a quoted turn."""
    seen: set[str] = set()
    for message in request.messages:
        found.letters += len(message.text)
        for paragraph in map(str.strip, message.text.split("\n\n")):
            if len(paragraph) < _LONG:
                continue
            found.letters_twice += len(paragraph) if paragraph in seen else 0
            seen.add(paragraph)


def cacheable(request: Request) -> bool:
    """Say whether a caller wants the same answer again: no tools, no temperature above 0, one answer."""
    params = request.params
    return not request.tools and not params.get("temperature") and (params.get("n") or 1) == 1


def _shared(known: _Told, told: _Told) -> int:
    pairs = zip(known, told, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(known), len(told)))
