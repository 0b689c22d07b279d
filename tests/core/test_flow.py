"""The flow, driven with scripted models: who is asked, in which order, and what is written down."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from decimal import Decimal
from math import ceil
from typing import Any

import pytest

from tuppence.attempts import Result, Verdict
from tuppence.cache import ExactCache, MemoryStore
from tuppence.checks import agrees_with, judged_by
from tuppence.drivers import astream, run, stream
from tuppence.effects import Ask, Choice, Consult, Plan
from tuppence.errors import CallFailed, ConfigError, RequestError, ScopeError, SpendLimitReached
from tuppence.flow import plan
from tuppence.policy import Policy, Retries, switch_off, switch_on
from tuppence.ports import Port
from tuppence.prices import gpu_hour_rate, token_rate
from tuppence.request import NO_EDITS, Message, Reply, Request
from tuppence.routes import by_data_class, only, start_at
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Additions, Health, Tier, function_tier
from tuppence.usage import Usage

CHEAP, DEAR = token_rate(input="1", output="2"), token_rate(input="10", output="20")
NO_WAIT = Retries(base_s=0.0)
JUDGE = Tier("judge", model="j", rate=CHEAP)


class RateLimited(Exception):
    """Shaped like the SDKs' own: a status code, a response with headers."""

    status_code = 429

    def __init__(self, **headers: str) -> None:
        super().__init__("slow down")
        self.response = type("Response", (), {"headers": headers})()


class ServerError(Exception):
    status_code = 500


def policy(**options: Any) -> Policy:
    defaults: dict[str, Any] = {
        "tiers": (Tier("small", model="s-1", rate=CHEAP), Tier("large", model="l-1", rate=DEAR)),
        "check": says("good"),
        "retries": NO_WAIT,
    }
    return Policy(**{**defaults, **options})


def says(word: str) -> Any:
    def check(_request: Request, reply: Reply) -> Verdict:
        return Verdict(float(word in reply.text), f"looked for {word!r}")

    return check


def ask(text: str = "a question", **options: Any) -> Request:
    return Request((Message("user", text),), received_at=1_000.0, **options)


def call(models: ScriptedModels, policy: Policy, request: Request | None = None, **port: Any) -> Result:
    return run(plan(request or ask(), policy), Port(models, cache=policy.cache, **port))


def story(result: Result) -> list[tuple[str, str, str]]:
    return [(a.tier, a.cause, a.outcome) for a in result.attempts]


@pytest.fixture(autouse=True)
def switched_on() -> Iterator[None]:
    yield
    switch_on()


def test_a_good_draft_is_accepted() -> None:
    """One call of the cheap tier, priced exactly, against what the strongest would have cost."""
    result = call(ScriptedModels(small="a good answer", large="never"), policy())
    assert story(result) == [("small", "draft", "accepted")]
    assert result.pico_usd == 2 * 1_000_000 + 3 * 2_000_000
    assert result.attempts[0].baseline_pico == 10 * result.pico_usd


def test_a_bad_draft_escalates_and_both_are_paid() -> None:
    """The cost of the call is the sum of its attempts."""
    result = call(ScriptedModels(small="bad", large="poor but last"), policy())
    assert story(result) == [("small", "draft", "rejected"), ("large", "escalation", "accepted")]
    assert result.pico_usd == (2 * 1 + 1 * 2 + 2 * 10 + 3 * 20) * 1_000_000
    assert result.attempts[1].baseline_pico == (2 * 10 + 3 * 20) * 1_000_000


def test_a_passing_failure_is_retried_then_the_next_tier_is_asked() -> None:
    """Retries stay within the tier's share; every one is an attempt with its cause."""
    result = call(ScriptedModels(small=ServerError("boom"), large="good"), policy())
    assert story(result) == [
        ("small", "draft", "failed"),
        ("small", "retry", "failed"),
        ("small", "retry", "failed"),
        ("large", "fallback", "accepted"),
    ]


