"""Recorded questions through the semantic cache as it ships: which would have been served. Nothing is served here."""

from __future__ import annotations

from collections.abc import Iterable

from tuppence.cache import MemorySimilarStore, SemanticCache, freeze_reply
from tuppence.cache.keys import Uncacheable
from tuppence.effects import Keep
from tuppence.embed import Embedder
from tuppence.evidence.advice.traffic import Traffic
from tuppence.evidence.outcomes.traffic import RecordedCall
from tuppence.request import Reply

MOST = 5_000
"""Calls: the local model takes some 5 ms for a question."""


def compare(calls: Iterable[RecordedCall], found: Traffic, embedder: Embedder) -> None:
    """Count into `found` the questions that would have been served an answer to another wording."""
    cache = SemanticCache(embedder, similar=MemorySimilarStore(), ttl_s=None)
    seen: set[str] = set()
    try:
        for call, _ in zip(calls, range(MOST), strict=False):
            found.compared += 1
            key = cache.key(call.request, call.policy_version)
            if isinstance(key, Uncacheable) or key in seen:
                continue
            seen.add(key)
            if _would_serve(cache, call, key):
                found.alike += 1
                found.alike_pico += _paid(call)
    finally:
        cache.close()


def _would_serve(cache: SemanticCache, call: RecordedCall, key: str) -> bool:
    """Judge one question as the flow would; keep its answer where it is served none."""
    subject = cache.subject(call.request, key, call.policy_version)
    if isinstance(subject, Uncacheable):
        return False
    vector = cache.embed(subject.question)
    if cache.judge(subject, cache.nearest(subject.scope, vector)).serve:
        return True
    answer = _answer(call)
    if answer is not None:
        cache.keep(Keep(subject, vector, answer, call.call_id, _paid(call)), freeze=freeze_reply)
    return False


def _answer(call: RecordedCall) -> Reply | None:
    return next((one.reply for one in reversed(call.attempts) if one.outcome == "accepted"), None)


def _paid(call: RecordedCall) -> int:
    return sum(one.pico_usd or 0 for one in call.attempts)
