"""What has rung already, in a small JSON file: so that a cron job and a loop ring once for one thing.

An alert that rang stays on until what it is about has recovered, or has been so for long enough to be the new usual.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tuppence.errors import LedgerError

_VERSION = 1


@dataclass(frozen=True, slots=True)
class On:
    """An alert that has rung and not recovered."""

    since: int
    """Hour since 1970 in which it began."""
    rang: int
    """Hour since 1970 at which it was told."""
    said: str = ""
    """What was told, for whoever shows what is on."""


@dataclass(slots=True)
class State:
    """Alerts by rule and scope."""

    on: dict[str, On] = field(default_factory=dict)
    rang: dict[str, int] = field(default_factory=dict)
    """Hour since 1970 of the last ring of each."""

    @classmethod
    def read(cls, path: Path) -> State:
        """Read a state file; where there is none, nothing has rung. Raises `LedgerError` for a file of another kind."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["version"] != _VERSION:
                raise LedgerError(
                    f"{path} is of version {found['version']}: this one reads {_VERSION}; remove the file"
                )
            on = {
                str(key): On(int(one["since"]), int(one["rang"]), str(one.get("said", "")))
                for key, one in found["on"].items()
            }
            return cls(on, {str(key): int(hour) for key, hour in found["rang"].items()})
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LedgerError(f"{path} is no state of alerts ({error}): name another file, or remove it") from error

    def write(self, path: Path) -> None:
        """Replace the file as a whole: a reader sees the old state or the new one."""
        spelt: dict[str, Any] = {
            "version": _VERSION, "on": {key: asdict(one) for key, one in self.on.items()}, "rang": self.rang,
        }  # fmt: skip
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(spelt, file, indent=1)
            os.replace(name, path)
        except OSError as error:
            raise LedgerError(f"the state of alerts {path} cannot be written ({error}): name another file") from error
