"""Anthropic's Message Batches: the lines go with the request that makes the batch, results are read as a stream.

A batch carries no name, so one that was made right before a kill is known by its size and age, and proven by the names
of its lines when they are read.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tuppence.batch.lines import MESSAGES
from tuppence.batch.provider import CANCELLED, Limits, Outcome, Parcel, Progress, Trouble
from tuppence.clients.sdk import dumped
from tuppence.clients.tiers import unwrapped
from tuppence.usage.buckets import Processing

# Anthropic's guide, "Batch processing": 100,000 requests or 256 MB, whichever comes first.
MOST = Limits(lines=100_000, bytes=256_000_000)
# The SDK sends a batch out of memory, at several times its size; nothing is cheaper in a larger one.
LIMITS = Limits(lines=20_000, bytes=32_000_000)
# Clocks differ: a batch of ours may seem older than our intent to make it.
_CLOCK_SKEW_S = 300.0
_PERMANENT = (
    "invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error",
    "request_too_large",
)  # fmt: skip


class AnthropicBatches:
    """Batches of an `anthropic.Anthropic` client. `limits` may go up to `MOST`, where memory allows."""

    name = "anthropic"
    processing: Processing = "batch"
    proves = False
    urls: Collection[str] = frozenset({MESSAGES})

    def __init__(self, client: Any, *, limits: Limits = LIMITS) -> None:
        self._client = unwrapped(client).with_options(max_retries=0)
        self.limits = Limits(min(limits.lines, MOST.lines), min(limits.bytes, MOST.bytes))

    def spell(self, custom_id: str, url: str, body: str) -> str:
        return f'{{"custom_id":"{custom_id}","params":{body}}}'

    def upload(self, parcel: Parcel) -> str:
        return ""

    def find_upload(self, parcel: Parcel) -> str | None:
        return ""

    def create(self, parcel: Parcel, file_id: str) -> str:
        with parcel.path.open(encoding="utf-8") as lines:
            made = self._client.messages.batches.create(requests=[json.loads(line) for line in lines])
        return str(made.id)

    def find_batch(self, parcel: Parcel, file_id: str, taken: Collection[str]) -> str | None:
        # The earliest that fits: later ones may be other parts', made right after.
        fitting = None
        for batch in self._client.messages.batches.list(limit=100):
            if batch.created_at.timestamp() < parcel.intended_at - _CLOCK_SKEW_S:
                break
            if batch.id not in taken and _size(batch) == parcel.lines:
                fitting = str(batch.id)
        return fitting

    def progress(self, batch_id: str) -> Progress:
        batch = self._client.messages.batches.retrieve(batch_id)
        done = _size(batch) - batch.request_counts.processing
        if batch.processing_status != "ended":
            return Progress("running", done)
        ended_at = 0.0 if batch.ended_at is None else batch.ended_at.timestamp()
        return Progress("ended", done, ended_at, (batch_id,))

    def answers(self, batch_id: str, sources: Collection[str]) -> Iterator[Outcome]:
        for line in self._client.messages.batches.results(batch_id):
            yield _outcome(line.custom_id, line.result)

    def cancel(self, batch_id: str) -> None:
        self._client.messages.batches.cancel(batch_id)


def _size(batch: Any) -> int:
    counts = batch.request_counts
    return int(counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired)


def _outcome(custom_id: str, result: Any) -> Outcome:
    if result.type == "succeeded":
        return Outcome(custom_id, dumped(result.message), None)
    if result.type == "canceled":
        return Outcome(custom_id, None, Trouble(CANCELLED, permanent=True))
    if result.type == "expired":
        return Outcome(custom_id, None, Trouble("the batch ended before this line was run", permanent=False))
    error = dumped(result.error).get("error") or {}
    kind = error.get("type") if isinstance(error, Mapping) else None
    message = f"{kind or 'error'}: {error.get('message') or 'no reason given'}"
    return Outcome(custom_id, None, Trouble(message, permanent=kind in _PERMANENT))
