"""Live traffic on the user's own disk, where he asked for it: question, every attempt and its answer, price and time.

What is recorded is later replayed, graded and learned from. Nothing here may cost a call anything: texts are redacted
and written by a thread behind the calls, and what breaks is noted, never raised to the caller. What may not be written
(no tenant where one is required, a redaction that failed) is not.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from pathlib import Path
from typing import Any

from tuppence.effects import Record
from tuppence.errors import ConfigError, ScopeError
from tuppence.recording.behind import Behind
from tuppence.recording.errors import RecordingError
from tuppence.recording.feedback import Feedback
from tuppence.recording.files import append_line
from tuppence.recording.lines import Redact, line_of

log = logging.getLogger("tuppence.recording")


def sampled(call_id: str, share: float) -> bool:
    """Say whether a call is in the sample: the same call always is or never is, and a larger share holds a smaller."""
    digest = hashlib.blake2b(call_id.encode("utf-8", "backslashreplace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


class Recorder:
    """Appends settled calls to a JSONL file that processes may share: `Recorder("traffic.jsonl", share=0.1)`.

    `share` of the calls is recorded, chosen by a stable hash of the call's id. `redact` takes out of a text what must
    not be stored: it is given every question, message, answer and argument, and where it raises nothing of the call is
    written. With `require_tenant` a call without the tag `tenant` is not recorded. Safe to use from threads, from tasks
    of any event loop, and after a fork.

    A fault of a call's recording is on its own decision where it is known at once, on a later call's otherwise, and in
    the log `tuppence.recording`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        share: float = 1.0,
        redact: Redact | None = None,
        require_tenant: bool = False,
    ) -> None:
        if not 0 < share <= 1:
            raise ConfigError(f"record share is {share!r}: give the part of the calls to record, such as 0.1")
        if redact is not None and not callable(redact):
            raise ConfigError(f"record redact is {redact!r}: give a function from text to text")
        self.path = Path(path).expanduser().absolute()
        _usable(self.path)
        self.share = share
        self.require_tenant = require_tenant
        self.lost = 0
        """Calls that were to be recorded and are not."""
        self._redact = redact
        self._fault: RecordingError | None = None
        self._failing = False
        self._behind: Behind[Record] = Behind(self._write)

    def record(self, call: Record, /) -> None:
        """Take a call in and return at once.

        Raises `ScopeError` where its tenant is missing, and `RecordingError` where it, or a call before it that nobody
        was told of, is not recorded.
        """
        tags = call.result.tags
        if self.require_tenant and not tags.get("tenant"):
            raise ScopeError(
                f"the recorder requires a tenant and the call has none (tags: {dict(tags)!r}): tag the call with "
                "tenant='...'"
            )
        if self.share < 1 and not sampled(call.result.call_id, self.share):
            return
        # Taken first: what becomes of this very call is for a later one to tell, whichever thread is faster.
        fault, self._fault = self._fault, None
        if not self._behind.put(call):
            self.lost += 1
            raise RecordingError(
                f"call {call.result.call_id} is not recorded: {self._behind.waiting} wait to be written to "
                f"{self.path}: lower share, or make redact faster"
            )
        if fault is not None:
            raise fault

    def feedback(self, call_id: str, score: float, *, comment: str = "") -> None:
        """Write down at once what a user thought of a call, from 0 (bad) to 1 (good); `comment` is redacted.

        Raises `RecordingError` for a score that is none, or where the file cannot be written.
        """
        told = Feedback(call_id, float(score), time.time(), self._redacted(comment) if comment else "")
        try:
            append_line(self.path, told.line())
        except OSError as error:
            why = _trouble(self.path, error)
            raise RecordingError(f"feedback on call {call_id!r} is not recorded: {why}") from error

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return once all calls so far are written, and so would survive a kill, or are lost; else raise
        `RecordingError`.
        """
        if not self._behind.flush(timeout_s):
            raise RecordingError(
                f"{self._behind.waiting} calls still wait to be written to {self.path} after {timeout_s} s: flush with "
                "a longer timeout_s, or look at what slows redact or the disk"
            )

    def _write(self, call: Record) -> None:
        try:
            append_line(self.path, line_of(call, self._redacted))
        except OSError as error:
            self._lose(call, _trouble(self.path, error))
        except Exception as error:  # noqa: BLE001 - redaction is foreign code, and the thread must outlive it
            # Not the exception's own words: they may quote what was to be redacted.
            self._lose(call, f"redaction or JSON failed ({type(error).__name__}): mend the redact function")
        else:
            if self._failing:
                log.warning("%s is written again; %d calls are lost so far", self.path, self.lost)
            self._failing = False

    def _lose(self, call: Record, why: str) -> None:
        self.lost += 1
        self._fault = RecordingError(f"call {call.result.call_id} is not recorded: {why}")
        if not self._failing:
            log.warning("%s; further calls that are lost are only counted", self._fault)
        self._failing = True

    def _redacted(self, text: str) -> str:
        if self._redact is None:
            return text
        left = self._redact(text)
        if not isinstance(left, str):
            raise TypeError(f"redact returned {type(left).__name__}")
        return left

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.path, self.share, self._redact, self.require_tenant)


def _rebuilt(path: Path, share: float, redact: Redact | None, require_tenant: bool) -> Recorder:
    return Recorder(path, share=share, redact=redact, require_tenant=require_tenant)


def _usable(path: Path) -> None:
    """Make the folder, and look at once whether a file can be there: a typing error must not be found a week later."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
    except OSError as error:
        raise RecordingError(f"traffic cannot be recorded: {_trouble(path, error)}") from error


def _trouble(path: Path, error: OSError) -> str:
    return f"{path} cannot be written ({error.strerror or error}): make room, or name a file that can be"
