"""From labelled outcomes to a certificate, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from tuppence.checks.learned import learned  # noqa: E402
from tuppence.errors import ConfigError  # noqa: E402
from tuppence.evidence.certificate import Certified, NoSaving, NotCertifiable, read_certificate, stands  # noqa: E402
from tuppence.evidence.learning import calibrate, check_path  # noqa: E402
from tuppence.evidence.learning.climbing import ladder, scores  # noqa: E402
from tuppence.evidence.learning.labelled import labelled  # noqa: E402
from tuppence.evidence.outcomes import Outcome, Outcomes  # noqa: E402
from tuppence.policy import Policy  # noqa: E402
from tuppence.tiers import Tier  # noqa: E402

from .made_up_outcomes import MODELS, made_up, with_a_useless_medium  # noqa: E402

ROWS = list(made_up(1_500, seed=11))
TIERS = ("small", "large")


def _changed(rows: list[Outcomes], model: str, change: Callable[[Outcome], Outcome]) -> list[Outcomes]:
    return [replace(row, by_model={**row.by_model, model: change(row.by_model[model])}) for row in rows]


def test_a_certificate_keeps_its_promise_on_other_questions() -> None:
    """What is certified on labels holds on thousands of questions drawn the same way, and saves what it said."""
    found = calibrate(ROWS, tiers=TIERS, helper="medium", target=0.9)
    assert isinstance(found.verdict, Certified)
    assert found.model is not None
    fresh = labelled(made_up(5_000, seed=12), tiers=TIERS, helper="medium")
    climbed = ladder(found.model, fresh, np.array([found.verdict.threshold]))
    assert climbed.quality.mean() >= 0.9 * fresh.quality[:, -1].mean()
    share = 1 - climbed.cost.mean() / fresh.cost_usd[:, -1].mean()
    assert found.verdict.saving.share.low - 0.02 <= share <= found.verdict.saving.share.high + 0.02


def test_labels_that_teach_do_not_certify() -> None:
    """Both parts together are all labels, and none is counted twice."""
    verdict = calibrate(ROWS, tiers=TIERS, target=0.9).verdict
    assert isinstance(verdict, Certified | NotCertifiable)
    assert verdict.labels.total == len(ROWS)
    assert 0.25 < verdict.labels.train / len(ROWS) < 0.35


def test_the_order_of_the_rows_decides_nothing() -> None:
    """The same questions in another order teach and certify as before."""
    assert calibrate(ROWS[::-1], tiers=TIERS, target=0.9).verdict == calibrate(ROWS, tiers=TIERS, target=0.9).verdict


def test_more_labels_move_none_to_the_other_side() -> None:
    """A question that taught goes on teaching when others are added, so that a promise stays one about the rest."""
    few, more = labelled(ROWS[:500], tiers=TIERS), labelled(ROWS, tiers=TIERS)
    assert set(few.split(0.3, seed=0)[0].ids) <= set(more.split(0.3, seed=0)[0].ids)
    assert set(few.split(0.3, seed=0)[1].ids) <= set(more.split(0.3, seed=0)[1].ids)


def test_the_same_seed_gives_the_same_certificate() -> None:
    """Nothing but the labels and the seed decides."""
    first, again = (calibrate(ROWS, tiers=TIERS, helper="medium", target=0.9, seed=3) for _ in range(2))
    assert first.verdict == again.verdict
    assert first.model == again.model


def test_too_few_labels_say_how_many_more() -> None:
    """A hundred labels certify nothing at 99%, and the verdict says what would."""
    verdict = calibrate(ROWS[:200], tiers=TIERS, helper="medium", target=0.99).verdict
    assert isinstance(verdict, NotCertifiable | NoSaving)
    assert "more labels" in verdict.words or "no tier mix saves" in verdict.words


def test_a_dearer_first_tier_is_refused() -> None:
    """Where the cheap tier is the dearer one there is nothing to learn: the reason has both prices."""
    found = calibrate(ROWS, tiers=("large", "small"))
    assert isinstance(found.verdict, NoSaving)
    assert found.model is None
    assert "even if every cheap answer were kept, nothing would be saved" in found.verdict.words


def test_a_dominated_tier_is_not_asked() -> None:
    """A middle tier that is dearer and worse than the small one is left out of the ladder."""
    rows = _changed(ROWS, "medium", lambda one: replace(one, score=0.0, pico_usd=500_000_000))
    found = calibrate(rows, tiers=("small", "medium", "large"), target=0.9)
    assert [one.tier for one in found.dropped] == ["medium"]
    assert found.model is not None
    assert found.model.tiers == TIERS


def test_a_dominated_helper_is_not_asked() -> None:
    """Nor is it asked for its opinion."""
    rows = _changed(ROWS, "medium", lambda one: replace(one, score=0.0, pico_usd=500_000_000))
    found = calibrate(rows, tiers=TIERS, helper="medium", target=0.9)
    assert [one.tier for one in found.dropped] == ["medium"]
    assert found.model is not None
    assert found.model.helper is None


def test_a_helper_that_costs_more_than_it_could_save_is_never_asked() -> None:
    """It saves what it would save without: not refused for the price of opinions that nobody buys."""
    dear = _changed(ROWS, "medium", lambda one: replace(one, score=1.0, pico_usd=10**13))
    helped = calibrate(dear, tiers=TIERS, helper="medium", target=0.9).verdict
    alone = calibrate(ROWS, tiers=TIERS, target=0.9).verdict
    assert isinstance(helped, Certified)
    assert isinstance(alone, Certified)
    assert helped.saving.share.value == pytest.approx(alone.saving.share.value, abs=0.03)


def test_dropping_a_tier_moves_no_label_to_the_other_side() -> None:
    """With and without the dominated tier the same questions certify."""
    rows = _changed(ROWS, "medium", lambda one: replace(one, score=0.0, pico_usd=500_000_000))
    with_it = calibrate(rows, tiers=("small", "medium", "large"), target=0.9)
    without = calibrate(rows, tiers=TIERS, target=0.9)
    assert with_it.model is not None
    assert with_it.model == without.model
    assert with_it.verdict == without.verdict


def test_rows_without_a_tier_are_counted_out() -> None:
    """A question that a tier was not asked cannot be used, and is told."""
    rows = [*ROWS, replace(ROWS[0], id="half", by_model={"small": ROWS[0].by_model["small"]})]
    assert calibrate(rows, tiers=TIERS, target=0.9).skipped == 1


def test_saved_and_read_it_fits_its_own_check(tmp_path: Path) -> None:
    """The certificate and the check beside it belong together, and a policy made of them stands."""
    found = calibrate(ROWS, tiers=TIERS, helper="medium", target=0.9)
    beside = found.save(tmp_path / "certificate.json")
    assert beside == check_path(tmp_path / "certificate.json") == tmp_path / "certificate.check.json"
    certificate = read_certificate(tmp_path / "certificate.json")
    policy = Policy(
        tiers=tuple(Tier(name) for name in TIERS), judges=(Tier("medium"),), check=learned(beside),
        threshold=certificate.threshold,
    )  # fmt: skip
    assert stands(certificate, policy) == []
    assert stands(certificate, policy.override(threshold=0.1)) != []


def test_a_certificate_knows_the_models_of_configured_tiers(tmp_path: Path) -> None:
    """Given the tiers, another model behind the same name is outside it."""
    found = calibrate(ROWS, tiers=TIERS, helper="medium", target=0.9)
    configured = [Tier(name, model=f"maker/{name}-1") for name in (*TIERS, "medium")]
    beside = found.save(tmp_path / "certificate.json", configured=configured)
    certificate = read_certificate(tmp_path / "certificate.json")
    policy = Policy(
        tiers=tuple(configured[:2]), judges=(configured[2],), check=learned(beside), threshold=certificate.threshold
    )
    assert stands(certificate, policy) == []
    other = policy.override(tiers=(Tier("small", model="maker/small-2"), configured[1]))
    assert "the tier small (maker/small-2) of the policy was not certified" in stands(certificate, other)


def test_references_are_the_scores_of_the_labels_that_certify() -> None:
    """Drift is told from what the check's scores were like."""
    found = calibrate(ROWS, tiers=TIERS, target=0.9)
    assert found.model is not None
    _, certifying = labelled(ROWS, tiers=TIERS).split(0.3, seed=0)
    assert found.reference["score.small"].mean == pytest.approx(float(scores(found.model, certifying).mean()))


