"""A port that nobody else gets between choosing it and the server's listening there, half a minute later."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tuppence.selfhost.errors import SelfHostError


@contextmanager
def reserved(host: str, port: int) -> Iterator[int]:
    """Hold `port`, or a free one for 0, while the block runs; raises `SelfHostError` where somebody listens there.

    On Linux a socket that is bound and does not listen keeps others off, but not a server that sets SO_REUSEADDR, as
    vLLM does. Elsewhere it would keep the server off too, and is let go at once.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((host, port))
        except OSError as error:
            raise SelfHostError(
                f"nobody can listen at port {port} of {host} ({error.strerror}): name another, or 0 for a free one"
            ) from error
        chosen = int(held.getsockname()[1])
        if sys.platform != "linux":
            held.close()
        yield chosen