def test_amplification_is_capped() -> None:
    """However many tiers fail, one logical call makes no more provider calls than allowed plus one a tier."""
    models = ScriptedModels(small=ServerError("boom"), large=ServerError("boom"))
    with pytest.raises(ServerError):
        call(models, policy(retries=Retries(base_s=0, per_tier=50, max_attempts=4)))
    assert len(models.asked) == 5


def test_a_bad_request_is_not_retried() -> None:
    """A 400 will be a 400 again; but another tier may take it."""

    class BadRequest(Exception):
        status_code = 400

    result = call(ScriptedModels(small=BadRequest("no such parameter"), large="good"), policy())
    assert [a.tier for a in result.attempts] == ["small", "large"]


def test_retry_after_is_obeyed_or_left_for_the_next_tier() -> None:
    """A short wait is waited, a long one is another tier's turn."""
    short = ScriptedModels(small=[RateLimited(**{"retry-after-ms": "1"}), "good"], large="good")
    assert story(call(short, policy()))[-1] == ("small", "retry", "accepted")
    long = ScriptedModels(small=RateLimited(**{"retry-after": "3600"}), large="good")
    assert [a.tier for a in call(long, policy()).attempts] == ["small", "large"]


def test_the_providers_own_exception_surfaces_with_the_history_in_its_notes() -> None:
    """Code that catches the SDK's exception keeps working, and sees what was tried."""
    with pytest.raises(ServerError) as caught:
        call(ScriptedModels(small="bad", large=ServerError("boom")), policy(on_exhausted="error"))
    assert any("small (draft) rejected" in note for note in caught.value.__notes__)


def test_the_best_draft_is_returned_when_the_last_tier_fails() -> None:
    """A rejected draft beats an exception, if the policy says so; it is never cached."""
    cache = ExactCache(MemoryStore())
    models = ScriptedModels(small="bad but something", large=ServerError("boom"))
    result = call(models, policy(cache=cache))
    assert result.reply is not None and result.reply.text == "bad but something"
    assert "best draft" in result.decision.route
    again = call(models, policy(cache=cache))
    assert again.decision.cache == "miss"


def test_exact_repeats_are_served_for_nothing() -> None:
    """The second call is a hit: no provider call, and what it spared is known."""
    cache = ExactCache(MemoryStore())
    models = ScriptedModels(small="a good answer", large="never")
    first, second = (call(models, policy(cache=cache)) for _ in range(2))
    assert story(second) == [("cache", "hit", "hit")]
    assert second.pico_usd == 0 and second.attempts[0].baseline_pico == 10 * first.pico_usd
    assert len(models.asked) == 1


@pytest.mark.parametrize("change", [{"version": "prompt-2"}, {"tiers": (Tier("small", model="s-2"), Tier("large"))}])
def test_another_policy_never_serves_the_old_answer(change: dict[str, Any]) -> None:
    """A new prompt version or model starts a new cache."""
    cache = ExactCache(MemoryStore())
    models = ScriptedModels(small="a good answer", large="never")
    call(models, policy(cache=cache))
    assert call(models, policy(cache=cache, **change)).decision.cache == "miss"


def test_a_broken_cache_is_recorded_and_gone_round() -> None:
    """An optimisation that breaks never breaks the call."""

    class BrokenStore(MemoryStore):
        def get(self, key: str) -> tuple[bytes, float] | None:
            raise OSError("disk gone")

    result = call(ScriptedModels(small="good", large=""), policy(cache=ExactCache(BrokenStore())))
    assert result.reply is not None
    assert any("disk gone" in fault for fault in result.decision.faults)


def test_a_broken_check_escalates() -> None:
    """A check that raises cannot vouch for a cheap answer."""

    def check(_request: Request, _reply: Reply) -> Verdict:
        raise ZeroDivisionError("oops")

    result = call(ScriptedModels(small="x", large="y"), policy(check=check))
    assert [a.tier for a in result.attempts] == ["small", "large"]
    assert result.decision.faults == ["check: ZeroDivisionError: oops"]


def test_a_broken_route_asks_the_strongest() -> None:
    """Without its route the call costs more, but not quality."""

    def route(_request: Request, _ladder: tuple[Tier, ...]) -> Choice:
        raise KeyError("nope")

    result = call(ScriptedModels(small="good", large="good"), policy(route=route))
    assert [a.tier for a in result.attempts] == ["large"]
    assert "route: KeyError" in result.decision.faults[0]


