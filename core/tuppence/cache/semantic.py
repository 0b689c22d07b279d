"""The semantic cache: a question asked in other words, in the same context, is answered from what was paid already.

It stands behind the exact cache and never weakens it. It must never serve across contexts, tenants or policies, never
serve where what differs between two questions must change the answer, and never serve what it cannot read back whole.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tuppence import effects
from tuppence.cache import decision
from tuppence.cache.background import Background
from tuppence.cache.calibration import GRID, Audit, Calibration
from tuppence.cache.decision.differences import compare
from tuppence.cache.decision.reading import read
from tuppence.cache.entries import SimilarStore
from tuppence.cache.exact import ExactCache, Store
from tuppence.cache.keys import Uncacheable, is_tool_turn
from tuppence.cache.replies import Freeze, Redact, Thaw, opened, sealed, worth_keeping
from tuppence.cache.stores.memory import MemoryStore
from tuppence.effects import Entry, Hit, Keep, Neighbour, Remember, Subject
from tuppence.embed import Embedder, Vector
from tuppence.errors import CacheError, ConfigError
from tuppence.request import Request

NEIGHBOURS = 20
"""Entries that one lookup compares: enough to see whether those near a question agree on its answer."""
LONGEST_QUESTION_WORDS = 120
"""The local model reads 256 pieces of words and no further: two longer texts that differ at their ends would look the
same to it. English takes about 1.3 pieces a word; this leaves room for other languages."""

SAME_ANSWER = 0.9
"""Cosine from which two answers without a differing fact say the same. Chosen by hand: audits lean to "wrong"."""

Same = Callable[[str, str], bool]
"""Says whether two answers would do for each other; a comparison of your own is better than any of ours."""
_PIECES = re.compile(r"\w+|[^\w\s]")
"""Words, and marks one by one."""


class SemanticCache(ExactCache):
    """An exact cache, and behind it the questions that are alike.

    `embedder` makes the vectors and `similar` keeps them with their answers; `store` is the exact cache's. A near
    question is served where `decision.judge` gives at least the threshold: the shipped safe one, `threshold`, or what
    `calibration` has learned from audits. `verified_by` names a tier or judge that must agree first; where it cannot be
    asked, nothing is served. `same` compares answers in audits. What `redact` leaves of a question is embedded,
    compared and kept; what it takes out is part of the scope, as a hash. Other options are those of `ExactCache`.
    """

    def __init__(
        self, embedder: Embedder, *, similar: SimilarStore, store: Store | None = None,
        threshold: float | None = None, calibration: Calibration | None = None, verified_by: str | None = None,
        same: Same | None = None, redact: Redact | None = None, clock: Callable[[], float] = time.time, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(MemoryStore() if store is None else store, redact=redact, **options)
        if threshold is not None and not 0.0 < threshold <= 1.0:
            raise ConfigError(f"threshold is {threshold}: it is a probability above 0, at most 1")
        self._embedder = embedder
        self.similar = similar
        self._threshold = decision.SAFE_THRESHOLD if threshold is None else threshold
        self.calibration = calibration
        self.verified_by = verified_by
        self._same = self._say_the_same if same is None else same
        self._background = Background()
        self._clock = clock

    @property
    def names(self) -> frozenset[str]:
        """The tier that this cache asks, if any: a policy can say at once that it does not exist."""
        return frozenset() if self.verified_by is None else frozenset({self.verified_by})

    # -- what is asked

    def subject(self, request: Request, key: str, scope: str) -> Subject | Uncacheable:
        """Part a request into its question and the context that it stands in, or say why it is not compared.

        `key` is its exact key and `scope` what the policy says of it, as in `key()`.
        """
        asked = request.messages[-1]
        if asked.role != "user" or not asked.text.strip() or asked.media:
            return Uncacheable("the last turn is no question in words")
        if is_tool_turn(request):
            return Uncacheable("a tool-calling turn")
        if len(asked.text.split()) > LONGEST_QUESTION_WORDS:
            return Uncacheable(f"a question of more than {LONGEST_QUESTION_WORDS} words is not compared")
        if reason := decision.unshareable(asked.text):
            return Uncacheable(reason)
        question = asked.text if self._redact is None else self._redact(asked.text)
        return Subject(key, self._context(request, question, scope), question, _domain(request), request.cache_tags)

    def _context(self, request: Request, question: str, scope: str) -> str:
        """Hash everything but the words of `question`; a tenant's name can never stand for "no tenant"."""
        *before, asked = request.messages
        around = replace(request, messages=(*before, replace(asked, text="")))
        kind = json.dumps(["semantic", *_taken_out(asked.text, question)])
        tenant = request.tags.get("tenant")
        scopes = (kind, self._embedder.name, scope) if tenant is None else (kind, self._embedder.name, scope, tenant)
        return around.fingerprint(*scopes)

    # -- what is known

    def embed(self, question: str) -> Vector:
        vector: Vector = self._embedder.embed([question])[0]
        return vector

    async def aembed(self, question: str) -> Vector:
        vector: Vector = (await self._embedder.aembed([question]))[0]
        return vector

    def nearest(self, scope: str, vector: Vector) -> list[Neighbour]:
        return self.similar.nearest(scope, vector, NEIGHBOURS)

    async def anearest(self, scope: str, vector: Vector) -> list[Neighbour]:
        return await self.similar.anearest(scope, vector, NEIGHBOURS)

    def judge(self, subject: Subject, neighbours: Sequence[Neighbour]) -> decision.Judgement:
        """Say whether one of `neighbours` may be served for the subject's question, and why."""
        return decision.judge(subject.question, neighbours, threshold=self.threshold(subject.domain))

    def threshold(self, domain: str) -> float:
        """Return the probability from which an answer is served in `domain`."""
        return self._threshold if self.calibration is None else self.calibration.threshold(domain)

    def open(self, entry: Entry, thaw: Thaw) -> Hit:
        """Make a reply of an entry that is served; one that cannot be read is removed, and `CacheError` raised.

        Waits for nothing: the removing is done beside the call.
        """
        hit = opened(entry.value, max(0.0, self._clock() - entry.stored_at), thaw)
        if hit is None:
            self._background.submit(lambda: self.forget(entry.id))
            raise CacheError(f"the entry of {entry.question!r} cannot be read: it was removed, and the model is asked")
        self.similar.used(entry.id)
        return hit

    # -- what is kept

    def keep(self, kept: Keep, freeze: Freeze) -> None:
        """Keep a paid answer for questions like the one it answered, if it is a whole answer in words."""
        if not worth_keeping(kept.reply) or not self.may_store(kept.reply):
            return
        subject, now = kept.subject, self._clock()
        self.similar.add(
            Entry(
                subject.id, subject.scope, subject.question, kept.vector, sealed(freeze(kept.reply), kept.origin),
                answer=answer_digest(kept.reply.text), tags=subject.tags, pico_usd=kept.pico_usd, stored_at=now,
                expires_at=None if self.ttl_s is None else now + self.ttl_s,
            )
        )  # fmt: skip

    def remember_like(self, served: Remember, freeze: Freeze) -> None:
        """Close the lease of a text that an entry was served to: its repeats are exact ones, while that entry lives."""
        entry = served.like
        assert entry is not None
        left_s = math.inf if entry.expires_at is None else max(0.0, entry.expires_at - self._clock())
        self.remember(
            served.lease, served.reply if left_s else None, origin=served.origin, freeze=freeze, at_most_s=left_s,
            tags=served.tags | entry.tags | {_like(entry.id)}, pico_usd=served.pico_usd, tenant=served.tenant,
        )  # fmt: skip

    # -- what is learned

    def audit(self, audit: effects.Audit, thaw: Thaw) -> None:
        """Compare, beside the calls, an answer that was not served with the model's own.

        Raises, once, what an earlier comparison or its log raised.
        """
        if self.calibration is not None and audit.probability >= GRID[-1]:
            self._background.submit(lambda: self._compare(audit, thaw))

    def _compare(self, audit: effects.Audit, thaw: Thaw) -> None:
        assert self.calibration is not None
        entry, subject, now = audit.entry, audit.subject, self._clock()
        hit = opened(entry.value, 0.0, thaw)
        if hit is not None:
            same = self._same(hit.reply.text, audit.reply.text)
            self.calibration.add(Audit(subject.domain, audit.probability, same, now, subject.question, entry.question))

    def _say_the_same(self, first: str, second: str) -> bool:
        """Take two answers for the same where their words are, or their sense is and no fact in them differs."""
        if answer_digest(first) == answer_digest(second):
            return True
        vectors = self._embedder.embed([first, second])
        near = float(vectors[0] @ vectors[1]) >= SAME_ANSWER
        return near and compare(read(first), read(second)).decisive is None

    def forget(self, id: str) -> None:  # noqa: A002 (the entry's own word)
        """Delete one entry, and what was served from it to other texts."""
        self.similar.remove([id])
        super().invalidate(_like(id))

    def invalidate(self, tag: str) -> int:
        """Delete every answer that has `tag`, exact and similar; return how many there were.

        Raises what a store raises; where one is away, the other forgets all the same.
        """
        try:
            exact = super().invalidate(tag)
        finally:
            similar = self.similar.invalidate(tag)
        return exact + similar

    def flush(self) -> None:
        """Return once all audits are made and all that was kept would survive a kill, where its store outlives one."""
        self._background.flush()
        super().flush()
        self.similar.flush()

    def close(self) -> None:
        super().close()
        self.similar.close()


def _taken_out(text: str, redacted: str) -> list[str]:
    """Return what `text` has and `redacted` has not: questions that differ in it alone are not the same."""
    if text == redacted:
        return []
    left = Counter(_PIECES.findall(redacted.casefold()))
    gone = []
    for piece in _PIECES.findall(text.casefold()):
        if left[piece]:
            left[piece] -= 1
        else:
            gone.append(piece)
    return gone


def _like(id: str) -> str:  # noqa: A002 (the entry's own word)
    """Tag the exact repeats of texts that an entry was served to."""
    return f"tuppence:like:{id}"


def answer_digest(text: str) -> str:
    """Hash what a reply says, whatever its spacing and case, to 16 hex digits."""
    return hashlib.blake2b(
        " ".join(text.casefold().split()).encode("utf-8", "surrogatepass"), digest_size=8
    ).hexdigest()


def _domain(request: Request) -> str:
    """Name where one threshold holds: the tenant's traffic of one task, else of one endpoint."""
    tags = request.tags
    return json.dumps([tags.get("tenant", ""), tags.get("task") or tags.get("endpoint", "")], ensure_ascii=False)
