"""From what a user names as tiers and judges to the policy's own and the native handles behind them.

Prices and abilities are looked up here, once. A model without a known price is said so, once, and its calls are
recorded as unpriced; nothing is ever priced like a model that merely looks alike.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from langchain_core.runnables import Runnable

from langchain_tuppence.handles import Handle
from langchain_tuppence.prefix_marks import takes_marks
from tuppence.errors import ConfigError
from tuppence.prices import PriceBook, Rate
from tuppence.request import Capability
from tuppence.tiers import Additions, Admission, Tier, reference_rate

Model = Runnable[Any, Any] | Callable[[], Runnable[Any, Any]] | Handle

_EVERYTHING: frozenset[Capability] = frozenset(get_args(Capability))
# A capability is denied only where LangChain's model profile says so in as many words.
_DENIED_BY: Mapping[str, Capability] = {
    "tool_calling": "tools", "image_inputs": "vision", "audio_inputs": "audio",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TierSpec:
    """A model with what the price list and LangChain cannot know of it; made by `tier`."""

    model: Model
    name: str | None = None
    rate: Rate | None = None
    timeout_s: float | None = None
    additions: Additions | None = None
    self_hosted: bool = False
    capabilities: frozenset[Capability] | None = None
    reference: Rate | str | None = None
    admission: Admission | None = None
    stands_in_for: str = ""


def tier(
    model: Model, *, name: str | None = None, rate: Rate | None = None, timeout_s: float | None = None,
    additions: Additions | None = None, self_hosted: bool = False, capabilities: Iterable[Capability] | None = None,
    reference: Rate | str | None = None, admission: Admission | None = None, stands_in_for: str = "",
) -> TierSpec:  # fmt: skip
    """Describe one tier: `tier(ChatOpenAI(base_url=...), name="local", rate=gpu_hour_rate("2.50"),
    self_hosted=True)`.

    `model` is a chat model, one with bound arguments, or a function without arguments that makes it (needed where it
    holds what cannot be pickled, such as an HTTP client of your own). Without `rate` the price list is asked.
    `reference` is what the same model costs at a provider that serves it, a rate or a name such as
    'groq/llama-3.1-8b-instant'; `admission` says when its servers are full, such as `SpillOver`; `stands_in_for` names
    the tier before it that has the same model elsewhere.
    """
    kept = None if capabilities is None else frozenset(capabilities)
    return TierSpec(
        model=model, name=name, rate=rate, timeout_s=timeout_s, additions=additions, self_hosted=self_hosted,
        capabilities=kept, reference=reference, admission=admission, stands_in_for=stands_in_for,
    )  # fmt: skip


Tiers = Sequence[Any] | Mapping[str, Any]
"""Cheapest first: models, `tier(...)` descriptions and function tiers; or names to such."""


def built(
    tiers: Tiers, prices: PriceBook, *, output_version: str | None = None, beside: Iterable[Tier] = ()
) -> tuple[tuple[Tier, ...], dict[str, Handle]]:
    """Build the policy's tiers, and the native handle of each by its name; no model is named like one `beside`."""
    named = tiers.items() if isinstance(tiers, Mapping) else ((None, one) for one in tiers)
    made: list[Tier] = []
    handles: dict[str, Handle] = {}
    taken = {one.name for one in beside}
    for place, (key, source) in enumerate(named, start=1):
        if isinstance(source, Tier):
            one = _function(source, key)
        else:
            spec = source if isinstance(source, TierSpec) else TierSpec(model=source)
            handle = _handle(spec.model, key or spec.name or f"number {place}", output_version)
            handle.name = key or spec.name or _unique(handle.model_name or "model", taken)
            one = _tier(handle, spec, prices)
            handles[handle.name] = handle
        taken.add(one.name)
        made.append(one)
    return tuple(made), handles


def _handle(model: Any, name: str, output_version: str | None) -> Handle:
    if isinstance(model, Handle):
        return model
    if getattr(model, "_llm_type", None) == "tuppence":
        raise ConfigError(
            "a tier is a ChatTuppence itself, whose calls would be accounted twice: put its tiers into this one's"
        )
    return Handle(name, model, output_version=output_version)


