"""The line to one client: bytes out, and waits that end when the client leaves or the server stops.

Each connection has its thread, so a wait here blocks nobody else. It must never know what it carries.
"""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

Headers = Sequence[tuple[str, str]]

# How often a waiting thread looks whether its client has left.
_LOOK_S = 0.005

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class ClientLeft(Exception):
    """The client closed its end, or the server is stopping: there is nobody to answer."""


class Line:
    """Send one response to one client."""

    __slots__ = ("_connection", "_events", "_out", "_stopping", "hang_up", "request_id")

    def __init__(self, connection: socket.socket, out: BinaryIO, *, stopping: threading.Event, request_id: str) -> None:
        self._connection = connection
        self._out = out
        self._stopping = stopping
        self._events: list[bytes] = []
        self.request_id = request_id
        self.hang_up = False
        """Close the connection when the response is over, whether or not it is whole."""

    def send(self, status: int, body: Mapping[str, Any] | bytes, *, headers: Headers = ()) -> None:
        """Send a whole response; a mapping goes as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        self._write(status, [*headers, ("content-length", str(len(data)))], data)

    def send_file(self, path: Path) -> None:
        """Send a file as it lies on disk."""
        with path.open("rb") as file:
            self._write(200, [("content-length", str(path.stat().st_size))], b"", kind="application/octet-stream")
            shutil.copyfileobj(file, self._out, 1 << 16)

    def send_half(self, body: Mapping[str, Any]) -> None:
        """Send the first half of a response that announces all of it, and hang up."""
        data = json.dumps(body, ensure_ascii=False).encode()
        self.hang_up = True
        self._write(200, [("content-length", str(len(data)))], data[: len(data) // 2])

    def open_stream(self) -> None:
        self._write(200, [("transfer-encoding", "chunked")], b"", kind="text/event-stream")

    def add_event(self, event: bytes) -> None:
        """Put an event in line: it leaves with those before it at the next wait or flush."""
        self._events.append(b"%x\r\n%b\r\n" % (len(event), event))

    def end_stream(self) -> None:
        self._events.append(b"0\r\n\r\n")
        self.flush()

    def flush(self) -> None:
        if self._events:
            self._out.write(b"".join(self._events))
            self._events.clear()

    def _write(self, status: int, headers: Headers, data: bytes, *, kind: str = "application/json") -> None:
        # OpenAI and Anthropic name the request's id differently; each SDK ignores the other's header.
        ids = [("x-request-id", self.request_id), ("request-id", self.request_id)]
        lines = [f"{name}: {value}" for name, value in (("content-type", kind), *headers, *ids)]
        head = "\r\n".join((f"HTTP/1.1 {status} {_PHRASES.get(status, 'Error')}", *lines, "\r\n"))
        self._out.write(head.encode("latin-1") + data)

    def hold(self, event: threading.Event | None) -> None:
        """Wait until `event` is set; raises `ClientLeft`."""
        if event is None:
            return
        self.flush()
        while not event.wait(_LOOK_S):
            self.stay()
        self.stay()

    def pause(self, seconds: float) -> None:
        """Wait for a time; raises `ClientLeft`."""
        if seconds <= 0:
            return
        self.flush()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._stopping.wait(min(left, _LOOK_S))
            self.stay()

    def stay(self) -> None:
        """Raise `ClientLeft` unless there is still a client to answer."""
        if self._stopping.is_set():
            raise ClientLeft
        self._connection.setblocking(False)
        try:
            here = self._connection.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            here = True
        except ConnectionError:
            here = False
        finally:
            self._connection.setblocking(True)
        if not here:
            raise ClientLeft
