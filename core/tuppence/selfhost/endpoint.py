"""Asking a vLLM server about itself: is it there, what does it serve, do this.

Requests for answers never pass here: those go through the user's own client and the flow, where they are accounted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from tuppence.selfhost.errors import SelfHostError

_WELL_WITHIN_S = 5.0
"""A server that is well says so at once, also while its engine is busy."""
_TOLD_WITHIN_S = 30.0
"""Other questions wait behind requests that are being read, where a machine has more to do than it can."""
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one server listens: `http://host:port`, without `/v1`."""

    url: str
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SelfHostError(f"the server's address is {self.url!r}: give one such as 'http://127.0.0.1:8000'")
        object.__setattr__(self, "url", self.url.rstrip("/").removesuffix("/v1"))

    @property
    def base_url(self) -> str:
        """The address as OpenAI's SDK wants it, with `/v1`."""
        return f"{self.url}/v1"

    def get(self, path: str) -> Any:
        """Read what stands at `path`; raises `SelfHostError` where nobody answers, or with an error."""
        return self._read(self._ask("GET", path, timeout_s=_TOLD_WITHIN_S))

    def post(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_s: float,
        params: dict[str, str] | None = None,
    ) -> Any:
        """Tell the server to do something, and wait until it is done."""
        return self._read(self._ask("POST", path, timeout_s=timeout_s, json=body, params=params))

    def answers(self, path: str) -> bool:
        """Say whether `path` is answered, and well."""
        try:
            return self._ask("GET", path, timeout_s=_WELL_WITHIN_S).is_success
        except SelfHostError:
            return False

    def _ask(self, method: str, path: str, *, timeout_s: float, **said: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        # A company's proxy does not know the way to this very machine.
        trusts = urlsplit(self.url).hostname not in _LOOPBACK
        try:
            with httpx.Client(trust_env=trusts, timeout=timeout_s, headers=headers) as client:
                return client.request(method, f"{self.url}{path}", **said)
        except httpx.TimeoutException as error:
            raise SelfHostError(f"{self.url}{path} did not answer within {timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise SelfHostError(
                f"no server answers at {self.url}{path} ({error}): start it, or correct the address"
            ) from error

    def _read(self, response: httpx.Response) -> Any:
        if response.is_success:
            return response.json() if "json" in response.headers.get("content-type", "") else response.text
        raise Refused(
            f"{response.request.url} answered {response.status_code}: {_reason(response)}", response.status_code
        )


class Refused(SelfHostError):
    """The server answered, and said no."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _reason(response: httpx.Response) -> str:
    """Find the server's own words; vLLM has put them in three places over the years."""
    try:
        told: Any = response.json()
    except ValueError:
        return response.text.strip()[:500] or response.reason_phrase
    if isinstance(told, dict):
        inner = told.get("error")
        told = inner.get("message") if isinstance(inner, dict) else told.get("message") or told.get("detail") or told
    return told if isinstance(told, str) else str(told)[:500]
