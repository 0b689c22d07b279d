"""An adaptive route finds each task's tier: down where first answers keep passing, up where they do not, never below
its floor, and not to and fro.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuppence.attempts import Attempt, Decision, Result
from tuppence.checks import custom as custom_check
from tuppence.checks import not_empty
from tuppence.drivers import run
from tuppence.errors import ConfigError
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.request import Reply
from tuppence.routes import by_data_class
from tuppence.routes.adaptive import Adaptive, adaptive
from tuppence.routes.beliefs import Belief, beta_above
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier, function_tier
from tuppence.usage import Usage

from .ladder import asked, chosen

NAMES = ("small", "medium", "large")
LADDER = tuple(map(Tier, NAMES))


def attempt(tier: str, cause: Any, outcome: Any, score: float | None = 0.9) -> Attempt:
    return Attempt(tier, tier, cause, outcome, Usage(), 0, "exact", "v1", 0.0, 1.0, score)


def start(route: Adaptive, ladder: tuple[Tier, ...] = LADDER, **tags: str) -> str:
    found = chosen(route, asked(**tags), ladder)
    assert found is not None
    return found[0]


def call(route: Adaptive, good: Callable[[str], bool], ladder: tuple[Tier, ...] = LADDER, **tags: str) -> str:
    """Make one call as the flow would: the last tier is not checked. Return where it started."""
    first = start(route, ladder, **tags)
    last = ladder[-1].name
    if first == last:
        attempts = [attempt(first, "draft", "accepted", None)]
    elif good(first):
        attempts = [attempt(first, "draft", "accepted")]
    else:
        attempts = [attempt(first, "draft", "rejected", 0.2), attempt(last, "escalation", "accepted", None)]
    request = asked(**tags)
    route.learn(request, Result("1", Reply("x"), attempts, Decision("optimise"), request.tags))
    return first


def starts(route: Adaptive, calls: int, good: Callable[[str], bool], **tags: str) -> list[str]:
    return [call(route, good, **tags) for _ in range(calls)]


def test_a_task_starts_in_the_middle() -> None:
    """Of what is offered, or at its floor if that is higher."""
    assert start(adaptive()) == "medium"
    assert start(adaptive(), LADDER[:2]) == "small"
    assert start(adaptive(floor="large")) == "large"
    assert start(adaptive(floor={"law": "large", "": "small"}), task="law") == "large"
    assert start(adaptive(floor={"law": "large", "": "small"}), task="chat") == "medium"


def test_what_keeps_succeeding_is_demoted() -> None:
    """Beta(9 + n, 1) is above .9 with more than .95 from n = 20 on: 1 - .9^29 = .953."""
    route = adaptive()
    assert starts(route, 40, lambda _tier: True) == ["medium"] * 20 + ["small"] * 20


def test_what_fails_is_promoted() -> None:
    """Two rejections in a row are enough for a tier of which nothing else is known: P falls to .09."""
    route = adaptive()
    assert starts(route, 4, lambda _tier: False) == ["medium"] * 2 + ["large"] * 2


def test_tasks_and_tenants_learn_apart() -> None:
    """One that is easy teaches nothing of another."""
    route = adaptive()
    starts(route, 20, lambda _tier: True, task="easy", tenant="a")
    starts(route, 2, lambda _tier: False, task="hard", tenant="a")
    assert [start(route, task=task, tenant="a") for task in ("easy", "hard", "other")] == ["small", "large", "medium"]
    assert start(route, task="easy", tenant="b") == start(route, task="easy") == "medium"


def test_a_task_that_was_moved_up_stays_until_that_has_faded() -> None:
    """Then the lower tier gets another try, of a few calls, and not sooner each time."""
    route = adaptive(memory_calls=50)
    seen = starts(route, 400, lambda tier: tier != "small")
    runs = [(tier, len(list(run))) for tier, run in itertools.groupby(seen)]
    assert {tier for tier, _ in runs} == {"small", "medium"}
    assert all(length <= 3 for tier, length in runs if tier == "small")
    assert all(length >= 15 for tier, length in runs[:-1] if tier == "medium")
    assert seen.count("small") < 0.1 * len(seen)


def test_the_last_tier_is_left_again() -> None:
    """Nobody checks it, so it cannot prove itself: the tier below gets its try when its failures have faded."""
    route = adaptive(memory_calls=50)
    starts(route, 2, lambda _tier: False)
    assert "medium" in starts(route, 200, lambda _tier: False)
    assert starts(route, 200, lambda tier: tier == "medium")[-1] == "medium"


def test_the_flow_teaches_it() -> None:
    """Real calls with a real check: the small tier knows nothing, and after two rejections nobody starts there."""
    small = function_tier("small", lambda _request: "I do not know")
    large = function_tier("large", lambda _request: "42")
    check = not_empty() & custom_check(lambda _request, reply: float(reply.text != "I do not know"))
    policy = Policy(tiers=(small, large), check=check, route=adaptive())
    called = [run(plan(asked("What is it?", task="t"), policy), Port(ScriptedModels())) for _ in range(4)]
    assert [one.attempts[0].tier for one in called] == ["small", "small", "large", "large"]
    assert all(one.tier == "large" for one in called)


@pytest.mark.parametrize(
    ("attempts", "fell_short", "counts"),
    [
        ([attempt("medium", "draft", "accepted")], False, (1, 0)),
        ([attempt("medium", "draft", "accepted", None)], False, (0, 0)),
        ([attempt("medium", "draft", "rejected"), attempt("large", "escalation", "accepted", None)], False, (0, 1)),
        ([attempt("medium", "draft", "declined"), attempt("large", "fallback", "accepted", None)], False, (0, 1)),
        ([attempt("medium", "draft", "rejected"), attempt("medium", "validation_retry", "accepted")], False, (1, 0)),
        ([attempt("medium", "draft", "accepted"), attempt("large", "escalation", "rejected")], True, (1, 0)),
        ([attempt("medium", "draft", "rejected"), attempt("medium", "validation_retry", "accepted")], True, (0, 1)),
        ([attempt("medium", "draft", "failed"), attempt("medium", "retry", "accepted")], False, (1, 0)),
        ([attempt("medium", "draft", "failed"), attempt("large", "fallback", "accepted", None)], False, (0, 0)),
        ([attempt("medium", "draft", "abandoned")], False, (0, 0)),
        ([attempt("small", "agreement", "consulted"), attempt("medium", "draft", "accepted")], False, (1, 0)),
        ([attempt("cache", "hit", "hit")], False, (0, 0)),
    ],
)
def test_only_first_answers_that_were_checked_count(
    attempts: list[Attempt], fell_short: bool, counts: tuple[int, int]
) -> None:
    """A tier that others escalate to gets the hard questions; one that is down is not worse for it."""
    route, request = adaptive(), asked(task="t")
    assert start(route, task="t") == "medium"
    decision = Decision("optimise", fell_short=fell_short)
    route.learn(request, Result("1", Reply("x"), attempts, decision, request.tags))
    standing = route.standing(task="t")
    assert standing is not None
    assert standing.belief("medium") == Belief(*counts)
    assert standing.belief("large") == Belief()


def test_feedback_counts_too() -> None:
    """A user or a judge may say afterwards what no check saw."""
    route = adaptive()
    assert start(route, task="t") == "medium"
    for _ in range(2):
        route.feedback(task="t", tier="medium", good=False)
    assert start(route, task="t") == "large"
    route.feedback(task="never asked about", tier="medium", good=False)
    assert route.standing(task="never asked about") is None


def test_a_guard_is_respected() -> None:
    """Where it takes the start away the next higher tier offered starts, or the highest left; nothing is forgotten."""
    route = adaptive()
    starts(route, 20, lambda _tier: True)
    assert start(route) == "small"
    assert start(route, LADDER[1:]) == "medium"
    starts(adaptive(), 2, lambda _tier: False)
    assert start(route) == "small"
    local = Tier("medium", self_hosted=True)
    guarded = by_data_class() >> adaptive(floor="large")
    assert chosen(guarded, asked(data_class="public"), (LADDER[0], local, LADDER[2])) == ["large"]
    assert chosen(guarded, asked(data_class="private"), (LADDER[0], local, LADDER[2])) == ["medium"]


def test_it_says_where_a_task_stands() -> None:
    """With what was seen there, in words for the decision."""
    route = adaptive()
    starts(route, 3, lambda _tier: True, task="faq")
    choice = route(asked(task="faq"), LADDER)
    assert choice is not None
    assert choice.reason == "task 'faq' stands at medium, 3 good and 0 rejected there of late: start at medium"
    assert adaptive(floor="small").names == {"small"}
    assert route(asked(), ()) is None


def test_standings_lie_in_a_file(tmp_path: Path) -> None:
    """Written when a task moves, read at the start; other tiers than then begin anew where they must."""
    path = tmp_path / "standings.json"
    route = adaptive(path=path)
    starts(route, 19, lambda _tier: True, task="t")
    assert not path.exists()
    starts(route, 1, lambda _tier: True, task="t")
    again = adaptive(path=path)
    assert start(again, task="t") == "small"
    found = again.standing(task="t")
    assert found is not None and found.belief("medium").good == pytest.approx(19.6, abs=0.5)
    assert start(again, (*LADDER[1:], Tier("huge")), task="t") == "large"
    assert start(adaptive(path=path, floor="medium"), task="t") == "medium"


@pytest.mark.parametrize("content", ["", "{}", '{"format": "tuppence-adaptive/1", "tasks": [{"task": "t"}]}', "[]"])
def test_a_file_without_standings_is_refused(tmp_path: Path, content: str) -> None:
    """The message names it, and how to go on."""
    path = tmp_path / "standings.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match="holds no standings"):
        adaptive(path=path)
    with pytest.raises(ConfigError, match="no path"):
        adaptive().save()


def test_a_route_apart_moves_nothing(tmp_path: Path) -> None:
    """A replay begins where the live route stands, and leaves it and its file alone."""
    path = tmp_path / "standings.json"
    route = adaptive(path=path)
    assert start(route) == "medium"
    starts(route.apart(), 25, lambda _tier: True)
    assert start(route) == "medium" and not path.exists()


def test_tasks_are_bounded() -> None:
    """The one unused for longest is forgotten, and starts in the middle again."""
    route = adaptive(max_tasks=2)
    starts(route, 20, lambda _tier: True, task="a")
    start(route, task="b")
    start(route, task="a")
    start(route, task="c")
    assert len(route.standings) == 2
    assert (route.standing(task="b"), start(route, task="a")) == (None, "small")


def test_many_threads_lose_no_call() -> None:
    """Every answer is counted once."""
    route = adaptive(memory_calls=1e12, target=0.999)
    workers = [threading.Thread(target=starts, args=(route, 200, lambda _tier: True)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    standing = route.standing(task="")
    assert standing is not None
    assert sum(standing.belief(name).good for name in NAMES) == pytest.approx(1_600)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"target": 1.0}, "target"),
        ({"target": 0.0}, "target"),
        ({"promote_below": 0.6}, "rise"),
        ({"demote_above": 0.4}, "rise"),
        ({"retry_above": 0.9}, "never tried"),
        ({"prior_calls": 0.0}, "prior_calls"),
        ({"memory_calls": 5.0}, "memory_calls"),
        ({"max_tasks": 0}, "max_tasks"),
    ],
)
def test_contradicting_settings_are_refused(wrong: dict[str, Any], message: str) -> None:
    """Before the first call."""
    with pytest.raises(ConfigError, match=message):
        adaptive(**wrong)


@given(st.lists(st.booleans(), max_size=300), st.sampled_from(NAMES), st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_no_history_leads_below_the_floor_or_by_two_rungs(passed: list[bool], floor: str, width: int) -> None:
    """Whatever happens, and whatever the ladder's width."""
    ladder = tuple(Tier(name) for name in (*NAMES, "huge", "vast")[:width])
    names = [tier.name for tier in ladder]
    lowest = names.index(floor) if floor in names else 0
    route, before = adaptive(floor=floor, memory_calls=40), None
    for good in passed:
        place = names.index(call(route, lambda _tier, good=good: good, ladder))
        assert place >= lowest
        assert before is None or abs(place - before) <= 1
        before = place


