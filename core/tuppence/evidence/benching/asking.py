"""Models under test: a tier behind its raw SDK client, or a plain function. Each question is one call of the flow, with
its retries, its price and its attempts; no other tier, no check and no cache comes between.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tuppence.attempts import Attempt
from tuppence.clients import result_of, wrap
from tuppence.clients.sdk import family_of
from tuppence.clients.tiers import ClientTier
from tuppence.context import spend
from tuppence.errors import ConfigError
from tuppence.evidence.benching.cases import Case
from tuppence.policy import Retries
from tuppence.prices import PicoUSD
from tuppence.request import Message, Reply, Request
from tuppence.tiers import Tier

# Anthropic's API demands a limit; a policy's `params` may set another.
_MAX_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one question."""

    text: str
    pico_usd: PicoUSD | None
    """Sum of the attempts, failed ones too; None where a price is unknown."""
    latency_ms: float | None = None
    """Of the attempt that answered; None where none did."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: Exception | None = None


class Model(Protocol):
    """A model under test. Asked from many threads at once."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str:
        """Tell what it is apart from a model of the same name that may answer otherwise."""
        ...

    def ask(self, case: Case, /) -> Answered:
        """Answer; a failure is a value, nothing is raised."""
        ...


def model_of(tier: Tier, *, params: Mapping[str, Any] | None = None, retries: Retries | None = None) -> Model:
    """Make a model of a tier: a function tier, or one made by `via(client, ...)` with a sync SDK client.

    `params` go into every request, such as `temperature`. Raises `ConfigError` for a tier without a client.
    """
    if tier.answer is not None:
        return _FunctionModel(tier)
    if not isinstance(tier, ClientTier) or tier.client is None:
        raise ConfigError(f"tier {tier.name!r} has no client to ask it: make it with via(client, {tier.model!r})")
    wrapped = wrap(tier.client, tiers=[tier], check=None, ledger=None, retries=retries)
    return _SdkModel(tier, wrapped, dict(params or {}))


@dataclass(frozen=True, slots=True)
class _SdkModel:
    tier: ClientTier
    client: Any = field(repr=False)
    params: dict[str, Any]

    @property
    def name(self) -> str:
        return self.tier.name

    @property
    def version(self) -> str:
        address = str(getattr(self.tier.client, "base_url", ""))
        spelt = repr((self.tier.model, address, self.tier.additions, sorted(self.params.items())))
        return f"{self.tier.model}/{hashlib.blake2b(spelt.encode(), digest_size=4).hexdigest()}"

    def ask(self, case: Case) -> Answered:
        with spend() as spent:
            try:
                result = result_of(self._create(case))
            except Exception as error:  # noqa: BLE001 - whatever a provider or an SDK raises is this model's failure
                return Answered("", _cost(spent.attempts), error=error)
        assert result.reply is not None
        last = result.attempts[-1]
        return Answered(
            result.reply.text, _cost(result.attempts), last.latency_ms, last.usage.input_tokens,
            last.usage.output_tokens,
        )  # fmt: skip

    def _create(self, case: Case) -> Any:
        asked = [{"role": "user", "content": case.query}]
        if family_of(self.client) == "anthropic":
            params = dict(self.params)
            told = {"system": case.system} if case.system else {}
            return self.client.messages.create(
                model=self.name, messages=asked, max_tokens=params.pop("max_tokens", _MAX_TOKENS), extra_body=params,
                **told,
            )  # fmt: skip
        if case.system:
            asked.insert(0, {"role": "system", "content": case.system})
        # By the body and not as arguments: a server of one's own may know parameters that the SDK does not.
        return self.client.chat.completions.create(model=self.name, messages=asked, extra_body=self.params)


@dataclass(frozen=True, slots=True)
class _FunctionModel:
    tier: Tier

    @property
    def name(self) -> str:
        return self.tier.name

    @property
    def version(self) -> str:
        return "function"

    def ask(self, case: Case) -> Answered:
        assert self.tier.answer is not None
        told = [Message("system", case.system)] if case.system else []
        began = time.perf_counter()
        try:
            answer = self.tier.answer(Request((*told, Message("user", case.query))))
        except Exception as error:  # noqa: BLE001 - the user's own function may raise anything
            return Answered("", 0, error=error)
        text = answer.text if isinstance(answer, Reply) else answer or ""
        return Answered(text, 0, (time.perf_counter() - began) * 1000, 0, 0)


def _cost(attempts: list[Attempt]) -> PicoUSD | None:
    costs = [attempt.pico_usd for attempt in attempts]
    return None if None in costs else sum(cost or 0 for cost in costs)
