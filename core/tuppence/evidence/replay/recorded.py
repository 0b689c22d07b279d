"""What a replay puts in the place of providers and prices: a row's recorded outcomes, and rates that read their costs.
Never guesses: what a row does not hold is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tuppence.errors import ConfigError
from tuppence.evidence.outcomes import Outcome, Outcomes, RecordedCall
from tuppence.evidence.replay.apart import apart
from tuppence.logical import RecentCalls
from tuppence.policy import Policy
from tuppence.prices import GpuHourRate, Line, PicoUSD, Rate, timed
from tuppence.request import Message, Reply, Request
from tuppence.tiers import Health, Tier
from tuppence.usage import Usage


@dataclass(frozen=True, slots=True)
class Recorded:
    """One row to replay."""

    request: Request
    """As it was made; of outcomes alone, the question and its tags."""
    outcomes: Outcomes
    replies: Mapping[str, Reply] = field(default_factory=dict)
    """As they came, by tier or model: with tool calls and probabilities, which outcomes do not hold."""


def recorded(row: Outcomes | RecordedCall | Recorded) -> Recorded | None:
    """Make a row of whatever was recorded; None for a call that only a cache answered.

    The tiers of recorded traffic are known by their names, and by their models where those differ between tiers.
    """
    if isinstance(row, Outcomes):
        return Recorded(request_of(row), row)
    if isinstance(row, Recorded):
        return row
    outcomes = row.outcomes()
    if outcomes is None:
        return None
    models = {attempt.tier: attempt.model for attempt in row.attempts if attempt.tier in outcomes.by_model}
    names = {model: tier for tier, model in models.items() if list(models.values()).count(model) == 1}
    said = {attempt.tier: attempt.reply for attempt in row.attempts if attempt.reply is not None}
    said = {tier: reply for tier, reply in said.items() if tier in outcomes.by_model}
    by_model = {**{model: outcomes.by_model[tier] for model, tier in names.items()}, **outcomes.by_model}
    replies = {**{model: said[tier] for model, tier in names.items() if tier in said}, **said}
    return Recorded(row.request, replace(outcomes, by_model=by_model), replies)


def request_of(row: Outcomes) -> Request:
    """Make the request that outcomes tell of: the question, its tags, and its task as the tag `task`."""
    tags = row.tags if not row.task or "task" in row.tags else {**row.tags, "task": row.task}
    return Request((Message("user", row.query),), tags=tags, call_id=row.id, received_at=row.at or 0.0)


def outcome_of(tier: Tier, by_model: Mapping[str, Outcome]) -> Outcome | None:
    """Find what a tier's model made of a question: under the model's name, or else under the tier's."""
    return by_model.get(tier.model) or by_model.get(tier.name)


def reply_of(tier: Tier, outcome: Outcome, row: Recorded) -> Reply:
    """Make the reply that was recorded; `native` is the outcome, so that a check may read its signals."""
    usage = None
    if outcome.pico_usd is not None or outcome.output_tokens is not None or _by_time(tier):
        usage = RecordedUsage(
            input=outcome.input_tokens or 0, output=outcome.output_tokens or 0, by_model=row.outcomes.by_model
        )  # fmt: skip
    model, latency_ms = tier.model or tier.name, outcome.latency_ms or 0.0
    said = (row.replies.get(model) or row.replies.get(tier.name)) if row.replies else None
    if said is None:
        return Reply(outcome.answer, finish="stop", usage=usage, model=model, latency_ms=latency_ms, native=outcome)
    return replace(said, usage=usage, model=model, latency_ms=latency_ms, delivered=0, native=outcome)


@dataclass(frozen=True, slots=True)
class RecordedUsage(Usage):
    """What one recorded call used, with the outcomes of all models beside it."""

    by_model: Mapping[str, Outcome] = field(default_factory=dict)


