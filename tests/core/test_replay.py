"""Recorded rows through the flow: the decisions are those that were taken online, and nothing is made up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuppence.attempts import Result, Verdict
from tuppence.cache import ExactCache, MemoryStore
from tuppence.checks import agrees_with, judged_by
from tuppence.drivers import run
from tuppence.effects import Ask, Choice
from tuppence.errors import CallFailed, SpendLimitReached
from tuppence.evidence.outcomes import Outcome, Outcomes, RecordedAttempt, RecordedCall
from tuppence.evidence.replay import Player, Recorded, recorded, replayable
from tuppence.flow import plan
from tuppence.policy import Policy, Retries
from tuppence.ports import Port
from tuppence.prices import gpu_hour_rate, token_rate
from tuppence.request import Message, Reply, Request, ToolCall
from tuppence.routes import TaskPolicy, Then, by_size, by_task, only
from tuppence.routes.compose import Composable
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier, function_tier
from tuppence.usage import Usage

SMALL = Tier("small", model="s-1", rate=token_rate(input="1", output="2"))
MIDDLE = Tier("middle", model="m-1", rate=token_rate(input="3", output="6"))
LARGE = Tier("large", model="l-1", rate=token_rate(input="10", output="20"))
TIERS = (SMALL, MIDDLE, LARGE)

QUESTIONS = {
    "q1": ("What is two and two?", "sums", {"small": "4", "middle": "4", "large": "4"}),
    "q2": ("Why is the sky blue?", "", {"small": "I cannot help with that.", "middle": "Air", "large": "Air"}),
    "q3": ("Name a prime. " * 60, "sums", {"small": "9", "middle": "7", "large": "11"}),
    "q4": ("Say nothing.", "", {"small": "", "middle": "", "large": ""}),
}  # fmt: skip


def request(id_: str) -> Request:
    text, task, _ = QUESTIONS[id_]
    return Request((Message("user", text),), tags={"task": task} if task else {}, call_id=id_, received_at=1_000.0)


def online(policy: Policy, id_: str) -> Result:
    """Take the call for real: the sync driver, a real port, and models that answer from a script."""
    models = ScriptedModels(**QUESTIONS[id_][2])
    return run(plan(request(id_), policy), Port(models, cache=policy.cache))


def rows() -> list[Outcomes]:
    """Record what each tier says, by asking it alone."""
    found = []
    for id_, (text, task, answers) in QUESTIONS.items():
        asked = {tier.name: online(Policy(tiers=(tier,)), id_) for tier in TIERS}
        by_model = {
            tier.model: Outcome(
                1.0, answers[tier.name], not answers[tier.name], asked[tier.name].attempts[0].usage.input,
                asked[tier.name].attempts[0].usage.output, asked[tier.name].pico_usd, 5.0,
            )
            for tier in TIERS
        }  # fmt: skip
        found.append(Outcomes(id_, text, by_model, task=task, at=1_000.0))
    return found


def story(result: Result) -> list[Any]:
    return [(a.tier, a.model, a.cause, a.outcome, a.score, a.pico_usd) for a in result.attempts]


def played(policy: Policy, row: Any) -> Any:
    made = recorded(row)
    assert made is not None
    return Player(policy).play(made)


POLICIES = {
    "the default check": Policy(tiers=TIERS),
    "agreement": Policy(tiers=TIERS, check=agrees_with("middle"), threshold=0.9),
    "a route by task": Policy(tiers=TIERS, route=by_task({"sums": TaskPolicy("middle", 0.1)})),
    "a route by size": Policy(tiers=TIERS, route=by_size(small_words=10, large_words=50)),
    "a guard": Policy(tiers=TIERS, guards=(only("small", "large"),)),
    "no check": Policy(tiers=TIERS, check=None),
    "validation retries": Policy(tiers=TIERS, retries=Retries(validation=1)),
    "a limit": Policy(tiers=TIERS, max_usd_per_call=Decimal("0.004")),
    "rules first": Policy(tiers=(function_tier("rules", lambda _request: None), *TIERS)),
    "observe": Policy(tiers=TIERS, mode="observe"),
}


@pytest.mark.parametrize("name", POLICIES)
def test_the_same_decisions_online_and_in_replay(name: str) -> None:
    """The same tiers in the same order, for the same reasons, with the same scores, at the same cost."""
    for row in rows():
        live = online(POLICIES[name], row.id)
        again = played(POLICIES[name], row).result
        assert story(again) == story(live)
        assert again.decision == replace(live.decision, policy_version=again.decision.policy_version)
        assert (again.tier, again.pico_usd, again.call_id) == (live.tier, live.pico_usd, live.call_id)
        assert again.reply.text == live.reply.text


answers = st.sampled_from(["yes", "no", "", "I cannot help with that.", "yes and no"])


@settings(max_examples=60, deadline=None)
@given(st.tuples(answers, answers, answers), st.floats(0.0, 1.0))
def test_whatever_the_models_say(said: tuple[str, str, str], threshold: float) -> None:
    """Any answers, any threshold: replay asks whom the flow asked."""
    names = [tier.name for tier in TIERS]
    policy = Policy(tiers=TIERS, check=agrees_with("large"), threshold=threshold)
    asked = Request((Message("user", "is it so?"),), call_id="q", received_at=0.0)
    live = run(plan(asked, policy), Port(ScriptedModels(**dict(zip(names, said, strict=True)))))
    by_model = {
        tier.model: Outcome(None, text, not text, 3, len(text.split()))
        for tier, text in zip(TIERS, said, strict=True)
    }  # fmt: skip
    again = played(policy, Outcomes("q", "is it so?", by_model)).result
    assert story(again) == story(live)


def row(**by_model: Outcome) -> Outcomes:
    return Outcomes("q", "a question", by_model)


CHEAP_BAD = Outcome(0.0, "", True, 10, 0, 100, 20.0)
DEAR_GOOD = Outcome(1.0, "good", False, 10, 1, 5_000, 300.0)


def test_a_recorded_cost_wins_over_the_price() -> None:
    """What was paid was paid, also against a list that says otherwise; the baseline is the large model's own cost."""
    found = played(Policy(tiers=(SMALL, LARGE)), row(**{"s-1": CHEAP_BAD, "l-1": DEAR_GOOD}))
    assert found.pico_usd == 5_100
    assert [a.baseline_pico for a in found.result.attempts] == [None, 5_000]
    good = replace(CHEAP_BAD, answer="good", no_answer=False)
    accepted = played(Policy(tiers=(SMALL, LARGE)), row(**{"s-1": good, "l-1": DEAR_GOOD}))
    assert (accepted.pico_usd, accepted.result.attempts[0].baseline_pico) == (100, 5_000)


