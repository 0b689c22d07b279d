"""What the flow asks of a cache: an answer to the same request, or to one like it; and that a new one be kept."""

from __future__ import annotations

from dataclasses import dataclass

from tuppence.effects.plans import Broken, Effect
from tuppence.embed import Vector
from tuppence.request import Reply


@dataclass(slots=True)
class Hit:
    """An answer that the cache already has."""

    reply: Reply
    age_s: float
    origin: str
    """Id of the logical call that paid for it."""
    why: str = ""
    """What else there is to say: that it was waited for, how long, and for whom."""


@dataclass(slots=True)
class Lease:
    """The right to answer for a key: closed by `Remember`, whatever happens."""

    key: str
    token: object = None
    why: str = ""
    """What went before it was given: a wait that brought nothing."""


@dataclass(slots=True)
class Lookup(Effect[Hit | Lease | Broken]):
    """Look an exact key up; without a hit the outcome is the lease to fill it."""

    key: str


@dataclass(slots=True)
class Peek(Effect[Hit | None | Broken]):
    """Look whether a key is there, without waiting for anybody or taking a lease."""

    key: str


@dataclass(slots=True)
class Remember(Effect[None | Broken]):
    """Close a lease: store the reply, or with None let the next one try. Closing: performed even when unwinding."""

    lease: Lease
    reply: Reply | None
    origin: str
    tags: frozenset[str] = frozenset()
    like: Entry | None = None
    """The entry whose answer the reply is: it lives no longer than that entry does."""
    pico_usd: int = 0
    """What the call cost: of two answers that must go, the cheaper goes."""
    tenant: str | None = None
    """Whose room it takes."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request asks, apart from the context that it asks in."""

    id: str
    """Its exact key, hex digits."""
    scope: str
    """Hex digits that stand for the context, as in `Entry`."""
    question: str
    """The last user turn."""
    domain: str
    """Where one threshold holds: tenant and task, in words."""
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One paid answer, with the question that it answered, that may be served to a question like it."""

    id: str
    """The exact key of the request that paid for it, hex digits: adding the same id again replaces the entry."""
    scope: str
    """Hex digits that stand for everything but the question: tenant, policy, system prompt, earlier turns, documents,
    tools, parameters and the embedder's name. Two scopes never see each other's entries."""
    question: str
    """The last user turn, as the redaction hook left it."""
    vector: Vector
    """The question's embedding, of length 1."""
    value: bytes
    """The frozen reply, JSON."""
    answer: str = ""
    """Hex digits that stand for what the reply says: entries with the same answer vouch for each other."""
    tags: frozenset[str] = frozenset()
    """What `invalidate` finds it by."""
    pico_usd: int = 0
    """What the answer cost: of two entries that must go, the cheaper goes."""
    stored_at: float = 0.0
    """Unix seconds."""
    expires_at: float | None = None
    """Unix seconds; None keeps it until there is no room."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An entry near a question."""

    entry: Entry
    similarity: float
    """Cosine, in [-1, 1]."""


@dataclass(slots=True)
class Embed(Effect["Vector | Broken"]):
    """Embed one question."""

    text: str


@dataclass(slots=True)
class Nearest(Effect[list[Neighbour] | Broken]):
    """Find the entries of a scope that are nearest to a question, nearest first."""

    scope: str
    vector: Vector


@dataclass(slots=True)
class Open(Effect[Hit | Broken]):
    """Make an entry's answer into a reply of the caller's own."""

    entry: Entry


@dataclass(slots=True)
class Keep(Effect[None | Broken]):
    """Keep a reply for questions like the one that it answered. Closing: performed even when unwinding."""

    subject: Subject
    vector: Vector
    reply: Reply
    origin: str
    pico_usd: int


@dataclass(slots=True)
class Audit(Effect[None | Broken]):
    """Compare an answer that was not served with the one that the model gave. Closing, and waits for nothing."""

    subject: Subject
    entry: Entry
    probability: float
    """What the cache's decision gave the entry."""
    reply: Reply