class RecordedRate:
    """The price of one tier in a replay: what the row says that the call cost, else the tier's own price of its tokens.

    Asked for a usage of another tier, as the flow does for its baseline, it tells what *this* tier's model cost on the
    same question, where that was recorded.
    """

    __slots__ = ("_inner", "_tier", "version")

    def __init__(self, tier: Tier, inner: Rate | None) -> None:
        self._tier = tier
        self._inner = inner
        self.version = "recorded" if inner is None else inner.version

    def at(self, moment: float) -> Rate:
        """Return the rate in force at a moment; recorded costs are those of their own moment."""
        inner = None if self._inner is None else self._inner.at(moment)
        return self if inner is self._inner else RecordedRate(self._tier, inner)

    def cost(self, usage: Usage) -> PicoUSD | None:
        """Return the recorded cost, the price of the recorded tokens, or None."""
        if type(usage) is not RecordedUsage:
            return None if self._inner is None else self._inner.cost(usage)
        outcome = outcome_of(self._tier, usage.by_model)
        if outcome is None:
            return None
        return outcome.pico_usd if outcome.pico_usd is not None else self._priced(outcome)

    def lines(self, usage: Usage) -> tuple[Line, ...]:
        """Explain the tier's own price; a recorded cost has no parts."""
        return () if self._inner is None else self._inner.lines(usage)

    def why_unpriced(self, usage: Usage) -> str | None:
        """Say why there is no cost, or None where there is one."""
        if self.cost(usage) is not None:
            return None
        return f"no cost is recorded for {self._tier.name}, and its tokens have no price"

    @property
    def by_time(self) -> bool:
        """Whether the tier is paid by the hour."""
        return isinstance(self._inner, GpuHourRate)

    def _priced(self, outcome: Outcome) -> PicoUSD | None:
        """Price what a call used, if the row says all of it that counts."""
        if self._inner is None:
            return None
        if self.by_time:
            took_ms = outcome.latency_ms
            return None if took_ms is None else self._inner.cost(timed(self._inner, Usage(), took_ms))
        if outcome.input_tokens is None or outcome.output_tokens is None:
            return None
        return self._inner.cost(Usage(input=outcome.input_tokens, output=outcome.output_tokens))


def _by_time(tier: Tier) -> bool:
    return isinstance(tier.rate, RecordedRate) and tier.rate.by_time


def replayable(policy: Policy) -> Policy:
    """Return the policy with recorded costs for prices and nothing shared with the one that runs.

    Health, recognised retries and the state of routes are its own. The cache is off and prompts are not planned, for
    neither is in the recording; nothing is recorded again, nor charged to budgets. Prompts are not shaped: the recorded
    answers are to the prompts that were sent. The mode, guards, check and limits are the policy's.
    """
    tiers, judges = (tuple(map(_recorded, asked)) for asked in (policy.tiers, policy.judges))
    return policy.override(
        tiers=tiers, judges=judges, route=None if policy.route is None else apart(policy.route),
        guards=tuple(map(apart, policy.guards)), shape=(), cache=None, prefix=None, record=None, budgets=None,
        recent=_NoRetries(),
    )  # fmt: skip


def _recorded(tier: Tier) -> Tier:
    if tier.answer is not None:
        return replace(tier, health=Health(), admission=None)
    if isinstance(tier.rate, RecordedRate):
        raise ConfigError(f"tier {tier.name!r} has a recorded price already: replay the policy as it was before that")
    return replace(tier, rate=RecordedRate(tier, tier.rate), health=Health(), admission=None)


class _NoRetries(RecentCalls):
    """Every row is a call of its own, also one whose id or question came before."""

    __slots__ = ()

    def identify(self, request: Request) -> tuple[str, bool]:
        return request.call_id or "", False

    def failed(self, request: Request, call_id: str) -> None:
        pass


def alone(tier: Tier, row: Outcomes) -> tuple[PicoUSD | None, float | None]:
    """Return cost and score of a tier that is asked for every row; `tier` is one of a replayable policy."""
    outcome = outcome_of(tier, row.by_model)
    if outcome is None or tier.rate is None:
        return None, None
    if outcome.pico_usd is not None:
        return outcome.pico_usd, outcome.score
    usage = RecordedUsage(by_model=row.by_model)
    return tier.rate.at(row.at or 0.0).cost(usage), outcome.score
