"""Tiers made of the user's own LlamaIndex models: named, priced, and asked without retries of their own.

A model that the user holds is never changed: a tier works on a shallow copy with the same clients and handlers.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms.llm import LLM

from llama_index_tuppence.dialects import adapted, capabilities_of, context_of, provider_of
from llama_index_tuppence.prefix_marks import takes_marks
from tuppence.errors import ConfigError
from tuppence.prices import PriceBook, Rate
from tuppence.request import Capability
from tuppence.tiers import Additions, Admission, Tier, function_tier, reference_rate

TierSource = LLM | Tier | Callable[..., Any]
Tiers = Sequence[TierSource] | Mapping[str, TierSource]
Prices = PriceBook | Mapping[str, Any] | None

# What of a model object cannot change its answers, or is secret.
_NOT_SETTINGS = frozenset({
    "api_key", "callback_manager", "default_headers", "max_retries", "rate_limiter", "reuse_client", "timeout",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class LlmTier(Tier):
    """A tier with the LlamaIndex model that answers for it."""

    llm: LLM = field(kw_only=True, repr=False, compare=False)
    listed: bool = False
    """The rate is from the packaged list, so that a price book of the user's own goes before it."""


def tier(
    llm: LLM,
    *,
    name: str | None = None,
    rate: Rate | None = None,
    provider: str | None = None,
    capabilities: Iterable[Capability] | None = None,
    context_tokens: int | None = None,
    timeout_s: float | None = None,
    self_hosted: bool = False,
    additions: Additions | None = None,
    reference: Rate | str | None = None,
    admission: Admission | None = None,
    stands_in_for: str = "",
) -> LlmTier:
    """Make a tier of a LlamaIndex model, saying what its class does not tell.

    `name` is the model's by default. Without a `rate` it is priced by the list, by model name and provider. Judges are
    made so too: `judges=[tier(OpenAI("gpt-4o"), name="judge")]`. `reference` is what the same model costs at a provider
    that serves it, a rate or a name such as 'groq/llama-3.1-8b-instant'; `admission` says when its servers are full,
    such as `SpillOver`; `stands_in_for` names the tier before it that has the same model elsewhere.
    """
    model = llm.metadata.model_name
    provider = provider or provider_of(llm)
    return LlmTier(
        name or model or type(llm).__name__,
        model=model,
        provider=provider,
        rate=rate or _listed(PriceBook.default(), model, provider),
        capabilities=capabilities_of(llm) if capabilities is None else frozenset(capabilities),
        context_tokens=context_of(llm) if context_tokens is None else context_tokens,
        max_output_tokens=getattr(llm, "max_tokens", None),
        timeout_s=timeout_s,
        self_hosted=self_hosted,
        additions=additions,
        reference=reference_rate(reference, PriceBook.default()),
        admission=admission,
        stands_in_for=stands_in_for,
        prefix_marks=takes_marks(llm),
        llm=adapted(llm),
        listed=rate is None,
    )


def price_book(prices: Prices) -> PriceBook:
    """Open a price book: one as it is, a mapping of models to prices over the packaged list, or that list."""
    if isinstance(prices, PriceBook):
        return prices
    book = PriceBook.default()
    return book.with_overrides(prices) if prices else book


def ladder_and_judges(tiers: Tiers, judges: Tiers, book: PriceBook) -> tuple[tuple[Tier, ...], tuple[Tier, ...]]:
    """Make tiers of what the user gave: models, functions, tiers; warn of each model that has no known price.

    Models that share a name are numbered, those of the ladder first; a name of the user's own is never changed.
    """
    taken: set[str] = set()
    ladder, beside = (tuple([_priced(one, book) for one in _apart(given, taken)]) for given in (tiers, judges))
    return ladder, beside


def settings_digest(tiers: Iterable[Tier]) -> str:
    """Hash what of the tiers' models can change an answer: the policy's version where the user names none."""
    settings = [[t.name, _settings(t.llm) if isinstance(t, LlmTier) else None, repr(t.additions)] for t in tiers]
    body = json.dumps(settings, sort_keys=True, default=repr)
    return hashlib.blake2b(body.encode(), digest_size=6).hexdigest()


def _settings(llm: LLM) -> dict[str, Any]:
    dumped = {name: getattr(llm, name) for name in type(llm).model_fields if name not in _NOT_SETTINGS}
    # Functions print their address; which one it is, is told by its name.
    return {name: getattr(value, "__qualname__", value) for name, value in dumped.items()}


def _tier(source: TierSource, name: str | None) -> Tier:
    if isinstance(source, Tier):
        return source
    if isinstance(source, LLM):
        return tier(source, name=name)
    if callable(source):
        return function_tier(name or str(getattr(source, "__name__", "function")), source)
    raise ConfigError(
        f"a tier is {source!r} ({type(source).__name__}): give a LlamaIndex LLM, tier(llm, ...), function_tier(...) "
        "or a function"
    )


def _named(one: Tier, name: str) -> Tier:
    return one if one.name == name else replace(one, name=name)


def _apart(given: Tiers, taken: set[str]) -> list[Tier]:
    """Make tiers with names of their own: the same model may stand twice, with other parameters."""
    if isinstance(given, Mapping):
        named = [_named(_tier(source, name), name) for name, source in given.items()]
        taken.update(given)
        return named
    made: list[Tier] = []
    for source in given:
        one = _tier(source, None)
        name, number = one.name, 1
        while name in taken and one.model in ("", one.name):
            number += 1
            name = f"{one.name}-{number}"
        taken.add(name)
        made.append(_named(one, name))
    return made


def _priced(one: Tier, book: PriceBook) -> Tier:
    if not isinstance(one, LlmTier) or not one.listed:
        return one
    rate = _listed(book, one.model, one.provider)
    if rate is None:
        warnings.warn(
            f"tier {one.name!r}: no price is known for model {one.model!r} of provider {one.provider!r}; its calls are "
            "recorded as unpriced. Give its price: tier(llm, rate=token_rate(input='0.15', output='0.60'))",
            stacklevel=4,
        )
    return replace(one, rate=rate)


def _listed(book: PriceBook, model: str, provider: str | None) -> Rate | None:
    return book.rate(model, provider=provider) if model.strip() else None


def owned(tiers: tuple[Tier, ...], manager: CallbackManager) -> tuple[tuple[Tier, ...], tuple[LLM, ...]]:
    """Give tiers whose models have no handlers of their own a copy that uses this model's manager."""
    own: list[Tier] = []
    followers: list[LLM] = []
    for one in tiers:
        if isinstance(one, LlmTier) and not one.llm.callback_manager.handlers:
            llm = one.llm.model_copy(update={"callback_manager": manager})
            followers.append(llm)
            own.append(replace(one, llm=llm))
        else:
            own.append(one)
    return tuple(own), tuple(followers)


def managers_of(tiers: tuple[Tier, ...]) -> tuple[CallbackManager, ...]:
    """Return the managers of those models that have one of their own."""
    return tuple(t.llm.callback_manager for t in tiers if isinstance(t, LlmTier) and t.llm.callback_manager.handlers)