def test_a_guard_that_breaks_stops_the_call_in_every_mode() -> None:
    """Private text is not sent anywhere because its guard failed, not even by the kill switch."""

    def guard(_request: Request, _ladder: tuple[Tier, ...]) -> Choice:
        raise ScopeError("no tier may see this")

    models = ScriptedModels(small="good", large="good")
    for mode in ("optimise", "observe", "off"):
        with pytest.raises(ScopeError):
            call(models, policy(guards=(guard,), mode=mode))
    assert models.asked == []


def test_a_judge_that_may_not_see_the_request_is_not_asked() -> None:
    """A check's own tiers are held by the guards too: its prompt quotes the private text."""
    cloud = Tier("cloud", rate=CHEAP)
    tiers = (Tier("own", rate=CHEAP, self_hosted=True), Tier("own large", rate=DEAR, self_hosted=True))
    models = ScriptedModels(**{"own": "good", "own large": "good", "cloud": '{"score": 5, "reason": "fine"}'})
    private = ask(tags={"data_class": "private"})
    held = policy(tiers=tiers, judges=(cloud,), check=judged_by("cloud"), guards=(by_data_class(),))
    result = call(models, held, private)
    assert [a.tier for a in result.attempts] == ["own", "own large"]
    assert "cloud not consulted" in result.decision.route


@pytest.mark.parametrize("named", [("small", "large"), ("small", "large", "judge")])
def test_a_guard_that_names_tiers_holds_for_judges(named: tuple[str, ...]) -> None:
    """A judge that `only` does not name is not asked, and the call goes on without it; it may be named there."""
    models = ScriptedModels(small="good", large="good", judge='{"score": 5, "reason": "fine"}')
    result = call(models, policy(judges=(JUDGE,), check=judged_by("judge"), guards=(only(*named),)))
    assert ("judge" in [a.tier for a in result.attempts]) is ("judge" in named)
    assert ("judge not consulted" in result.decision.route) is ("judge" not in named)
    assert result.tier == ("small" if "judge" in named else "large")


def test_a_guard_is_refused_as_a_route() -> None:
    """A broken route is gone round, so a guard among the routes would not hold."""
    with pytest.raises(ConfigError, match="guards="):
        policy(route=by_data_class())


def test_a_route_to_an_unknown_tier_is_refused() -> None:
    """A typo in a tier's name is found when the policy is made, not in production."""
    with pytest.raises(ConfigError, match="'lagre'"):
        policy(route=start_at("lagre"))


def test_a_check_of_an_unknown_tier_is_refused() -> None:
    """However deep in a composition; a tier of the ladder and a judge are both known."""
    with pytest.raises(
        ConfigError, match=r"check names \['juge'\].*'small', 'large'.*'judge'.*add the model to judges"
    ):
        policy(judges=(JUDGE,), check=says("good") & judged_by("judge") | judged_by("juge"))
    assert policy(judges=(JUDGE,), check=judged_by("judge") & agrees_with("large"))


def test_a_judge_is_no_place_to_route_to() -> None:
    """It never answers the user: not by a route, and not by name."""
    with pytest.raises(ConfigError, match=r"route names \['judge'\].*which only checks ask"):
        policy(judges=(JUDGE,), route=start_at("judge"))
    made = policy(judges=(JUDGE,))
    assert made.tier("judge") is JUDGE
    with pytest.raises(RequestError, match=r"no tier 'judge'.*which only checks ask, \['judge'\]"):
        made.rung("judge")
    with pytest.raises(RequestError, match=r"no tier 'juge'"):
        made.tier("juge")


def test_a_judge_is_never_asked_to_answer() -> None:
    """With every tier failing it stays a judge, and the baseline is still the strongest tier."""
    models = ScriptedModels(small=ServerError("boom"), large=ServerError("boom"), judge="an answer")
    with pytest.raises(ServerError):
        call(models, policy(judges=(JUDGE,), check=judged_by("judge"), retries=Retries(per_tier=0)))
    assert [asked.tier.name for asked in models.asked] == ["small", "large"]
    assert policy(judges=(JUDGE,)).strongest.name == "large"


