"""Usage of a streamed call, gathered from its chunks.

Providers differ in where a stream tells its usage: OpenAI in one last chunk, Gemini in every chunk anew,
Anthropic split between `message_start` and cumulative `message_delta` events. This module must never add up
what a provider already accumulates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuppence.errors import UsageError
from tuppence.usage.buckets import Usage
from tuppence.usage.fields import field, has
from tuppence.usage.readers import read_usage


class UsageStream:
    """Gather the usage of one streamed call: `feed` every chunk, then `read`.

    `api` is the one given to `read_usage`. Chunks without usage are ignored. Works on dicts and SDK objects.
    """

    def __init__(self, api: str, context: Mapping[str, Any] | None = None) -> None:
        self._api = api
        self._context = context
        self._latest: dict[str, Any] = {}
        self._tier: str | None = None

    def feed(self, chunk: Any) -> None:
        """Take in one chunk; a later count replaces an earlier one, since counts are cumulative."""
        body = field(chunk, "message", "response") if has(chunk, "type") else None
        source = chunk if body is None else body
        self._tier = field(source, "service_tier") or self._tier
        usage = field(source, "usage", "usageMetadata", "usage_metadata")
        if usage is not None:
            self._latest.update({name: value for name, value in _mapping(usage).items() if value is not None})

    def __bool__(self) -> bool:
        """Say whether any chunk has told usage so far."""
        return bool(self._latest)

    def read(self) -> Usage:
        """Return the usage as known now; raises `UsageError` when no chunk carried any."""
        if not self._latest:
            raise UsageError(
                f"the {self._api} stream ended without usage; for OpenAI-compatible servers send "
                "stream_options={'include_usage': true}"
            )
        told = {"usage": self._latest}
        return read_usage(self._api, told | {"service_tier": self._tier} if self._tier else told, self._context)


def _mapping(usage: Any) -> Mapping[str, Any]:
    if isinstance(usage, Mapping):
        return usage
    dump = getattr(usage, "model_dump", None)
    mapping: Mapping[str, Any] = dump() if dump else vars(usage)
    return mapping
