"""What judgements add up to: weeks and tiers, agreement with people, position bias, and the command line over it."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from tuppence.cli import judge as command
from tuppence.errors import ConfigError
from tuppence.evidence.judging import Judgement, SqliteJudgements, from_judgements
from tuppence.evidence.judging.agreement import kappa
from tuppence.evidence.judging.report import ALL_TIERS, judge_report
from tuppence.evidence.outcomes import Outcome, Outcomes

MONDAY = datetime(2025, 3, 3, 12, tzinfo=UTC)
LATER = (MONDAY + timedelta(weeks=30)).timestamp()


def judgement(week: int = 0, **changes: Any) -> Judgement:
    at = (MONDAY + timedelta(weeks=week)).timestamp()
    usual: dict[str, Any] = {
        "call_id": f"c{week}", "tier": "small", "mode": "rated", "judge": "j", "instructions": "i", "status": "scored",
        "accuracy": 4, "fluency": 5, "pico_usd": 1_000,
    }  # fmt: skip
    return Judgement(at=at, **{**usual, **changes})


def unscored(status: str, **changes: Any) -> Judgement:
    return judgement(status=status, accuracy=None, fluency=None, **changes)


def compared(leaning: str, preference: float = 0.5) -> Judgement:
    return judgement(mode="pairwise", accuracy=None, fluency=None, preference=preference, leaning=leaning)


def quality(weeks: int, *, drop_in: int | None = None, n: int = 120, tier: str = "small") -> list[Judgement]:
    """Judgements of a tier whose answers get worse in a week, or never."""
    rng = np.random.default_rng(11)
    before, after = [0.02, 0.05, 0.13, 0.30, 0.50], [0.075, 0.13, 0.21, 0.28, 0.305]
    return [
        judgement(week, call_id=f"{tier}-{week}-{i}", accuracy=int(grade), tier=tier)
        for week in range(weeks)
        for i, grade in enumerate(
            rng.choice([1, 2, 3, 4, 5], size=n, p=before if drop_in is None or week < drop_in else after)
        )
    ]


# -- weeks and tiers


def test_a_week_says_what_was_scored_and_what_was_not() -> None:
    """Means over scores alone; beside them all that has no score, and the cost of both."""
    found = judge_report([
        judgement(accuracy=5), judgement(accuracy=2, fluency=4), unscored("unreadable"),
        unscored("failed", pico_usd=None),
        unscored("dropped", count=7, pico_usd=0), judgement(week=1), judgement(tier="large"),
    ], now=LATER)  # fmt: skip
    assert [(line.week, line.tier) for line in found.lines] == [
        ("2025-W10", "large"), ("2025-W10", "small"), ("2025-W11", "small")
    ]  # fmt: skip
    line = found.lines[1]
    assert line.counts == {"scored": 2, "unreadable": 1, "failed": 1, "dropped": 7}
    assert line.means == {"accuracy": 3.5, "fluency": 4.5}
    assert line.interval is not None
    assert 1 <= line.interval[0] < 3.5 < line.interval[1] <= 5
    assert (line.cost_usd, line.unpriced) == (Decimal("3e-9"), 1)


def test_weeks_are_iso_weeks_in_utc() -> None:
    """The last days of a year may be in the next year's first week."""
    at = datetime(2024, 12, 30, 0, 30, tzinfo=UTC).timestamp()
    one = Judgement(call_id="c", at=at, tier="t", mode="rated", judge="j", instructions="i", status="failed")
    assert one.week == "2025-W01"


# -- drift


def test_a_drop_is_told_for_its_tier_and_for_all_together() -> None:
    """A tier that stays as it was is not suspected."""
    found = judge_report([*quality(12, drop_in=7), *quality(12, tier="large")], now=LATER)
    changes = {one.tier: one.drift.change for one in found.series}
    assert changes == {ALL_TIERS: "fell", "small": "fell", "large": None}


def test_the_week_under_way_is_not_tested() -> None:
    """It is not over: a week that would be looked at twice could alarm too often."""
    series = quality(8, drop_in=7, n=400)
    under_way, over = (judge_report(series, now=(MONDAY + timedelta(weeks=week)).timestamp()) for week in (7, 8))
    assert len(under_way.series[0].weeks) == 7
    assert under_way.series[0].drift.change is None
    assert len(over.series[0].weeks) == 8
    assert over.series[0].drift.change == "fell"


