"""What goes into a job and what comes out of it: lines, answers, and how a job stands.

These are plain values. This room must never know how a provider spells any of them, nor where they are kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from tuppence.errors import TuppenceError
from tuppence.prices import PicoUSD
from tuppence.usage import Usage

CHAT, RESPONSES, EMBEDDINGS, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/messages"
_CUSTOM_ID_CHARS = 512
"""Longest name of a line. Providers see names of ours in its place, so this bounds rows and nothing else."""


class BatchError(TuppenceError):
    """A job that cannot be made, found or continued; what was sent and answered is kept."""


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a job. To have one question answered several times, tell the bodies apart, as by `seed`: equal
    requests are sent once.
    """

    custom_id: str
    """Name of this line, unlike all others of its job."""
    body: Mapping[str, Any]
    """The provider's own request, the model in it."""
    url: str = CHAT
    """The address that the body is meant for, from `/v1` on."""

    def spelt(self) -> str:
        """Return the body as JSON, the same for equal bodies; raises `BatchError` for a line that cannot be sent."""
        given: object = self.custom_id
        if not isinstance(given, str) or not 0 < len(given) <= _CUSTOM_ID_CHARS:
            raise BatchError(
                f"custom_id is {self.custom_id!r}: name each line by a text of up to {_CUSTOM_ID_CHARS} characters"
            )
        model = self.body.get("model")
        if not isinstance(model, str) or not model.strip():
            raise BatchError(
                f"line {self.custom_id!r} names the model {model!r}: give its body one, as {{'model': 'gpt-4o-mini'}}"
            )
        if self.body.get("stream"):
            raise BatchError(f"line {self.custom_id!r} asks for a stream, and batches have none: leave `stream` out")
        try:
            return json.dumps(self.body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BatchError(f"line {self.custom_id!r} cannot be written as JSON ({error}): give plain data") from error


def digest_of(url: str, spelt: str) -> bytes:
    """Hash a request (BLAKE2b, 128 bits): equal ones of a job are sent once."""
    return hashlib.blake2b(f"{url}\n{spelt}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one line: a body, or an error."""

    custom_id: str
    body: Mapping[str, Any] | None
    """The provider's own answer."""
    error: str | None
    """Why there is none: in the provider's words, or `cancelled`."""
    usage: Usage | None
    """What the answer used; None where there is none, or where an equal line of the job paid for it."""
    pico_usd: PicoUSD | None
    """What it cost; 0 where an equal line paid for it, None where no price is known."""
    call_id: str
    """Its logical call in the ledger."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was taken in."""

    id: str
    lines: int
    requests: int
    """Those of its lines that differ: what is sent, and billed."""


State = Literal["open", "cancelling", "done"]


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How a job stands."""

    id: str
    name: str
    state: State
    lines: int
    requests: int
    answered: int
    """Requests with an answer, fetched and accounted."""
    failed: int
    """Requests that end without one."""
    ended_there: int
    """Requests that the provider says it is through with, fetched or not."""
    parts: int
    """Batches made, resubmissions included, and those yet to be sent."""
    in_flight: int
    """Batches at the provider."""
    usd: Decimal
    """Spent so far, as far as prices are known."""
    worst_usd: Decimal | None
    """The most that the whole job was estimated to cost; None where a price is unknown."""
    made_at: float
    """Unix seconds."""
    eta_s: float | None
    """Seconds to go, at the pace so far; None before anything was answered."""
    note: str
    """What went wrong last, and is tried again."""
    blocked: str
    """Why nothing more is sent until somebody does something, such as raising a budget; empty while all goes on."""
    next_at: float
    """Unix seconds: before that, advancing the job changes nothing."""
    elsewhere: bool
    """Another process is driving this job right now."""

    @property
    def done(self) -> bool:
        """Say whether every line has its answer or its error, and all is accounted."""
        return self.state == "done"
