"""Putting a server to sleep: its GPU's memory is free for another while its process stays, and it wakes in seconds.

vLLM offers it where it was started with `VLLM_SERVER_DEV_MODE=1` and `--enable-sleep-mode`, on GPUs. A sleeping server
still answers `/health` well, so it must be woken by who put it to sleep, before it is asked.
"""

from __future__ import annotations

from typing import Literal

from tuppence.selfhost.endpoint import Endpoint, Refused
from tuppence.selfhost.errors import SelfHostError

_CHANGES_WITHIN_S = 120.0
"""Weights travel between GPU and main memory: seconds even for the largest that fit one machine."""
Level = Literal[1, 2]


class Sleep:
    """The sleep of the server at `url`."""

    def __init__(self, url: str | Endpoint, *, api_key: str | None = None) -> None:
        self._endpoint = url if isinstance(url, Endpoint) else Endpoint(url, api_key)

    def begin(self, level: Level = 1) -> None:
        """Free the GPU's memory: level 1 keeps the weights in main memory, level 2 drops them.

        After level 2 the weights must be loaded anew by who wakes the server: see vLLM's page on sleep mode.
        """
        self._tell("/sleep", {"level": str(level)})

    def end(self) -> None:
        """Wake the server up, and wait until it can answer."""
        self._tell("/wake_up", None)

    def asleep(self) -> bool:
        """Say whether the server sleeps."""
        try:
            return bool(self._endpoint.get("/is_sleeping")["is_sleeping"])
        except Refused as error:
            raise self._unable(error) from error

    def _tell(self, path: str, params: dict[str, str] | None) -> None:
        try:
            self._endpoint.post(path, timeout_s=_CHANGES_WITHIN_S, params=params)
        except Refused as error:
            raise self._unable(error) from error

    def _unable(self, error: Refused) -> SelfHostError:
        return SelfHostError(
            f"the server at {self._endpoint.url} cannot sleep ({error}): it must run on a GPU and be started with "
            "--enable-sleep-mode and VLLM_SERVER_DEV_MODE=1, as Preset.gpu().with_sleep() does"
        )
