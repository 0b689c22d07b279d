"""Who goes which way in an experiment: always the same way, in the set share, and counted once."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.attempts import Attempt, Decision, Result
from tuppence.effects import Choice
from tuppence.errors import ConfigError
from tuppence.request import Reply, Request
from tuppence.routes import by_data_class, only, start_at, sticky
from tuppence.routes.experiment import Experiment, Observation, among
from tuppence.usage import Usage

from .ladder import LADDER, LARGE, asked, chosen

TREATED = Experiment("mini", treatment=among("large"), control=among("small"), share=0.3)


class Seen(list[Observation]):
    """A watch that keeps what it is told."""

    def observe(self, seen: Observation) -> None:
        self.append(seen)


def arm(experiment: Experiment, user: str) -> str:
    return experiment.arm({"user": user})


def ended(request: Request, experiment: Experiment, **changes: Any) -> Result:
    """How a call ended that the experiment decided, as the flow writes it down."""
    route = experiment(request, LADDER).reason
    attempts = [
        Attempt("small", "small", "draft", "failed", Usage(), 0, "exact", "v1", 100.0, 50.0),
        Attempt("small", "small", "retry", "accepted", Usage(), 7, "exact", "v1", 100.1, 30.0),
    ]
    settled = Result("call-1", Reply("x"), attempts, Decision("optimise", route=route), request.tags)
    for name, value in changes.items():
        setattr(settled, name, value)
    return settled


# -- assignment


@given(st.text(min_size=1), st.floats(0.01, 0.5), st.floats(0.0, 0.49))
def test_a_larger_share_moves_nobody_out(user: str, share: float, more: float) -> None:
    """Who has the treatment keeps it while the share grows."""
    before = Experiment("mini", treatment=start_at("large"), share=share)
    after = Experiment("mini", treatment=start_at("large"), share=share + more)
    assert arm(before, user) == "control" or arm(after, user) == "treatment"


def test_the_arms_have_the_set_share() -> None:
    """Of many users; within four standard deviations of 0.3."""
    treated = sum(arm(TREATED, f"user {i}") == "treatment" for i in range(10_000))
    assert abs(treated - 3000) < 4 * (10_000 * 0.3 * 0.7) ** 0.5


def test_experiments_assign_independently() -> None:
    """Those in one treatment are spread over the arms of another in its own share."""
    other = Experiment("other", treatment=start_at("large"), share=0.3)
    both = Counter((arm(TREATED, f"user {i}"), arm(other, f"user {i}")) for i in range(10_000))
    treated = both["treatment", "treatment"] + both["treatment", "control"]
    assert both["treatment", "treatment"] / treated == pytest.approx(0.3, abs=0.035)


def test_an_assignment_outlives_the_program() -> None:
    """It hangs on the name and the unit alone: these are written down, and must never change."""
    assert [arm(TREATED, user) for user in ("ann", "bob", "cyd", "dan", "eve", "fay")] == [
        "control", "treatment", "treatment", "control", "control", "control",
    ]  # fmt: skip


def test_the_same_name_in_two_tenants_is_two_units() -> None:
    """And a unit's digest tells nobody's name, nor that two experiments met the same person."""
    units = {
        TREATED.unit({"user": "ann"}),
        TREATED.unit({"user": "ann", "tenant": "a"}),
        TREATED.unit({"user": "a", "tenant": "ann"}),
        Experiment("other", treatment=start_at("large")).unit({"user": "ann"}),
    }
    assert len(units) == 4
    assert all(unit is not None and "ann" not in unit and len(unit) == 32 for unit in units)


# -- as a route


def test_each_arm_goes_by_its_own_route_and_says_so() -> None:
    """The decision names experiment and arm, then what the arm's route said."""
    users = {arm(TREATED, name): name for name in ("ann", "bob")}
    for which, tier in (("treatment", "large"), ("control", "small")):
        choice = TREATED(asked(user=users[which]), LADDER)
        assert [one.name for one in choice.ladder] == [tier]
        assert choice.reason == f"experiment 'mini': {which}; among {tier}"


def test_without_a_unit_a_request_is_control_and_not_counted() -> None:
    """Nobody can be kept on a side who is not known."""
    seen = Seen()
    experiment = Experiment("mini", treatment=among("large"), control=among("small"), watch=seen)
    request = asked(session="s")
    choice = experiment(request, LADDER)
    assert [one.name for one in choice.ladder] == ["small"]
    assert "no user, so control, not counted" in choice.reason
    experiment.learn(request, ended(request, experiment))
    assert seen == []


