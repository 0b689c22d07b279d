"""Batches of the scripted provider: files and jobs on disk, run one after the other by a thread, as slowly as asked.

It keeps its own books of every line that it ran, so that what a client believes can be compared with what happened. It
must never hold a batch in memory: a hundred thousand lines are an ordinary one.
"""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from tuppence.testing.anthropic_batches import MessageBatches
from tuppence.testing.batches_run import Books, Fate, Fated, LineRunner, Ran, Scripted, by_script
from tuppence.testing.openai_batches import OpenAIBatchApi
from tuppence.testing.openai_files import FilesApi
from tuppence.testing.openai_fine_tuning import FineTuningApi

Body = dict[str, Any] | Path
"""JSON, or a file to be sent as it is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a file or a batch."""

    command: str
    path: str
    query: Mapping[str, str]
    request: dict[str, Any]
    upload: Path | None
    """A multipart body, spooled to disk."""
    content_type: str
    base_url: str


class Api(Protocol):
    """One provider's endpoints for files or batches."""

    def answer(self, asked: Asked, /) -> Body | None:
        """Answer a request; None for one that is not for this API. Raises `Rejected`."""
        ...


class Gate:
    """Lets batches end, or holds them in progress; thread-safe."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.closing = threading.Event()

    def passed(self, cancelled: threading.Event) -> bool:
        """Wait until batches may go on; False where the server stops first."""
        while not (self.open.wait(0.005) or cancelled.is_set()):
            if self.closing.is_set():
                return False
        return not self.closing.is_set()


class Batches:
    """What a test may say of batches, and read of them."""

    def __init__(self, scripted: Scripted) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tuppence-batches-")
        folder = Path(self._folder.name)
        self._gate = Gate()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._books = Books(folder / "ran.jsonl")
        self._fate: Fated = by_script
        runner = LineRunner(scripted, self._books, lambda name, body: self._fate(name, body))
        files = FilesApi(folder)
        self._apis: tuple[Api, ...] = (
            MessageBatches(folder, runner, self._gate, self._begin),
            OpenAIBatchApi(files, runner, self._gate, self._begin),
            FineTuningApi(files),
            files,
        )

    def fate(self, of: Callable[[str, Mapping[str, Any]], Fate | None]) -> None:
        """Say what becomes of lines, by their custom id and body: `fail`, `expire`, or None for what their model's
        script says.
        """
        self._fate = of

    def hold(self) -> None:
        """Keep batches in progress, those that are made from now on too, until `release` or their cancellation."""
        self._gate.open.clear()

    def release(self) -> None:
        self._gate.open.set()

    def ran(self) -> Iterator[Ran]:
        """Read the provider's own books: every line that it ran, in order, of all batches."""
        return self._books.read()

    def spool(self, source: BinaryIO, length: int) -> Path:
        """Write a request's body to disk as it comes."""
        with tempfile.NamedTemporaryFile(dir=self._folder.name, delete=False) as file:
            while length and (piece := source.read(min(length, 1 << 20))):
                file.write(piece)
                length -= len(piece)
        return Path(file.name)

    def answer(self, asked: Asked) -> Body | None:
        """Answer a request for a file or a batch; None for any other. Raises `Rejected`."""
        try:
            for api in self._apis:
                if (body := api.answer(asked)) is not None:
                    return body
            return None
        finally:
            if asked.upload is not None:
                asked.upload.unlink(missing_ok=True)

    def close(self) -> None:
        self._gate.closing.set()
        self._work.put(None)
        if self._thread is not None:
            self._thread.join()
        self._folder.cleanup()

    def _begin(self, run: Callable[[], None]) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="provider-batches", daemon=True)
                self._thread.start()
        self._work.put(run)

    def _run(self) -> None:
        while (run := self._work.get()) is not None:
            if not self._gate.closing.is_set():
                run()


def is_batch_path(path: str) -> bool:
    """Say whether an address is one of files or batches."""
    return path.startswith(("/v1/files", "/v1/batches", "/v1/messages/batches", "/v1/fine_tuning/jobs"))


def shown(request: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the server's log keeps of a request: not the lines of a whole batch."""
    told = dict(request or {})
    if "requests" in told:
        told["requests"] = f"{len(told['requests'])} lines"
    return told
