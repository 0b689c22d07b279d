"""What a test says a provider will answer: turns, faults, and the script that hands them out.

This room holds the words of a scripted provider and nothing of any wire: a `Turn` is an answer, a `Fault` is
a way of failing, a `Script` gives the next of them to each request. It must never know how either is spelt in
OpenAI's or Anthropic's JSON.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, TypeAlias

from tuppence.errors import ConfigError

# A run of up to four word characters, or one sign, each with the blank before it; a lone blank otherwise.
_TOKEN = re.compile(r"\s?(?:\w{1,4}|[^\w\s])|\s")


def tokens_of(text: str) -> list[str]:
    """Split a text into the scripted provider's tokens; joined again they are the text.

    A token is up to four word characters or one other sign, with at most one blank before it. It is no real
    vocabulary: it is a rule that a test can count by hand and that never changes between two runs.
    """
    return _TOKEN.findall(text)


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of a scripted model.

    `pieces` are the chunks that the text streams in, one token each; by default the text's tokens. `logprobs`
    is one value for every piece, or one value for all. Before the piece numbered `hold_after` the server
    waits until `hold` is set (or the client leaves), before every piece it sleeps `chunk_delay_s`; an answer
    that is not streamed waits for the same time in all. Without either the answer is generated at once, and
    so billed whole however little of it the client reads.
    """

    text: str = ""
    _: KW_ONLY
    tool_calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    """Calls the model makes, as (tool name, arguments), in order."""
    thinking: str = ""
    """Reasoning before the answer: Anthropic shows it as a block, OpenAI counts it and shows nothing."""
    pieces: Sequence[str] | None = None
    logprobs: Sequence[float] | float | None = None
    finish: str | None = None
    """The finish or stop reason to report as it stands; by default the one that the answer has."""
    cached_tokens: int = 0
    """Input tokens read from the provider's prompt cache; the prompt counts at least read and written."""
    cache_write_tokens: int = 0
    """Input tokens written to the provider's prompt cache."""
    reasoning_tokens: int = 0
    """Hidden output tokens spent before the answer, counted into the output and into `max_tokens`."""
    usage: Mapping[str, Any] | None = None
    """Laid over the counted usage, in the words of the API that is asked."""
    chunk_delay_s: float = 0.0
    hold: threading.Event | None = None
    hold_after: int = 0

    def __post_init__(self) -> None:
        if self.pieces is not None:
            object.__setattr__(self, "text", "".join(self.pieces))
        count = len(self.text_pieces)
        if isinstance(self.logprobs, Sequence) and len(self.logprobs) != count:
            raise ConfigError(
                f"logprobs has {len(self.logprobs)} values for a text of {count} pieces: give one for each, "
                f"or set the pieces yourself, as in Turn(pieces=['Yes', '.'], logprobs=[-0.1, -0.2])."
            )

    @property
    def text_pieces(self) -> list[str]:
        return list(self.pieces) if self.pieces is not None else tokens_of(self.text)


FaultKind: TypeAlias = Literal["status", "hang", "die", "error", "garbage", "empty", "disconnect"]

_BREAKING = Turn("This answer stops in the middle, because what carries it is going to break.")


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a provider fails.

    `Fault(status=429, retry_after=0.2)` is an HTTP error with the documented JSON of the API that is asked;
    `retry_after` (seconds) becomes the headers `retry-after` (whole seconds, rounded up) and
    `retry-after-ms`. `code` and `message` replace what the provider says by default. The other kinds have
    constructors.
    """

    _: KW_ONLY
    status: int = 500
    retry_after: float | None = None
    code: str | None = None
    message: str | None = None
    kind: FaultKind = "status"
    chunks: int = 0
    turn: Turn = field(default=_BREAKING)

    @classmethod
    def hang(cls) -> Fault:
        """Never answer: the request ends when its client leaves, or at `server.release()` or `stop()`."""
        return cls(kind="hang")

    @classmethod
    def die_after(cls, *, chunks: int, turn: Turn = _BREAKING) -> Fault:
        """Deliver the first `chunks` pieces of `turn` and drop the connection; the pieces are billed."""
        return cls(kind="die", chunks=chunks, turn=turn)

    @classmethod
    def error_after(cls, *, chunks: int, status: int = 529, turn: Turn = _BREAKING) -> Fault:
        """Deliver the first `chunks` pieces of `turn` and then an error event, in a stream that began with
        200.

        A request that is not streamed gets the plain error.
        """
        return cls(kind="error", chunks=chunks, status=status, turn=turn)

    @classmethod
    def garbage(cls) -> Fault:
        """Answer 200 with a body that is not JSON."""
        return cls(kind="garbage")

    @classmethod
    def empty(cls) -> Fault:
        """Answer 200 with no choice (OpenAI) or no content (Anthropic), the prompt billed."""
        return cls(kind="empty", turn=Turn())

    @classmethod
    def disconnect(cls) -> Fault:
        """Close the connection without a word."""
        return cls(kind="disconnect")

    def generates(self, *, stream: bool) -> bool:
        """Say whether the provider generates something before it fails, and bills it."""
        return self.kind in ("die", "empty") or (self.kind == "error" and stream)


Answer: TypeAlias = Turn | Fault | str
Replies: TypeAlias = Answer | Sequence[Answer | None] | Callable[[dict[str, Any]], Answer | None]
"""None, in a list or from a callable, is what the echo brain says."""


class Script:
    """Hand out a model's answers: a list in order, its last for ever after; or what a callable makes of the
    request.

    Safe to ask from many threads.
    """

    __slots__ = ("_answers", "_lock", "_make", "_next")

    def __init__(self, replies: Replies) -> None:
        self._make: Callable[[dict[str, Any]], Answer | None] | None = None
        self._answers: Sequence[Answer | None] = ()
        if isinstance(replies, (Turn, Fault, str)):
            self._answers = (replies,)
        elif callable(replies):
            self._make = replies
        elif not replies:
            raise ConfigError("a model's replies are []: give at least one Turn, str, Fault or None")
        else:
            self._answers = tuple(replies)
        self._next = 0
        self._lock = threading.Lock()

    def answer(self, request: dict[str, Any]) -> Turn | Fault | None:
        """Give the answer to the next request, whose JSON is `request`."""
        if self._make is not None:
            answer = self._make(request)
        else:
            with self._lock:
                answer = self._answers[min(self._next, len(self._answers) - 1)]
                self._next += 1
        return Turn(answer) if isinstance(answer, str) else answer