def test_an_arm_without_a_route_takes_the_ladder_as_it_is() -> None:
    """So does one whose tier a guard took away."""
    experiment = Experiment("mini", treatment=start_at("small"), share=0.999999999)
    assert chosen(experiment, asked(user="ann"), (LARGE,)) == ["large"]
    assert chosen(Experiment("mini", treatment=only_large, share=1e-9), asked(user="ann")) == [
        "small", "local", "large",
    ]  # fmt: skip


def only_large(_request: Request, _ladder: Any) -> Choice:
    return Choice((LARGE,), "large", 0.9)


def test_an_arm_may_set_its_own_threshold() -> None:
    """What the arm's route asks for is kept."""
    choice = Experiment("mini", treatment=only_large, share=0.999999999)(asked(user="ann"), LADDER)
    assert choice.threshold == 0.9


def test_a_guard_stands_before_an_experiment_and_not_in_it() -> None:
    """Private text stays where it must in both arms; a guard inside would hold for some users only."""
    route = by_data_class() >> TREATED
    assert chosen(route, asked(user="ann", data_class="private")) == ["local"]
    with pytest.raises(ConfigError, match=r"among\('small', 'large'\)"):
        Experiment("mini", treatment=only("large"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "has the name ''"),
        ({"by": ""}, "goes by ''"),
        ({"share": 0.0}, "share is 0.0"),
        ({"share": 1.0}, "share is 1.0"),
        ({"share": 10}, "share is 10"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], message: str) -> None:
    """With the value and what to give instead."""
    with pytest.raises(ConfigError, match=message):
        Experiment(**{"name": "mini", "treatment": start_at("large"), **changes})
    with pytest.raises(ConfigError, match="names no tier"):
        among()


def test_a_policy_knows_the_tiers_that_the_arms_name() -> None:
    """So that one that does not exist is found at once."""
    assert Experiment("mini", treatment=start_at("large"), control=among("small")).names == {"small", "large"}


# -- what is counted


def test_a_call_is_observed_with_all_its_attempts() -> None:
    """Money and time of the retry as well, once, under the call's id."""
    seen = Seen()
    experiment = Experiment("mini", treatment=among("large"), share=0.3, watch=seen)
    request = asked(user="ann", tenant="t")
    experiment.learn(request, ended(request, experiment))
    unit = experiment.unit(request.tags)
    assert unit is not None
    assert seen == [Observation("mini", unit, "control", 0.3, "call-1", 100.0, 7, 80.0, False)]


def test_what_ended_badly_says_how() -> None:
    """An answer that never came is a failure; a caller who left is not one; an unknown price is no zero."""
    seen = Seen()
    experiment = Experiment("mini", treatment=among("large"), watch=seen)
    request = asked(user="ann")
    unpriced = Attempt("small", "small", "draft", "accepted", Usage(), None, "unpriced", "", 100.0, 50.0)
    for changes in (
        {"reply": None, "error": TimeoutError()},
        {"reply": None, "error": KeyboardInterrupt()},
        {"attempts": [unpriced]},
    ):
        experiment.learn(request, ended(request, experiment, **changes))
    assert [(one.failed, one.latency_ms, one.pico_usd) for one in seen] == [
        (True, 80.0, 7), (None, None, 7), (False, 50.0, None),
    ]  # fmt: skip


def test_what_the_experiment_did_not_decide_is_not_counted() -> None:
    """A cached answer, the kill switch and observe mode never asked an arm."""
    seen = Seen()
    experiment = Experiment("mini", treatment=among("large"), watch=seen)
    request = asked(user="ann")
    for route in ("", "strongest tier: mode is observe", "strongest tier: the route failed"):
        experiment.learn(request, ended(request, experiment, decision=Decision("observe", route=route)))
    hit = Attempt("cache", "small", "hit", "hit", Usage(), 0, "exact", "", 100.0, 0.1)
    experiment.learn(request, ended(request, experiment, attempts=[hit]))
    assert seen == []


def test_an_arm_that_learns_learns_from_its_own_calls() -> None:
    """And never from those of the other arm."""
    taught = {"treatment": sticky(start_at("small")), "control": sticky(start_at("small"))}
    experiment = Experiment("mini", treatment=taught["treatment"], control=taught["control"])
    request = asked(user="ann", session="s")
    climbed = [Attempt("large", "large", "escalation", "accepted", Usage(), 1, "exact", "v1", 0.0, 1.0)]
    experiment(request, LADDER)
    experiment.learn(request, ended(request, experiment, attempts=climbed))
    assert chosen(experiment, request) == ["large"]
    assert chosen(taught["treatment"], request) == ["small", "local", "large"]
