"""One client's connection to the scripted server: read a request, find its API, have it answered.

Here HTTP ends: what is asked goes on as JSON, what is answered comes back as bytes. It must never decide what
an answer is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import parse_qsl, urlsplit

from tuppence.testing.anthropic_messages import Messages
from tuppence.testing.batches import Asked, is_batch_path, shown
from tuppence.testing.exchange import Exchange, Wire, refuse
from tuppence.testing.generation import Rejected, generate
from tuppence.testing.line import ClientLeft, Line
from tuppence.testing.openai_chat import ChatCompletions
from tuppence.testing.openai_embeddings import embeddings
from tuppence.testing.openai_responses import Responses
from tuppence.testing.script import Fault
from tuppence.testing.served import Served

if TYPE_CHECKING:
    from tuppence.testing.server import ProviderServer

_OPENAI, _ANTHROPIC = ChatCompletions(), Messages()

_WIRES: Mapping[str, Wire] = {
    "/v1/chat/completions": _OPENAI,
    "/v1/responses": Responses(),
    "/v1/messages": _ANTHROPIC,
}
_LOOK_UPS = {
    "/v1/messages/count_tokens": "count_tokens",
    "/v1/embeddings": "embeddings",
    "/v1/models": "models",
}

# What reading a request of the wrong shape raises; the providers answer 400.
_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class Connection(BaseHTTPRequestHandler):
    """Answer the requests of one kept-alive connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    provider: ProviderServer
    """Set by the server on a subclass of its own."""

    def setup(self) -> None:
        super().setup()
        self.provider.opened(self.connection)

    def finish(self) -> None:
        self.provider.closed(self.connection)
        super().finish()

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ClientLeft):
            self.close_connection = True

    def do_GET(self) -> None:
        self._serve({})

    def do_DELETE(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if (self.headers.get("content-type") or "").startswith("multipart/"):
            self._serve({}, self.provider.batches.spool(cast("BinaryIO", self.rfile), length))
            return
        body = self.rfile.read(length)
        try:
            # A cancellation has no body.
            request = json.loads(body) if body or not is_batch_path(self.path) else {}
        except ValueError:
            request = None
        self._serve(request if isinstance(request, dict) else None)

    def _serve(self, request: dict[str, Any] | None, upload: Path | None = None) -> None:
        path = self.path.split("?")[0].rstrip("/")
        anthropic = path.startswith("/v1/messages") or "anthropic-version" in self.headers
        wire = _WIRES.get(path, _ANTHROPIC if anthropic else _OPENAI)
        number, served = self.provider.log.begin(lambda number: self._served(number, path, request or {}))
        line = Line(
            self.connection,
            cast("BinaryIO", self.wfile),
            stopping=self.provider.stopping,
            request_id=f"req_{number:06d}",
        )
        try:
            if request is not None and is_batch_path(path):
                fault = self._keep(line, served, path, request, upload)
            else:
                fault = self._answer(line, number, served, wire, path, request)
        except Rejected as rejected:
            fault = rejected.fault
        if fault is not None:
            refuse(line, self.provider.log, served, fault, wire, released=self.provider.released)
        self.close_connection = self.close_connection or line.hang_up

    def _served(self, number: int, path: str, request: dict[str, Any]) -> Served:
        wire = _WIRES.get(path)
        return Served(
            id=f"{wire.prefix if wire else 'req_'}{number:06d}",
            model=str(request.get("model", "")),
            api=wire.api if wire else _LOOK_UPS.get(path, path),
            request=shown(request),
            headers={name.lower(): value for name, value in self.headers.items()},
            streamed=bool(request.get("stream")),
        )

    def _answer(
        self,
        line: Line,
        number: int,
        served: Served,
        wire: Wire,
        path: str,
        request: dict[str, Any] | None,
    ) -> Fault | None:
        """Answer a request, or say with which fault to refuse it."""
        if request is None:
            raise Rejected("We could not parse the JSON body of your request.")
        self._authorise()
        try:
            if path not in _WIRES:
                return self._look_up(line, served, wire, path, request)
            inbound = wire.read(request)
        except _MALFORMED as error:
            raise Rejected(f"Malformed request: {type(error).__name__}: {error}") from error
        answers = [self.provider.answer(request, inbound) for _ in range(inbound.samples)]
        fault = next((answer for answer in answers if isinstance(answer, Fault)), None)
        turns = [answer.turn if isinstance(answer, Fault) else answer for answer in answers]
        if fault is not None and not fault.generates(stream=inbound.stream):
            return fault
        cut = [generate(turn, stop=inbound.stop, max_tokens=inbound.max_tokens) for turn in turns]
        exchange = Exchange(line, self.provider.log, served, wire, inbound, number, cut, fault)
        if inbound.stream:
            exchange.stream()
        else:
            exchange.answer()
        return None

    def _keep(
        self, line: Line, served: Served, path: str, request: dict[str, Any], upload: Path | None
    ) -> Fault | None:
        """Answer a request for a file, a batch or a fine-tuning job."""
        self._authorise()
        query = dict(parse_qsl(urlsplit(self.path).query))
        kind = self.headers.get("content-type") or ""
        asked = Asked(self.command, path, query, request, upload, kind, self.provider.anthropic_url)
        try:
            body = self.provider.batches.answer(asked)
        except _MALFORMED as error:
            raise Rejected(f"Malformed request: {type(error).__name__}: {error}") from error
        if body is None:
            raise Rejected(f"Unknown request URL: {self.command} {path}.", status=404, code="unknown_url")
        self.provider.log.end(served, status=200, usage=None, completed=True)
        if isinstance(body, Path):
            line.send_file(body)
        else:
            line.send(200, body)
        return None

    def _authorise(self) -> None:
        wanted = self.provider.api_key
        bearer = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        if wanted is not None and wanted not in (bearer, self.headers.get("x-api-key")):
            raise Rejected("Incorrect API key provided.", status=401)

    def _look_up(self, line: Line, served: Served, wire: Wire, path: str, request: dict[str, Any]) -> Fault | None:
        """Answer what needs no generation: embeddings, token counts, the list of models."""
        usage = None
        if path == "/v1/embeddings":
            answer = self.provider.answer(request, None)
            if isinstance(answer, Fault):
                return answer
            body = embeddings(request)
            usage = body["usage"]
        elif path == "/v1/messages/count_tokens":
            body = {"input_tokens": wire.read({**request, "max_tokens": 1}).prompt_tokens}
        elif path == "/v1/models":
            body = self.provider.models()
        else:
            raise Rejected(f"Unknown request URL: {self.command} {path}.", status=404, code="unknown_url")
        self.provider.log.end(served, status=200, usage=usage, completed=True)
        line.send(200, body)
        return None
