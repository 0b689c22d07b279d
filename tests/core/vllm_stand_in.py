"""A small process that starts, answers and ends as vLLM's API server does, put in its place by `stand_in`.

It takes vLLM's flags, has an engine in a process of its own, and listens with the options that vLLM sets. What it does
otherwise, `STAND_IN` in its environment says: `dies`, `hangs` before it is ready, or is `stubborn` and ignores SIGTERM.
It knows nothing of models: what vLLM itself answers is tested on a real one.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import textwrap
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ENGINE = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
"""As deaf as a busy engine is, and left behind when its server dies."""


def stand_in(folder: Path) -> Path:
    """Make an interpreter in `folder` for which this file is vLLM; return its path."""
    package = folder / "site" / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    for inner in (package, package.parent, package.parent.parent):
        (inner / "__init__.py").touch()
    (package / "api_server.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={folder / "site"} exec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return python


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        told = {
            "/health": {},
            "/version": {"version": "0.0-stand-in"},
            "/openapi.json": {"paths": {}},
            "/v1/models": {"data": [{"id": server.name, "root": server.model, "parent": None}]},  # type: ignore[attr-defined]
            "/told": {"arguments": sys.argv[1:], "environment": dict(os.environ), "engine": server.engine.pid},  # type: ignore[attr-defined]
        }.get(self.path)
        self._answer(404 if told is None else 200, told or {})

    def do_POST(self) -> None:
        self._answer(404, {"detail": "Not Found"})

    def _answer(self, status: int, told: object) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def serve() -> None:
    parser = argparse.ArgumentParser()
    for flag in ("--model", "--served-model-name", "--host"):
        parser.add_argument(flag)
    parser.add_argument("--port", type=int)
    options, _ = parser.parse_known_args()
    told = os.environ.get("STAND_IN", "")
    print(f"loading {options.model}", flush=True)
    if told == "dies":
        print(textwrap.dedent("""\
            Traceback (most recent call last):
            ValueError: No available memory for the cache blocks."""), flush=True)  # fmt: skip
        sys.exit(7)
    engine = subprocess.Popen([sys.executable, "-c", ENGINE])
    if told == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if told == "hangs":
        print(f"engine {engine.pid}", flush=True)
        signal.pause()
    with ThreadingHTTPServer((options.host, options.port), Answers) as server:
        server.name, server.model, server.engine = options.served_model_name, options.model, engine  # type: ignore[attr-defined]
        server.serve_forever()


if __name__ == "__main__":
    serve()
