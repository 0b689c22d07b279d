"""OpenAI's Batch API, and servers that copied it: a file of lines goes up, a batch is made of it, files come back.

Files are named by their part and batches carry it in their metadata, so that what was made right before a kill is
found again. Nothing here retries: the engine does.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tuppence.batch.lines import CHAT, EMBEDDINGS, RESPONSES
from tuppence.batch.provider import CANCELLED, Limits, Outcome, Parcel, Progress, Trouble
from tuppence.clients.sdk import provider_of
from tuppence.clients.tiers import unwrapped
from tuppence.usage.buckets import Processing

# OpenAI's API reference, "Create batch": 50,000 requests and 200 MB a file, 50,000 embedding inputs a batch.
LIMITS = Limits(lines=50_000, bytes=200_000_000, inputs=50_000)
_METADATA = "tuppence_part"
_ENDED = ("completed", "expired", "cancelled")
# Clocks differ: a batch of ours may seem older than our intent to make it.
_CLOCK_SKEW_S = 3600.0
_PASSING_STATUSES = (408, 409, 425, 429)
_RUN_LATER = ("batch_expired", "token_limit_exceeded", "rate_limit_exceeded", "server_error")
"""Codes of lines and batches that were not run for no fault of theirs."""


class OpenAIBatches:
    """Batches of an `openai.OpenAI` client: chat completions, responses and embeddings.

    `name` is the provider's in price lists; `limits` may be lowered for servers that take less.
    """

    processing: Processing = "batch"
    proves = True
    urls: Collection[str] = frozenset({CHAT, RESPONSES, EMBEDDINGS})

    def __init__(self, client: Any, *, name: str = "", limits: Limits = LIMITS) -> None:
        self._client = unwrapped(client).with_options(max_retries=0)
        self.name = name or provider_of(self._client) or "openai"
        self.limits = limits

    def spell(self, custom_id: str, url: str, body: str) -> str:
        return f'{{"custom_id":"{custom_id}","method":"POST","url":"{url}","body":{body}}}'

    def upload(self, parcel: Parcel) -> str:
        with parcel.path.open("rb") as file:
            made = self._client.files.create(file=(_file_name(parcel), file), purpose="batch")
        return str(made.id)

    def find_upload(self, parcel: Parcel) -> str | None:
        # Newest first: what is looked for was made a moment ago, before this process began.
        for file in self._client.files.list(purpose="batch", order="desc"):
            if file.filename == _file_name(parcel):
                return str(file.id)
            if file.created_at < parcel.intended_at - _CLOCK_SKEW_S:
                return None
        return None

    def create(self, parcel: Parcel, file_id: str) -> str:
        made = self._client.batches.create(
            input_file_id=file_id, endpoint=parcel.url, completion_window=parcel.window,
            metadata={_METADATA: parcel.token},
        )  # fmt: skip
        return str(made.id)

    def find_batch(self, parcel: Parcel, file_id: str, taken: Collection[str]) -> str | None:
        for batch in self._client.batches.list(limit=100):
            if batch.input_file_id == file_id or (batch.metadata or {}).get(_METADATA) == parcel.token:
                return None if batch.id in taken else str(batch.id)
            if batch.created_at < parcel.intended_at - _CLOCK_SKEW_S:
                return None
        return None

    def progress(self, batch_id: str) -> Progress:
        batch = self._client.batches.retrieve(batch_id)
        counts = batch.request_counts
        done = 0 if counts is None else counts.completed + counts.failed
        if batch.status == "failed":
            errors = (batch.errors.data if batch.errors is not None else None) or []
            return Progress("refused", 0, float(batch.failed_at or 0), troubles=tuple(map(_refusal, errors)))
        if batch.status not in _ENDED:
            return Progress("running", done)
        ended_at = float(batch.completed_at or batch.expired_at or batch.cancelled_at or 0)
        sources = tuple(one for one in (batch.output_file_id, batch.error_file_id) if one)
        return Progress("ended", done, ended_at, sources)

    def answers(self, batch_id: str, sources: Collection[str]) -> Iterator[Outcome]:
        for source in sources:
            with self._client.files.with_streaming_response.content(source) as response:
                for line in response.iter_lines():
                    if line.strip():
                        yield outcome(json.loads(line))

    def cancel(self, batch_id: str) -> None:
        self._client.batches.cancel(batch_id)


def _file_name(parcel: Parcel) -> str:
    return f"tuppence-{parcel.token}.jsonl"


def outcome(line: Mapping[str, Any]) -> Outcome:
    """Read a line of an output or error file: an answer, an HTTP error, or a line that was never run."""
    custom_id, response = str(line.get("custom_id")), line.get("response") or {}
    status, body = int(response.get("status_code") or 0), response.get("body")
    error = line.get("error")
    if status == 200 and isinstance(body, Mapping) and not error:
        return Outcome(custom_id, body, None)
    # Where the error of a request stands differs from what the reference says: there, or in the response's body.
    told = error or (body or {}).get("error") if isinstance(body, Mapping) else error
    code, message = _said(told)
    if code == "batch_cancelled":
        return Outcome(custom_id, None, Trouble(CANCELLED, permanent=True))
    if status:
        permanent = 400 <= status < 500 and status not in _PASSING_STATUSES
        return Outcome(custom_id, None, Trouble(f"{status} {message or code or 'without a reason'}", permanent))
    return Outcome(custom_id, None, Trouble(message or code or "no answer and no reason", permanent=False))


def _refusal(error: Any) -> tuple[int, Trouble]:
    message = f"{error.code or 'refused'}: {error.message or 'no reason given'}"
    return int(error.line or 0), Trouble(message, permanent=error.code not in _RUN_LATER)


def _said(error: Any) -> tuple[str, str]:
    """Read code and message of an error, whichever form it has."""
    if isinstance(error, Mapping):
        return str(error.get("code") or ""), str(error.get("message") or "")
    return "", str(error or "")
