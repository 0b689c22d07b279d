"""Lines at the end of a file that many processes write at once.

A line is one write at the file's end, which the kernel keeps apart from other processes' (POSIX, `O_APPEND`; a local
file system). Once it is written, no kill takes it away. Nothing is rotated, locked or read.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path


def append_line(path: Path, line: bytes) -> None:
    """Write a line, its newline included, at the end of the file; raises `OSError` where it is not there in whole.

    The file is opened for every line: it may be moved away and begun anew at any time. Only its owner may read it.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        written = os.write(descriptor, line)
    finally:
        os.close(descriptor)
    if written < len(line):
        # Not written on: another process's line may stand behind the torn one by now. Readers pass over the torn part.
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {written} of {len(line)} bytes fitted", str(path))
