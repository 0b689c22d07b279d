"""Which models the demo has: the local one, and a stronger one for each provider whose key is set and works.

A key is tried before anything is compared, so that a wrong one, an empty account or a missing network is said in one
plain line and the demo goes on with what is left. Keys themselves are read by the providers' own SDKs, never here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from tuppence.demo.local_model import LOCAL_MODEL, local_rate
from tuppence.prices import PriceBook
from tuppence.usage import Usage

Provider = Literal["local", "openai", "anthropic"]

MAX_ANSWER_TOKENS = 64
_TRY_S = 15.0
_TYPICAL = Usage(input=300, output=60)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model, before a framework has made its own object of it."""

    provider: Provider
    model: str
    base_url: str | None = None
    """Where the local server listens; None leaves it to the provider's SDK."""


@dataclass(frozen=True, slots=True)
class Found:
    """The models of this run, cheapest first, and what there is to say of those that are missing."""

    specs: tuple[ModelSpec, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Account:
    key: str
    setting: str
    model: str
    ask: Callable[[str], object]


def _ask_openai(model: str) -> object:
    import openai

    client = openai.OpenAI(max_retries=0, timeout=_TRY_S)
    # 16 is the least that every chat model of the provider takes.
    return client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Say ok."}], max_completion_tokens=16
    )


def _ask_anthropic(model: str) -> object:
    import anthropic

    client = anthropic.Anthropic(max_retries=0, timeout=_TRY_S)
    return client.messages.create(model=model, messages=[{"role": "user", "content": "Say ok."}], max_tokens=16)


# Dearer and far stronger than the local model, with a list price, and obedient to temperature 0.
_ACCOUNTS: Mapping[Provider, _Account] = {
    "openai": _Account("OPENAI_API_KEY", "TUPPENCE_DEMO_OPENAI_MODEL", "gpt-4.1", _ask_openai),
    "anthropic": _Account("ANTHROPIC_API_KEY", "TUPPENCE_DEMO_ANTHROPIC_MODEL", "claude-haiku-4-5", _ask_anthropic),
}


def prices() -> PriceBook:
    """Return the packaged price list with the local model's compute price in it."""
    return PriceBook.default().with_overrides({LOCAL_MODEL: local_rate()})


def found_models(book: PriceBook) -> Found:
    """Try the keys that are set, and say which models that leaves."""
    specs: list[ModelSpec] = []
    notes: list[str] = []
    for provider, account in _ACCOUNTS.items():
        if not os.environ.get(account.key, "").strip():
            continue
        model = os.environ.get(account.setting) or account.model
        error = _tried(account, model)
        if error is None:
            specs.append(ModelSpec(provider, model))
            notes.append(f"{account.key} is set: {model} answers. (One word was asked to try it; it is not counted.)")
        else:
            notes.append(
                f"{account.key} is set, but {model} did not answer, and the run goes on without it: {error}. "
                f"{account.setting} names another model."
            )
    if not notes:
        keys = " nor ".join(account.key for account in _ACCOUNTS.values())
        notes.append(f"Neither {keys} is set: no stronger model in this run.")
    specs.sort(key=lambda spec: _typical_pico(book, spec))
    return Found((ModelSpec("local", LOCAL_MODEL), *specs), tuple(notes))


def _tried(account: _Account, model: str) -> str | None:
    """Return what went wrong, in a line, or None."""
    try:
        account.ask(model)
    except Exception as error:  # noqa: BLE001 (whatever a provider's SDK raises, the demo goes on without it)
        return " ".join(f"{type(error).__name__}: {error}".split())[:160].rstrip(".")
    return None


def _typical_pico(book: PriceBook, spec: ModelSpec) -> int:
    """Price a call of the demo's size; a model of unknown price counts as the dearest."""
    rate = book.rate(spec.model, provider=spec.provider)
    cost = None if rate is None else rate.cost(_TYPICAL)
    return 10**18 if cost is None else cost
