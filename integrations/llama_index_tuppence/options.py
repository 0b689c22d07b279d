"""What a user may say about a model as a whole, and about one call of it: turned into a policy here, nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from llama_index_tuppence.stamp import STAMP
from tuppence.assembly import recorder_of_call
from tuppence.context import checked_tags
from tuppence.effects import Choice, Route
from tuppence.errors import ConfigError
from tuppence.policy import Policy, Retries
from tuppence.request import Request, Tags
from tuppence.tiers import Tier

_OF_POLICY = ("cache", "check", "max_usd_per_call", "mode", "on_exhausted", "record", "route", "threshold")
_OF_LANE = ("lane", "deadline_s")
_OF_CALL = frozenset({*_OF_POLICY, *_OF_LANE, "tags", "call_id"})


@dataclass(frozen=True, slots=True)
class Override:
    """What one call says about itself with `tuppence={...}`."""

    policy: Policy
    tags: Tags
    call_id: str | None
    of_lane: Mapping[str, Any] = field(default_factory=dict)
    """What it says of waiting: `lane`, `deadline_s`."""


def retries_of(option: Retries | int | None) -> Retries:
    """Take a number for retries of the same tier; None for the default."""
    if isinstance(option, int):
        return Retries(per_tier=option)
    return Retries() if option is None else option


def usd_limit(option: Decimal | str | float | None) -> Decimal | None:
    """Take an amount of dollars as people write it."""
    if option is None or isinstance(option, Decimal):
        return option
    try:
        return Decimal(str(option))
    except ArithmeticError:
        raise ConfigError(
            f"max_usd_per_call is {option!r}: give an amount of dollars such as '0.01', or None"
        ) from None


def override(policy: Policy, kwargs: dict[str, Any]) -> Override:
    """Take a call's own options out of its `kwargs`: the policy itself wherever the call says nothing.

    `model` names the tier that shall answer: sent on as it stands it would make every tier ask the same model.
    Raises `ConfigError` for an option that there is not.
    """
    of_lane = {name: kwargs.pop(name) for name in _OF_LANE if name in kwargs}
    given = kwargs.pop(STAMP, None)
    model = kwargs.pop("model", None)
    if given is None and model is None:
        return Override(policy, {}, None, of_lane)
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise ConfigError(f"tuppence={given!r}: give a dict of options, such as tuppence={{'mode': 'off'}}")
    unknown = given.keys() - _OF_CALL
    if unknown:
        raise ConfigError(f"tuppence={{...}} has {sorted(unknown)}: a call can override {sorted(_OF_CALL)}")
    changes = {name: given[name] for name in _OF_POLICY if name in given}
    if model is not None:
        changes["route"] = model
    if isinstance(changes.get("route"), str):
        changes["route"] = _only(policy.rung(changes["route"]))
    if "cache" in changes:
        changes["cache"] = _cache(policy, changes["cache"])
    if "record" in changes:
        changes["record"] = recorder_of_call(changes["record"], policy.record)
    if "max_usd_per_call" in changes:
        changes["max_usd_per_call"] = usd_limit(changes["max_usd_per_call"])
    call_id = given.get("call_id")
    if call_id is not None and not (isinstance(call_id, str) and call_id):
        raise ConfigError(f"call_id is {call_id!r}: give the call's name as text")
    of_lane = {name: given[name] for name in _OF_LANE if name in given} | of_lane
    tags = checked_tags(given.get("tags") or {})
    return Override(policy.override(**changes) if changes else policy, tags, call_id, of_lane)


def _cache(policy: Policy, option: Any) -> Any:
    if option is True and policy.cache is None:
        raise ConfigError("cache is True for this call, but the model has no cache: give it one with cache='memory'")
    if not (option is None or isinstance(option, bool)):
        raise ConfigError(f"cache is {option!r} for this call: give True or False; which cache is the model's to say")
    return policy.cache if option else None


def _only(tier: Tier) -> Route:
    def route(_request: Request, _ladder: tuple[Tier, ...]) -> Choice:
        return Choice((tier,), f"the call asks for {tier.name}")

    return route
