"""What one call may yet spend: its own limit, and the room that it holds in the budgets.

Like the flow, generators that do no I/O. At every moment what is held covers what the call has cost and the dearest
that its next ask can come to; so budgets are passed by no more than an estimate was too low. A budget that cannot be
checked stops the call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tuppence.attempts import new_call_id
from tuppence.books import Books
from tuppence.effects import Charge, Plan, Refused, Release, Reserve
from tuppence.errors import BudgetError, BudgetExceeded, SpendLimitReached, TuppenceError
from tuppence.estimates import worst_cost
from tuppence.policy import Policy
from tuppence.prices import PicoUSD, usd
from tuppence.request import Request
from tuppence.tiers import Tier

if TYPE_CHECKING:
    from tuppence.spend.budgets import Budgets


def means_of(policy: Policy, books: Books) -> Means | None:
    """Begin a call's dealings with money; None where nothing limits it.

    Raises `BudgetError` for a call without the tag that a budget goes by.
    """
    limit, budgets, request = policy.max_pico_per_call, policy.budgets, books.request
    if budgets is None:
        return None if limit is None else Means(policy, books, limit)
    hard, soft = budgets.call_limit(request.tags)
    by_budget = hard is not None and (limit is None or hard <= limit)
    limit = hard if by_budget else limit
    charges = budgets.charges(request.tags, request.received_at)
    if limit is None and soft is None and not charges:
        return None
    held = _Held(budgets, charges) if charges else None
    return Means(policy, books, limit, soft, held, stopped=BudgetExceeded if by_budget else SpendLimitReached)


class Means:
    """The money of one logical call."""

    __slots__ = ("_books", "_held", "_limit", "_marked", "_soft", "_stopped", "_worst", "refusal")

    def __init__(
        self, policy: Policy, books: Books, limit: PicoUSD | None, soft: PicoUSD | None = None,
        held: _Held | None = None, *, stopped: type[SpendLimitReached] = SpendLimitReached,
    ) -> None:  # fmt: skip
        """`stopped` is raised where `limit` leaves no room: a budget's, or the policy's own."""
        self._books = books
        self._marked = policy.prefix is not None
        self._limit = limit
        self._soft = soft
        self._held = held
        self._stopped = stopped
        self._worst: dict[str, PicoUSD | None] = {}
        """Of the caller's own request, by tier: counting a long prompt's tokens takes milliseconds."""
        self.refusal: TuppenceError | None = None
        """Why the next tier may not be asked."""

    def within_limit(self, tier: Tier) -> bool:
        """Say whether asking `tier` keeps the call within its own limit; a tier without a price never does."""
        if self._limit is None or tier.answer is not None:
            return True
        worst = self._of(tier, self._books.request)
        return worst is not None and self._books.result.pico_usd + worst <= self._limit

    def affords(self, tier: Tier) -> Plan[bool]:
        """Say whether the next tier may be asked, by the call's own limit and by budgets; `refusal` says why not."""
        if self.within_limit(tier):
            return (yield from self.cover(tier, self._books.request))
        allowed = f"what one call may cost ({_dollars(self._limit or 0)})"
        self._books.note(f"stopped before {tier.name}: it could pass {allowed}")
        self.refusal = self._stopped(
            f"asking {tier.name!r} could pass {allowed}: raise max_usd_per_call or the budget per call, lower "
            "max_tokens, or shorten the prompt"
        )
        return False

    def path(self, ladder: list[Tier], all_able: Callable[[], list[Tier]]) -> Plan[list[Tier]]:
        """Reserve the worst path, every tier of `ladder` asked once; return who may be asked: nobody where a budget has
        no room, the cheapest of `all_able` where a soft one has none.
        """
        if self._held is None and self._soft is None:
            return ladder
        ladder = self._priced(ladder)
        need = self._path_cost(ladder)
        if self._soft is not None and need > self._soft:
            return (yield from self._cheapest(all_able, f"it may cost {_dollars(need)}, more than its soft limit"))
        if self._held is None:
            return ladder
        refused = yield from self._held.raised_to(need, self._books.now)
        if refused is None:
            return ladder
        if self._held.lift_soft(refused):
            return (yield from self._cheapest(all_able, f"budget {refused.charge.budget} has no room for more"))
        self.refusal = refused.error(need)
        return []

    def cover(self, tier: Tier, request: Request) -> Plan[bool]:
        """Hold enough for one more ask; False, with the refusal in the books, where there is no room for it."""
        if self._held is None or tier.answer is not None:
            return True
        worst = self._of(tier, request)
        if worst is None and self._held.refuses_unpriced:
            self.refusal = _without_price(tier)
            self._books.note(f"{tier.name} not asked: it has no price")
            return False
        need = self._books.result.pico_usd + (worst or 0)
        refused = yield from self._held.raised_to(need, self._books.now)
        if refused is None:
            return True
        self.refusal = refused.error(need)
        self._books.note(f"stopped before {tier.name}: budget {refused.charge.budget} has no room")
        return False

    def close(self) -> Plan[None]:
        """Charge what the call has cost, and give the rest back. Closing."""
        if self._held is not None:
            yield from self._held.released(self._books.result.pico_usd)

    # -- sums

    def _of(self, tier: Tier, request: Request) -> PicoUSD | None:
        if request is not self._books.request:
            return worst_cost(tier, request, at=self._books.now, marked=self._marked)
        if tier.name not in self._worst:
            self._worst[tier.name] = worst_cost(tier, request, at=self._books.now, marked=self._marked)
        return self._worst[tier.name]

    def _path_cost(self, ladder: Sequence[Tier]) -> PicoUSD:
        return self._books.result.pico_usd + sum(
            self._of(tier, self._books.request) or 0 for tier in ladder if tier.answer is None
        )

    def _priced(self, ladder: list[Tier]) -> list[Tier]:
        """Leave out tiers whose calls no budget can count, where the budgets say so."""
        if self._held is None or not self._held.refuses_unpriced:
            return ladder
        unpriced = [t for t in ladder if t.answer is None and self._of(t, self._books.request) is None]
        for tier in unpriced:
            self._books.note(f"{tier.name} skipped: it has no price, and a budget counts")
            self.refusal = _without_price(tier)
        return [tier for tier in ladder if tier not in unpriced]

    def _cheapest(self, all_able: Callable[[], list[Tier]], why: str) -> Plan[list[Tier]]:
        """Go on with the cheapest model alone, and what answers for nothing before it."""
        able = self._priced(all_able())
        first = next((at for at, tier in enumerate(able) if tier.answer is None), len(able))
        ladder = able[: first + 1]
        self._books.note(f"cheapest tier only: {why}")
        if self._held is None:
            return ladder
        need = self._path_cost(ladder)
        refused = yield from self._held.raised_to(need, self._books.now)
        if refused is None:
            return ladder
        self.refusal = refused.error(need)
        return []


