"""The seam: performs the flow's asks with SDK clients, for one call, and raises what they raise.

What the caller sent goes to each tier as it was sent, with the tier's model in it and the policy's edits made.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tuppence.cache import freeze_reply, thaw_reply
from tuppence.cache.prefix import tools_in_order
from tuppence.clients.anthropic_messages import Messages
from tuppence.clients.dialect import Dialect, Json
from tuppence.clients.openai_chat import ChatCompletions
from tuppence.clients.sdk import Family, built, chunk_type, dumped, family_of, is_async
from tuppence.constraints import constrained
from tuppence.effects import Ask
from tuppence.errors import RequestError
from tuppence.ports import Chunk
from tuppence.request import OUTPUT_LIMIT, Edits, Reply, Request

# The API by which a client is asked for something that tuppence wrote itself.
_OWN_WORDS: Mapping[Family, Dialect] = {"openai": ChatCompletions(), "anthropic": Messages()}


@dataclass(slots=True)
class Posting:
    """One request on its way through an SDK client, as its `post` method got it."""

    client: Any
    path: str
    body: Json
    options: Json
    cast_to: Any
    stream_cls: Any
    dialect: Dialect


class NativeModels:
    """The native models, as one call asks them."""

    __slots__ = ("_family", "_posting", "response")

    def __init__(self, posting: Posting) -> None:
        self._posting = posting
        self._family = family_of(posting.client)
        self.response: Any = None
        """The HTTP response of the stream opened last."""

    # -- asking

    def ask(self, ask: Ask) -> Reply:
        dialect, send = self._prepared(ask)
        return dialect.reply(send())

    async def aask(self, ask: Ask) -> Reply:
        dialect, send = self._prepared(ask)
        return dialect.reply(await send())

    def stream(self, ask: Ask) -> Iterator[Chunk | Reply]:
        """Yield chunks as they come, then the whole reply."""
        if not self._asked_by_caller(ask):
            yield self.ask(ask)
            return
        posting = self._posting
        gathering = posting.dialect.gathering(posting.body)
        source = self._send(ask, streaming=True)()
        self.response = source.response
        try:
            for chunk in source:
                text = gathering.take(chunk)
                if text is not None:
                    yield Chunk(text, chunk)
        finally:
            source.close()
        yield gathering.reply()

    async def astream(self, ask: Ask) -> AsyncIterator[Chunk | Reply]:
        """Yield chunks as they come, then the whole reply."""
        if not self._asked_by_caller(ask):
            yield await self.aask(ask)
            return
        posting = self._posting
        gathering = posting.dialect.gathering(posting.body)
        source = await self._send(ask, streaming=True)()
        self.response = source.response
        try:
            async for chunk in source:
                text = gathering.take(chunk)
                if text is not None:
                    yield Chunk(text, chunk)
        finally:
            await source.close()
        yield gathering.reply()

    def _prepared(self, ask: Ask) -> tuple[Dialect, Callable[[], Any]]:
        if self._asked_by_caller(ask):
            return self._posting.dialect, self._send(ask, streaming=False)
        client = self._client(ask)
        if is_async(client) != is_async(self._posting.client):
            raise RequestError(
                f"tier {ask.tier.name!r} is asked by {type(client).__name__}, but the call was made with "
                f"{type(self._posting.client).__name__}: give it a client of the same kind, sync or async"
            )
        dialect = _OWN_WORDS[family_of(client)]
        create = dialect.create(client.with_options(max_retries=0))
        body = {**dialect.composed(ask.request), **ask.edits.params, "model": ask.tier.model or ask.tier.name}
        return dialect, lambda: create(**body)

    def _asked_by_caller(self, ask: Ask) -> bool:
        """Say whether it is the caller's own request, and the tier can be sent it as it is."""
        return ask.request.native is self._posting.body and family_of(self._client(ask)) == self._family

    def _client(self, ask: Ask) -> Any:
        own = getattr(ask.tier, "client", None)
        return self._posting.client if own is None else own

    def _send(self, ask: Ask, *, streaming: bool) -> Callable[[], Any]:
        """Return the sending of the caller's request to one tier, with the SDK's own retries off."""
        posting = self._posting
        body = posting.dialect.edited(tools_in_order(posting.body, ask.edits.tools), self._spelled(ask.edits))
        if ask.tier.model:
            body["model"] = ask.tier.model
        if ask.tier.self_hosted:
            body = dict(constrained(body))
        if streaming:
            body = posting.dialect.streaming(body)
        options = {**posting.options, "max_retries": 0}
        if ask.tier.timeout_s is not None:
            # A sync call that is given up goes on in its thread: let it end there as well.
            options.setdefault("timeout", ask.tier.timeout_s)
        client = self._client(ask)
        return lambda: client.post(
            posting.path, cast_to=posting.cast_to, body=body, options=options, stream=streaming,
            stream_cls=posting.stream_cls,
        )  # fmt: skip

    def reshape(self, request: Request, edits: Edits) -> Request:
        """Make edits on the caller's own request, which is asked so from now on."""
        posting = self._posting
        posting.body = posting.dialect.edited(posting.body, edits)
        return replace(request, messages=posting.dialect.parts(posting.body).messages, native=posting.body)

    def _spelled(self, edits: Edits) -> Edits:
        """Call a limit of the answer's length as this API does; the caller's own limit has its name already."""
        posting, limit = self._posting, edits.params.get(OUTPUT_LIMIT)
        if limit is None or OUTPUT_LIMIT in posting.body:
            return edits
        rest = {name: value for name, value in edits.params.items() if name != OUTPUT_LIMIT}
        return replace(edits, params={**rest, posting.dialect.limit_name: limit})

    # -- answers without a model

    def replay(self, reply: Reply) -> Iterable[Any]:
        posting = self._posting
        kind = chunk_type(posting.stream_cls)
        return (built(kind, chunk) for chunk in posting.dialect.replayed(dumped(reply.native), posting.body))

    def freeze(self, reply: Reply) -> Any:
        native = reply.native
        completion = native.completion() if hasattr(native, "completion") else dumped(native)
        return {**freeze_reply(reply), "completion": completion}

    def thaw(self, data: Any) -> Reply:
        """Read a cached answer; it says that it used nothing, and what it once used is in the ledger."""
        posting = self._posting
        reply = thaw_reply(data)
        reply.native = built(posting.cast_to, posting.dialect.unbilled(data["completion"]))
        return reply

    def wrap(self, text: str) -> Any:
        posting = self._posting
        return built(posting.cast_to, posting.dialect.written(text, str(posting.body.get("model"))))
