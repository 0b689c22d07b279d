"""An in-process stand-in for the seam `Models`: answers from a script, so that policies can be tested without
any model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

from tuppence.cache import freeze_reply, thaw_reply
from tuppence.effects import Ask
from tuppence.ports import Chunk
from tuppence.request import Edits, Reply, Request, edited
from tuppence.usage import Usage

Line = str | Reply | BaseException | Callable[[Ask], "str | Reply"]


class ScriptedModels:
    """Answer each tier's asks from its list, in order; the last line repeats.

    A line is text, a `Reply`, an exception to raise, or a function of the ask. Text is billed as one token a word.
    """

    def __init__(self, **scripts: Line | list[Line]) -> None:
        self._scripts = {name: list(s) if isinstance(s, list) else [s] for name, s in scripts.items()}
        self.asked: list[Ask] = []

    def ask(self, ask: Ask) -> Reply:
        self.asked.append(ask)
        script = self._scripts[ask.tier.name]
        line = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(line, BaseException):
            raise line
        answer = line(ask) if callable(line) else line
        return replace(answer) if isinstance(answer, Reply) else _reply(ask, answer)

    async def aask(self, ask: Ask) -> Reply:
        return self.ask(ask)

    def stream(self, ask: Ask) -> Iterator[Chunk | Reply]:
        reply = self.ask(ask)
        for word in self.replay(reply):
            yield Chunk(word, word)
        yield reply

    async def astream(self, ask: Ask) -> AsyncIterator[Chunk | Reply]:
        for item in self.stream(ask):
            yield item

    def reshape(self, request: Request, edits: Edits) -> Request:
        return replace(request, messages=edited(request.messages, edits))

    def replay(self, reply: Reply) -> list[str]:
        return [word + " " for word in reply.text.split()]

    def freeze(self, reply: Reply) -> Any:
        return freeze_reply(reply)

    def thaw(self, data: Any) -> Reply:
        return thaw_reply(data)

    def wrap(self, text: str) -> Any:
        return text


def _reply(ask: Ask, text: str) -> Reply:
    prompt = sum(len(m.text.split()) for m in ask.request.messages)
    usage = Usage(input=prompt, output=len(text.split()))
    return Reply(text, finish="stop", usage=usage, model=ask.tier.model, native=text)