@pytest.mark.parametrize(
    ("outcome", "rate", "expected"),
    [
        (Outcome(1.0, "x", False, 10, 5), SMALL.rate, 20 * 1_000_000),
        (Outcome(1.0, "x", False, 10, 5, latency_ms=1_800.0), gpu_hour_rate("2"), 10**12 // 1_000),
        (Outcome(1.0, "x", latency_ms=1_800.0), gpu_hour_rate("2"), 10**12 // 1_000),
        (Outcome(1.0, "x", False, 10, 5), gpu_hour_rate("2"), None),
        (Outcome(1.0, "x"), gpu_hour_rate("2"), None),
        (Outcome(1.0, "x", False, 10, 5), None, None),
        (Outcome(1.0, "x", False, None, 5), SMALL.rate, None),
    ],
)
def test_without_one_the_tokens_are_priced(outcome: Outcome, rate: Any, expected: int | None) -> None:
    """By the tier's own rate; and what has no price is not free."""
    policy = Policy(tiers=(replace(SMALL, rate=rate),))
    assert played(policy, row(**{"s-1": outcome})).pico_usd == expected


def test_without_tokens_they_are_estimated_and_that_is_said() -> None:
    """As the flow does it online, where a provider does not say."""
    found = played(Policy(tiers=(SMALL,)), row(**{"s-1": Outcome(1.0, "a good answer")}))
    assert found.pico_usd > 0
    assert found.result.attempts[0].status == "estimated"


def test_score_and_latency_are_those_of_the_calls_made() -> None:
    """The answer's own score; the sum of what each attempt took, or nothing where one was not timed."""
    both = row(**{"s-1": CHEAP_BAD, "l-1": DEAR_GOOD})
    found = played(Policy(tiers=(SMALL, LARGE)), both)
    assert (found.score, found.latency_ms, found.missing) == (1.0, 320.0, "")
    untimed = row(**{"s-1": replace(CHEAP_BAD, latency_ms=None), "l-1": DEAR_GOOD})
    assert played(Policy(tiers=(SMALL, LARGE)), untimed).latency_ms is None


def test_tiers_are_found_by_model_or_by_name() -> None:
    """Data sets know models; recorded traffic knows the tiers' own names."""
    assert played(Policy(tiers=(SMALL,)), row(small=DEAR_GOOD)).score == 1.0


# -- what a row does not hold


@pytest.mark.parametrize(
    ("policy", "lacks"),
    [
        (Policy(tiers=(SMALL, LARGE)), "l-1"),
        (Policy(tiers=(LARGE,)), "l-1"),
        (Policy(tiers=(SMALL, LARGE), judges=(MIDDLE,), check=agrees_with("middle")), "m-1"),
        (Policy(tiers=(function_tier("rules", lambda _request: "42"), SMALL)), "rules"),
    ],
)
def test_what_is_missing_is_said_and_never_guessed(policy: Policy, lacks: str) -> None:
    """What a model that was not asked would have said, and what a rule's answer would have been worth."""
    assert played(policy, row(**{"s-1": CHEAP_BAD})).missing == lacks


def test_a_judge_that_answered_the_question_has_not_judged_the_answer() -> None:
    """Its outcome is there, but for another request."""
    policy = Policy(tiers=(SMALL, LARGE), judges=(MIDDLE,), check=judged_by("middle"))
    full = row(**{"s-1": DEAR_GOOD, "m-1": DEAR_GOOD, "l-1": DEAR_GOOD})
    assert played(policy, full).missing == "what middle says when asked as judge"


def test_a_text_that_was_not_recorded_is_told() -> None:
    """The check saw an empty one; `no_answer` says that there was none."""
    assert played(Policy(tiers=(SMALL,)), row(**{"s-1": Outcome(1.0, "")})).textless
    assert not played(Policy(tiers=(SMALL,)), row(**{"s-1": CHEAP_BAD})).textless


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"on_exhausted": "error", "retries": Retries(validation=1)}, CallFailed),
        ({"max_usd_per_call": Decimal("0.000000001")}, SpendLimitReached),
    ],
)
def test_a_call_that_ends_without_an_answer_scores_nothing(options: Any, error: type[Exception]) -> None:
    """It is no missing row: online it would have ended so, too."""
    policy = Policy(tiers=(SMALL,), **options)
    with pytest.raises(error):
        online(policy, "q4")
    found = played(policy, next(one for one in rows() if one.id == "q4"))
    assert (found.answered, found.score, found.missing) == (False, 0.0, "")


