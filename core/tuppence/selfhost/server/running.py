"""A vLLM server that runs, whoever started it: where it is, whether it is well, what it serves, its adapters.

Its answers are not asked for here: its `base_url` is given to a client, and that client is a tier like any other.
"""

from __future__ import annotations

from tuppence.selfhost.adapters import AdapterClient
from tuppence.selfhost.endpoint import Endpoint
from tuppence.selfhost.sleeping import Sleep


class RunningServer:
    """The server at `url`; nothing is asked of it until you do."""

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        self._at: Endpoint | None = Endpoint(url, api_key)

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        assert self._at is not None
        return self._at

    @property
    def url(self) -> str:
        """Its address, without `/v1`; Anthropic's SDK wants it so."""
        return self.endpoint.url

    @property
    def base_url(self) -> str:
        """Its address with `/v1`, for `ChatOpenAI`, `OpenAILike` and `openai.OpenAI`."""
        return self.endpoint.base_url

    @property
    def adapters(self) -> AdapterClient:
        """Its LoRA adapters."""
        return AdapterClient(self.endpoint)

    @property
    def sleep(self) -> Sleep:
        """Its sleep, where it was started so that it can."""
        return Sleep(self.endpoint)

    def healthy(self) -> bool:
        """Say whether it answers and its engine lives."""
        return self.endpoint.answers("/health")

    def models(self) -> tuple[str, ...]:
        """Name what can be asked as `model`: what it was started with, then its adapters."""
        return tuple(model["id"] for model in self.endpoint.get("/v1/models")["data"])

    def version(self) -> str:
        """Which vLLM it is."""
        return str(self.endpoint.get("/version")["version"])
