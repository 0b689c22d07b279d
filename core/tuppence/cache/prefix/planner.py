"""The planner that a program keeps: it watches the prompts that go by, plans each call's use of the prefix cache, and
knows which models hold what.

One record for all tiers, in this process. It asks nobody and changes no request: its plan's edits are for the seams to
make.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tuppence.cache.prefix.costs import Seat, switch_cost
from tuppence.cache.prefix.drift import Drift, DriftDetector
from tuppence.cache.prefix.held import Held, Scope
from tuppence.cache.prefix.order import ToolOrder
from tuppence.cache.prefix.plan import PrefixPlan, plan_prefix
from tuppence.cache.prefix.rules import PrefixRule, rule_for
from tuppence.cache.prefix.segments import Prompt, prompt_of
from tuppence.cache.prefix.traffic import Sightings
from tuppence.prices import Rate, usd
from tuppence.request import Request
from tuppence.tiers import Tier
from tuppence.tokens import count_tokens
from tuppence.usage import Usage

# As many as are kept of a conversation of some thirty exchanges.
_PREFIXES_A_SCOPE = 64


@dataclass(frozen=True, slots=True)
class Planned:
    """One attempt's plan, and what had changed in its prefix."""

    plan: PrefixPlan
    drift: Drift | None = None
    scope: Scope = ()
    keeps: tuple[tuple[str, int], ...] = ()
    """Prefixes that the provider holds once it has answered, as digests with seconds."""
    told: bool = True
    """The provider's answer says whether it keeps them: where it reports neither a read nor a write it does not."""


class PrefixPlanner:
    """Plan calls one after the other. Safe for many threads; a copy in another process starts with nothing seen."""

    __slots__ = ("_drifts", "_held", "_max_scopes", "_refused", "_sightings", "order")

    def __init__(self, *, max_scopes: int = 1000) -> None:
        self._max_scopes = max_scopes
        self._sightings = Sightings(max_scopes=max_scopes)
        self._drifts = DriftDetector(max_scopes=max_scopes)
        self._held = Held(max_prefixes=max_scopes * _PREFIXES_A_SCOPE)
        self._refused: set[str] = set()
        self.order = ToolOrder()
        """In which the tools of every planned call are sent."""

    def __reduce__(self) -> tuple[Callable[..., PrefixPlanner], tuple[int]]:
        """Travel as settings: what went by here says nothing of another process, and never leaves this one."""
        return _fresh, (self._max_scopes,)

    def plan(self, request: Request, tier: Tier) -> Planned:
        """Plan one call of `tier`, which counts as traffic from then on; call it once for each attempt.

        A scope is a tenant's calls to one endpoint (or task) on one model. The prompt is taken as it is sent: with its
        tools in `order`.
        """
        rule = _rule(request, tier)
        if not tier.prefix_marks and not (rule is not None and rule.asks_nothing):
            return Planned(PrefixPlan("its client cannot carry marks, or its own settings make them"))
        if tier.name in self._refused:
            return Planned(PrefixPlan("the provider has refused a request for being marked: none is any more"))
        scope, prompt = _scope(request, tier), self._prompt(request, tier)
        traffic = self._sightings.see(scope, prompt, request.received_at)
        plan = plan_prefix(prompt, rule, _rate(request, tier), traffic)
        keeps = () if rule is None else _keeps(prompt, plan, rule)
        # One that takes no hint promises no hit either: only what it counts is believed.
        told = rule is not None and (rule.kind == "marked" or rule.asks_nothing)
        return Planned(plan, self._drifts.see(scope, prompt), scope, keeps, told)

    def answered(self, planned: Planned, usage: Usage | None, at: float) -> None:
        """Take in that the attempt was answered `at` (Unix seconds), and what it used."""
        cached = usage is not None and usage.cache_read + usage.cache_write_5m + usage.cache_write_1h > 0
        if planned.keeps and (cached or not planned.told):
            self._held.keep(planned.scope, planned.keeps, at)

    def refused(self, tier: Tier) -> None:
        """Leave this tier's requests alone from now on: its provider took one only without the plan's edits."""
        self._refused.add(tier.name)

    def spared(self, request: Request, ladder: Sequence[Tier], at: float) -> dict[str, str]:
        """Name the tiers that it saves nothing to ask, each with the reason in words.

        Such is a tier that would cost at least as much as one above it whose provider holds the prompt's beginning,
        even if its answer were always good enough. Costs are those of the prompt, and of an answer as long as the
        conversation's earlier ones: without one, nothing is known of it, and no tier is named.
        """
        if not any(self._held.knows(_scope(request, tier)) for tier in ladder[1:]):
            return {}
        seats = [(tier, self._seat(request, tier, at)) for tier in ladder]
        found: dict[str, str] = {}
        for index, (tier, seat) in enumerate(seats):
            reason = None if seat is None else _no_dearer(seat, seats[index + 1 :])
            if reason is not None:
                found[tier.name] = reason
        return found

    def _seat(self, request: Request, tier: Tier, at: float) -> Seat | None:
        rate, answer = _rate(request, tier), _answer_tokens(request, tier)
        if rate is None or answer is None or tier.answer is not None:
            return None
        prompt = self._prompt(request, tier)
        return Seat(rate, prompt.tokens, self._held.tokens(_scope(request, tier), prompt, at), answer)

    def _prompt(self, request: Request, tier: Tier) -> Prompt:
        if request.tools:
            request = replace(request, tools=tuple(self.order(request.tools)))
        return prompt_of(request, tier.model or tier.name)


