"""Answers of a job in the cache that answers live calls: the same question, asked at once later, is a hit.

What a live call would look its answer up by, only the client that makes it knows; so it is asked.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextvars import Context
from typing import Any, Protocol

from tuppence import context
from tuppence.batch.lines import CHAT, MESSAGES, RESPONSES
from tuppence.clients.desk import Desk
from tuppence.clients.sdk import built
from tuppence.errors import ConfigError
from tuppence.request import Tags

# What the SDKs make of an answer. Embeddings are cached by who embeds, not here.
_ANSWERS = {
    CHAT: ("openai.types.chat", "ChatCompletion"), RESPONSES: ("openai.types.responses", "Response"),
    MESSAGES: ("anthropic.types", "Message"),
}  # fmt: skip


class Keeper(Protocol):
    """Keeps answers for live calls. Whatever it raises, the job goes on."""

    def keep(
        self, url: str, asked: Mapping[str, Any], answer: Mapping[str, Any], *, origin: str, pico_usd: int, tags: Tags
    ) -> None:
        """Keep the answer to a request; `origin` is the logical call that paid for it."""
        ...


class ClientCache:
    """The cache of a client that `tuppence.wrap` made. Raises `ConfigError` for any other client."""

    def __init__(self, client: Any) -> None:
        desk = getattr(getattr(client, "post", None), "__self__", None)
        if not isinstance(desk, Desk):
            raise ConfigError(
                f"ClientCache was given {client!r} ({type(client).__name__}): give it what tuppence.wrap(...) returned"
            )
        self._desk = desk

    def keep(
        self, url: str, asked: Mapping[str, Any], answer: Mapping[str, Any], *, origin: str, pico_usd: int, tags: Tags
    ) -> None:
        if url not in _ANSWERS:
            return
        module, name = _ANSWERS[url]
        native = built(getattr(importlib.import_module(module), name), answer)
        path = url if url == MESSAGES else url.removeprefix("/v1")

        def keep() -> None:
            with context.tags(**tags):
                self._desk.keep(path, asked, native, origin=origin, pico_usd=pico_usd)

        # A context of its own: the job's tags are those of its submission, whoever settles it.
        Context().run(keep)
