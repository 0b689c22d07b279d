"""What the options of a `ChatTuppence` are built into, once: the policy, the native handles, the ledger.

Only building happens here; a call reads the result and changes nothing in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_tuppence.calls import amount
from langchain_tuppence.handles import Handle
from langchain_tuppence.tiers import built, shared_settings
from tuppence.assembly import open_cache, open_ledger
from tuppence.policy import Policy
from tuppence.prices import PriceBook
from tuppence.spend import Ledger

if TYPE_CHECKING:
    from langchain_tuppence.chat import ChatTuppence


@dataclass(frozen=True, slots=True)
class Parts:
    """What a ChatTuppence is made of, built once; one object, since every private field of a pydantic model costs a
    look-up.
    """

    policy: Policy
    handles: Mapping[str, Handle]
    ledger: Ledger | None
    settings: Mapping[str, Any]
    """What the tiers' own models say of every request: sampling, length."""
    defaults: Mapping[str, Any]
    """What every tier is sent unless a call says otherwise."""


def parts_of(llm: ChatTuppence) -> Parts:
    """Build the parts; raise `ConfigError` for options that cannot work."""
    tiers, handles = built(llm.tiers, llm.prices or PriceBook.default(), output_version=llm.output_version)
    digest = "-".join(handle.digest() for handle in handles.values())
    limit = None if llm.max_usd_per_call is None else amount(llm.max_usd_per_call)
    policy = Policy(
        tiers=tiers, route=llm.route, guards=tuple(llm.guards), check=llm.check, threshold=llm.threshold,
        cache=open_cache(llm.cache), retries=llm.retries, max_usd_per_call=limit, on_exhausted=llm.on_exhausted,
        mode=llm.mode, surface="langchain", version=f"{llm.version}/{digest}" if llm.version else digest,
    )  # fmt: skip
    defaults = {"temperature": llm.temperature, "max_tokens": llm.max_tokens}
    sent = {name: value for name, value in defaults.items() if value is not None}
    return Parts(policy, handles, open_ledger(llm.ledger_option), shared_settings(handles.values()), sent)
