"""Budgets in the flow: what is held before anybody is asked, what is charged on every way out, who is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuppence.attempts import Result, Verdict
from tuppence.cache import ExactCache, MemoryStore
from tuppence.checks import judged_by
from tuppence.drivers import arun, run, stream
from tuppence.effects import Granted, Release, Reserve, Shaped
from tuppence.errors import BudgetError, BudgetExceeded, SpendLimitReached, TuppenceError
from tuppence.estimates import worst_cost
from tuppence.flow import plan
from tuppence.policy import Policy, Retries, switch_off, switch_on
from tuppence.ports import Port
from tuppence.prices import gpu_hour_rate, token_rate, usd
from tuppence.request import NO_EDITS, Message, Reply, Request
from tuppence.spend.budgets import Budget, Budgets
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier, function_tier
from tuppence.usage import Usage

CHEAP, DEAR = token_rate(input="1", output="2"), token_rate(input="10", output="20")
SMALL, LARGE = Tier("small", model="s-1", rate=CHEAP), Tier("large", model="l-1", rate=DEAR)
JUDGE = Tier("judge", model="j", rate=CHEAP)
NOW = 1_000_000.0
USED = Usage(input=10, output=5)


class ServerError(Exception):
    status_code = 500


@pytest.fixture(autouse=True)
def switched_on() -> Iterator[None]:
    yield
    switch_on()


def says_good(_request: Request, reply: Reply) -> Verdict:
    return Verdict(float("good" in reply.text), "looked for 'good'")


def policy(*budgets: Budget, **options: Any) -> Policy:
    made = options.pop("budgets", None) or Budgets(*budgets)
    defaults: dict[str, Any] = {"tiers": (SMALL, LARGE), "check": says_good, "retries": Retries(base_s=0.0)}
    return Policy(**{**defaults, **options, "budgets": made})


def ask(**options: Any) -> Request:
    params = options.pop("params", {"max_tokens": 100})
    return Request((Message("user", "a question"),), received_at=NOW, params=params, **options)


def says(text: str, usage: Usage | None = USED) -> Any:
    return lambda _ask: Reply(text, finish="stop", usage=usage)


def call(models: ScriptedModels, policy: Policy, request: Request | None = None, **port: Any) -> Result:
    return run(plan(request or ask(), policy), Port(models, cache=policy.cache, **port))


def worst(*tiers: Tier) -> int:
    return sum(worst_cost(tier, ask(), at=NOW, marked=False) or 0 for tier in tiers)


def of(pico: int) -> Decimal:
    return usd(pico)


def counted(policy: Policy) -> tuple[Decimal, Decimal]:
    """Return what is spent and held in the one counter there is; nothing where nobody was ever charged."""
    assert policy.budgets is not None
    standing = policy.budgets.standing(NOW)
    assert len(standing) <= 1
    return (standing[0].spent_usd, standing[0].held_usd) if standing else (Decimal(0), Decimal(0))


class Watched:
    """A store that remembers what it was asked, in order."""

    def __init__(self, budgets: Budgets) -> None:
        self.inner, self.log = budgets.store, list[tuple[str, int]]()

    def reserve(self, reserve: Reserve) -> Any:
        self.log.append(("reserve", reserve.pico_usd))
        return self.inner.reserve(reserve)

    async def areserve(self, reserve: Reserve) -> Any:
        self.log.append(("areserve", reserve.pico_usd))
        return await self.inner.areserve(reserve)

    def release(self, release: Release) -> None:
        self.log.append(("release", release.pico_usd))
        self.inner.release(release)


def watch(monkeypatch: pytest.MonkeyPatch, budgets: Budgets) -> Watched:
    watched = Watched(budgets)
    monkeypatch.setattr(Budgets, "store", property(lambda _self: watched))
    return watched


# -- the usual way


def test_what_a_call_cost_is_charged_and_nothing_stays_held() -> None:
    its = policy(Budget(usd=1, per="day"))
    result = call(ScriptedModels(small=says("good")), its)
    assert counted(its) == (of(result.pico_usd), 0)
    assert result.pico_usd == CHEAP.cost(USED)


def test_a_cascade_reserves_its_worst_path_before_anybody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    its = policy(Budget(usd=1, per="day"))
    watched = watch(monkeypatch, its.budgets)  # type: ignore[arg-type]
    result = call(ScriptedModels(small=says("bad"), large=says("good")), its)
    assert watched.log == [("reserve", worst(SMALL, LARGE)), ("release", result.pico_usd)]


def test_a_budget_that_has_room_for_one_tier_only_asks_nobody() -> None:
    its = policy(Budget(usd=of(worst(SMALL, LARGE) - 1), per="day"))
    models = ScriptedModels(small=says("good"), large=says("good"))
    with pytest.raises(BudgetExceeded, match=r"budget day has \$.* of \$.* left until 1970-01-13 00:00 UTC.*raise the"):
        call(models, its)
    assert models.asked == []
    assert counted(its) == (0, 0)


def test_exactly_enough_is_enough() -> None:
    its = policy(Budget(usd=of(worst(SMALL, LARGE)), per="day"))
    assert call(ScriptedModels(small=says("good")), its).tier == "small"


def test_async_calls_reserve_without_blocking_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    its = policy(Budget(usd=1, per="day"))
    watched = watch(monkeypatch, its.budgets)  # type: ignore[arg-type]
    result = asyncio.run(arun(plan(ask(), its), Port(ScriptedModels(small=says("good")))))
    assert watched.log == [("areserve", worst(SMALL, LARGE)), ("release", result.pico_usd)]


def test_an_exact_hit_is_free_and_never_refused() -> None:
    cache = ExactCache(MemoryStore())
    request = ask(params={"max_tokens": 100, "temperature": 0})
    rich = policy(Budget(usd=1, per="day"), cache=cache)
    call(ScriptedModels(small=says("good")), rich, request)
    poor = rich.override(budgets=Budgets(Budget(usd="0.000000000001", per="day")))
    assert call(ScriptedModels(), poor, request).tier == "cache"


def test_budgets_hold_with_optimisation_switched_off() -> None:
    its = policy(Budget(usd=of(worst(LARGE) - 1), per="day"))
    switch_off()
    with pytest.raises(BudgetExceeded):
        call(ScriptedModels(large=says("good")), its)


def test_every_answer_that_is_asked_for_is_reserved() -> None:
    one, three = (worst_cost(SMALL, ask(params={"max_tokens": 100, **n}), at=NOW, marked=False) for n in ({}, {"n": 3}))
    assert three == (one or 0) + 200 * 2 * 10**6


# -- soft budgets


def test_a_soft_budget_without_room_leaves_the_cheapest_tier_and_goes_on_counting() -> None:
    its = policy(Budget(usd="0.000000000001", per="day", soft=True))
    result = call(ScriptedModels(small=says("bad")), its)
    assert [a.tier for a in result.attempts] == ["small"]
    assert "cheapest tier only: budget soft day has no room" in result.decision.route
    assert counted(its) == (of(result.pico_usd), 0)


def test_a_soft_budget_asks_the_cheapest_tier_even_where_the_route_begins_higher() -> None:
    from tuppence.routes import start_at

    its = policy(Budget(usd="0.000000000001", per="day", soft=True), route=start_at("large"))
    assert call(ScriptedModels(small=says("good")), its).tier == "small"


def test_what_answers_for_nothing_is_still_asked_before_the_cheapest_model() -> None:
    rules = function_tier("rules", lambda _request: None)
    its = policy(Budget(usd="0.000000000001", per="day", soft=True), tiers=(rules, SMALL, LARGE))
    assert call(ScriptedModels(small=says("good")), its).tier == "small"


def test_a_hard_budget_stops_the_cheapest_tier_too() -> None:
    its = policy(Budget(usd="0.000000000001", per="day"), Budget(usd="0.000000000001", per="month", soft=True))
    with pytest.raises(BudgetExceeded, match="budget day"):
        call(ScriptedModels(), its)


# -- limits of one call


def test_a_soft_limit_of_one_call_leaves_the_cheapest_tier() -> None:
    its = policy(Budget(usd=of(worst(SMALL, LARGE) - 1), per="call", soft=True))
    result = call(ScriptedModels(small=says("bad")), its)
    assert [a.tier for a in result.attempts] == ["small"]


def test_a_hard_limit_of_one_call_stops_before_the_tier_that_could_pass_it() -> None:
    its = policy(Budget(usd=of(worst(SMALL)), per="call"), on_exhausted="error")
    with pytest.raises(SpendLimitReached, match="could pass"):
        call(ScriptedModels(small=says("bad")), its)


# -- every way out


def test_a_call_that_fails_is_charged_what_its_tries_cost() -> None:
    def breaks(_ask: Any) -> Reply:
        raise ServerError("down")

    its = policy(Budget(usd=1, per="day"))
    with pytest.raises(ServerError):
        call(ScriptedModels(small=breaks, large=breaks), its)
    assert counted(its) == (0, 0)


def test_a_stream_that_is_left_is_charged_by_its_estimate() -> None:
    its = policy(Budget(usd=1, per="day"), tiers=(SMALL,), check=None)
    ledger = _Kept()
    chunks = stream(plan(ask(streaming=True), its), Port(ScriptedModels(small="a few words more"), ledger=ledger))
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    (result,) = ledger.results
    assert result.attempts[-1].status == "estimated"
    assert counted(its) == (of(result.pico_usd), 0)


def test_ctrl_c_in_a_check_gives_the_rest_back() -> None:
    def interrupted(_request: Request, _reply: Reply) -> Verdict:
        raise KeyboardInterrupt

    its = policy(Budget(usd=1, per="day"), check=interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(ScriptedModels(small=says("good")), its)
    assert counted(its) == (of(CHEAP.cost(USED) or 0), 0)


def test_a_cancelled_call_gives_the_rest_back() -> None:
    async def cancelled() -> None:
        async def hangs(_ask: Any) -> Reply:
            await asyncio.sleep(3600)
            raise AssertionError

        models = ScriptedModels(small="")
        models.aask = hangs  # type: ignore[method-assign]
        task = asyncio.create_task(arun(plan(ask(), its), Port(models)))
        await asyncio.sleep(0.01)
        assert counted(its)[1] == of(worst(SMALL, LARGE))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    its = policy(Budget(usd=1, per="day"))
    asyncio.run(cancelled())
    spent, held = counted(its)
    assert held == 0
    assert spent > 0  # it was in flight: an estimate


def test_who_is_interrupted_while_reserving_gives_back_what_may_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    its = policy(Budget(usd=1, per="day"))
    watched = watch(monkeypatch, its.budgets)  # type: ignore[arg-type]

    def held_then_interrupted(reserve: Reserve) -> Any:
        watched.inner.reserve(reserve)
        raise KeyboardInterrupt

    monkeypatch.setattr(watched, "reserve", held_then_interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(ScriptedModels(), its)
    assert watched.log == [("release", 0)]
    assert counted(its) == (0, 0)


# -- more asks than were foreseen


def test_a_retry_after_an_answer_that_was_billed_holds_more_first(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([Reply("bad", finish="stop", usage=Usage(output=100)), Reply("good", finish="stop", usage=USED)])
    its = policy(Budget(usd=1, per="day"), tiers=(SMALL,), retries=Retries(validation=1, base_s=0.0))
    watched = watch(monkeypatch, its.budgets)  # type: ignore[arg-type]
    result = call(ScriptedModels(small=lambda _ask: next(answers)), its)
    first = CHEAP.cost(Usage(output=100)) or 0
    assert watched.log == [
        ("reserve", worst(SMALL)),
        ("reserve", first + worst(SMALL)),
        ("release", result.pico_usd),
    ]


def test_a_further_ask_that_finds_no_room_leaves_the_best_draft() -> None:
    its = policy(Budget(usd=of(worst(SMALL)), per="day"), tiers=(SMALL,), retries=Retries(validation=1, base_s=0.0))
    models = ScriptedModels(small=says("bad", Usage(output=100)))
    result = call(models, its)
    assert len(models.asked) == 1
    assert result.reply is not None
    assert result.reply.text == "bad"
    assert result.decision.fell_short


def test_a_judge_without_room_is_not_asked() -> None:
    big_prompt = judged_by("judge", rubric="be strict " * 400)
    its = policy(Budget(usd=of(worst(SMALL)), per="day"), tiers=(SMALL, SMALL_TOO), judges=(JUDGE,), check=big_prompt)
    with pytest.raises(BudgetExceeded):
        call(ScriptedModels(), its)
    its = its.override(budgets=Budgets(Budget(usd=of(worst(SMALL, SMALL_TOO)), per="day")))
    models = ScriptedModels(small=says("first"), small_too=says("second"))
    assert call(models, its).tier == "small_too"
    assert [a.tier.name for a in models.asked] == ["small", "small_too"]


SMALL_TOO = Tier("small_too", model="s-2", rate=CHEAP)


def test_what_a_shaper_asks_is_reserved_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from tuppence.effects import Consult

    def condensing(request: Request, _tiers: tuple[Tier, ...]) -> Any:
        yield from Consult("judge", request, "condense")
        return Shaped(NO_EDITS, "asked")

    its = policy(Budget(usd=1, per="day"), judges=(JUDGE,), shape=(condensing,))
    watched = watch(monkeypatch, its.budgets)  # type: ignore[arg-type]
    result = call(ScriptedModels(judge=says("shorter"), small=says("good")), its)
    condensed = CHEAP.cost(USED) or 0
    assert watched.log == [
        ("reserve", worst(JUDGE)),
        ("reserve", condensed + worst(SMALL, LARGE)),
        ("release", result.pico_usd),
    ]


def test_a_framework_s_retry_holds_room_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    its = policy(Budget(usd=1, per="day"))
    holds = set()
    watched = watch(monkeypatch, its.budgets)  # type: ignore[arg-type]
    inner = watched.inner
    monkeypatch.setattr(watched, "reserve", lambda reserve: holds.add(reserve.hold) or inner.reserve(reserve))
    for _ in range(2):
        call(ScriptedModels(small=says("good")), its, ask(call_id="the same"))
    assert len(holds) == 2
    assert counted(its) == (of(2 * (CHEAP.cost(USED) or 0)), 0)


# -- what cannot be counted or checked


def test_a_tier_without_a_price_is_not_asked_unless_that_is_allowed() -> None:
    unknown = Tier("unknown", model="u")
    models = ScriptedModels(unknown=says("good"), large=says("good"))
    refusing = policy(Budget(usd=1, per="day"), tiers=(unknown, LARGE))
    result = call(models, refusing)
    assert result.tier == "large"
    assert "unknown skipped: it has no price" in result.decision.route
    with pytest.raises(BudgetError, match=r"tier 'unknown' has no price.*unpriced='allow'"):
        call(models, refusing.override(tiers=(unknown,)))
    allowing = policy(budgets=Budgets(Budget(usd=1, per="day"), unpriced="allow"), tiers=(unknown, LARGE))
    assert call(models, allowing).tier == "unknown"


def test_a_model_paid_by_the_hour_reserves_its_time_out() -> None:
    own = Tier("own", model="o", rate=gpu_hour_rate("3.60"), timeout_s=10)
    its = policy(Budget(usd="0.009", per="day"), tiers=(own,))
    with pytest.raises(BudgetExceeded, match=r"may cost up to \$0.01"):
        call(ScriptedModels(own=says("good")), its)


def test_a_call_without_the_tag_that_a_budget_goes_by_stops() -> None:
    its = policy(Budget(usd=1, per="day", each="user"))
    models = ScriptedModels(small=says("good"))
    with pytest.raises(BudgetError, match="'user'"):
        call(models, its)
    assert models.asked == []
    assert call(models, its, ask(tags={"user": "ann"})).tier == "small"


def test_a_store_that_cannot_be_reached_stops_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    its = policy(Budget(usd=1, per="day"))
    watched = watch(monkeypatch, its.budgets)  # type: ignore[arg-type]

    def away(_reserve: Reserve) -> Granted:
        raise BudgetError("the counters cannot be reached")

    monkeypatch.setattr(watched, "reserve", away)
    models = ScriptedModels(small=says("good"))
    with pytest.raises(BudgetError, match="cannot be reached"):
        call(models, its)
    assert models.asked == []


def test_a_store_that_breaks_when_the_call_ends_does_not_take_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    its = policy(Budget(usd=1, per="day"))
    watched = watch(monkeypatch, its.budgets)  # type: ignore[arg-type]

    def away(_release: Release) -> None:
        raise RuntimeError("away")

    monkeypatch.setattr(watched, "release", away)
    assert call(ScriptedModels(small=says("good")), its).tier == "small"


class _Kept:
    def __init__(self) -> None:
        self.results: list[Result] = []

    def write(self, result: Result) -> None:
        self.results.append(result)

    def flush(self, timeout_s: float = 10.0) -> None: ...
    def close(self) -> None: ...


# -- whatever happens

OUTCOME = st.sampled_from(["good", "bad", "error", "begun", "interrupt"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(OUTCOME, OUTCOME, OUTCOME), min_size=1, max_size=6), st.integers(1, 5))
def test_spent_and_held_never_pass_the_limit_and_spent_is_what_the_ledger_says(
    calls: list[tuple[str, str, str]], room: int
) -> None:
    its = policy(Budget(usd=of(room * worst(SMALL, LARGE) // 2 + 1), per="day"), on_exhausted="error")
    ledger = _Kept()
    for outcomes in calls:
        said = iter(outcomes)

        def answer(_ask: Any, said: Iterator[str] = said) -> Reply:
            word = next(said, "good")
            spent, held = counted(its)
            assert spent + held <= of(room * worst(SMALL, LARGE) // 2 + 1)
            if word == "interrupt":
                raise KeyboardInterrupt
            if word in ("error", "begun"):
                raise ServerError(word)
            return Reply(word, finish="stop", usage=USED)

        with suppress(TuppenceError, ServerError, KeyboardInterrupt):
            call(ScriptedModels(small=answer, large=answer), its, ledger=ledger)
        assert counted(its) == (of(sum(result.pico_usd for result in ledger.results)), 0)
