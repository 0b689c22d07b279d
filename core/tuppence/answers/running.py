"""How the flow asks a chain: its only tier. What is native to a framework is behind `Form` and `Run`.

A chain that breaks raises what it raises; an output that cannot be kept is handed on all the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Generator, Iterable
from typing import Any, Protocol

from tuppence.answers.measured import Inside, RunSpend
from tuppence.cache import freeze_reply, thaw_reply
from tuppence.effects import Ask
from tuppence.ports import Chunk
from tuppence.request import Edits, Reply, Request

log = logging.getLogger("tuppence.answers")

_END = object()
_warned: set[str] = set()


class Unstorable(Exception):
    """A value that is no JSON and has no JSON form here; its message names the type."""

    def __init__(self, value: object) -> None:
        kind = type(value)
        super().__init__(f"{kind.__module__}.{kind.__qualname__}")


class Form(Protocol):
    """What outputs of a framework's chains look like, and as JSON."""

    def text(self, output: Any, /) -> str:
        """Return the words of an answer; none mean that it is no answer to keep."""
        ...

    def joined(self, pieces: list[Any], /) -> Any:
        """Put the pieces of a stream together; raises `Unstorable` for pieces that do not add up."""
        ...

    def pieces(self, output: Any, /) -> Iterable[Any]:
        """Take a kept output apart as a stream would have brought it."""
        ...

    def freeze(self, output: Any, /) -> Any:
        """Return an output as what `json.dumps` takes; raises `Unstorable`."""
        ...

    def thaw(self, frozen: Any, /) -> Any:
        """Return an output of the caller's own; whatever it raises makes the entry a miss."""
        ...


class Run(Protocol):
    """One question to a chain. What models inside cost that no `spend()` block sees, it adds to `spent`."""

    def run(self, spent: RunSpend, /) -> Any: ...
    async def arun(self, spent: RunSpend, /) -> Any: ...
    def stream(self, spent: RunSpend, /) -> Generator[Any, None, None]: ...
    def astream(self, spent: RunSpend, /) -> AsyncGenerator[Any, None]: ...
    def judge(self, request: Request, /) -> str:
        """Ask the model that says whether a stored answer serves, and return its words."""
        ...

    async def ajudge(self, request: Request, /) -> str: ...


class Runs:
    """`Models` for a port: the chain, and the judge beside it."""

    __slots__ = ("_chain", "_form", "_run")

    def __init__(self, chain: str, form: Form, run: Run) -> None:
        self._chain = chain
        self._form = form
        self._run = run

    def ask(self, ask: Ask) -> Reply:
        inside = Inside()
        if ask.tier.name != self._chain:
            return _replied(inside.run(self._run.judge, ask.request), inside.spent)
        return self._reply(inside.run(self._run.run, inside.spent), inside.spent)

    async def aask(self, ask: Ask) -> Reply:
        inside = Inside()
        if ask.tier.name != self._chain:
            return _replied(await inside.arun(self._run.ajudge, ask.request), inside.spent)
        return self._reply(await inside.arun(self._run.arun, inside.spent), inside.spent)

    def stream(self, ask: Ask) -> Generator[Chunk | Reply, None, None]:
        if ask.tier.name != self._chain:
            yield self.ask(ask)
            return
        inside, pieces = Inside(), list[Any]()
        source = self._run.stream(inside.spent)
        try:
            while (piece := inside.run(next, source, _END)) is not _END:
                pieces.append(piece)
                yield Chunk("", piece)
        finally:
            inside.run(source.close)
        yield self._joined(pieces, inside.spent)

    async def astream(self, ask: Ask) -> AsyncGenerator[Chunk | Reply, None]:
        if ask.tier.name != self._chain:
            yield await self.aask(ask)
            return
        inside, pieces = Inside(), list[Any]()
        source = self._run.astream(inside.spent)

        async def following() -> Any:
            return await anext(source, _END)

        try:
            while (piece := await inside.arun(following)) is not _END:
                pieces.append(piece)
                yield Chunk("", piece)
        finally:
            await inside.arun(source.aclose)
        yield self._joined(pieces, inside.spent)

    def reshape(self, request: Request, edits: Edits) -> Request:
        """A chain's own models shape what they send."""
        raise NotImplementedError(f"{request}, {edits}")

    def replay(self, reply: Reply) -> Iterable[Any]:
        return self._form.pieces(reply.native)

    def freeze(self, reply: Reply) -> Any:
        return {**freeze_reply(reply), "output": self._form.freeze(reply.native)}

    def thaw(self, data: Any) -> Reply:
        reply = thaw_reply(data)
        reply.native = self._form.thaw(data["output"])
        return reply

    def wrap(self, text: str) -> Any:
        """Function tiers are asked by models, never in front of a chain."""
        raise NotImplementedError(text)

    def _joined(self, pieces: list[Any], spent: RunSpend) -> Reply:
        """Put a stream together, whose pieces the caller has; what does not add up is no output to keep."""
        try:
            output = self._form.joined(pieces)
        except Exception as error:  # noqa: BLE001 - the pieces' own addition: it must not cost an answer that was given
            _warn(error, pieces[0])
            return _replied("", spent)
        return self._reply(output, spent)

    def _reply(self, output: Any, spent: RunSpend) -> Reply:
        """View an output as the cache needs it; one that cannot be kept, or should not be, has no text."""
        text = ""
        try:
            if not spent.partial:
                json.dumps(self._form.freeze(output))
                text = self._form.text(output)
        except Exception as error:  # noqa: BLE001 - an output may hold anything, itself too: it must not cost the answer
            _warn(error, output)
        reply = _replied(text, spent)
        reply.native = output
        return reply


def _replied(text: str, spent: RunSpend) -> Reply:
    return Reply(text, finish="stop", usage=spent.usage, usage_is_estimate=spent.is_estimate)


def _warn(error: Exception, value: object) -> None:
    """Say once a type that its outputs are handed on and not kept."""
    name = str(error if isinstance(error, Unstorable) else Unstorable(value))
    if name not in _warned:
        _warned.add(name)
        log.warning(
            "answers that hold a %s are handed on and not kept: it has no JSON form here. Have the chain return text, "
            "messages, documents, or dicts and lists of them", name,
        )  # fmt: skip
