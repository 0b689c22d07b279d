"""The tiers of a file: what the core needs to know of each, and what an integration needs to build its native model.

A tier always has a price that was found or given, or is said to have none: a model that nobody knows the price of is an
error here, never a warning that nobody reads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuppence.config.faults import path, shown
from tuppence.config.references import imported
from tuppence.config.schema import AdditionSettings, Price, ReferenceSettings, TierClass, TierSettings
from tuppence.config.source import Fault, Loc
from tuppence.errors import ConfigError, PriceError
from tuppence.prices import PicoUSD, PriceBook, Rate, gpu_hour_rate
from tuppence.prices.catalogue import resembling
from tuppence.prices.rate import Line
from tuppence.selfhost.admission import SpillOver
from tuppence.selfhost.servers import Servers
from tuppence.tiers import Additions, Tier, function_tier, reference_rate
from tuppence.usage import Usage

_PROVIDERS: Mapping[TierClass, str] = {"openai": "openai", "anthropic": "anthropic"}
# Words that mean something else where tiers are named: cached answers, and the last tier whatever its name.
_TAKEN = ("cache", "strongest")
_OWN_SERVERS = ("vllm", "openai_compatible")
_OWN_KEYS = ("api_key", "base_url", "max_retries", "model", "model_name", "timeout")


@dataclass(frozen=True, slots=True)
class Unpriced:
    """The rate of a tier that its file declares unpriced: no cost is ever known, and the list is not asked."""

    version: str = "unpriced"

    def at(self, _moment: float, /) -> Unpriced:
        return self

    def cost(self, _usage: Usage, /) -> PicoUSD | None:
        return None

    def lines(self, _usage: Usage, /) -> tuple[Line, ...]:
        return ()

    def why_unpriced(self, _usage: Usage, /) -> str | None:
        return "the configuration declares this tier unpriced"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierSpec:
    """One tier: the core's view of it, and how to reach its model."""

    tier: Tier
    kind: TierClass
    """Which native class to build; a `function` is whole already, in `tier.answer`."""
    base_url: str | None
    servers: Servers | None = None
    """Where there are several, of which `base_url` is the first: who builds the model sends each call to the least busy
    of them.
    """
    api_key_env: str | None
    params: Mapping[str, Any]
    """Sampling and length settings for the native model."""
    where: str
    """File and line, for messages."""

    @property
    def api_key(self) -> str | None:
        """The key, from the environment; None where the file names no variable. Raises `ConfigError` if it is unset."""
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env)
        if not key:
            raise ConfigError(
                f"{self.where}: tier {self.tier.name!r} takes its key from {self.api_key_env}, which is not set: "
                f"export {self.api_key_env}=..."
            )
        return key


def servers_of(settings: TierSettings) -> Servers | None:
    """Make what knows the load of a tier's own servers; None where the file has no use for that."""
    urls = settings.base_urls or ([settings.base_url] if settings.base_url and settings.spill_over else [])
    return Servers(urls) if urls and settings.kind in _OWN_SERVERS else None


def tier_of(settings: TierSettings, loc: Loc, servers: Servers | None = None) -> Tier | list[Fault]:
    """Make the core's tier of what the file says, or list what is wrong with it."""
    faults = _misfits(settings, loc)
    rate: Rate | None = None
    reference: Rate | None = None
    if not faults and settings.kind != "function":
        try:
            rate = _rate(settings)
        except PriceError as error:
            faults.append(Fault((*loc, "price"), f"{path((*loc, 'price'))}: {error}"))
        else:
            faults += [] if rate is not None else [Fault((*loc, "model"), _no_price(settings))]
        try:
            reference = _reference(settings.reference)
        except ConfigError as error:
            faults.append(Fault((*loc, "reference"), f"{path((*loc, 'reference'))}: {error}"))
    answer = None
    if settings.function is not None and not faults:
        answer = imported(settings.function, (*loc, "function"))
    if faults or isinstance(answer, Fault):
        return faults + ([answer] if isinstance(answer, Fault) else [])
    if answer is not None:
        return function_tier(settings.name, answer)
    return Tier(
        settings.name, model=settings.model, provider=_provider(settings), rate=rate,
        capabilities=None if settings.capabilities is None else frozenset(settings.capabilities),
        context_tokens=settings.context_tokens, timeout_s=settings.timeout_s, self_hosted=settings.self_hosted,
        additions=_additions(settings.additions), reference=reference, admission=_admission(settings, servers),
        stands_in_for=settings.stands_in_for,
    )  # fmt: skip


