"""The seam to whoever runs batches: OpenAI, Anthropic, a vLLM on one's own machines. One engine drives them all.

What is said here is what the engine needs to survive being killed: every step that makes something at the provider
has a twin that finds what an earlier try of the same step left there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from tuppence.usage.buckets import Processing

CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one batch takes."""

    lines: int
    bytes: int
    """Of the file, or of the request that carries the lines."""
    inputs: int | None = None
    """Texts to embed, over all lines; None where nobody counts them."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Lines on their way to a provider, in a file of its spelling."""

    token: str
    """Names this part, and this try of it, at the provider: 32 hex digits that nothing else there bears."""
    url: str
    lines: int
    window: str
    """How long the provider may take, such as `24h`."""
    intended_at: float
    """Unix seconds: nothing of this name was made before."""
    path: Path

    def custom_id(self, number: int) -> str:
        """Name a line at the provider, in the 64 letters, digits and hyphens that all of them allow."""
        return f"{self.token}-{number}"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a line has no answer."""

    message: str
    permanent: bool
    """Sending the same again would bring the same."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a provider says of one line."""

    custom_id: str
    body: Mapping[str, Any] | None
    trouble: Trouble | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How a batch stands at the provider."""

    state: Literal["running", "ended", "refused"]
    """`refused`: the batch as a whole was not taken, and no line of it was run."""
    done: int = 0
    """Lines that it is through with, well or not."""
    ended_at: float = 0.0
    """Unix seconds, once it has ended."""
    sources: tuple[str, ...] = ()
    """Where the answers lie, in the provider's words."""
    troubles: tuple[tuple[int, Trouble], ...] = ()
    """Of a refused batch: the lines at fault, counted from 1; 0 is the batch itself."""
    gpu_ms: int = 0
    """Compute time of the whole batch, where that is what is paid."""


class BatchProvider(Protocol):
    """One provider's batches. Every method raises what the SDK raises."""

    @property
    def name(self) -> str:
        """Name the provider as price lists do."""
        ...

    @property
    def processing(self) -> Processing:
        """Say at which prices its batches run."""
        ...

    @property
    def limits(self) -> Limits: ...

    @property
    def urls(self) -> Collection[str]:
        """The addresses whose requests it takes."""
        ...

    @property
    def proves(self) -> bool:
        """Say whether what `find_batch` finds is certainly ours; else its lines must show that when they are read."""
        ...

    def spell(self, custom_id: str, url: str, body: str) -> str:
        """Write a line of the file, without its end; `body` is JSON."""
        ...

    def upload(self, parcel: Parcel) -> str:
        """Take the file there and return its id; empty where the lines go with `create`."""
        ...

    def find_upload(self, parcel: Parcel) -> str | None:
        """Look for the file of an upload of which nobody knows whether it arrived."""
        ...

    def create(self, parcel: Parcel, file_id: str) -> str:
        """Have the batch run and return its id. From here on it costs."""
        ...

    def find_batch(self, parcel: Parcel, file_id: str, taken: Collection[str]) -> str | None:
        """Look for the batch of a `create` of which nobody knows whether it arrived; those `taken` are others'."""
        ...

    def progress(self, batch_id: str) -> Progress: ...

    def answers(self, batch_id: str, sources: Collection[str]) -> Iterator[Outcome]:
        """Read the answers of a batch that has ended, in any order, without holding them all."""
        ...

    def cancel(self, batch_id: str) -> None:
        """Ask for a batch to end early; what it has answered by then is billed, and fetched."""
        ...