def test_what_judges_is_part_of_the_cache_scope() -> None:
    """Another judge accepts other answers: entries of one policy are not the other's."""
    scopes = {policy(judges=judges).scope for judges in ((), (JUDGE,), (Tier("judge", model="k", rate=CHEAP),))}
    assert len(scopes) == 3


def test_a_judge_is_asked_with_retries_and_billed() -> None:
    """A check may be a plan: what it asks is an attempt of the same call."""

    def judged(_request: Request, reply: Reply) -> Plan[Verdict]:
        opinion = yield from Consult("judge", ask(f"is it fine? {reply.text}"), "judge")
        assert isinstance(opinion, Reply)
        return Verdict(float(opinion.text == "yes"), "the judge's word")

    models = ScriptedModels(small="answer", large="never", judge=[ServerError("boom"), "yes"])
    result = call(models, policy(judges=(JUDGE,), check=judged))
    assert story(result) == [
        ("small", "draft", "accepted"),
        ("judge", "judge", "failed"),
        ("judge", "retry", "consulted"),
    ]
    assert result.tier == "small"
    prices = [a.pico_usd for a in result.attempts]
    assert prices[2] and result.pico_usd == sum(p for p in prices if p is not None)


def test_a_judge_gets_the_prompt_text_that_is_its_own() -> None:
    """Additions are made to whatever is asked of the tier that has them."""
    judge = Tier("judge", rate=CHEAP, additions=Additions(system="Be strict."))
    models = ScriptedModels(small="good", large="good", judge='{"score": 5, "reason": "fine"}')
    call(models, policy(judges=(judge,), check=judged_by("judge")))
    assert [edit.text for edit in models.asked[1].edits.messages] == ["Be strict."]  # type: ignore[union-attr]


def _names_nobody(_request: Request, _reply: Reply) -> Plan[Verdict]:
    yield Consult("nobody", ask("is it fine?"), "judge")
    return Verdict(1.0, "fine")


def _asks_past_the_policy(_request: Request, _reply: Reply) -> Plan[Verdict]:
    yield Ask(JUDGE, ask("is it fine?"), NO_EDITS, "judge")
    return Verdict(1.0, "fine")


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (_names_nobody, "there is no tier 'nobody'"),
        (_asks_past_the_policy, "the check yielded Ask for tier 'judge': yield Consult('judge', ...)"),
    ],
)
def test_a_check_that_asks_wrongly_is_a_broken_one(check: Any, said: str) -> None:
    """It scores 0, so that the next tier is asked, and nothing is asked that no book would hold."""
    models = ScriptedModels(small="good", large="good", judge="5")
    result = call(models, policy(judges=(JUDGE,), check=check))
    assert story(result) == [("small", "draft", "rejected"), ("large", "escalation", "accepted")]
    assert [asked.tier.name for asked in models.asked] == ["small", "large"]
    assert said in result.decision.faults[0]


def test_validation_retries_ask_the_last_tier_again() -> None:
    """With validation retries the last tier's answer is checked too, and asked for again."""
    models = ScriptedModels(small="bad", large=["bad", "good"])
    result = call(models, policy(retries=Retries(validation=1)))
    assert story(result)[1:] == [
        ("large", "escalation", "rejected"),
        ("large", "validation_retry", "accepted"),
    ]


def test_on_exhausted_error_says_what_to_do() -> None:
    """The error names the threshold, the best score and the ways out."""
    models = ScriptedModels(small="bad", large="bad")
    with pytest.raises(CallFailed, match=r"threshold 0\.5 \(best score 0\.00\).*best_draft"):
        call(models, policy(retries=Retries(validation=1), on_exhausted="error"))


