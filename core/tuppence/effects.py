"""The effects that plans yield and the outcomes that they get back: where the flow, the checks and the cache
meet.

A plan is a generator that does no I/O: it yields an `Effect`, a driver has a port perform it, and the outcome
is sent back in. Failures are values here (`Failed`, `Broken`), so that a plan can decide about them like about
anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from tuppence.attempts import Cause, Result, Verdict
from tuppence.embed import Vector
from tuppence.request import Edits, Reply, Request
from tuppence.tiers import Tier
from tuppence.usage import Usage

T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")


class Effect(Generic[T_co]):
    """Something to be done outside; `outcome = yield from effect` has the type that the effect promises."""

    __slots__ = ()

    def __iter__(self) -> Generator[Effect[Any], Any, T_co]:
        outcome: T_co = yield self
        return outcome


Plan = Generator[Effect[Any], Any, R]

Gate = Callable[[str], bool]
"""Asked with the text streamed so far: may the user see it from here on?"""


def live(_text: str) -> bool:
    """Let every chunk through as it comes."""
    return True


def held(_text: str) -> bool:
    """Hold all chunks until the reply has been checked."""
    return False


FailureKind = Literal[
    "rate_limit", "timeout", "server", "connection", "bad_request", "auth", "context_length", "garbage", "unknown"
]


@dataclass(slots=True)
class Failed:
    """A provider call that brought no whole answer."""

    error: BaseException
    kind: FailureKind
    retry_after_s: float | None = None
    """What the provider asked for, in seconds."""
    delivered: int = 0
    """Chunks that already reached the user: from one on, neither retry nor fail-over is allowed."""
    text: str = ""
    """What had been generated when it failed."""
    latency_ms: float = 0.0
    begun: bool = False
    """The provider may have begun to generate, and bill: what it used is an estimate then, unless `usage` says it."""
    usage: Usage | None = None
    """What the provider said that it used, where the exception carries that."""

    @property
    def passing(self) -> bool:
        """True where the same call may succeed a moment later."""
        return self.kind in ("rate_limit", "timeout", "server", "connection", "garbage")


class Declined:
    """Outcome of asking a function tier that has no answer."""

    __slots__ = ()


@dataclass(slots=True)
class Broken:
    """Outcome of an effect that only optimises or records, and failed: the call goes on without it."""

    error: Exception


@dataclass(slots=True)
class Ask(Effect["Reply | Failed | Declined"]):
    """Ask one tier for an answer."""

    tier: Tier
    request: Request
    edits: Edits
    cause: Cause
    gate: Gate = held


@dataclass(slots=True)
class Consult(Effect["Reply | Failed | Declined"]):
    """Ask the tier of this name on behalf of a check. Never performed as it stands: the climb makes an `Ask` of it,
    with the policy's guards, retries and accounting.
    """

    tier: str
    request: Request
    cause: Cause


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
class Lookup(Effect["Hit | Lease | Broken"]):
    """Look an exact key up; without a hit the outcome is the lease to fill it."""

    key: str


@dataclass(slots=True)
class Peek(Effect["Hit | None | Broken"]):
    """Look whether a key is there, without waiting for anybody or taking a lease."""

    key: str


@dataclass(slots=True)
class Remember(Effect["None | Broken"]):
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
class Nearest(Effect["list[Neighbour] | Broken"]):
    """Find the entries of a scope that are nearest to a question, nearest first."""

    scope: str
    vector: Vector


@dataclass(slots=True)
class Open(Effect["Hit | Broken"]):
    """Make an entry's answer into a reply of the caller's own."""

    entry: Entry


@dataclass(slots=True)
class Keep(Effect["None | Broken"]):
    """Keep a reply for questions like the one that it answered. Closing: performed even when unwinding."""

    subject: Subject
    vector: Vector
    reply: Reply
    origin: str
    pico_usd: int


@dataclass(slots=True)
class Audit(Effect["None | Broken"]):
    """Compare an answer that was not served with the one that the model gave. Closing, and waits for nothing."""

    subject: Subject
    entry: Entry
    probability: float
    """What the cache's decision gave the entry."""
    reply: Reply


@dataclass(slots=True)
class Deliver(Effect[None]):
    """Hand a reply that was held, or cached, to the user's stream."""

    reply: Reply


@dataclass(slots=True)
class Sleep(Effect[None]):
    """Wait before a retry."""

    seconds: float


@dataclass(slots=True)
class Call(Effect["Any | Broken"]):
    """Call the user's own function, sync or async."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]


@dataclass(slots=True)
class Settle(Effect["None | Broken"]):
    """Write the call down. Closing: performed even when unwinding, once a call."""

    result: Result


@dataclass(slots=True)
class Record(Settle):
    """Write the call down with its texts, where the user asked for that. Closing, and waits for nothing."""

    request: Request
    replies: Sequence[Reply | None]
    """What each attempt of the result brought, in part where it broke off; None where nothing came."""
    recorder: Recorder
    guards: tuple[Route, ...] = ()
    """Who may not see the request may not be shown it later either."""


class Recorder(Protocol):
    """Keeps settled calls with their texts."""

    def record(self, call: Record, /) -> None:
        """Take a call in and return at once. What is raised is noted on the call's decision, and the call goes on."""
        ...


class Abandoned(BaseException):
    """Thrown into a plan whose caller has gone: only closing effects are performed from here.

    Never `close()` a plan: a closing effect yielded while `GeneratorExit` unwinds is a RuntimeError.
    """

    def __init__(self, cause: BaseException, ask: Ask | None = None, text: str = "", latency_ms: float = 0.0) -> None:
        super().__init__(cause)
        self.cause = cause
        self.ask = ask
        """The provider call in flight, if any."""
        self.text = text
        """What it had generated so far."""
        self.latency_ms = latency_ms
        """How long it had been under way."""


class Check(Protocol):
    """Is this answer good enough? A score at once, or a plan that asks somebody first: tiers and judges by `Consult`.

    A check that names tiers lists them in an attribute `names`, so that a policy can say at once that one does not
    exist.
    """

    def __call__(self, request: Request, reply: Reply, /) -> Verdict | Plan[Verdict]: ...


class StreamingCheck(Check, Protocol):
    """A check that can tell early: streams are then let through before the last token has come."""

    def opens(self, request: Request, text: str, /) -> bool:
        """Say whether no continuation of `text` could be rejected any more."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """Which tiers may try, in which order, and why."""

    ladder: tuple[Tier, ...]
    reason: str
    threshold: float | None = None
    """Score that a reply must reach to be accepted; None leaves it to the policy."""


class Route(Protocol):
    """Choose among the tiers of `ladder` (cheapest first); None where this route has nothing to say."""

    def __call__(self, request: Request, ladder: tuple[Tier, ...], /) -> Choice | None: ...


class LearningRoute(Route, Protocol):
    """A route that is told how each call ended."""

    def learn(self, request: Request, result: Result, /) -> None: ...
