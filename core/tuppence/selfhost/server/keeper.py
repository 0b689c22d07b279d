"""A small process between a program and the server that it started: when the program ends, so does the server.

Run as `python keeper.py PARENT GRACE_S COMMAND...`; it prints the server's process id and lives as long as the server.
It must hold whatever ends the program: Ctrl-C, an exception, `kill -9`. So it is a process of its own, watches whose
child it is, and imports nothing but the standard library. A vLLM is several processes, and killing the first of them
leaves the one with the model behind: the server gets a session of its own, and that is ended as a whole.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_LOOK_S = 0.5
"""How often it looks whether the program is still there."""
_GONE_WITHIN_S = 10.0
"""How long the killed may take to be gone, such as one that waits for a disk."""
_PR_SET_CHILD_SUBREAPER = 36
"""Linux, prctl(2)."""
_ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Told(Exception):
    """The program asked for the end."""


def keep(parent: int, grace_s: float, command: Sequence[str]) -> int:
    """Run the server until it ends, `parent` ends or a signal comes; return what a shell would call its status."""
    child: subprocess.Popen[bytes] | None = None
    try:
        for one in _ENDINGS:
            signal.signal(one, _tell)
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True)
        os.write(sys.stdout.fileno(), b"%d\n" % child.pid)
        while os.getppid() == parent:
            try:
                return _status(child.wait(_LOOK_S))
            except subprocess.TimeoutExpired:
                continue
    except _Told:
        pass
    finally:
        _go_deaf()
        if child is not None:
            end(child, grace_s)
    return 0


def end(child: subprocess.Popen[bytes], grace_s: float) -> None:
    """Ask the server to end, wait so long, then kill all that is left of its session."""
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace_s)
    kill_session(child.pid)
    child.wait()


def kill_session(leader: int) -> None:
    """Kill every process of the session that `leader` began, whether or not it is still there, and wait for it."""
    give_up_at = time.monotonic() + _GONE_WITHIN_S
    while (members := _members(leader)) and time.monotonic() < give_up_at:
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _members(leader: int) -> list[int]:
    """List the living processes of a session; without Linux's /proc, the leader's process group stands for it."""
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
        return []
    found: list[int] = []
    for stat in proc.glob("[0-9]*/stat"):
        try:
            # The name in parentheses may hold anything; behind it: state, parent, group, session.
            state, _, _, session = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == leader and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


def _tell(_number: int, _frame: object) -> None:
    # Once is enough: a second one must not interrupt the ending.
    _go_deaf()
    raise _Told


def _go_deaf() -> None:
    for one in _ENDINGS:
        signal.signal(one, signal.SIG_IGN)


def _status(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode


def _adopt_orphans() -> None:
    """Be the parent of what the server leaves behind, so that it ends here and not as a zombie of process 1."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


if __name__ == "__main__":
    _adopt_orphans()
    sys.exit(keep(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
