"""OpenAI's embeddings, and those of every server that speaks its API, through the SDK client that a program has.

What was used is taken from the response, never counted here. A client that `wrap` accounts for is not booked twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from tuppence.attempts import Result, new_call_id
from tuppence.context import Spend, enclosing_spends
from tuppence.embed.embedder import unit
from tuppence.errors import ConfigError, RequestError, UsageError
from tuppence.observed import observed
from tuppence.prices import PriceBook, Rate
from tuppence.tokens import estimate_tokens
from tuppence.usage import Usage, read_usage

if TYPE_CHECKING:
    from tuppence.embed.embedder import Vectors

# "an array must be 2048 dimensions or less" and "a maximum of 300,000 tokens summed across all inputs in a single
# request" (platform.openai.com/docs/api-reference/embeddings/create). The estimate is on the high side for most texts,
# not for all.
_TEXTS_PER_CALL = 2048
_TOKENS_PER_CALL = 250_000


class Recorder(Protocol):
    """Where settled calls are written down, such as a ledger."""

    def write(self, result: Result, /) -> None: ...


class OpenAIEmbedder:
    """Embed by a client of the OpenAI SDK: `OpenAIEmbedder(openai.OpenAI(), "text-embedding-3-small")`.

    Every call is in the `spend()` blocks around it and in `ledger`, at `rate` or else the listed price of `model`. An
    async client serves `aembed` alone; a sync one serves both, `aembed` from a thread. Exceptions are the SDK's; raises
    `RequestError` for an answer without a vector for each text.
    """

    def __init__(
        self, client: Any, model: str, dimensions: int | None = None, *, provider: str | None = None,
        rate: Rate | None = None, prices: PriceBook | None = None, ledger: Recorder | None = None,
    ) -> None:  # fmt: skip
        if not callable(getattr(getattr(client, "embeddings", None), "create", None)):
            raise ConfigError(f"client is {client!r}: give a client of the OpenAI SDK, such as openai.OpenAI()")
        if not model.strip():
            raise ConfigError(f"model is {model!r}: name an embedding model, such as 'text-embedding-3-small'")
        if find_spec("numpy") is None:
            raise ConfigError("OpenAIEmbedder needs numpy: pip install 'tuppence[semantic]'")
        self._client = client
        self._is_async = any(cls.__name__ == "AsyncAPIClient" for cls in type(client).__mro__)
        # The client that `wrap` returns posts at its desk, which books every call.
        self._is_booked = hasattr(getattr(getattr(client, "post", None), "__self__", None), "wrapped_client")
        self._model = model
        self._dimensions = dimensions
        self._rate = rate or (prices or PriceBook.default()).rate(model, provider=provider)
        self._ledger = ledger

    @property
    def name(self) -> str:
        return self._model if self._dimensions is None else f"{self._model}@{self._dimensions}"

    def embed(self, texts: Sequence[str], /) -> Vectors:
        """Embed `texts`, in one call up to OpenAI's limits; raises `ConfigError` for an async client."""
        if self._is_async:
            raise ConfigError(
                f"embed() needs a sync client and {type(self._client).__name__} is async: use aembed(), or give a "
                "client such as openai.OpenAI()"
            )
        vectors: list[list[float]] = []
        for part in _parts(texts):
            spends, started = enclosing_spends(), time.time()
            response = self._client.embeddings.create(**self._asked(part))
            vectors += self._read(response, len(part), spends, started)
        return unit(vectors, self._dimensions or 0)

    async def aembed(self, texts: Sequence[str], /) -> Vectors:
        if not self._is_async:
            return await asyncio.to_thread(self.embed, texts)
        vectors: list[list[float]] = []
        for part in _parts(texts):
            spends, started = enclosing_spends(), time.time()
            response = await self._client.embeddings.create(**self._asked(part))
            vectors += self._read(response, len(part), spends, started)
        return unit(vectors, self._dimensions or 0)

    def _asked(self, texts: list[str]) -> dict[str, Any]:
        asked: dict[str, Any] = {"model": self._model, "input": texts}
        return asked if self._dimensions is None else {**asked, "dimensions": self._dimensions}

    def _read(self, response: Any, count: int, spends: Sequence[Spend], started: float) -> list[list[float]]:
        if not self._is_booked:
            self._book(response, spends, started)
        rows = sorted(response.data, key=lambda row: int(row.index))
        if len(rows) != count:
            raise RequestError(
                f"{self._model} returned {len(rows)} vectors for {count} texts: is it an embedding model?"
            )
        return [row.embedding for row in rows]

    def _book(self, response: Any, spends: Sequence[Spend], started: float) -> None:
        try:
            usage: Usage | None = read_usage("embeddings", response)
        except UsageError:
            usage = None
        result = observed(
            new_call_id(), usage, self._rate, model=response.model or self._model,
            tier=self._model, started_at=started, ended_at=time.time(),
        )  # fmt: skip
        for spend in spends:
            spend.add(result)
        if self._ledger is not None:
            self._ledger.write(result)


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Cut `texts` into calls that OpenAI takes."""
    part: list[str] = []
    tokens = 0
    for text in texts:
        size = estimate_tokens(text)
        if part and (len(part) == _TEXTS_PER_CALL or tokens + size > _TOKENS_PER_CALL):
            yield part
            part, tokens = [], 0
        part.append(text)
        tokens += size
    if part:
        yield part
