"""A learned check decides the same wherever it runs: on labelled questions all at once, in a replay through the flow,
and on a live call.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from tuppence.attempts import Verdict  # noqa: E402
from tuppence.checks.learned import LearnedModel, learned, read_model  # noqa: E402
from tuppence.effects import Consult, Undecided  # noqa: E402
from tuppence.errors import ConfigError  # noqa: E402
from tuppence.evidence.learning.climbing import STRICTEST, asked, expected_ladder, ladder, scores, thresholds  # noqa: E402
from tuppence.evidence.learning.labelled import Labelled, labelled, reply_of  # noqa: E402
from tuppence.evidence.learning.scoring import scored  # noqa: E402
from tuppence.evidence.learning.training import train  # noqa: E402
from tuppence.evidence.outcomes import Outcomes  # noqa: E402
from tuppence.evidence.replay import Player, recorded, request_of  # noqa: E402
from tuppence.policy import Policy  # noqa: E402
from tuppence.tiers import Tier  # noqa: E402

from .made_up_outcomes import MODELS, made_up  # noqa: E402


def _with_a_second(rows: Iterable[Outcomes]) -> list[Outcomes]:
    """Add a model that answers as the medium one does, but always as the small one where that is right."""
    return [
        replace(
            row, by_model={**row.by_model, "second": row.by_model["small" if row.by_model["small"].score else "medium"]}
        )
        for row in rows
    ]


ROWS = _with_a_second(made_up(600, seed=1))
HELD_BACK = _with_a_second(made_up(200, seed=2))
EASY, HARD = (sorted(HELD_BACK, key=lambda row: row.query.count("add"))[place] for place in (0, -1))
LADDERS = {
    "two tiers": (("small", "large"), None),
    "two tiers and a helper": (("small", "large"), "medium"),
    "three tiers": (MODELS, None),
    "three tiers, the better one first": (("medium", "small", "large"), None),
    "three tiers and a helper": (("small", "medium", "large"), "second"),
}


def _trained(tiers: tuple[str, ...], helper: str | None) -> tuple[LearnedModel, Labelled]:
    return train(labelled(ROWS, tiers=tiers, helper=helper)), labelled(HELD_BACK, tiers=tiers, helper=helper)


def _policy(model: LearnedModel, threshold: float) -> Policy:
    judges = () if model.helper is None or model.helper in model.tiers else (Tier(model.helper),)
    return Policy(
        tiers=tuple(Tier(name) for name in model.tiers), judges=judges, check=learned(model), threshold=threshold
    )


@pytest.mark.parametrize(("tiers", "helper"), LADDERS.values(), ids=LADDERS)
def test_replay_and_arrays_decide_alike(tiers: tuple[str, ...], helper: str | None) -> None:
    """The certificate is reckoned on arrays; the flow, which runs online, gives the same answers at the same cost."""
    model, judged = _trained(tiers, helper)
    tried = thresholds(scores(model, judged))[5:45:13]
    reckoned = ladder(model, judged, tried)
    for row, threshold in enumerate(tried):
        player = Player(_policy(model, float(threshold)))
        for column, question in enumerate(HELD_BACK):
            found = recorded(question)
            assert found is not None
            played = player.play(found)
            assert played.missing == ""
            assert played.score == reckoned.quality[row, column]
            assert played.pico_usd == pytest.approx(reckoned.cost[row, column] * 1e12)


def test_stricter_thresholds_lose_less() -> None:
    """Along the ladder of thresholds quality rises towards the strongest tier's, and so does cost."""
    model, judged = _trained(("small", "large"), "medium")
    climbed = ladder(model, judged, np.array([STRICTEST, 0.9, 0.5, 0.0]))
    quality, cost = climbed.quality.mean(axis=1), climbed.cost.mean(axis=1)
    assert quality[0] == judged.quality[:, -1].mean()
    assert cost[0] == pytest.approx(judged.cost_usd[:, -1].mean())
    assert quality[-1] == judged.quality[:, 0].mean()
    assert list(cost) == sorted(cost, reverse=True)


def test_learning_beats_a_random_mix() -> None:
    """At the threshold that is expected to keep 98%, the cascade keeps far more than chance at its price."""
    model, judged = _trained(("small", "large"), "medium")
    learning = labelled(ROWS, tiers=("small", "large"), helper="medium")
    tried = thresholds(scores(model, learning))
    expected = expected_ladder(model, learning, tried)
    good = expected.quality.mean(axis=1) >= 0.98 * learning.quality[:, -1].mean()
    threshold = tried[good][np.argmin(expected.cost.mean(axis=1)[good])]
    climbed = ladder(model, judged, np.array([threshold]))
    cheap, strong = judged.cost_usd.mean(axis=0)
    share = (climbed.cost.mean() - cheap) / (strong - cheap)
    weak_quality, strong_quality = judged.quality.mean(axis=0)
    assert climbed.cost.mean() < strong
    assert climbed.quality.mean() > weak_quality + share * (strong_quality - weak_quality)


def test_agreement_speaks_for_an_answer() -> None:
    """A second model that says the same makes an answer more probable, and the verdict names what spoke."""
    model, _ = _trained(("small", "large"), "medium")
    check, row = learned(model), EASY
    request, reply = request_of(row), reply_of(row.by_model["small"], "small")
    same, other = (_verdict(check(request, reply), opinion) for opinion in (reply, replace(reply, text="7777")))
    assert same.score > other.score
    assert same.reason.startswith("right with 1.00")