# -- a policy that is in use


def test_a_replay_leaves_the_running_policy_alone() -> None:
    """Its cache, its tiers' health and the retries that it recognises are its own."""
    cache = ExactCache(MemoryStore())
    policy = Policy(tiers=(SMALL, LARGE), cache=cache)
    before = policy.scope
    copy = replayable(policy)
    assert (copy.cache, copy.prefix, copy.scope) == (None, None, before)
    assert all(mine.health is not its.health for mine, its in zip(policy.tiers, copy.tiers, strict=True))
    assert copy.recent is not policy.recent
    found = [played(policy, row(**{"s-1": DEAR_GOOD, "l-1": DEAR_GOOD})) for _ in range(2)]
    assert [one.result.attempts[0].cause for one in found] == ["draft", "draft"]


@dataclass(frozen=True, slots=True)
class Counting(Composable):
    """A route that keeps what it was told."""

    told: list[str]

    def __call__(self, _request: Request, ladder: tuple[Tier, ...]) -> Choice:
        return Choice(ladder, "counted")

    def learn(self, request: Request, _result: Result) -> None:
        self.told.append(request.question)

    def apart(self) -> Counting:
        return Counting([])


def test_a_route_that_learns_learns_in_the_replay_only() -> None:
    """Also where it is one part of several."""
    live: list[str] = []
    policy = Policy(tiers=(SMALL,), route=by_size() >> Counting(live))
    player = Player(policy)
    for one in rows():
        made = recorded(one)
        assert made is not None
        player.play(made)
    inner = player.policy.route
    assert isinstance(inner, Then)
    assert isinstance(inner.second, Counting)
    assert len(inner.second.told) == len(QUESTIONS)
    assert live == []
    assert policy.route is not inner