@pytest.mark.parametrize("what", ["judge", "instructions"])
def test_another_judge_begins_another_series(what: str) -> None:
    """A stricter judge, or one that was told something else, is no drop in quality."""
    stricter = [judgement(6 + i // 50, call_id=f"n{i}", accuracy=2, **{what: "other"}) for i in range(300)]
    found = judge_report([*quality(6), *stricter], now=LATER)
    assert [one.drift.change for one in found.series] == [None, None]
    assert [len(one.weeks) for one in found.series] == [6, 6]


# -- labels


def test_judgements_are_labels_of_recorded_traffic() -> None:
    """Of the answers that users were given, by call; what was not judged stays as it was."""
    questions = [
        Outcomes(call, "When?", {"small": Outcome(None), "large": Outcome(None, served=True)}) for call in ("c0", "c1")
    ]
    judged = [judgement(0, accuracy=1), judgement(0, accuracy=4), unscored("failed", call_id="c1")]
    first, second = map(from_judgements(judged), questions)
    assert (first.by_model["large"].score, first.by_model["large"].labelled_by) == (0.75, "judge")
    assert first.by_model["small"].score is None
    assert second == questions[1]


# -- agreement

GRADES = st.integers(1, 5)


@given(st.lists(st.tuples(GRADES, GRADES), min_size=1, max_size=80))
def test_kappa_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    """With quadratic weights, on any grades."""
    metrics = pytest.importorskip("sklearn.metrics")
    judge, people = zip(*pairs, strict=True)
    found = kappa([((a - 1) / 4, (b - 1) / 4) for a, b in pairs], levels=5)
    assume(len({*judge, *people}) > 1)
    theirs = metrics.cohen_kappa_score(judge, people, labels=[1, 2, 3, 4, 5], weights="quadratic")
    assert found.kappa == pytest.approx(theirs)


def test_kappa_and_its_interval_have_the_ends_that_they_should() -> None:
    """Full agreement, none beyond chance, and the opposite."""
    grades = [i / 4 for i in range(5)] * 20
    same, turned = (kappa([(x, y(x)) for x in grades], levels=5) for y in (lambda x: x, lambda x: 1 - x))
    assert same.kappa == pytest.approx(1.0)
    assert turned.kappa == pytest.approx(-1.0)
    rng = np.random.default_rng(1)
    chance = kappa([(a / 4, b / 4) for a, b in rng.integers(0, 5, size=(4_000, 2))], levels=5)
    assert chance.interval is not None
    assert chance.interval[0] < 0 < chance.interval[1]


def test_kappas_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Against a judge that is off by one grade in four cases of ten."""
    rng = np.random.default_rng(2)

    def sample(n: int) -> list[tuple[float, float]]:
        people = rng.integers(0, 5, size=n)
        off = rng.choice([-1, 0, 1], p=[0.2, 0.6, 0.2], size=n)
        return [(float(j) / 4, float(p) / 4) for j, p in zip(np.clip(people + off, 0, 4), people, strict=True)]

    truth = kappa(sample(400_000), levels=5).kappa
    assert truth is not None
    ends = [kappa(sample(100), levels=5).interval for _ in range(400)]
    held = sum(one is not None and one[0] <= truth <= one[1] for one in ends)
    assert 0.92 * len(ends) <= held <= 0.98 * len(ends)


@pytest.mark.parametrize(
    ("pairs", "told"),
    [([], "no labels"), ([(1.0, 1.0)] * 60, "one grade only"), ([(1.0, 0.5), (0.5, 0.5)], "too few")],
)
def test_kappa_says_when_it_cannot_be_told(pairs: list[tuple[float, float]], told: str) -> None:
    """No labels, no variety, or too few for an interval."""
    found = kappa(pairs, levels=5)
    assert found.labels == len(pairs)
    assert found.interval is None
    assert (found.kappa is None) == (told != "too few")


def test_a_label_between_two_grades_is_refused() -> None:
    """Weights are of the judge's levels."""
    with pytest.raises(ConfigError, match=r"a score is 0\.6"):
        kappa([(0.5, 0.6)], levels=5)


@pytest.mark.parametrize(
    ("first", "second", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 5, 1.0), (10, 0, 2 / 1024), (9, 1, 22 / 1024)]
)
def test_position_bias_is_tested_by_signs(first: int, second: int, p: float) -> None:
    """Exactly, over the comparisons that the place decided."""
    found = judge_report([*[compared("first")] * first, *[compared("second")] * second, compared("", 1.0)], now=LATER)
    (one,) = found.judges
    assert (one.compared, one.first, one.second) == (first + second + 1, first, second)
    assert one.bias_p == pytest.approx(p)


# -- the command line


def tuppence(*arguments: Any) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(command.app, ["report", *map(str, arguments)])


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "judged.sqlite"
    with closing(SqliteJudgements(path)) as log:
        for one in [
            *quality(9, drop_in=6, n=200),
            unscored("dropped", count=12),
            unscored("unreadable", tenant="acme"),
        ]:
            log.add(one)
    return path


def test_the_report_is_a_table_with_verdicts_in_words(kept: Path) -> None:
    """Weeks, scores, what was not judged, cost, alarm, and what is known of the judge."""
    shown = tuppence(kept)
    assert shown.exit_code == 0, shown.output
    for word in ("2025-W10", "small", "unreadable", "12", "0.000000"):
        assert word in shown.output
    assert "ALARM: fell from 4.1" in shown.output
    assert "likely since 2025-W16" in shown.output
    assert "false with probability 0.05 at most" in shown.output
    assert "no human labels" in shown.output
    assert not any(name in shown.output for name in ("preferred", "unsuited"))


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_the_report_takes_peoples_labels(kept: Path, tmp_path: Path, form: str) -> None:
    """On the judge's own scale of 1 to 5, by call."""
    with closing(SqliteJudgements(kept)) as log:
        graded = [(one.call_id, one.accuracy) for one in log.read() if one.status == "scored"][:100]
    file = tmp_path / f"labels.{form}"
    if form == "jsonl":
        file.write_text("".join(json.dumps({"call_id": call, "score": score}) + "\n" for call, score in graded))
    else:
        file.write_text("call_id,score\n" + "".join(f"{call},{score}\n" for call, score in graded))
    shown = tuppence(kept, "--labels", file)
    assert shown.exit_code == 0, shown.output
    assert "kappa 1.00 (95 % interval 1.00 to 1.00) over 100 labels" in shown.output


def test_the_report_is_json_for_programs(kept: Path) -> None:
    """The same figures, money as text, narrowed as asked."""
    told = json.loads(tuppence(kept, "--format", "json").output)
    assert told["weeks"][0]["dropped"] == 12
    assert Decimal(told["weeks"][1]["cost_usd"]) == Decimal("2e-7")
    assert told["drift"][0]["change"] == "fell"
    only = json.loads(tuppence(kept, "--tenant", "acme", "--format", "json").output)
    assert [week["unreadable"] for week in only["weeks"]] == [1]
    assert only["drift"] == []


def test_few_weeks_are_no_verdict(tmp_path: Path) -> None:
    """The report says how many it takes."""
    with closing(SqliteJudgements(tmp_path / "few.sqlite")) as log:
        for one in quality(3, n=5):
            log.add(one)
    assert "not tested yet: 3 of 5 full weeks" in tuppence(tmp_path / "few.sqlite").output


def test_a_file_without_judgements_is_named_and_left_alone(tmp_path: Path) -> None:
    """With what makes one."""
    shown = tuppence(tmp_path / "none.sqlite")
    assert isinstance(shown.exception, ConfigError)
    assert "holds no judgements" in str(shown.exception)
    assert not (tmp_path / "none.sqlite").exists()


@pytest.mark.parametrize("scale", ["five", "5,1", "1,2,3"])
def test_a_scale_that_is_none_is_refused(kept: Path, tmp_path: Path, scale: str) -> None:
    """Before the labels are read."""
    shown = tuppence(kept, "--labels", tmp_path / "labels.csv", "--scale", scale)
    assert shown.exit_code == 2
    assert "is no scale" in shown.output
