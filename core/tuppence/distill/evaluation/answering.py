"""Who answers held-out rows: a model behind an OpenAI-compatible server, or whatever has a name and answers.

These are measurements, not a user's calls: they go to one model, past policy, cache and ledger.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Protocol

import httpx

from tuppence.distill.errors import DistillError
from tuppence.distill.evaluation.held_out import HeldOut
from tuppence.signals import sequence_probability

_FULL = frozenset({429, 503})
_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """What one contender made of one row."""

    text: str
    confidence: float | None = None
    """How sure it was, in [0, 1]; None where it does not say."""
    input_tokens: int = 0
    output_tokens: int = 0


class Contender(Protocol):
    """Answers rows."""

    @property
    def name(self) -> str: ...
    def answer(self, rows: Sequence[HeldOut], /) -> list[Answer]: ...


@dataclass(frozen=True, slots=True)
class Served:
    """The model `model` at `base_url` (with `/v1`), asked without randomness; sure by its tokens' probabilities."""

    name: str
    base_url: str
    model: str
    _: KW_ONLY
    api_key: str | None = field(default=None, repr=False)
    max_tokens: int = 256
    at_once: int = 8
    timeout_s: float = 600.0

    def answer(self, rows: Sequence[HeldOut]) -> list[Answer]:
        """Ask all rows, several at once; raises `DistillError` where the server does not answer one."""
        headers = {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key}"}
        with (
            httpx.Client(timeout=self.timeout_s, headers=headers) as client,
            ThreadPoolExecutor(self.at_once, "tuppence-evaluation") as pool,
        ):
            try:
                return list(pool.map(lambda row: self._ask(client, row), rows))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _ask(self, client: httpx.Client, row: HeldOut) -> Answer:
        body = {
            "model": self.model, "messages": list(row.messages), "temperature": 0, "max_tokens": self.max_tokens,
            "logprobs": True,
        }  # fmt: skip
        try:
            response = self._once_there_is_room(client, body).raise_for_status()
            told = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise DistillError(
                f"{self.model} at {self.base_url} does not answer ({type(error).__name__}: {error}): see that the "
                "server runs and serves it"
            ) from error
        return _read(told)

    def _once_there_is_room(self, client: httpx.Client, body: dict[str, Any]) -> httpx.Response:
        """Ask again while the server is full: a measurement can wait, and whoever pays for answers goes first."""
        give_up_at = time.monotonic() + self.timeout_s
        while True:
            response = client.post(f"{self.base_url}/chat/completions", json=body)
            if response.status_code not in _FULL or time.monotonic() > give_up_at:
                return response
            time.sleep(_PAUSE_S)


def _read(told: dict[str, Any]) -> Answer:
    choice, usage = told["choices"][0], told.get("usage") or {}
    tokens = (choice.get("logprobs") or {}).get("content")
    confidence = sequence_probability([one["logprob"] for one in tokens]) if tokens else None
    return Answer(
        choice["message"].get("content") or "", confidence, usage.get("prompt_tokens", 0),
        usage.get("completion_tokens", 0),
    )  # fmt: skip