def _verdict(plan, opinion) -> Verdict:  # type: ignore[no-untyped-def]
    assert isinstance(next(plan), Undecided)
    assert isinstance(plan.send(True), Consult)
    with pytest.raises(StopIteration) as done:
        plan.send(opinion)
    verdict: Verdict = done.value.value
    return verdict


def test_without_the_opinion_nothing_vouches() -> None:
    """A helper that fails or declines leaves the answer with score 0: the next tier is asked."""
    from tuppence.effects import Declined

    model, _ = _trained(("small", "large"), "medium")
    verdict = _verdict(learned(model)(request_of(EASY), reply_of(EASY.by_model["small"], "small")), Declined())
    assert verdict == Verdict(0.0, "no second opinion from medium")


def test_an_opinion_that_decides_nothing_is_not_asked() -> None:
    """Where it is settled at this threshold, the answer is judged without it: a verdict, and no question to anybody."""
    model, _ = _trained(("small", "large"), "medium")
    plan = learned(model)(request_of(HARD), reply_of(HARD.by_model["small"], "small"))
    asked = next(plan)  # type: ignore[arg-type]
    assert isinstance(asked, Undecided)
    with pytest.raises(StopIteration) as done:
        plan.send(False)  # type: ignore[union-attr]
    assert asked.low <= done.value.value.score <= asked.high
    assert done.value.value.reason.endswith(", no opinion asked")


def test_a_tier_that_is_not_worth_its_price_is_passed_over() -> None:
    """After an answer that is too bad the strongest tier is asked next where the one between would seldom suffice."""
    model, judged = _trained(("medium", "small", "large"), None)
    (came,) = asked(model, judged, np.array([0.9]))
    assert came[:, 0].all()
    ways = {tuple(way) for way in came.tolist()}
    assert {(True, False, False), (True, False, True), (True, True, True)} <= ways


def test_the_dearer_an_opinion_the_less_it_is_asked() -> None:
    """What asking is worth is held against what it costs: beyond the strongest tier's price nobody asks."""
    shares = [_opinions(price) for price in (0.001, 0.1, 1, 1_000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5
    assert shares[-1] == 0.0


def _opinions(price: float) -> float:
    """Return the share of drafts that the helper is asked about when it costs so many times its price.

    The drafts' lengths, which give them away, are made the same.
    """
    labels = labelled([_telling_nothing(row, price) for row in ROWS], tiers=("small", "large"), helper="medium")
    return float(scored(train(labels), labels).undecided(np.array(0.9)).mean())


def _telling_nothing(row: Outcomes, price: float) -> Outcomes:
    draft, helper = (
        replace(one, answer=f"{one.answer:>06}", output_tokens=60)
        for one in (row.by_model["small"], row.by_model["medium"])
    )
    helper = replace(helper, pico_usd=int((helper.pico_usd or 0) * price))
    return replace(row, by_model={**row.by_model, "small": draft, "medium": helper})


def test_an_unknown_tier_scores_nothing() -> None:
    """Nothing was learned of a tier that was not there: its answers are not vouched for."""
    model, _ = _trained(("small", "large"), None)
    row = HELD_BACK[0]
    verdict = learned(model)(request_of(row), reply_of(row.by_model["medium"], "medium"))
    assert verdict == Verdict(0.0, "nothing was learned of medium's answers")


def test_the_file_is_the_model(tmp_path: Path) -> None:
    """Saved and read again it is the same, number for number."""
    model, _ = _trained(MODELS, None)
    model.save(tmp_path / "check.json")
    assert read_model(tmp_path / "check.json") == model


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """A number changed by hand is another check, and no certificate is about it."""
    model, _ = _trained(("small", "large"), None)
    path = tmp_path / "check.json"
    model.save(path)
    body = json.loads(path.read_text())
    body["stages"][0]["right"]["intercept"] += 1
    path.write_text(json.dumps(body))
    with pytest.raises(ConfigError, match="was changed after it was written"):
        read_model(path)


@pytest.mark.parametrize("text", ["", "{}", '{"format": "other/1"}', "[1]"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    """What is no learned check is told by name, with what to do."""
    path = tmp_path / "check.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"check.json holds no learned check .*`tuppence calibrate`"):
        learned(path)


def test_training_twice_gives_the_same_model() -> None:
    """The same labels give the same numbers, whatever was trained between."""
    labels = labelled(ROWS, tiers=("small", "large"))
    assert train(labels).version == train(labels).version


BAD = {
    "one tier": (("large",), None, "at least two"),
    "one tier twice": (("large", "large"), None, "at least two"),
    "a model that nobody asked": (("tiny", "large"), None, r"no row has an outcome of \['tiny'\]"),
    "a helper that is a tier": (MODELS, "medium", "helper 'medium' is a tier of the ladder"),
    "a helper that nobody asked": (("small", "large"), "oracle", r"no row has an outcome of \['oracle'\]"),
}


@pytest.mark.parametrize(("tiers", "helper", "message"), BAD.values(), ids=BAD)
def test_rows_that_cannot_be_used(tiers: tuple[str, ...], helper: str | None, message: str) -> None:
    """Labels that cannot teach a ladder say what they lack."""
    with pytest.raises(ConfigError, match=message):
        labelled(ROWS, tiers=tiers, helper=helper)


def test_too_few_labels() -> None:
    """A handful of labels teaches nothing."""
    with pytest.raises(ConfigError, match="10 labelled questions are too few"):
        train(labelled(ROWS[:10], tiers=("small", "large")))
