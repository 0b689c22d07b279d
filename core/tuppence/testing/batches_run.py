"""Running the lines of a batch: each is answered as the same request would be at once, and written into the books.

What becomes of a line may be said beforehand; whatever that is, the books say it too.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from tuppence.testing.anthropic_messages import Messages
from tuppence.testing.exchange import Wire
from tuppence.testing.generation import Inbound, Rejected, generate
from tuppence.testing.openai_chat import ChatCompletions
from tuppence.testing.openai_embeddings import embeddings
from tuppence.testing.openai_responses import Responses
from tuppence.testing.script import Fault, Turn

Fate = Literal["fail", "expire"]
Fated = Callable[[str, Mapping[str, Any]], Fate | None]

_WIRES: Mapping[str, Wire] = {
    "/v1/chat/completions": ChatCompletions(), "/v1/responses": Responses(), "/v1/messages": Messages(),
}  # fmt: skip
EMBEDDINGS = "/v1/embeddings"
URLS = (*_WIRES, EMBEDDINGS)
# What reading a request of the wrong shape raises; the providers answer 400.
_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class Scripted(Protocol):
    """Who knows what models answer."""

    def answer(self, request: dict[str, Any], inbound: Inbound | None, /) -> Turn | Fault: ...


def by_script(_custom_id: str, _body: Mapping[str, Any]) -> Fate | None:
    """Leave every line to its model's script."""
    return None


def body_digest(body: Mapping[str, Any]) -> str:
    """Name a request's body in the books: 32 hex digits, the same for equal bodies."""
    spelt = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(spelt.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Ran:
    """One line in the books."""

    batch: str
    custom_id: str
    body: str
    """The digest of what was asked (`body_digest`)."""
    status: int
    """As if asked at once; 0 where it was never run."""
    usage: dict[str, Any] | None
    """What is billed, in the API's own words."""


class Books:
    """What was run, on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.touch()

    def write(self, page: list[Ran]) -> None:
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(asdict(one))}\n" for one in page)

    def read(self) -> Iterator[Ran]:
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                yield Ran(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one line."""

    custom_id: str
    status: int
    """0 where it was never run."""
    body: dict[str, Any]
    """The answer, or the API's error."""


class LineRunner:
    """Runs lines of any API."""

    def __init__(self, scripted: Scripted, books: Books, fated: Fated) -> None:
        self._scripted = scripted
        self._books = books
        self._fated = fated
        self._number = 0

    def run(self, batch: str, url: str, page: list[tuple[str, dict[str, Any]]]) -> list[Result]:
        """Run some lines, given as custom id and body, and write them into the books first."""
        results = [self._run(url, custom_id, body) for custom_id, body in page]
        self._books.write(
            [
                Ran(batch, one.custom_id, body_digest(body), one.status, one.body.get("usage"))
                for one, (_, body) in zip(results, page, strict=True)
            ]
        )
        return results

    def _run(self, url: str, custom_id: str, body: dict[str, Any]) -> Result:
        fate = self._fated(custom_id, body)
        if fate == "expire":
            return Result(custom_id, 0, {})
        try:
            if fate == "fail":
                raise _Failed(Fault(status=500, message="The server had an error while processing your request."))
            return Result(custom_id, 200, self._answer(url, body))
        except Rejected as rejected:
            fault = rejected.fault
        except _Failed as failed:
            fault = failed.fault
        except _MALFORMED as error:
            fault = Fault(status=400, message=f"Malformed request: {type(error).__name__}: {error}")
        wire = _WIRES.get(url, _WIRES["/v1/chat/completions"])
        return Result(custom_id, fault.status, wire.error(fault, request_id=f"req_{custom_id}"))

    def _answer(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        if url == EMBEDDINGS:
            answer = self._scripted.answer(body, None)
            if isinstance(answer, Fault):
                raise _Failed(answer)
            return embeddings(body)
        wire = _WIRES[url]
        inbound = wire.read(body)
        answers = [self._scripted.answer(body, inbound) for _ in range(inbound.samples)]
        for answer in answers:
            if isinstance(answer, Fault):
                raise _Failed(answer)
        turns = [answer for answer in answers if isinstance(answer, Turn)]
        cut = [generate(turn, stop=inbound.stop, max_tokens=inbound.max_tokens) for turn in turns]
        return wire.body(inbound, cut, self._number)


class _Failed(Exception):
    """The model's script says that this line fails."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault
