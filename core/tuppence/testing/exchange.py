"""Carry out one generation: send the scripted answer or fault over the line, and log what it cost.

The log is complete before the last byte leaves, so that a client which has its answer finds it there. It must
never decide what the answer is nor how it is spelt: the script and the wires do.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tuppence.testing.generation import Generation, Inbound
from tuppence.testing.line import ClientLeft, Line
from tuppence.testing.openai_chat import Event
from tuppence.testing.script import Fault
from tuppence.testing.served import Log, Served


class Wire(Protocol):
    """One API's spelling."""

    @property
    def api(self) -> str: ...
    @property
    def prefix(self) -> str: ...
    def read(self, request: Mapping[str, Any]) -> Inbound: ...
    def usage(self, inbound: Inbound, generations: Sequence[Generation]) -> dict[str, Any]: ...
    def body(self, inbound: Inbound, generations: Sequence[Generation], number: int) -> dict[str, Any]: ...
    def empty(self, body: dict[str, Any]) -> dict[str, Any]: ...
    def events(self, inbound: Inbound, generations: Sequence[Generation], number: int) -> Iterable[Event]: ...
    def error(self, fault: Fault, *, request_id: str) -> dict[str, Any]: ...
    def error_event(self, fault: Fault, *, request_id: str) -> bytes: ...


def refuse(line: Line, log: Log, served: Served, fault: Fault, wire: Wire, *, released: threading.Event) -> None:
    """Fail a request before anything was generated: an HTTP error, silence, or nonsense."""
    if fault.kind == "hang":
        line.hang_up = True
        try:
            line.hold(released)
        finally:
            log.end(served)
    elif fault.kind == "disconnect":
        line.hang_up = True
        log.end(served)
    elif fault.kind == "garbage":
        log.end(served, status=200, completed=True)
        line.send(200, b"<html>502 Bad Gateway</html>")
    else:
        log.end(served, status=fault.status, completed=True)
        error = wire.error(fault, request_id=line.request_id)
        line.send(fault.status, error, headers=_retry_headers(fault))


def _retry_headers(fault: Fault) -> list[tuple[str, str]]:
    if fault.retry_after is None:
        return []
    milliseconds = str(round(fault.retry_after * 1000))
    return [("retry-after", str(math.ceil(fault.retry_after))), ("retry-after-ms", milliseconds)]


@dataclass(slots=True)
class Exchange:
    """One request that is being answered with something generated, in whole or in part."""

    line: Line
    log: Log
    served: Served
    wire: Wire
    inbound: Inbound
    number: int
    generations: Sequence[Generation]
    fault: Fault | None = None
    """None, or one of those that break an answer: `die`, `error`, `empty`."""

    def answer(self) -> None:
        """Answer in one body."""
        body = self.wire.body(self.inbound, self.generations, self.number)
        usage = body["usage"]
        if self.fault is not None and self.fault.kind == "die":
            self.log.end(self.served, status=200, usage=self._usage(self.fault.chunks))
            self.line.send_half(body)
            return
        turn = self.generations[0].turn
        pieces = sum(len(generation.pieces) for generation in self.generations)
        try:
            self.line.hold(turn.hold)
            self.line.pause(turn.chunk_delay_s * pieces)
        except ClientLeft:
            # Nobody told the provider to stop: it generates to the end and bills all of it.
            self.log.end(self.served, status=200, usage=usage)
            raise
        self.log.end(self.served, status=200, usage=usage, completed=True)
        self.line.send(200, body if self.fault is None else self.wire.empty(body))

    def stream(self) -> None:
        """Answer in events at the turn's pace; stop generating when the client leaves."""
        events = list(self.wire.events(self.inbound, self.generations, self.number))
        pieces = 0
        self.served.status = 200
        try:
            self.line.open_stream()
            for index, (left, event) in enumerate(events, start=1):
                if self._breaks(last=index == len(events)):
                    self._break_off(pieces)
                    return
                if left > pieces:
                    self._wait_for_piece(pieces)
                    pieces = left
                    self.served.chunks_sent += 1
                self.line.add_event(event)
            self.line.stay()
            self.log.end(self.served, usage=self._usage(pieces), completed=True)
            self.line.end_stream()
        except (OSError, ClientLeft) as error:
            self.log.end(self.served, usage=self._usage(pieces), completed=False)
            raise ClientLeft from error

    def _breaks(self, *, last: bool) -> bool:
        """Say whether the fault comes before the next event: after its chunks, or before the last event."""
        fault = self.fault
        if fault is None or fault.kind == "empty":
            return False
        return last or self.served.chunks_sent >= fault.chunks

    def _break_off(self, pieces: int) -> None:
        self.line.hang_up = True
        self.log.end(self.served, usage=self._usage(pieces))
        if self.fault is not None and self.fault.kind == "error":
            self.line.add_event(self.wire.error_event(self.fault, request_id=self.line.request_id))
            self.line.end_stream()
        self.line.flush()

    def _wait_for_piece(self, pieces: int) -> None:
        turn = self.generations[0].turn
        if pieces >= turn.hold_after:
            self.line.hold(turn.hold)
        self.line.pause(turn.chunk_delay_s)

    def _usage(self, pieces: int) -> dict[str, Any]:
        """Count the usage when `pieces` pieces of the generations, taken in order, had been generated."""
        cut = []
        for generation in self.generations:
            cut.append(generation.first(pieces))
            pieces = max(0, pieces - len(generation.pieces))
        return self.wire.usage(self.inbound, cut)
