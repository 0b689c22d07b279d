"""Room in budgets for calls of models that are not tuppence's: held before a model is asked, closed with what it cost.

For whoever watches a framework's models and can stop them. What a call may cost is bounded as the flow bounds it; what
it cost is read from the answer, or estimated where that says nothing. This room asks no model.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuppence.effects import Charge, Refused, Release, Reserve
from tuppence.errors import BudgetError, BudgetExceeded
from tuppence.estimates import estimated_usage, worst_cost
from tuppence.failures import failed
from tuppence.observed import observed
from tuppence.prices import PicoUSD, PriceBook, Rate, usd
from tuppence.request import Request
from tuppence.tiers import Tier
from tuppence.usage import Usage

if TYPE_CHECKING:
    from tuppence.spend.budgets.budgets import Budgets


class SoftLimitReached(BudgetExceeded):
    """A soft budget has no room: who has a cheaper model may ask that one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that somebody else is about to make."""

    model: str
    """Name that its price is looked up by."""
    request: Request
    """Its texts, tools and limits, whose tags say which budgets apply."""
    provider: str | None = None
    marked: bool = False
    """Its provider is told to keep the prompt, which may cost more than to read it."""


@dataclass(frozen=True, slots=True)
class Held:
    """Room for one call under way."""

    hold: str
    charges: tuple[Charge, ...]
    pico_usd: PicoUSD
    """What the call may come to."""
    tier: Tier
    """The model, as prices and estimates know it."""
    request: Request


class Holding:
    """Holds room in `budgets` for calls, one at a time; safe to share between threads."""

    def __init__(self, budgets: Budgets, prices: PriceBook | None = None) -> None:
        self._budgets = budgets
        self._prices = prices or PriceBook.default()
        # The same call under the same budgets is one hold, whoever watches it; under others it is another.
        names = "\0".join(sorted(one.name for one in budgets.budgets))
        self._mark = hashlib.blake2b(names.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()

    def reserve(self, call: str, asked: Asked, *, stop_at_soft: bool = False) -> Held | None:
        """Hold what a call may come to; None where no budget applies to it. `call` is its id: who reserves, or closes,
        the same call a second time changes nothing.

        Raises `BudgetExceeded` where a hard budget has no room, and `SoftLimitReached` where a soft one has none and
        `stop_at_soft` is set: without it the call goes on, and is counted. Raises `BudgetError` where that cannot be
        told: no price, a tag missing, counters out of reach.
        """
        request = asked.request
        hard, soft = self._budgets.call_limit(request.tags)
        charges = self._budgets.charges(request.tags, request.received_at)
        if hard is None and soft is None and not charges:
            return None
        tier = self._tier(asked)
        worst = self._worst(tier, asked)
        if hard is not None and worst > hard:
            raise BudgetExceeded(_too_dear(worst, hard))
        if soft is not None and worst > soft and stop_at_soft:
            raise SoftLimitReached(_too_dear(worst, soft))
        hold = f"{call}:{self._mark}"
        return Held(hold, self._hold(hold, charges, worst, request, stop_at_soft), worst, tier, request)

    def close(self, held: Held, usage: Usage | None, *, model: str | None = None, text: str = "") -> None:
        """Charge an answered call and give the rest back; returns at once.

        Without `usage` the cost is estimated from `text`. `model` is the one that says it answered.
        """
        if usage is None:
            usage = estimated_usage(held.tier, held.request, text)
        self._release(held, self._cost(held, usage, model))

    def close_failed(self, held: Held, error: BaseException, *, text: str = "") -> None:
        """Charge a call that ended in `error`: nothing where the provider refused it, an estimate from the prompt and
        the `text` that came where it had begun, such as a stream that was left.
        """
        failure = failed(error) if isinstance(error, Exception) else None
        usage = None if failure is None else failure.usage
        if usage is None and (failure is None or failure.begun or text):
            usage = estimated_usage(held.tier, held.request, text)
        self._release(held, 0 if usage is None else self._cost(held, usage, None))

    def close_whole(self, held: Held) -> None:
        """Charge all that was held: for a call that was left when nobody could say how far it had come."""
        self._release(held, held.pico_usd)

    def close_unasked(self, held: Held) -> None:
        """Give everything back: the model was never asked, or somebody else charges for it."""
        self._release(held, 0)

    # -- sums

    def _tier(self, asked: Asked) -> Tier:
        rate = self._rate(asked.model, asked.provider)
        return Tier(asked.model or "a model without a name", model=asked.model, provider=asked.provider, rate=rate)

    def _rate(self, model: str, provider: str | None) -> Rate | None:
        return self._prices.rate(model, provider=provider) if model.strip() else None

    def _worst(self, tier: Tier, asked: Asked) -> PicoUSD:
        worst = worst_cost(tier, asked.request, at=asked.request.received_at, marked=asked.marked)
        if worst is None and self._budgets.unpriced == "refuse":
            raise BudgetError(
                f"no price is known for model {tier.model!r}, so that no budget can count its calls: give one, as in "
                f"prices=PriceBook.default().with_overrides({{{tier.model!r}: {{'input': '0.15', 'output': '0.60'}}}}),"
                " or set unpriced='allow' in Budgets"
            )
        return worst or 0

    def _cost(self, held: Held, usage: Usage, model: str | None) -> PicoUSD:
        rate = (self._rate(model, held.tier.provider) if model else None) or held.tier.rate
        result = observed(
            held.hold, usage, rate, model=held.tier.model, started_at=held.request.received_at, ended_at=time.time()
        )
        pico = result.attempts[0].pico_usd
        # Something that was used has no price: the bound is then all that is known.
        return held.pico_usd if pico is None else pico

    # -- the store

    def _hold(
        self, hold: str, charges: tuple[Charge, ...], worst: PicoUSD, request: Request, stop_at_soft: bool
    ) -> tuple[Charge, ...]:
        """Reserve, and return the counters that the call is charged to."""
        store = self._budgets.store
        if not charges:
            return charges
        try:
            outcome = store.reserve(Reserve(store, hold, charges, worst, request.received_at))
            if isinstance(outcome, Refused) and self._budgets.is_soft(outcome):
                if stop_at_soft:
                    raise SoftLimitReached(str(outcome.error(worst)))
                charges = self._budgets.counting(charges)
                outcome = store.reserve(Reserve(store, hold, charges, worst, request.received_at))
        except SoftLimitReached:
            raise
        except BaseException:
            # Whether it was taken in cannot be known: what is closed twice counts once.
            store.release(Release(store, hold, charges, 0))
            raise
        if isinstance(outcome, Refused):
            raise outcome.error(worst)
        return charges

    def _release(self, held: Held, pico: PicoUSD) -> None:
        if held.charges:
            store = self._budgets.store
            store.release(Release(store, held.hold, held.charges, pico))


def _too_dear(worst: PicoUSD, limit: PicoUSD) -> str:
    return (
        f"this call may cost up to ${usd(worst).normalize():f}, more than the ${usd(limit).normalize():f} that a "
        "budget allows for one: raise that budget, lower max_tokens, or shorten the prompt"
    )