def test_a_function_tier_answers_for_nothing_or_declines() -> None:
    """Rules need no model; what they decline goes to one."""
    rules = function_tier("rules", lambda r: "42" if "answer" in r.question else None)
    tiers = (rules, *policy().tiers)
    models = ScriptedModels(small="a good one", large="never")
    free = call(models, policy(tiers=tiers, check=None), ask("the answer?"))
    assert free.tier == "rules" and free.pico_usd == 0 and (free.attempts[0].baseline_pico or 0) > 0
    paid = call(models, policy(tiers=tiers, check=None), ask("else?"))
    assert story(paid) == [("small", "draft", "accepted")]


def test_a_tier_priced_by_its_time_is_billed_by_it_and_a_hit_spares_it() -> None:
    """At 3.60 an hour a millisecond costs a micro-dollar, whatever the tokens."""
    own = Tier("own", model="o", rate=gpu_hour_rate("3.60"), self_hosted=True)
    timed = policy(tiers=(own,), cache=ExactCache(MemoryStore()))
    first, second = (call(ScriptedModels(own="good"), timed) for _ in range(2))
    (paid,), (hit,) = first.attempts, second.attempts
    assert paid.usage.gpu_ms == ceil(paid.latency_ms)
    assert paid.pico_usd == paid.usage.gpu_ms * 1_000_000
    assert (hit.outcome, hit.pico_usd, hit.baseline_pico) == ("hit", 0, paid.pico_usd)


def test_observe_changes_nothing_and_says_what_would_have_been() -> None:
    """The strongest tier answers, as it did before tuppence; the decision tells the rest."""
    cache = ExactCache(MemoryStore())
    models = ScriptedModels(small="good", large="good")
    observed = policy(mode="observe", cache=cache)
    first, second = call(models, observed), call(models, observed)
    assert [a.tier for a in first.attempts + second.attempts] == ["large", "large"]
    assert "start at small" in first.decision.would
    assert "serve from the cache" in second.decision.would


def test_the_kill_switch_turns_every_optimisation_off() -> None:
    """Straight to the strongest tier, not cached, and still accounted."""
    models = ScriptedModels(small="good", large="good")
    switch_off()
    result = call(models, policy(cache=ExactCache(MemoryStore())))
    assert story(result) == [("large", "draft", "accepted")]
    assert result.pico_usd > 0 and result.decision.cache == "off"


def test_the_spending_limit_stops_before_the_dear_tier() -> None:
    """A draft in hand is returned; without one, a clear error before any call."""
    models = ScriptedModels(small="bad", large="good")
    request = ask(params={"max_tokens": 100})
    result = call(models, policy(max_usd_per_call=Decimal("0.001")), request)
    assert story(result) == [("small", "draft", "accepted")]
    with pytest.raises(SpendLimitReached, match="raise max_usd_per_call"):
        call(models, policy(max_usd_per_call=Decimal("0.0000001")), request)


def test_a_tier_without_price_cannot_pass_a_limit() -> None:
    """A limit that cannot be checked stops the call."""
    with pytest.raises(SpendLimitReached):
        call(ScriptedModels(free="x"), policy(tiers=(Tier("free"),), max_usd_per_call=Decimal("1")))


def test_a_tier_that_keeps_failing_rests() -> None:
    """The circuit breaker saves the wait for a tier that is down, and lets one call try it after its rest."""
    tiers = (Tier("small", rate=CHEAP, health=Health(trip_after=2, rest_s=60)), Tier("large", rate=DEAR))
    models = ScriptedModels(small=ServerError("down"), large="good")
    down = policy(tiers=tiers, retries=Retries(per_tier=0))
    for _ in range(4):
        call(models, down)
    assert sum(a.tier.name == "small" for a in models.asked) == 2
    later = Request((Message("user", "again"),), received_at=2_000.0)
    call(models, down, later)
    assert sum(a.tier.name == "small" for a in models.asked) == 3


def test_capabilities_choose_who_is_asked() -> None:
    """A tier that cannot use tools is not asked to."""
    tiers = (Tier("small", capabilities=frozenset()), Tier("large"))
    result = call(ScriptedModels(small="good", large="good"), policy(tiers=tiers), ask(tools=({"name": "f"},)))
    assert result.tier == "large" and "small skipped: it cannot do tools" in result.decision.route


