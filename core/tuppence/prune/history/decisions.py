"""What was decided for each conversation, so that the next call sends the same bytes: digests and numbers, and the
summaries that were made.

A decision is found by the digest of the messages it was made for, so that one whose beginning was changed, or another
one that merely begins alike, never inherits what does not fit it. Bounded, and safe for many threads.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuppence.errors import ConfigError
from tuppence.prune.history.lengths import Lengths
from tuppence.request import Message

FORMAT = "tuppence-history/1"


@dataclass(frozen=True, slots=True)
class Batch:
    """Edits that were made together, once they paid."""

    strategy: str
    upto: int
    """How many messages the conversation had: what the edits look like follows from these alone."""
    indices: tuple[int, ...]
    """The messages that are edited."""
    summary: str = ""
    """What a model wrote in their place, where one did."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands for a conversation as of one call."""

    upto: int
    """Messages of that call's prompt."""
    calls: int
    at: float
    """When it was made, Unix seconds."""
    batches: tuple[Batch, ...] = ()


def chain_of(messages: Sequence[Message], *scope: str) -> tuple[str, ...]:
    """Return for every message the digest of all up to it: 32 hex digits."""
    digest, chain = "\0".join(scope), []
    for message in messages:
        calls = [[call.id, call.name, call.arguments] for call in message.tool_calls]
        told = [digest, message.role, message.text, calls, message.extra]
        body = json.dumps(told, separators=(",", ":"), ensure_ascii=False, default=repr)
        digest = hashlib.blake2b(body.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        chain.append(digest)
    return tuple(chain)


class Decisions:
    """What stands for the conversations used last."""

    __slots__ = ("_limit", "_lock", "_open", "_standings", "lengths")

    def __init__(self, *, max_calls: int = 10_000) -> None:
        """Remember the last `max_calls` calls: a few hundred bytes each, more where a summary was made."""
        if max_calls < 1:
            raise ConfigError(f"max_calls is {max_calls}: it must be at least 1")
        self._limit = max_calls
        self._lock = threading.Lock()
        self._standings: OrderedDict[str, Standing] = OrderedDict()
        self._open: OrderedDict[str, None] = OrderedDict()
        self.lengths = Lengths()
        """How long the conversations were that have ended."""

    def __reduce__(self) -> tuple[Callable[..., Decisions], tuple[int, Lengths]]:
        """Travel with how long conversations are, not with what stands: summaries are text, carried by `save` alone."""
        return _begun, (self._limit, self.lengths)

    def __len__(self) -> int:
        return len(self._standings)

    def find(self, chain: Sequence[str]) -> Standing | None:
        """Return what stands for the longest known beginning of a conversation."""
        with self._lock:
            for digest in reversed(chain):
                found = self._standings.get(digest)
                if found is not None:
                    self._standings.move_to_end(digest)
                    return found
        return None

    def keep(self, chain: Sequence[str], standing: Standing, *, lifetime_s: float) -> None:
        """Keep what stands after a call. A conversation that is silent for longer than `lifetime_s` has ended."""
        with self._lock:
            for digest in chain:
                self._open.pop(digest, None)
            self._put(chain[-1], standing)
            self._open[chain[-1]] = None
            for digest in list(self._open):
                known = self._standings.get(digest)
                if known is not None and known.at + lifetime_s >= standing.at:
                    break
                del self._open[digest]
                if known is not None:
                    self.lengths.ended(known.calls)

    def _put(self, digest: str, standing: Standing) -> None:
        self._standings[digest] = standing
        self._standings.move_to_end(digest)
        while len(self._standings) > self._limit:
            self._standings.popitem(last=False)

    def told(self) -> dict[str, Any]:
        """Return everything as plain JSON data. It holds the summaries, which are text of the user's."""
        with self._lock:
            calls = {digest: _told(standing) for digest, standing in self._standings.items()}
            lengths = [[calls, count] for calls, count in self.lengths.told().items()]
            return {"format": FORMAT, "calls": calls, "open": list(self._open), "lengths": lengths}

    def take(self, told: Mapping[str, Any]) -> None:
        """Take in what `told` returned; raises `ConfigError` where it is something else."""
        try:
            if told["format"] != FORMAT:
                raise ValueError(f"its format is {told['format']!r}, not {FORMAT!r}")
            read = {str(digest): _read(one) for digest, one in told["calls"].items()}
            lengths = Lengths({int(calls): int(count) for calls, count in told["lengths"]})
            still_open = [str(digest) for digest in told["open"]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"these are no decisions on histories ({type(error).__name__}: {error})") from error
        with self._lock:
            for digest, standing in read.items():
                self._put(digest, standing)
            self._open.update(dict.fromkeys(still_open))
            self.lengths = lengths

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything as JSON, whole or not at all."""
        target = Path(path)
        beside = target.with_name(f"{target.name}.{os.getpid()}.new")
        beside.write_text(json.dumps(self.told()) + "\n", "utf-8")
        beside.replace(target)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read what was saved; raises `ConfigError` where the file holds no decisions."""
        try:
            told = json.loads(Path(path).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read ({error}): delete it to begin anew") from error
        self.take(told)


def _begun(max_calls: int, lengths: Lengths) -> Decisions:
    decisions = Decisions(max_calls=max_calls)
    decisions.lengths = lengths
    return decisions


def _told(standing: Standing) -> list[Any]:
    batches = [[one.strategy, one.upto, list(one.indices), one.summary] for one in standing.batches]
    return [standing.upto, standing.calls, standing.at, batches]


def _read(told: Sequence[Any]) -> Standing:
    upto, calls, at, batches = told
    made = tuple(Batch(str(name), int(to), tuple(map(int, places)), str(text)) for name, to, places, text in batches)
    return Standing(int(upto), int(calls), float(at), made)
