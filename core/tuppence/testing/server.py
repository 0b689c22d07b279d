"""A scripted provider on a local port, spelt like OpenAI and Anthropic, for the real SDKs to talk to.

It answers at once, the same to the same, and keeps its own log of what it was asked and would bill. It must
never reach beyond this machine, nor import an SDK: what the SDKs make of it is what tests are for.
"""

from __future__ import annotations

import socket
import threading
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tuppence.errors import TuppenceError
from tuppence.testing.batches import Batches
from tuppence.testing.brain import echo
from tuppence.testing.connection import Connection
from tuppence.testing.generation import Inbound
from tuppence.testing.script import Fault, Replies, Script, Turn
from tuppence.testing.served import Log, Served

# How long `stop` waits for the thread of a connection it has shut: a daemon, so a stuck one holds nothing up.
_JOIN_S = 2.0


class _HTTPServer(ThreadingHTTPServer):
    # A burst of connections waits in line instead of being reset.
    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that leaves is what this server is there to see."""


class ProviderServer:
    """Serve scripted models over HTTP on a free local port, in threads of this process.

    Serves `POST /v1/chat/completions`, `/v1/responses`, `/v1/embeddings`, `/v1/messages`,
    `/v1/messages/count_tokens`, `GET /v1/models`, and both providers' files, batches and fine-tuning jobs. A
    model that has no script answers by the rules of the echo brain. With `api_key` set, any other key is
    refused with 401.

    Use it as a context manager, or `start()` and `stop()` it. Leaving raises what a script's callable has
    raised.
    """

    def __init__(self, *, api_key: str | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.api_key = api_key
        self.log = Log()
        self.stopping = threading.Event()
        self.released = threading.Event()
        self._scripts: dict[str, Script] = {}
        self._errors: list[Exception] = []
        self._open: dict[socket.socket, threading.Thread] = {}
        self._batches: Batches | None = None
        self._lock = threading.Lock()
        handler = type("ProviderConnection", (Connection,), {"provider": self})
        self._http = _HTTPServer((host, port), handler)
        self._thread = threading.Thread(
            target=self._http.serve_forever,
            kwargs={"poll_interval": 0.01},
            name="provider-server",
            daemon=True,
        )

    @property
    def anthropic_url(self) -> str:
        """The address as Anthropic's SDK wants it, without `/v1`."""
        host, port = self._http.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def base_url(self) -> str:
        """The address as OpenAI's SDK wants it, with `/v1`."""
        return f"{self.anthropic_url}/v1"

    @property
    def served(self) -> list[Served]:
        """Everything asked so far, in the order it came; a copy of the list."""
        return self.log.all()

    @property
    def batches(self) -> Batches:
        """Files, batches and fine-tuning jobs; made when first asked for, as they need a folder on disk."""
        with self._lock:
            if self._batches is None:
                self._batches = Batches(self)
            return self._batches

    def model(self, name: str, *, replies: Replies) -> None:
        """Script the model of this name, from its next request on.

        `replies` is one answer for always, a list consumed in order whose last repeats, or a callable from
        the request's JSON; an answer is a `Turn`, a string, a `Fault`, or None for what the echo brain says.
        Of an embedding model's answers only the faults count. With `n` samples asked, each takes an answer.
        """
        self._scripts[name] = Script(replies)

    def await_arrived(self, count: int, *, timeout_s: float = 5.0) -> list[Served]:
        """Wait until `count` requests have come, whether answered or not, and give all."""
        return self.log.wait(count, finished=False, timeout_s=timeout_s)

    def await_finished(self, count: int, *, timeout_s: float = 5.0) -> list[Served]:
        """Wait until `count` requests have ended, well or not, and give all."""
        return self.log.wait(count, finished=True, timeout_s=timeout_s)

    def release(self) -> None:
        """End every hanging request, and those that will hang, by closing its connection."""
        self.released.set()

    def start(self) -> ProviderServer:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close every connection, the held ones too, and free the port."""
        self.stopping.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join(_JOIN_S)
        self._http.server_close()
        with self._lock:
            still_open = dict(self._open)
        for connection in still_open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in still_open.values():
            thread.join(_JOIN_S)
        if self._batches is not None:
            self._batches.close()

    def __enter__(self) -> ProviderServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None and self._errors:
            raise TuppenceError(f"A scripted reply raised {self._errors[0]!r}: fix the callable.") from self._errors[0]

    def answer(self, request: dict[str, Any], inbound: Inbound | None) -> Turn | Fault:
        """Give the script's or the echo brain's answer; a script that raises is a 500, raised on leaving."""
        script = self._scripts.get(str(request.get("model")))
        answer: Turn | Fault | None = None
        if script is not None:
            try:
                answer = script.answer(request)
            except Exception as error:  # noqa: BLE001 (the test's own code; it is raised again on leaving)
                self._errors.append(error)
                return Fault(status=500, message=f"The scripted reply raised {error!r}.")
        if answer is None:
            answer = Turn() if inbound is None else echo(inbound)
        return answer

    def models(self) -> dict[str, Any]:
        """List the scripted models, in OpenAI's and Anthropic's shape at once."""
        data = [
            {
                "id": name,
                "object": "model",
                "created": 0,
                "owned_by": "scripted",
                "type": "model",
                "display_name": name,
                "created_at": "1970-01-01T00:00:00Z",
            }
            for name in sorted(self._scripts)
        ]
        return {"object": "list", "data": data, "has_more": False}

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open[connection] = threading.current_thread()

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.pop(connection, None)
