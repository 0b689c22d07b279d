"""One call under way: the plan, its port, and the SDK's object that the caller gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tuppence import drivers
from tuppence.attempts import Result, Verdict
from tuppence.clients.native import NativeModels, Posting
from tuppence.clients.results import remember
from tuppence.clients.streams import AsyncTracked, SyncTracked, tracked
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.request import Reply, Request
from tuppence.spend import Ledger

Parser = Callable[[Any], Any]


class Call:
    """One logical call, ready to be run once."""

    __slots__ = ("_models", "_note", "_parser", "_plan", "_port", "_posting", "result")

    def __init__(
        self, request: Request, policy: Policy, posting: Posting, *, ledger: Ledger | None, parser: Parser | None,
        note: str = "",
    ) -> None:  # fmt: skip
        self._posting = posting
        self._parser = parser
        self._note = note
        self._models = NativeModels(posting)
        self._plan = plan(request, policy)
        self._port = Port(self._models, cache=policy.cache, ledger=ledger, on_settled=self._settled)
        self.result: Result | None = None

    @property
    def response(self) -> Any:
        return self._models.response

    def ends(self, chunk: Any) -> bool:
        return self._posting.dialect.ends(chunk, self._posting.body)

    def run(self) -> Any:
        with self._noted():
            return self._answer(drivers.run(self._plan, self._port))

    async def arun(self) -> Any:
        with self._noted():
            return self._answer(await drivers.arun(self._plan, self._port))

    def stream(self) -> Any:
        chunks = drivers.stream(self._plan, self._port)
        stream = tracked(self._posting.stream_cls, SyncTracked)(self, chunks)
        with self._noted():
            stream.begin()
        return stream

    async def astream(self) -> Any:
        chunks = drivers.astream(self._plan, self._port)
        stream = tracked(self._posting.stream_cls, AsyncTracked)(self, chunks)
        with self._noted():
            await stream.begin()
        return stream

    def _settled(self, result: Result) -> None:
        self.result = result

    def _answer(self, result: Result) -> Any:
        assert result.reply is not None
        native = result.reply.native
        answer = native if self._parser is None else self._parser(native)
        remember(answer, result)
        return answer

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Add the note, if there is one, to what is raised."""
        try:
            yield
        except Exception as error:
            if self._note:
                error.add_note(self._note)
            raise


class Parses:
    """Can the SDK parse the answer into the type that the caller gave to `parse`?"""

    __slots__ = ("_parser",)

    def __init__(self, parser: Parser) -> None:
        self._parser = parser

    def __call__(self, _request: Request, reply: Reply) -> Verdict:
        try:
            self._parser(reply.native)
        except Exception as error:  # noqa: BLE001 - the type's own validators may raise anything
            return Verdict(0.0, f"the answer does not parse: {' '.join(str(error).split())[:200]}")
        return Verdict(1.0, "the answer parses")