@given(st.floats(0.0, 1.0), st.integers(0, 10_000))
@settings(deadline=None, max_examples=40)
def test_a_tier_far_below_target_is_rarely_started_at(rate: float, seed: int) -> None:
    """With a small tier of any rate up to .6, and a medium one that always passes, few calls start at the small one."""
    draw = random.Random(seed)
    seen = starts(adaptive(), 1_000, lambda tier: tier != "small" or draw.random() < 0.6 * rate)
    assert seen.count("small") < 100


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.5, 0.99))
def test_beliefs_follow_what_is_seen(good: int, bad: int, target: float) -> None:
    """One more success makes a rate more probable, one more failure less; fading goes towards the prior."""
    belief, prior = Belief(good, bad), 10.0
    now = belief.at_least(target, prior=prior)
    assert 0.0 <= now <= 1.0
    assert belief.after(True).at_least(target, prior=prior) >= now - 1e-9
    assert belief.after(False).at_least(target, prior=prior) <= now + 1e-9
    assert belief.faded(0.0).at_least(target, prior=prior) == Belief().at_least(target, prior=prior)


@given(st.floats(0.0, 1.0), st.floats(0.05, 3_000.0), st.floats(0.05, 3_000.0))
def test_the_beta_tail_is_right(x: float, a: float, b: float) -> None:
    """Beside scipy's."""
    special = pytest.importorskip("scipy.special")
    assert beta_above(x, a, b) == pytest.approx(1.0 - special.betainc(a, b, x), abs=1e-8)


def test_what_is_saved_is_plain_json(tmp_path: Path) -> None:
    """Names and counts; no text of a request."""
    route = adaptive()
    starts(route, 1, lambda _tier: True, task="t", tenant="a")
    route.save(tmp_path / "x")
    assert json.loads((tmp_path / "x").read_text()) == {
        "format": "tuppence-adaptive/1",
        "tasks": [
            {"tenant": "a", "task": "t", "order": list(NAMES), "start": "medium", "beliefs": {"medium": [1.0, 0.0]}}
        ],
    }
