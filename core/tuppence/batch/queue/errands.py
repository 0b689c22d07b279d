"""What goes into a queue and what comes out: a request with what its bill needs, a claim on many, an answer for one.

Plain values; nothing here waits, sends or counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from tuppence.request import Tags
from tuppence.usage import Usage

Fate = Literal["waiting", "claimed", "answered", "missed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Errand:
    """For which call a request goes, and by which tier: what the ledger is told where the caller has gone."""

    call_id: str
    tier: str
    started_at: float
    """Unix seconds."""
    tags: Tags
    policy_version: str = ""

    def spelt(self) -> str:
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps(told | {"tags": dict(self.tags)}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Errand:
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that can wait."""

    id: str
    endpoint: str
    """Address of the API, such as `https://api.openai.com/v1`: together with `url` where it would have gone at once."""
    url: str
    """What is asked there, from `/v1` on, as batches name it."""
    body: str
    """JSON."""
    errand: Errand
    put_at: float
    deadline_at: float
    """Unix seconds: from then on nobody waits for it any more."""


def waiting(
    endpoint: str, url: str, body: Mapping[str, Any], errand: Errand, *, put_at: float, deadline_at: float
) -> Waiting:
    """Make a request of a body; the same body for the same call is the same request, whoever puts it and how often."""
    spelt = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    named = "\n".join((errand.call_id, endpoint, url, spelt)).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(named, digest_size=12).hexdigest()
    # Readable where calls have short names; batches allow 512 characters in all.
    name = f"{errand.call_id[:80]}-{digest}"
    return Waiting(name, endpoint, url, spelt, errand, put_at, deadline_at)


@dataclass(frozen=True, slots=True)
class Claim:
    """Requests that one worker makes a job of: all of one kind, for one endpoint."""

    id: str
    endpoint: str
    url: str


@dataclass(frozen=True, slots=True)
class Landed:
    """What came of a request."""

    id: str
    fate: Fate
    body: str | None = None
    """The provider's answer, JSON."""
    error: str = ""
    """Why the lane has none."""
    usage: Usage | None = None
    """What the answer used and how it was run; None where nothing is to be paid for it any more: an equal request of
    its batch was billed, or this one was before, or the worker bills it.
    """


@dataclass(frozen=True, slots=True)
class Done:
    """What a worker says of one request: the answer with the attempt that it was, or why there is none."""

    id: str
    body: str | None
    error: str = ""
    attempt: str | None = None
    """JSON; None where an equal request was billed for both."""


@dataclass(frozen=True, slots=True)
class Unbilled:
    """An answer that nobody came for."""

    id: str
    errand: Errand
    attempt: str
    put_at: float
    done_at: float
    left_behind: bool
    """The caller is known to have gone on without it, so its own books do not hold it."""