def test_additions_are_edits_for_one_tier_only() -> None:
    """A small model may need examples that a large one does not."""
    small = Tier("small", additions=Additions(system="Be brief.", examples=(("2+2?", "4"),)))
    models = ScriptedModels(small="bad", large="good")
    call(models, policy(tiers=(small, Tier("large"))))
    assert [len(a.edits.messages) for a in models.asked] == [3, 0]


def test_a_failed_call_that_comes_again_is_the_same_logical_call() -> None:
    """A framework's own retry shows as amplification, not as a new call."""
    shared = policy(retries=Retries(per_tier=0), tiers=(Tier("small", rate=CHEAP),))
    models = ScriptedModels(small=[ServerError("boom"), "good"])
    settled: list[Result] = []
    with pytest.raises(ServerError):
        call(models, shared, on_settled=settled.append)
    again = call(models, shared, on_settled=settled.append)
    assert again.call_id == settled[0].call_id
    assert again.attempts[0].cause == "retry"


def test_equal_questions_of_two_users_are_two_calls() -> None:
    """Without a failure before it, the same text is another call."""
    models = ScriptedModels(small="good", large="")
    assert call(models, policy()).call_id != call(models, policy()).call_id


def test_a_stream_shows_only_the_accepted_answer() -> None:
    """No word of the rejected draft reaches the user; what is accepted is billed as when invoked."""
    models = ScriptedModels(small="bad draft", large="the real answer")
    settled: list[Result] = []
    chunks = list(stream(plan(ask(streaming=True), policy()), Port(models, on_settled=settled.append)))
    assert "".join(chunks).split() == ["the", "real", "answer"]
    assert story(settled[0]) == [("small", "draft", "rejected"), ("large", "escalation", "accepted")]


@pytest.mark.parametrize(
    ("usage", "is_estimate", "status"),
    [
        (Usage(input=7, output=2), False, "exact"),
        (Usage(input=7, output=2), True, "estimated"),
        (None, False, "estimated"),
    ],
    ids=["counted", "part guess", "untold"],
)
def test_what_an_answer_used_is_billed_as_it_is_known(usage: Usage | None, is_estimate: bool, status: str) -> None:
    """Counts are kept where a part of them is a guess; the bill is flagged then, and so is the reply."""
    result = call(ScriptedModels(small=Reply("good", usage=usage, usage_is_estimate=is_estimate)), policy())
    (attempt,) = result.attempts
    assert attempt.status == status
    assert usage in (None, attempt.usage)
    assert result.reply is not None
    assert result.reply.usage_is_estimate is (status == "estimated")


@pytest.mark.parametrize("is_estimate", [True, False])
def test_a_hit_is_free_whatever_was_known_of_its_answer(is_estimate: bool) -> None:
    """Nothing was bought for it, and that is exact; what it spared is told of the first answer's usage."""
    kept = policy(cache=ExactCache(MemoryStore()))
    models = ScriptedModels(small=Reply("good", usage=Usage(input=7, output=2), usage_is_estimate=is_estimate))
    call(models, kept)
    (hit,) = call(models, kept).attempts
    assert (hit.outcome, hit.status, hit.pico_usd) == ("hit", "exact", 0)
    assert hit.baseline_pico == DEAR.cost(Usage(input=7, output=2))


def test_an_abandoned_stream_is_billed_by_a_flagged_estimate() -> None:
    """Closing half-way settles what was consumed and gives the cache lease back."""
    cache = ExactCache(MemoryStore())
    models = ScriptedModels(small="one two three four", large="never")
    lazy = policy(check=None, cache=cache)
    settled: list[Result] = []
    chunks = stream(plan(ask(streaming=True), lazy), Port(models, cache=cache, on_settled=settled.append))
    assert next(chunks) == "one "
    chunks.close()  # type: ignore[attr-defined]
    (attempt,) = settled[0].attempts
    assert (attempt.outcome, attempt.status) == ("abandoned", "estimated")
    assert attempt.usage.output > 0 and (attempt.pico_usd or 0) > 0
    assert call(models, lazy).reply is not None