def test_without_a_certificate_nothing_is_saved(tmp_path: Path) -> None:
    """A refusal writes no file, and says why."""
    found = calibrate(ROWS, tiers=("large", "small"))
    with pytest.raises(ConfigError, match="there is no certificate to save: no tier mix saves money"):
        found.save(tmp_path / "certificate.json")
    assert list(tmp_path.iterdir()) == []


def test_the_tiers_are_asked_in_the_order_that_costs_least() -> None:
    """A better tier goes first where the cheapest seldom suffices alone, and the certificate says so."""
    found = calibrate(ROWS, tiers=MODELS, target=0.9)
    assert isinstance(found.verdict, Certified)
    assert found.model is not None
    assert found.model.tiers == ("medium", "small", "large")
    assert found.certificate().route_version == found.reordered == "medium > small > large"
    in_order = calibrate(ROWS, tiers=("medium", "small", "large"), target=0.9)
    assert in_order.reordered == ""
    assert in_order.verdict == found.verdict


def test_a_tier_that_saves_nothing_beside_the_others_is_not_asked() -> None:
    """One that says what another says has its use for nobody."""
    found = calibrate(with_a_useless_medium(ROWS), tiers=MODELS, target=0.95)
    assert found.model is not None
    assert found.model.tiers == TIERS
    assert [(one.tier, "not expected to save" in one.reason) for one in found.dropped] == [("medium", True)]
    assert found.verdict == calibrate(ROWS, tiers=TIERS, target=0.95).verdict
