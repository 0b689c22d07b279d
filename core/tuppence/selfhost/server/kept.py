"""A server's processes as the program sees them: started under a keeper, ended by it, whatever happens.

While this process lives it can end them; when it is gone, the keeper does. Only who kills both at one moment leaves
something behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from tuppence.selfhost.errors import SelfHostError
from tuppence.selfhost.server import keeper

_KEEPER = Path(keeper.__file__)
_MARGIN_S = 15.0
"""What the keeper may take beyond the server's grace: it waits for the killed to be gone."""


class Kept:
    """One started server; `pid` is the server's own, the keeper's is nobody's business."""

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: BinaryIO, grace_s: float
    ) -> None:
        self._grace_s = grace_s
        said = [sys.executable, "-I", str(_KEEPER), str(os.getpid()), str(grace_s), *command]
        # A session of its own: Ctrl-C in the terminal reaches this program, which then ends the server in good order.
        self._keeper = subprocess.Popen(
            said, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        assert self._keeper.stdout is not None
        told = self._keeper.stdout.readline()
        self._keeper.stdout.close()
        if not told.strip():
            self._keeper.wait()
            raise SelfHostError(f"{command[0]} could not be started: is it a Python interpreter, and may it be run?")
        self.pid = int(told)

    def status(self) -> int | None:
        """The status that the server ended with; None while it runs."""
        return self._keeper.poll()

    def wait(self) -> int:
        """Wait until the server ends, and return its status."""
        return self._keeper.wait()

    def end(self) -> None:
        """Ask the server to end, kill what is left of it after its grace, and wait until nothing is."""
        self._keeper.terminate()
        try:
            self._keeper.wait(self._grace_s + _MARGIN_S)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
        if self._keeper.wait() < 0:
            # It was killed, here or by somebody. Where it ended well all is gone, and the number may be another's.
            keeper.kill_session(self.pid)
