"""May one more request go to a server of one's own, or is the queue too long already: what lets a call spill over.

It says what was seen, and decides nothing else: which tier is asked instead is the ladder's order, and the last tier of
it is asked however long its queue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tuppence.selfhost.errors import SelfHostError
from tuppence.selfhost.servers import Servers


class SpillOver:
    """Calls a tier full while `waiting` requests wait for each of its servers: `tier(..., admission=SpillOver(urls))`.

    What is not known is not full: before the first look, and where the servers have no metrics, calls are let through,
    and a server that turns one away with 503 lets that one spill over.
    """

    def __init__(self, servers: Servers | str | Sequence[str], *, waiting: int = 8) -> None:
        if waiting < 1:
            raise SelfHostError(f"waiting is {waiting}: a tier can be full with one request waiting, or more")
        self.servers = servers if isinstance(servers, Servers) else Servers(servers)
        self._waiting = waiting

    def __reduce__(self) -> tuple[Callable[..., SpillOver], tuple[Servers, int]]:
        return _spill_over, (self.servers, self._waiting)

    def full(self) -> str | None:
        """Say how many wait where that is too many; else None, and the call counts as sent."""
        told = self.servers.waiting()
        if told is not None and told[0] >= self._waiting * told[1]:
            return f"{told[0]:.0f} waiting"
        self.servers.sent()
        return None


def _spill_over(servers: Servers, waiting: int) -> SpillOver:
    return SpillOver(servers, waiting=waiting)