def test_an_abandoned_stream_is_billed_whichever_of_its_parts_the_collector_ends_first() -> None:
    """A cycle's members are finalised in the order in which they were made, and a plan is older than its driver."""
    settled: list[Result] = []
    flow = plan(ask(streaming=True), policy(check=None))
    chunks = stream(flow, Port(ScriptedModels(small="one two three four", large="never"), on_settled=settled.append))
    assert next(chunks) == "one "
    cycle: list[Any] = [chunks]
    cycle.append(cycle)
    del chunks, flow, cycle
    gc.collect()
    (attempt,) = settled[0].attempts
    assert (attempt.outcome, attempt.status) == ("abandoned", "estimated")


async def test_an_abandoned_async_stream_is_billed_whichever_of_its_parts_the_collector_ends_first() -> None:
    """The loop ends an asynchronous stream some time after the collector has been through."""
    settled: asyncio.Queue[Result] = asyncio.Queue()
    flow = plan(ask(streaming=True), policy(check=None))
    models = ScriptedModels(small="one two three four", large="never")
    chunks = astream(flow, Port(models, on_settled=settled.put_nowait))
    assert await anext(chunks) == "one "
    cycle: list[Any] = [chunks]
    cycle.append(cycle)
    del chunks, flow, cycle
    gc.collect()
    result = await asyncio.wait_for(settled.get(), timeout=30)
    assert [one.outcome for one in result.attempts] == ["abandoned"]


def test_a_stream_that_dies_after_its_first_chunk_is_committed() -> None:
    """The user has seen part of it: neither retry nor fail-over, the error goes up, the part is billed."""

    class Dying(ScriptedModels):
        def stream(self, ask: Ask) -> Iterator[Any]:
            items = super().stream(ask)
            yield next(items)
            raise ServerError("lost")

    models = Dying(small="one two", large="never")
    chunks = stream(plan(ask(streaming=True), policy(check=None)), Port(models))
    assert next(chunks) == "one "
    with pytest.raises(ServerError):
        next(chunks)
    assert len(models.asked) == 1


BAD_POLICIES: list[tuple[dict[str, Any], str]] = [
    ({"tiers": ()}, "no tiers"),
    ({"tiers": (Tier("a"), Tier("a"))}, "two tiers or judges are called 'a'"),
    ({"judges": (Tier("small"),)}, "two tiers or judges are called 'small'"),
    ({"threshold": 1.5}, "threshold is 1.5"),
    ({"mode": "fast"}, "mode is 'fast'"),
    ({"on_exhausted": "cry"}, "on_exhausted is 'cry'"),
    ({"max_usd_per_call": Decimal("-1")}, "max_usd_per_call is -1"),
    ({"max_usd_per_call": Decimal("NaN")}, "max_usd_per_call is NaN"),
]


@pytest.mark.parametrize(("options", "message"), BAD_POLICIES)
def test_a_policy_that_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    """The error names the value."""
    with pytest.raises(ConfigError, match=message):
        policy(**options)


def test_a_request_without_messages_is_refused() -> None:
    """There is nothing to ask."""
    with pytest.raises(RequestError, match="no messages"):
        Request(())


def test_a_stream_that_dies_after_its_first_piece_is_never_followed_by_a_rejected_draft() -> None:
    """What the user has seen is the beginning of another answer."""

    class Dying(ScriptedModels):
        def stream(self, ask: Ask) -> Iterator[Any]:
            pieces = super().stream(ask)
            if ask.tier.name == "small":
                yield from pieces
                return
            yield next(pieces)
            raise ServerError("died")

    ledger = Kept()
    models = Dying(small="a poor draft", large="a good answer")
    pieces = stream(plan(ask(streaming=True), policy()), Port(models, ledger=ledger))
    assert next(pieces) == "a "
    with pytest.raises(ServerError):
        next(pieces)
    (result,) = ledger.results
    assert story(result) == [("small", "draft", "rejected"), ("large", "escalation", "failed")]
    assert result.reply is None


class Kept:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    def write(self, result: Result) -> None:
        self.results.append(result)

    def flush(self, timeout_s: float = 10.0) -> None: ...
    def close(self) -> None: ...
