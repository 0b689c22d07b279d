"""What is known of one training at a provider, on disk before and after every step outside this machine.

A kill at any moment leaves the last step that was meant and every id that came back: whoever goes on looks for what the
meant step may have made. One process works on a folder at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tuppence.distill.errors import TrainingError

FILE = "training.json"


@dataclass(frozen=True, slots=True)
class State:
    """How far it is; None for what has not come back yet."""

    run: str
    """Names this training at the provider: 32 hex digits that no other has."""
    provider: str
    data_hash: str
    base: str
    settings: dict[str, Any]
    train_file: str | None = None
    validation_file: str | None = None
    creating: bool = False
    """A job may have been created under `run`, whether or not its id came back."""
    job: str | None = None
    told: str = ""
    """The last event that was passed on."""
    result: dict[str, Any] | None = None


class Journal:
    """The state of the training in one folder."""

    def __init__(self, folder: Path, begun: State) -> None:
        self._file = folder / FILE
        known = self._read()
        if known is not None and _purpose(known) != _purpose(begun):
            differing = [name for name in _PURPOSE if getattr(known, name) != getattr(begun, name)]
            raise TrainingError(
                f"{folder} belongs to another training (other {', '.join(differing)}): give this one its own folder"
            )
        self.state = known or begun
        if known is None:
            self.write()

    def write(self, **changed: Any) -> None:
        """Change the state; it is on the disk when this returns."""
        self.state = replace(self.state, **changed)
        half = self._file.with_suffix(".part")
        with half.open("w", encoding="utf-8") as file:
            json.dump(asdict(self.state), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        half.replace(self._file)

    def _read(self) -> State | None:
        try:
            told = json.loads(self._file.read_text(encoding="utf-8"))
            return State(**told)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(f"{self._file} cannot be read ({error}): it is not what a training wrote") from error


_PURPOSE = ("provider", "data_hash", "base", "settings")


def _purpose(state: State) -> tuple[object, ...]:
    return tuple(getattr(state, name) for name in _PURPOSE)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; raises `TrainingError` where one is at work in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # SQLite's lock is there on every system, and gone with the process that held it.
        lock = sqlite3.connect(folder / ".lock", timeout=0, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise TrainingError(f"{folder} cannot be written ({error}): name a writable folder") from error
    with contextlib.closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise TrainingError(
                f"another process trains in {folder} ({error}): wait for it, or name another"
            ) from error
        yield