def packed(tiers: Iterable[Tier], handles: Mapping[str, Handle]) -> list[TierSpec | Tier]:
    """Describe built tiers so that `built` makes them again, in this process or another."""
    return [
        one if one.answer is not None else TierSpec(
            model=handles[one.name], name=one.name, rate=one.rate, timeout_s=one.timeout_s, additions=one.additions,
            self_hosted=one.self_hosted, capabilities=one.capabilities, reference=one.reference,
            admission=one.admission, stands_in_for=one.stands_in_for,
        )
        for one in tiers
    ]  # fmt: skip


def _function(source: Tier, name: str | None) -> Tier:
    if source.answer is None:
        raise ConfigError(
            f"tier {source.name!r} is a bare tuppence.Tier without a model: give the chat model, tier(model, ...), "
            "or function_tier(name, function)"
        )
    return replace(source, name=name) if name else source


def _unique(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def _tier(handle: Handle, spec: TierSpec, prices: PriceBook) -> Tier:
    profile = handle.profile
    limit = None if profile is None else profile.get("max_input_tokens")
    longest = handle.setting("max_tokens")
    return Tier(
        handle.name, model=handle.model_name, provider=handle.provider, rate=spec.rate or _rate(handle, prices),
        reference=reference_rate(spec.reference, prices), admission=spec.admission, stands_in_for=spec.stands_in_for,
        capabilities=spec.capabilities if spec.capabilities is not None else _capabilities(profile),
        context_tokens=limit, max_output_tokens=longest if isinstance(longest, int) else None,
        timeout_s=spec.timeout_s, self_hosted=spec.self_hosted, additions=spec.additions,
        prefix_marks=takes_marks(handle.model, handle.kwargs),
    )  # fmt: skip


def _rate(handle: Handle, prices: PriceBook) -> Rate | None:
    model = handle.model_name
    rate = prices.rate(model, provider=handle.provider) if model.strip() else None
    if rate is None:
        warnings.warn(
            f"tier {handle.name!r}: no price is known for model {model!r} of provider {handle.provider!r}; its calls "
            "are recorded as unpriced. Give its price: tier(model, rate=token_rate(input='0.15', output='0.60'))",
            stacklevel=2,
        )
    return rate


def _capabilities(profile: Mapping[str, Any] | None) -> frozenset[Capability] | None:
    """Turn LangChain's profile around: all that it does not deny. None where nothing is known or denied."""
    if profile is None:
        return None
    denied = {capability for key, capability in _DENIED_BY.items() if profile.get(key) is False}
    if profile.get("tool_calling") is False and profile.get("structured_output") is False:
        denied.add("schema")
    return _EVERYTHING - denied if denied else None


def shared_profile(handles: Iterable[Handle]) -> dict[str, Any] | None:
    """Say what all tiers can do, in the form of LangChain's model profile; None where one of them is unknown."""
    profiles = [handle.profile for handle in handles]
    if not profiles or any(profile is None for profile in profiles):
        return None
    first = dict(profiles[0] or {})
    shared: dict[str, Any] = {}
    for key, value in first.items():
        values = [(profile or {}).get(key) for profile in profiles]
        if any(v is None for v in values):
            continue
        if isinstance(value, bool):
            shared[key] = all(values)
        elif isinstance(value, int | float):
            shared[key] = min(values)  # type: ignore[type-var]
        elif all(v == value for v in values):
            shared[key] = value
    return shared


def shared_settings(handles: Iterable[Handle]) -> dict[str, Any]:
    """Return what the models' own settings say of every request: whether answers are sampled, how long they may
    be.
    """
    settings: dict[str, Any] = {}
    lengths: list[Any] = []
    for handle in handles:
        for name in ("temperature", "top_p"):
            value = handle.setting(name)
            if isinstance(value, int | float) and value not in (0, 1 if name == "top_p" else 0):
                settings.setdefault(name, value)
        lengths.append(handle.setting("max_tokens"))
    if lengths and all(isinstance(length, int) for length in lengths):
        settings["max_tokens"] = max(lengths)
    return settings
