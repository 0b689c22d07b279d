"""The meter at the wall: reads servers at a steady pace, so that what a token costs is known, idle hours included.

It runs beside the program or alone, and never fails it: a server that does not answer is read again at the next turn,
and the time until then counts, for the GPU is paid for all the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType

from tuppence.selfhost.amortised import MeteredRate
from tuppence.selfhost.endpoint import Endpoint
from tuppence.selfhost.errors import SelfHostError
from tuppence.selfhost.metrics import scrape
from tuppence.selfhost.readings import Reading, ReadingLog

log = logging.getLogger("tuppence.selfhost")


class Meter:
    """Reads the metrics of one tier's servers, and keeps the readings in a file.

    Use it as a context manager, or `start()` and `stop()` it. Several processes may read the same servers into the same
    file. Raises `SelfHostError` for an address that is none.
    """

    def __init__(self, servers: str | Sequence[str], place: str | Path | None = None, *, every_s: float = 60.0) -> None:
        named = [servers] if isinstance(servers, str) else servers
        self.servers = tuple(Endpoint(one).url for one in named)
        if not self.servers or every_s <= 0:
            raise SelfHostError(f"servers are {named!r}, read every {every_s} s: give an address, and seconds above 0")
        self.readings = ReadingLog(place)
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def read(self) -> list[Reading]:
        """Read every server once, now; raises `SelfHostError` for the first that cannot be read."""
        return [self.readings.add(scrape(server, at=time.time())) for server in self.servers]

    def rate(self, gpu_hour: Decimal | str | int, **options: object) -> MeteredRate:
        """Return the amortised price of these servers as a tier's rate; `options` are those of `MeteredRate`."""
        return MeteredRate(self.readings, self.servers, gpu_hour, **options)  # type: ignore[arg-type]

    def start(self) -> Meter:
        if self._thread is None:
            self._stopped.clear()
            self._thread = threading.Thread(target=self._keep_reading, name="tuppence-meter", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Take a last reading, and stop."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopped.set()
            thread.join()
            self._read_what_answers()

    def __enter__(self) -> Meter:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _keep_reading(self) -> None:
        self._read_what_answers()
        while not self._stopped.wait(self._every_s):
            self._read_what_answers()

    def _read_what_answers(self) -> None:
        for server in self.servers:
            try:
                self.readings.add(scrape(server, at=time.time()))
            except SelfHostError as error:
                log.warning("no reading of %s: %s", server, error)
