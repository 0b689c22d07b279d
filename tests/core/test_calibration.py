"""What audits allow a semantic cache to promise, and what they do not."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.cache import Audit, Calibration
from tuppence.cache.calibration import FEW_AUDITS, GRID, MemoryAudits, log_wealth, wilson
from tuppence.errors import ConfigError


def audits(n: int, *, wrong: int = 0, probability: float = 0.96, domain: str = "faq") -> list[Audit]:
    return [Audit(domain, probability, same=i >= wrong, at=float(i)) for i in range(n)]


def test_nothing_is_promised_without_evidence() -> None:
    """The answer is "not yet", and how many audits more; meanwhile nothing is served."""
    calibration = Calibration(max_wrong_share=0.05)
    found = calibration.finding("faq")
    assert (found.threshold, found.audits, found.interval) == (None, 0, (0.0, 1.0))
    assert calibration.threshold("faq") == math.inf
    for audit in audits(found.more_needed - 1):
        calibration.add(audit)
    assert calibration.finding("faq").more_needed == 1
    calibration.add(audits(1)[0])
    assert calibration.threshold("faq") == 0.95


def test_the_lowest_threshold_that_keeps_the_promise_is_taken() -> None:
    """Right answers down to .8, wrong ones below it."""
    calibration = Calibration(max_wrong_share=0.05)
    for audit in audits(400, probability=0.82) + audits(100, wrong=60, probability=0.72):
        calibration.add(audit)
    found = calibration.finding("faq")
    assert (found.threshold, found.audits, found.wrong, found.more_needed) == (0.8, 400, 0, 0)


def test_a_threshold_is_withdrawn_when_hits_turn_out_wrong() -> None:
    """Traffic changes: what was kept once is promised only as long as the audits say so."""
    calibration = Calibration(max_wrong_share=0.05)
    for audit in audits(200):
        calibration.add(audit)
    assert calibration.threshold("faq") == 0.95
    for audit in audits(30, wrong=30):
        calibration.add(audit)
    assert calibration.threshold("faq") == math.inf


def test_a_domain_with_few_audits_borrows_from_all_and_says_so() -> None:
    """Until it has some of its own, which then alone decide."""
    calibration = Calibration(max_wrong_share=0.05)
    for audit in audits(300, domain="large"):
        calibration.add(audit)
    assert calibration.finding("small").pooled
    assert calibration.threshold("small") == 0.95
    for audit in audits(FEW_AUDITS, wrong=FEW_AUDITS, domain="small"):
        calibration.add(audit)
    own = calibration.finding("small")
    assert not own.pooled
    assert own.threshold is None


def test_audits_survive_in_their_log() -> None:
    """A restart begins with what was learned."""
    log = MemoryAudits()
    first = Calibration(max_wrong_share=0.05, log=log)
    for audit in audits(200):
        first.add(audit)
    assert Calibration(max_wrong_share=0.05, log=log).findings() == first.findings()


def test_a_promise_fails_no_oftener_than_delta() -> None:
    """Hits are wrong a little oftener than promised, and somebody looks after each audit: seldom is it certified."""
    rng = random.Random(7)
    failures = 0
    for _ in range(300):
        calibration = Calibration(max_wrong_share=0.1, delta=0.1)
        for i in range(400):
            calibration.add(Audit("faq", 0.96, same=rng.random() >= 0.11, at=float(i)))
            if calibration.threshold("faq") < 1:
                failures += 1
                break
    # 30 would be allowed; the standard error of so many draws is 5.
    assert failures <= 40


@given(st.integers(0, 2000), st.floats(0.005, 0.5))
def test_evidence_grows_with_right_audits_and_falls_with_wrong_ones(audits: int, promised: float) -> None:
    """For any number of audits and any promise."""
    wealth = log_wealth(audits, 0, promised)
    assert log_wealth(audits + 1, 0, promised) > wealth
    assert log_wealth(audits + 1, 1, promised) < wealth


@given(st.integers(1, 5000), st.data())
def test_the_interval_holds_the_share(audits: int, data: st.DataObject) -> None:
    """And stays within 0 and 1."""
    wrong = data.draw(st.integers(0, audits))
    low, high = wilson(wrong, audits)
    assert 0.0 <= low <= wrong / audits + 1e-12
    assert wrong / audits - 1e-12 <= high <= 1.0


def test_the_interval_is_wilsons() -> None:
    """10 of 100 at 95 %: .0552 to .1744, as Newcombe (1998), table I, gives it."""
    assert wilson(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)


@pytest.mark.parametrize("option", ["max_wrong_share", "delta", "audit_share"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 2.0])
def test_a_share_that_is_none_is_refused(option: str, value: float) -> None:
    """With its name, its value and what it must be."""
    with pytest.raises(ConfigError, match=f"{option} is {value}: it is a share between 0 and 1"):
        Calibration(**{option: value})


def test_the_grid_goes_down() -> None:
    """The last certified threshold is the lowest."""
    assert list(GRID) == sorted(GRID, reverse=True)