def _admission(settings: TierSettings, servers: Servers | None) -> SpillOver | None:
    said = settings.spill_over
    return None if said is None or servers is None else SpillOver(servers, waiting=said.waiting)


def _reference(settings: ReferenceSettings | None) -> Rate | None:
    """Find a reference price; raises `ConfigError` where the list does not know the model."""
    if settings is None:
        return None
    if settings.model is not None:
        return reference_rate(settings.model, PriceBook.default())
    prices: dict[str, Any] = settings.model_dump(exclude={"model"}, exclude_none=True)
    return PriceBook().with_overrides({"reference": prices}).rate("reference")


def _misfits(settings: TierSettings, loc: Loc) -> list[Fault]:
    """Find keys that the class needs and lacks, or has and cannot use."""
    found: list[Fault] = []
    said = {TierSettings.model_fields[name].alias or name for name in settings.model_fields_set}
    address = "base_urls" if "base_urls" in said and "base_url" not in said else "base_url"
    needs = {"function": {"function"}, "vllm": {"model", address}, "openai_compatible": {"model", address}}
    for key in sorted(needs.get(settings.kind, {"model"}) - said):
        found.append(Fault(loc, f"{path(loc)} ({settings.name!r}) has class {settings.kind} and no {key}: add it"))
    useless = said - {"name", "class", "function"} if settings.kind == "function" else said & {"function"}
    if settings.kind not in _OWN_SERVERS:
        useless |= said & {"base_urls", "spill_over"}
    elif {"base_url", "base_urls"} <= said:
        both = (*loc, "base_urls")
        found.append(Fault(both, f"{path(both)} stands beside base_url: give one address, or several"))
    for key in sorted(useless):
        found.append(Fault((*loc, key), f"{path((*loc, key))} means nothing for class {settings.kind}: remove it"))
    if settings.name in _TAKEN:
        found.append(
            Fault(
                (*loc, "name"), f"{path((*loc, 'name'))} is {settings.name!r}, a word of tuppence's own: choose another"
            )
        )
    for key in sorted(settings.params.keys() & set(_OWN_KEYS)):
        found.append(Fault((*loc, "params", key), _own_key(settings, (*loc, "params", key))))
    return found


def _own_key(settings: TierSettings, loc: Loc) -> str:
    key = str(loc[-1])
    instead = {"api_key": "api_key_env", "timeout": "timeout_s", "model_name": "model", "max_retries": "retries"}
    return f"{path(loc)} cannot be set for tier {settings.name!r} here: use {instead.get(key, key)!r} of tuppence's own"


def _provider(settings: TierSettings) -> str | None:
    return settings.provider or _PROVIDERS.get(settings.kind)


def _rate(settings: TierSettings) -> Rate | None:
    given = settings.price
    if given is not None:
        return _given_rate(given, settings.model)
    provider = _provider(settings)
    # A server of one's own may serve a model under a name that some provider has on its list, at any price.
    return None if provider is None else PriceBook.default().rate(settings.model, provider=provider)


def _given_rate(price: Price, model: str) -> Rate:
    if price.unpriced:
        return Unpriced()
    if price.usd_per_hour is not None:
        return gpu_hour_rate(price.usd_per_hour, version=f"user/{model}")
    prices: dict[str, Any] = price.model_dump(exclude={"unpriced", "usd_per_hour"}, exclude_none=True)
    rate = PriceBook().with_overrides({model: prices}).rate(model)
    assert rate is not None
    return rate


def _no_price(settings: TierSettings) -> str:
    provider = _provider(settings)
    close = resembling(settings.model, provider) if provider is not None else []
    hint = f"did you mean {close[0]!r}? Else add" if close else "add"
    whose = f"of provider {provider!r}" if provider else f"of class {settings.kind} without a provider"
    return (
        f"tier {settings.name!r}: no price is known for model {shown(settings.model)} {whose}: {hint} "
        "price: {input: '0.15', output: '0.60'}, price: {usd_per_hour: '2.50'}, or price: unpriced"
    )


def _additions(settings: AdditionSettings | None) -> Additions | None:
    if settings is None:
        return None
    return Additions(settings.system, tuple((one.user, one.assistant) for one in settings.examples))
