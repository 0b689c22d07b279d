"""What the options of a `ChatTuppence` are built into, once: the policy, the native handles, the ledger.

Only building happens here; a call reads the result and changes nothing in it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_tuppence.calls import amount
from langchain_tuppence.handles import Handle
from langchain_tuppence.tiers import built, shared_settings
from tuppence.assembly import (
    open_budgets,
    open_cache,
    open_ledger,
    open_limits,
    open_planner,
    open_recorder,
    open_shape,
)
from tuppence.errors import ConfigError
from tuppence.policy import Policy
from tuppence.prices import PriceBook
from tuppence.spend import Ledger

if TYPE_CHECKING:
    from langchain_tuppence.chat import ChatTuppence
    from langchain_tuppence.lane import NativeLane


@dataclass(frozen=True, slots=True)
class Parts:
    """What a ChatTuppence is made of, built once; one object, since every private field of a pydantic model costs a
    look-up.
    """

    policy: Policy
    rungs: Mapping[str, Handle]
    """The models of the ladder: those that may answer the user."""
    handles: Mapping[str, Handle]
    """All models, judges included."""
    ledger: Ledger | None
    settings: Mapping[str, Any]
    """What the tiers' own models say of every request: sampling, length."""
    defaults: Mapping[str, Any]
    """What every tier is sent unless a call says otherwise."""
    lane: NativeLane | None = None
    """Where calls that may wait do so."""


def parts_of(llm: ChatTuppence) -> Parts:
    """Build the parts; raise `ConfigError` for options that cannot work."""
    prices = llm.prices or PriceBook.default()
    tiers, rungs = built(llm.tiers, prices, output_version=llm.output_version)
    judges, consulted = built(llm.judges, prices, output_version=llm.output_version, beside=tiers)
    handles = {**rungs, **consulted}
    digest = "-".join(handle.digest() for handle in handles.values())
    limit = None if llm.max_usd_per_call is None else amount(llm.max_usd_per_call)
    ledger = open_ledger(llm.ledger_option)
    policy = Policy(
        tiers=tiers, judges=judges, route=llm.route, guards=tuple(llm.guards), shape=open_shape(llm.shape),
        limits=open_limits(llm.limits, ledger), check=llm.check, threshold=llm.threshold, cache=open_cache(llm.cache),
        prefix=open_planner(llm.prompt_cache), record=open_recorder(llm.record), retries=llm.retries,
        max_usd_per_call=limit, budgets=open_budgets(llm.budgets), baseline=llm.baseline,
        on_exhausted=llm.on_exhausted, mode=llm.mode,
        surface="langchain",
        version=f"{llm.version}/{digest}" if llm.version else digest,
    )  # fmt: skip
    defaults = {"temperature": llm.temperature, "max_tokens": llm.max_tokens}
    sent = {name: value for name, value in defaults.items() if value is not None}
    return Parts(policy, rungs, handles, ledger, shared_settings(rungs.values()), sent, _lane(llm.lane, handles))


def _lane(option: Any, handles: Mapping[str, Handle]) -> NativeLane | None:
    if option is None:
        return None
    from langchain_tuppence.lane import NativeLane

    return NativeLane(option, handles)


def refuse_unknown(cls: type[ChatTuppence], options: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for an option that does not exist, with the one that was probably meant."""
    known = set(cls.model_fields) | {f.alias for f in cls.model_fields.values() if f.alias}
    for name in options.keys() - known:
        meant = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {meant[0]!r}?" if meant else "see its fields for those there are"
        raise ConfigError(f"{cls.__name__} has no option {name!r} (given: {options[name]!r}): {hint}")
