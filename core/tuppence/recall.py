"""Has this been answered already? What one call has to do with its policy's cache, exact and semantic.

Like the flow that asks it, generators that do no I/O. A cache that breaks is gone round; nothing is ever served that
the cache did not decide to serve.
"""

from __future__ import annotations

from zlib import crc32

from tuppence.books import Books, go_round
from tuppence.cache import ExactCache, Judgement, SemanticCache, Uncacheable, verify
from tuppence.climb import Climb
from tuppence.effects import (
    Audit,
    Broken,
    Embed,
    Entry,
    Hit,
    Keep,
    Lease,
    Lookup,
    Nearest,
    Open,
    Peek,
    Plan,
    Remember,
    Subject,
)
from tuppence.embed import Vector
from tuppence.policy import Mode, Policy
from tuppence.request import Reply, Request


def recalling(request: Request, policy: Policy, books: Books, mode: Mode) -> Recall | None:
    """Begin a call's dealings with the cache; None where there is no cache, or all is switched off."""
    if policy.cache is None or mode == "off":
        books.decision.cache = "off"
        return None
    return Recall(request, policy, policy.cache, books, mode)


class Recall:
    """One logical call and the cache."""

    __slots__ = ("books", "cache", "doubt", "key", "lease", "mode", "policy", "request", "served", "subject", "vector")

    def __init__(self, request: Request, policy: Policy, cache: ExactCache, books: Books, mode: Mode) -> None:
        self.request = request
        self.policy = policy
        self.cache = cache
        self.books = books
        self.mode = mode
        self.key: str | None = None
        self.lease: Lease | None = None
        self.subject: Subject | None = None
        self.vector: Vector | None = None
        self.doubt: Judgement | None = None
        """A near answer that was not served: the model's own answer says whether it would have done."""
        self.served: Entry | None = None

    # -- the same request

    def exact(self) -> Plan[Reply | None]:
        """Serve an exact repeat; without one, hold the lease to answer for it."""
        self.key = self._key()
        if self.key is None:
            return None
        if self.mode == "observe":
            yield from self._peek(self.key)
            return None
        found = yield Lookup(self.key)
        if type(found) is Hit:
            return self._hit(found, "cache", "hit")
        if type(found) is Lease:
            self.lease = found
            self.books.decision.cache = f"miss: {found.why}" if found.why else "miss"
            self._missed("not asked before")
        else:
            self._broke(found.error)
        return None

    def _key(self) -> str | None:
        """Name the request in the cache; None where it may not be cached."""
        key = self.cache.key(self.request, self.policy.scope)
        if isinstance(key, Uncacheable):
            self.books.decision.cache = f"not asked: {key.reason}"
            self._missed(key.reason)
            return None
        return key

    def _peek(self, key: str) -> Plan[None]:
        """Observe: say what the cache would have served, and fill it as it would be filled."""
        found = yield Peek(key)
        if type(found) is Broken:
            go_round(self.books, "cache", found.error)
            return
        self.lease = Lease(key)
        if found is not None:
            self.books.would(f"serve from the cache (stored {found.age_s:.0f} s ago)", pico_usd=0)

    def _hit(self, hit: Hit, tier: str, reason: str) -> Reply:
        """Serve a hit; `reason` says what makes it one."""
        stored = f"{reason}: stored {hit.age_s:.0f} s ago by call {hit.origin}"
        self.books.decision.cache = f"{stored}; {hit.why}" if hit.why else stored
        self.books.hit(hit, tier=tier)
        self.books.decision.missed = ""
        return hit.reply

    # -- a question like it

    def alike(self, climb: Climb) -> Plan[Reply | None]:
        """Serve a question that was asked in other words, where the cache decides that its answer will do."""
        cache = self.cache
        if self.key is None or not isinstance(cache, SemanticCache):
            return None
        try:
            judgement = yield from self._compared(cache, self.key)
        except Exception as error:
            self._broke(error)
            return None
        if judgement is None:
            return None
        if not judgement.serve or self._is_audit(cache):
            self.doubt = judgement
            self._say(f"audited, though it {judgement.reason}" if judgement.serve else judgement.reason)
            self._missed("audited" if judgement.serve else _refusal(judgement.reason))
            return None
        return (yield from self._serve(judgement, cache, climb))

    def _compared(self, cache: SemanticCache, key: str) -> Plan[Judgement | None]:
        """Compare the question with those near it; None where it is none to compare. Raises what breaks."""
        subject = cache.subject(self.request, key, self.policy.scope)
        if isinstance(subject, Uncacheable):
            self._say(f"not compared: {subject.reason}")
            self._missed(subject.reason)
            return None
        vector = yield Embed(subject.question)
        if type(vector) is Broken:
            raise vector.error
        self.subject, self.vector = subject, vector
        near = yield Nearest(subject.scope, vector)
        if type(near) is Broken:
            raise near.error
        return cache.judge(subject, near)

    def _serve(self, judgement: Judgement, cache: SemanticCache, climb: Climb) -> Plan[Reply | None]:
        entry, subject = judgement.entry, self.subject
        assert entry is not None
        assert subject is not None
        if self.mode == "observe":
            if self.books.would_pico is None:
                self.books.would(f"serve a similar question from the cache ({judgement.reason})", pico_usd=0)
            return None
        hit = yield Open(entry)
        if type(hit) is not Hit:
            self._broke(hit.error)
            return None
        if cache.verified_by is not None:
            verdict = yield from climb.consult(verify(cache.verified_by, self.request, subject, entry, hit.reply))
            if verdict.score < 1.0:
                self._say(verdict.reason)
                self._missed("not verified")
                return None
        self.served = entry
        return self._hit(hit, "similar", judgement.reason)

    def _is_audit(self, cache: SemanticCache) -> bool:
        """Say whether this call is one of those that are asked all the same; the same call always is or never is."""
        if cache.calibration is None or self.mode != "optimise":
            return False
        return (crc32(self.books.result.call_id.encode()) & 0xFFFF) / 0x10000 < cache.calibration.audit_share

    def _say(self, why: str) -> None:
        decision = self.books.decision
        decision.cache = f"{decision.cache}; {why}" if decision.cache else why

    def _broke(self, error: Exception) -> None:
        go_round(self.books, "cache", error)
        self._missed("the cache failed")

    def _missed(self, reason: str) -> None:
        """Say in a few words why nothing is served; a reason quotes the request only behind its first colon."""
        self.books.decision.missed = reason.partition(":")[0]

    # -- afterwards

    def close(self, lasting: Reply | None) -> Plan[None]:
        """Close the lease, keep what may be served again, and compare what was not: closing effects."""
        if self.lease is not None:
            lease, self.lease = self.lease, None
            result, request = self.books.result, self.request
            outcome = yield Remember(
                lease, lasting, result.call_id, request.cache_tags, self.served,
                pico_usd=result.pico_usd, tenant=request.tags.get("tenant"),
            )  # fmt: skip
            if type(outcome) is Broken:
                self.books.fault("cache", outcome.error)
        if lasting is None or self.served is not None or self.subject is None or self.vector is None:
            return
        yield from self._learn(self.subject, self.vector, lasting)

    def _learn(self, subject: Subject, vector: Vector, reply: Reply) -> Plan[None]:
        result = self.books.result
        kept = yield Keep(subject, vector, reply, result.call_id, result.pico_usd)
        if type(kept) is Broken:
            self.books.fault("cache", kept.error)
        if self.doubt is not None and self.doubt.entry is not None:
            compared = yield Audit(subject, self.doubt.entry, self.doubt.probability, reply)
            if type(compared) is Broken:
                self.books.fault("cache", compared.error)


def _refusal(reason: str) -> str:
    """Say why a judgement serves nothing without the questions that it quotes: behind a colon, a semicolon or "is"."""
    if reason.startswith("nearest is"):
        return "nothing near enough"
    differs, colon, _ = reason.partition(";")[0].partition(":")
    if colon:
        return f"differs in {differs}"
    return "not alike enough" if differs == "nothing differs" else differs