class _Held:
    """What one call holds in the counters of its budgets."""

    __slots__ = ("_begun", "_budgets", "_charges", "_hold", "_pico")

    def __init__(self, budgets: Budgets, charges: tuple[Charge, ...]) -> None:
        self._budgets = budgets
        self._charges = charges
        # Not the call's id: a framework's retry, under the same one, holds room of its own.
        self._hold = new_call_id()
        self._pico: PicoUSD = 0
        self._begun = False

    @property
    def refuses_unpriced(self) -> bool:
        return self._budgets.unpriced == "refuse"

    def raised_to(self, pico: PicoUSD, at: float) -> Plan[Refused | None]:
        """Hold at least so much; None once that is granted."""
        if self._begun and pico <= self._pico:
            return None
        # Before the outcome is known: who is cancelled while this is performed may hold room.
        self._begun = True
        outcome = yield from Reserve(self._budgets.store, self._hold, self._charges, pico, at)
        if type(outcome) is Refused:
            return outcome
        self._pico = pico
        return None

    def lift_soft(self, refused: Refused) -> bool:
        """Count in soft budgets without their limits from here on, if it was one of them that refused."""
        if not self._budgets.is_soft(refused):
            return False
        self._charges = self._budgets.counting(self._charges)
        return True

    def released(self, pico: PicoUSD) -> Plan[None]:
        if self._begun:
            yield Release(self._budgets.store, self._hold, self._charges, pico)


def _dollars(pico: PicoUSD) -> str:
    return f"${usd(pico).normalize():f}"


def _without_price(tier: Tier) -> BudgetError:
    return BudgetError(
        f"tier {tier.name!r} has no price, so that no budget can count it: give the tier a price, or set "
        "unpriced='allow' in Budgets"
    )