def _no_dearer(go: Seat, above: Sequence[tuple[Tier, Seat | None]]) -> str | None:
    """Say which warm tier costs no more than going elsewhere first; None where there is none."""
    for tier, stay in above:
        if stay is None or not stay.held_tokens:
            continue
        switch = switch_cost(stay=stay, go=go)
        if switch is not None and switch.extra_pico >= 0:
            held = f"{tier.name} holds {stay.held_tokens} tokens of the prompt and costs"
            return f"{held} ${usd(switch.extra_pico):.6f} less" if switch.extra_pico else f"{held} no more"
    return None


def _fresh(max_scopes: int) -> PrefixPlanner:
    return PrefixPlanner(max_scopes=max_scopes)


def _scope(request: Request, tier: Tier) -> Scope:
    tags = request.tags
    return tags.get("tenant", ""), tags.get("endpoint", ""), tags.get("task", ""), tier.model or tier.name


def _rule(request: Request, tier: Tier) -> PrefixRule | None:
    return rule_for(tier.model or tier.name, provider=tier.provider, at=request.received_at)


def _rate(request: Request, tier: Tier) -> Rate | None:
    return None if tier.rate is None else tier.rate.at(request.received_at)


def _keeps(prompt: Prompt, plan: PrefixPlan, rule: PrefixRule) -> tuple[tuple[str, int], ...]:
    """Name the prefixes that are held when the call has been answered, each with its seconds."""
    if rule.kind == "automatic":
        seconds = rule.lifetimes[0].seconds
        return tuple((one.digest, seconds) for one in prompt.segments if one.upto_tokens >= rule.minimum_tokens)
    lasting = {one.name: one.seconds for one in rule.lifetimes}
    marked = {mark.place: lasting[mark.lifetime] for mark in plan.marks}
    if not (marked or plan.params or rule.own_params & prompt.asked) and rule.off_params:
        # Unasked, such a provider keeps the newest message.
        marked = {prompt.segments[-1].place: rule.lifetimes[0].seconds}
    return tuple((one.digest, marked[one.place]) for one in prompt.segments if one.place in marked)


def _answer_tokens(request: Request, tier: Tier) -> int | None:
    """Return the mean length of the answers in the conversation so far; None where there is none."""
    said = [message for message in request.messages if message.role == "assistant"]
    if not said:
        return None
    texts = [m.text + "".join(f"{call.name}{call.arguments}" for call in m.tool_calls) for m in said]
    return sum(count_tokens(text, tier.model).tokens for text in texts) // len(said)
