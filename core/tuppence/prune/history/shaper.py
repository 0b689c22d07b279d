"""A history pruner as a policy's shaper: what pays is decided at the price of the model that will read the prompt."""

from __future__ import annotations

from collections.abc import Callable

from tuppence.effects import Plan, Shaped
from tuppence.prune.history.economics import PromptPrice
from tuppence.prune.history.policy import named
from tuppence.prune.history.pruner import HistoryPruner
from tuppence.request import Request
from tuppence.tiers import Tier
from tuppence.usage import Usage

PriceOf = Callable[[Tier], PromptPrice | None]
"""Says what a prompt costs at a tier, and how its provider holds prefixes; None without a price."""
_MANY = Usage(input=1000), Usage(cache_read=1000), Usage(cache_write_5m=1000)
"""As many tokens new, read and written: what a rate asks for each is compared."""


class HistoryShaper:
    """Shorten each request's history: `ChatTuppence(tiers=[...], shape=[HistoryShaper()])`. Keep it: it remembers."""

    def __init__(self, pruner: HistoryPruner | None = None, *, price_of: PriceOf | None = None) -> None:
        """A `price` of the pruner's own holds for every tier; else `price_of` is asked, by default the tier's rate."""
        self.pruner = pruner or HistoryPruner()
        self._price_of = price_of or prompt_price

    @property
    def names(self) -> frozenset[str]:
        """The tiers that are asked for summaries."""
        summarisers = (getattr(one, "summariser", None) for one in self.pruner.policy.strategies)
        return frozenset(one.tier for one in summarisers if one is not None)

    @property
    def recovers(self) -> bool:
        """Say whether what is cleared is said to come back by a tool, which the model must then have."""
        return any(getattr(one, "recover_with", "") for one in self.pruner.policy.strategies)

    def __call__(self, request: Request, tiers: tuple[Tier, ...]) -> Plan[Shaped]:
        # The first model on the ladder reads most prompts.
        tier = next((one for one in tiers if one.answer is None), None)
        price = self.pruner.price or (None if tier is None else self._price_of(tier))
        rates = {one.name: one.rate for one in tiers if one.rate is not None}
        pruned = yield from self.pruner.plan(request, price=price, rates=rates)
        saved = pruned.audit.tokens_saved
        told = f"history {saved} tokens shorter" if saved else "history as it came"
        return Shaped(pruned.edits, f"{told}: {pruned.why}" if pruned.why else told, saved)

    def __repr__(self) -> str:
        # Part of a policy's version: another way to shorten is another policy.
        return f"HistoryShaper({self.pruner!r}, price_of={named(self._price_of)})"


def prompt_price(tier: Tier) -> PromptPrice | None:
    """Read off a tier's rate what a prompt costs: a rate that sells reads for less than input is of a provider that
    holds prefixes, and one with a price for writes bills them so.
    """
    if tier.rate is None:
        return None
    fresh, read, written = (tier.rate.cost(usage) for usage in _MANY)
    if fresh is None:
        return None
    caches = read is not None and read < fresh
    marked = caches and written is not None and written != fresh
    return PromptPrice(tier.rate, writes="cache_write_5m" if marked else "input", caches=caches)
