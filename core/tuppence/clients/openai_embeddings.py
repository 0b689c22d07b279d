"""OpenAI's embeddings: accounted for, never routed, since vectors of two models cannot stand in for each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tuppence.clients.dialect import Gathering, Json, Parts, usage_in
from tuppence.clients.sdk import NotAnAnswer
from tuppence.errors import RequestError
from tuppence.request import Edits, Message, Reply, Request


class Embeddings:
    """`POST /embeddings`."""

    cascades = False
    limit_name = "max_tokens"
    read_apart = frozenset({"model", "input"})

    def untracked(self, _body: Json) -> bool:
        return False

    def stateful(self, _body: Json) -> bool:
        return True

    def parts(self, body: Json) -> Parts:
        given = body.get("input")
        texts = given if isinstance(given, list) else [given]
        return Parts(tuple(Message("user", text if isinstance(text, str) else "", extra=text) for text in texts))

    def edited(self, body: Json, edits: Edits) -> Json:
        return {**body, **edits.params}

    def create(self, client: Any) -> Callable[..., Any]:
        create: Callable[..., Any] = client.embeddings.create
        return create

    def reply(self, native: Any) -> Reply:
        if not isinstance(getattr(native, "data", None), list):
            raise NotAnAnswer(f"the provider's answer is not a list of embeddings but {str(native)[:80]!r}")
        return Reply("", usage=usage_in("embeddings", native), model=native.model, native=native)

    # -- what nobody asks of embeddings

    def composed(self, _request: Request) -> Json:
        raise self._refusal()

    def streaming(self, _body: Json) -> Json:
        raise self._refusal()

    def gathering(self, _body: Json) -> Gathering:
        raise self._refusal()

    def ends(self, _chunk: Any, _body: Json) -> bool:
        raise self._refusal()

    def replayed(self, _completion: Json, _body: Json) -> Iterable[Json]:
        raise self._refusal()

    def written(self, _text: str, _model: str) -> Json:
        raise self._refusal()

    def unbilled(self, _completion: Json) -> Json:
        raise self._refusal()

    def _refusal(self) -> RequestError:
        return RequestError("embeddings are neither streamed, cached nor written by functions: name an embedding model")
