"""Tiers made of model names and SDK clients: named, priced, and of one API.

Prices are looked up here, once. A model without a known price is said so, once, and its calls are recorded as
unpriced; nothing is ever priced like a model that merely looks alike.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tuppence.clients.sdk import family_of, is_async, provider_of
from tuppence.errors import ConfigError
from tuppence.prices import PriceBook, Rate
from tuppence.request import Capability
from tuppence.tiers import Additions, Admission, Tier, function_tier, reference_rate

TierSource = str | Tier | Callable[..., Any]
Tiers = Sequence[TierSource] | Mapping[str, TierSource]
Prices = PriceBook | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ClientTier(Tier):
    """A tier with the SDK client that asks for it."""

    client: Any = field(default=None, kw_only=True, repr=False, compare=False)
    """None: the client that the call was made with."""


def via(
    client: Any, model: str, *, name: str | None = None, rate: Rate | None = None, provider: str | None = None,
    capabilities: Iterable[Capability] | None = None, context_tokens: int | None = None, timeout_s: float | None = None,
    self_hosted: bool = False, additions: Additions | None = None, reference: Rate | str | None = None,
    admission: Admission | None = None, stands_in_for: str = "",
) -> ClientTier:  # fmt: skip
    """Make a tier of a model that another client reaches: `via(OpenAI(base_url=...), "smollm2", self_hosted=True)`.

    Its own retries are not used. Without `rate` the price list is asked. Judges are made so too,
    `judges=[via(client, "gpt-4o", name="judge")]`, and a judge may live at another provider. `reference` is what the
    same model costs at a provider that serves it, a rate or a name such as 'groq/llama-3.1-8b-instant'; `admission`
    says when its servers are full, such as `SpillOver`; `stands_in_for` names the tier before it that has the same
    model elsewhere.
    """
    client = unwrapped(client)
    family_of(client)
    return ClientTier(
        name or model, model=model, provider=provider or provider_of(client), rate=rate,
        capabilities=None if capabilities is None else frozenset(capabilities), context_tokens=context_tokens,
        timeout_s=timeout_s, self_hosted=self_hosted, additions=additions, client=client, admission=admission,
        reference=reference_rate(reference, PriceBook.default()), stands_in_for=stands_in_for,
    )  # fmt: skip


def unwrapped(client: Any) -> Any:
    """Return the SDK client under a wrapped one: a tier's calls are accounted by the client that has the tier."""
    return getattr(getattr(getattr(client, "post", None), "__self__", None), "wrapped_client", client)


def price_book(prices: Prices) -> PriceBook:
    """Open a price book: one as it is, a mapping of models to prices over the packaged list, or that list."""
    if isinstance(prices, PriceBook):
        return prices
    book = PriceBook.default()
    return book.with_overrides(prices) if prices else book


def ladder(tiers: Tiers, client: Any, book: PriceBook) -> tuple[Tier, ...]:
    """Make tiers of what the user gave; raises `ConfigError` for one that cannot be asked as `client` is."""
    made: list[Tier] = []
    for one in _apart("tiers", tiers, ()):
        _fits(one, client)
        made.append(priced(one, client, book))
    return tuple(made)


def bench(judges: Tiers, client: Any, book: PriceBook, *, beside: Sequence[Tier]) -> tuple[Tier, ...]:
    """Make judges of what the user gave, beside these tiers; each may speak an API of its own.

    Raises `ConfigError` for one that is sync where `client` is async, or the other way round.
    """
    made: list[Tier] = []
    for one in _apart("judges", judges, beside):
        _waits_alike(one, client)
        made.append(priced(one, client, book))
    return tuple(made)


def priced(tier: Tier, client: Any, book: PriceBook) -> Tier:
    """Look up what `tier` costs, unless it says so itself; warn where nobody knows."""
    if tier.rate is not None or tier.answer is not None:
        return tier
    provider = tier.provider or provider_of(client)
    rate = book.rate(tier.model, provider=provider) if tier.model.strip() else None
    if rate is None:
        warnings.warn(
            f"tier {tier.name!r}: no price is known for model {tier.model!r} of provider {provider!r}; its calls are "
            f"recorded as unpriced. Give its price: wrap(..., prices={{{tier.model!r}: "
            "{'input': '0.15', 'output': '0.60'}})",
            stacklevel=4,
        )
    return replace(tier, rate=rate, provider=provider)


def addresses_digest(tiers: Iterable[Tier]) -> str:
    """Hash where `via` tiers are asked: the same model at another address may answer otherwise. Empty without any."""
    places = [(t.name, str(t.client.base_url)) for t in tiers if isinstance(t, ClientTier) and t.client is not None]
    return hashlib.blake2b(repr(places).encode(), digest_size=6).hexdigest() if places else ""


def _apart(option: str, given: Tiers, beside: Sequence[Tier]) -> list[Tier]:
    """Make what the user gave, models that share a name numbered; a name of the user's own is never changed."""
    if isinstance(given, str) or not isinstance(given, Mapping | Sequence):
        raise ConfigError(f"{option} is {given!r}: give a list such as ['gpt-4o-mini', 'gpt-4o'], or a dict of names")
    named = given.items() if isinstance(given, Mapping) else ((None, source) for source in given)
    made: list[Tier] = []
    for name, source in named:
        one = _made(source, name)
        made.append(_distinct(one, [*beside, *made]) if name is None and one.name == one.model else one)
    return made


def _made(source: TierSource, name: str | None) -> Tier:
    if isinstance(source, str) and source.strip():
        return ClientTier(source if name is None else name, model=source)
    if isinstance(source, ClientTier):
        return source if name is None else replace(source, name=name)
    if isinstance(source, Tier):
        given = {f.name: getattr(source, f.name) for f in fields(Tier)}
        given |= {"name": source.name if name is None else name, "model": source.model or source.name}
        return ClientTier(**given)
    if callable(source):
        return function_tier(name or str(getattr(source, "__name__", "function")), source)
    raise ConfigError(
        f"a tier is {source!r} ({type(source).__name__}): give a model's name, via(client, model), Tier(...), "
        "function_tier(...) or a function"
    )


def _fits(tier: Tier, client: Any) -> None:
    own = getattr(tier, "client", None)
    if own is None:
        return
    if family_of(own) != family_of(client) or is_async(own) != is_async(client):
        raise ConfigError(
            f"tier {tier.name!r} is asked by {type(own).__name__}, the wrapped client is {type(client).__name__}: the "
            "tiers of one client share its API, and are all sync or all async"
        )


def _waits_alike(judge: Tier, client: Any) -> None:
    own = getattr(judge, "client", None)
    if own is not None and is_async(own) != is_async(client):
        raise ConfigError(
            f"judge {judge.name!r} is asked by {type(own).__name__}, the wrapped client is {type(client).__name__}: "
            "give it a client that is sync or async like that one"
        )


def _distinct(one: Tier, others: Sequence[Tier]) -> Tier:
    """Number a tier whose name is taken: the same model twice, at different addresses."""
    taken = {other.name for other in others}
    name, number = one.name, 1
    while name in taken:
        number += 1
        name = f"{one.name}-{number}"
    return one if name == one.name else replace(one, name=name)