def test_nothing_is_recorded_again() -> None:
    """A replay of recorded traffic must not add to it."""

    class Recorder:
        def record(self, call: Any) -> None:
            raise AssertionError(call)

    policy = Policy(tiers=(SMALL,), record=Recorder())
    assert played(policy, row(**{"s-1": DEAR_GOOD})).result.decision.faults == []


def test_waits_are_free() -> None:
    """A row holds what came of a call, and no plan sleeps for it."""

    def fails(_ask: Ask) -> Reply:
        raise TimeoutError

    policy = Policy(tiers=(SMALL, LARGE), retries=Retries(base_s=30.0, per_tier=0))
    live = run(plan(request("q1"), policy), Port(ScriptedModels(small=fails, large="4")))
    assert live.tier == "large"
    assert played(policy, row(**{"s-1": CHEAP_BAD, "l-1": DEAR_GOOD})).result.tier == "large"


# -- recorded traffic


def call(*attempts: RecordedAttempt, messages: tuple[Message, ...] = (Message("user", "Where is my parcel?"),)) -> Any:
    return RecordedCall("c-1", Request(messages, received_at=50.0), attempts, "v1", "optimise")


def attempt(tier: str, model: str, reply: Reply, outcome: Any = "accepted", pico: int = 70) -> RecordedAttempt:
    return RecordedAttempt(tier, model, "draft", outcome, None, pico, "exact", 12.0, None, reply)


def test_traffic_keeps_its_requests_and_replies() -> None:
    """The whole conversation, tool calls and probabilities, which outcomes have no room for."""
    said = Reply("", (ToolCall("1", "track", '{"id": 7}'),), "tool_calls", Usage(input=9, output=4), logprobs=(-0.1,))
    history = (Message("system", "You track parcels."), Message("user", "Where is my parcel?"))
    seen: list[tuple[Request, Reply]] = []

    def check(request: Request, reply: Reply) -> Verdict:
        seen.append((request, reply))
        return Verdict(1.0, "looked")

    found = played(Policy(tiers=(SMALL, LARGE), check=check), call(attempt("small", "s-1", said), messages=history))
    assert found.pico_usd == 70
    ((asked, reply),) = seen
    assert asked.system == "You track parcels."
    assert (reply.tool_calls, reply.finish, reply.logprobs) == (said.tool_calls, "tool_calls", (-0.1,))
    assert said.native is None


def test_traffic_is_known_by_its_models_too() -> None:
    """A second policy may call its tiers otherwise."""
    told = call(attempt("tiny", "s-1", Reply("here", finish="stop")))
    assert played(Policy(tiers=(SMALL,)), told).pico_usd == 70
    assert played(Policy(tiers=(replace(SMALL, name="other", model="x"),)), told).missing == "x"


def test_two_tiers_of_one_model_are_told_apart_by_name() -> None:
    """Which of the two a third tier of that model would be, nobody knows."""
    told = call(
        attempt("brief", "s-1", Reply("no", finish="stop"), "rejected", 1), attempt("long", "s-1", Reply("yes"), pico=2)
    )
    brief, other = replace(SMALL, name="brief"), replace(SMALL, name="third")
    assert played(Policy(tiers=(brief,)), told).pico_usd == 1
    assert played(Policy(tiers=(other,)), told).missing == "s-1"


def test_a_call_that_a_cache_answered_is_no_row() -> None:
    """No model was asked."""
    assert recorded(call()) is None


def test_a_row_may_be_labelled_on_its_way() -> None:
    """A `Recorded` is replayed as it is."""
    made = recorded(call(attempt("small", "s-1", Reply("here", finish="stop"))))
    assert isinstance(made, Recorded)
    graded: Mapping[str, Outcome] = {n: replace(o, score=0.4) for n, o in made.outcomes.by_model.items()}
    assert played(Policy(tiers=(SMALL,)), replace(made, outcomes=replace(made.outcomes, by_model=graded))).score == 0.4
