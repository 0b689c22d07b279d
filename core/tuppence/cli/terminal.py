"""Where output goes: what was asked for to standard output or a file, everything else to standard error.

What is piped or written to a file has no colours and is never cut to a window's width.
"""

from __future__ import annotations

import io
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from tuppence.errors import TuppenceError

if TYPE_CHECKING:
    from rich.console import RenderableType

# Wide enough for every table of ours: a pipe has no width, and rich would assume 80 columns.
_PIPE_COLUMNS = 200


class Format(StrEnum):
    """How a command spells its answer."""

    table = "table"
    csv = "csv"
    json = "json"


class TableOrJson(StrEnum):
    """How a command without rows of one kind spells its answer."""

    table = "table"
    json = "json"


def out(text: str, file: Path | None = None) -> None:
    """Write text as it stands."""
    if file is None:
        _tolerant()
        sys.stdout.write(text)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TuppenceError(f"{file} cannot be written ({error.strerror}): name a file in a writable folder") from error


def show(*items: RenderableType, file: Path | None = None) -> None:
    """Print tables and the like for a person."""
    from rich.console import Console

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            # Rich would end the program here; how it ends is said in one place, for every command.
            raise BrokenPipeError

    if file is not None:
        buffer = io.StringIO()
        Console(file=buffer, width=_PIPE_COLUMNS, color_system=None).print(*items, sep="\n")
        out("".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines()), file)
        return
    _tolerant()
    width = None if sys.stdout.isatty() else _PIPE_COLUMNS
    Terminal(width=width, highlight=False).print(*items, sep="\n")


def complain(message: str) -> None:
    """Say what went wrong, plainly."""
    _tolerant()
    sys.stderr.write(f"tuppence: {message}\n")


def _tolerant() -> None:
    """Spell what the terminal's encoding cannot show as escapes: a user's name must not break a report."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
