"""What a learned check makes of an answer, held against every way to go on, priced one by one."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tuppence.checks.learned import Limits, Prospect, limits, score

UNIT = 0.01
usd = st.floats(1e-6, 0.1)
loss = st.floats(-0.9, 0.9)
threshold = st.floats(0.001, 0.999)


@given(threshold, loss, usd, usd, st.floats(0.01, 0.99), loss, loss)
def test_the_cheapest_way_is_taken(
    at: float, lost: float, onward: float, asking: float, alike: float, if_alike: float, if_not: float
) -> None:
    """At a threshold t a right answer is worth t / (1 - t) average calls of the strongest tier, and every way to go on
    costs what is paid and what is lost at that price. Better answers that cost more are left aside.
    """
    worth = UNIT * at / (1.0 - at)
    found = limits(lost, Prospect(asking, alike, if_alike, if_not), onward_usd=onward, unit_usd=UNIT)
    found_loss = Prospect(asking, alike, if_alike, if_not).loss
    heeded = alike * min(worth * if_alike, onward) + (1.0 - alike) * min(worth * if_not, onward)
    keep, ask, straight = worth * lost, asking + heeded, onward
    best = min(keep, ask, straight)
    second = sorted((keep, ask, straight))[1]
    assume(second - best > 1e-9 * max(1.0, abs(best)))
    for kept, gained in ((1.0, -found_loss), (alike, -if_alike), (1.0 - alike, -if_not)):
        assume(gained <= 0.0 or kept * onward > asking)
    assert _way(found, at) == {keep: "keep", ask: "ask", straight: "straight"}[best]


def _way(found: Limits, at: float) -> str:
    return "keep" if at <= found.keep else "straight" if at > found.straight else "ask"


@given(loss, usd, usd, st.floats(0.0, 1.0), loss, loss)
def test_the_limits_are_in_order(
    lost: float, onward: float, asking: float, alike: float, if_alike: float, if_not: float
) -> None:
    """Between keeping and going straight on lies the score without anybody else, and all of them are scores."""
    found = limits(lost, Prospect(asking, alike, if_alike, if_not), onward_usd=onward, unit_usd=UNIT)
    assert 0.0 <= found.keep <= found.alone <= found.straight <= 1.0
    assert found.alone == score(lost, onward_usd=onward, unit_usd=UNIT)


def test_nobody_is_asked_at_a_price_above_all_that_can_be_spared() -> None:
    """Asking that costs more than the strongest tier's answer is never the best."""
    found = limits(0.2, Prospect(0.02, 0.9, 0.0, 0.9), onward_usd=0.01, unit_usd=UNIT)
    assert found == Limits(*[found.alone] * 3)


def test_what_is_free_of_loss_is_kept_at_every_threshold() -> None:
    """An answer that is no worse than the strongest tier's, whatever anybody says, scores 1."""
    found = limits(-0.1, Prospect(0.001, 0.5, -0.2, 0.0), onward_usd=0.01, unit_usd=UNIT)
    assert found == Limits(1.0, 1.0, 1.0)


def test_the_loss_of_a_prospect_is_its_mean() -> None:
    """Whatever comes, so much is lost on average."""
    assert math.isclose(Prospect(0.001, 0.75, 0.1, 0.5).loss, 0.2)


@pytest.mark.parametrize(("lost", "expected"), [(0.0, 1.0), (-0.5, 1.0), (1.0, 0.5), (0.25, 0.8)])
def test_scores(lost: float, expected: float) -> None:
    """1 / (1 + loss x unit / onward), here with an answer of the strongest tier's average price to spare."""
    assert math.isclose(score(lost, onward_usd=UNIT, unit_usd=UNIT), expected)
