"""`tuppence distill plan`: whether a small model pays, every figure by its formula, and "not worth it" is an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from tuppence.cli import distill
from tuppence.cli.commands import Commands
from tuppence.distill import Dataset, DistillError, Plan, Shares, Terms, plan
from tuppence.distill.card import Interval, write_card
from tuppence.distill.trainers import Trained
from tuppence.distill.training_cost import hosted_usd, local_usd
from tuppence.prices import token_rate

from .distill_traffic import attempt, call, feedback, question, write

pytest.importorskip("rensa")

app = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(distill.app, name="distill")
app.callback()(lambda: None)

# A call of 60 tokens in and 2 out: 0.00001 dollars.
SMALL = token_rate(input="0.1", output="2")
MONTH_DAYS = Decimal("365.25") / 12
MOST = Shares(validation=0, calibration=0, test=0.1)


def run(*arguments: Any) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, ["distill", *map(str, arguments)], prog_name="tuppence")


def terms(**changes: Any) -> Terms:
    given: dict[str, Any] = {
        "small": SMALL, "escalation": Decimal("0.1"), "training_usd": Decimal(5), "labour_usd": Decimal(45),
    }  # fmt: skip
    return Terms(**(given | changes))


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """561 calls, one an hour, over 23.33 days; each costs the teacher a tenth of a cent."""
    return write(tmp_path_factory.mktemp("plan") / "traffic.jsonl", [call(n) for n in range(561)])


@pytest.fixture(scope="module")
def data(traffic: Path) -> Iterator[Dataset]:
    with Dataset.from_traffic(traffic, shares=MOST) as data:
        yield data


def planned(data: Dataset | Path, shares: Shares = MOST, **changes: Any) -> Plan:
    if isinstance(data, Dataset):
        return plan(data, terms(**changes))
    with Dataset.from_traffic(data, shares=shares) as made:
        return plan(made, terms(**changes))


def test_every_figure_follows_from_its_formula(data: Dataset) -> None:
    """Computed here by hand, in decimals."""
    found = planned(data, monthly_usd=Decimal("0.1"), check_usd=Decimal("0.00002"))
    figures = {name: one.value for name, one in found.figures.items()}
    volume = Decimal(561) / Decimal(str(560 / 24)) * MONTH_DAYS
    gain = Decimal("0.001") * Decimal("0.9") - Decimal("0.00001") - Decimal("0.00002")
    saved = volume * gain - Decimal("0.1")
    assert figures == {
        "rows to train on": 504, "different answers": 4, "entropy of the answers": Decimal("2.000"),
        "length of the answers": 1, "changes of the prompt": 0,
        "calls a month (N)": volume, "teacher's price of a call (t)": Decimal("0.001"),
        "small model's price of a call (s)": Decimal("0.00001"), "escalation share (e)": Decimal("0.1"),
        "saved on a call (g)": gain, "saved a month (S)": saved, "investment (I)": 50, "pays back after": 50 / saved,
        "least calls a month": Decimal("0.1") / gain,
        "most escalation": 1 - (Decimal("0.00003") + Decimal("0.1") / volume) / Decimal("0.001"),
    }  # fmt: skip
    assert all(one.formula for one in found.figures.values())


def test_at_the_most_escalation_nothing_is_saved(data: Dataset) -> None:
    """Which is what that figure is for."""
    most = planned(data, monthly_usd=Decimal("0.2")).figures["most escalation"].value
    saved = planned(data, monthly_usd=Decimal("0.2"), escalation=most).figures["saved a month (S)"].value
    assert saved is not None
    assert abs(saved) < Decimal("1e-20")


@pytest.mark.parametrize(
    ("verdict", "word", "changes"),
    [
        ("not worth it", "pays back after 76", {}),
        ("not worth it", "monthly costs are not earned", {"monthly_usd": Decimal(100)}),
        ("not worth it", "as much a call as the teacher alone", {"escalation": Decimal("0.995")}),
        ("open", "pays back after", {"labour_usd": None}),
        ("open", "saved a month", {"small": None}),
        ("worth it", "pays back after 7.7 months", {"labour_usd": Decimal(0)}),
    ],
)
def test_the_verdict_says_why(data: Dataset, verdict: str, word: str, changes: dict[str, Any]) -> None:
    found = planned(data, **changes)
    assert (found.verdict, word in found.reasons[0]) == (verdict, True), found.reasons


def test_too_few_rows_are_told_with_how_long_to_go_on(tmp_path: Path) -> None:
    """At the pace so far; what does not pay does not pay, however much is recorded."""
    path = write(tmp_path / "t.jsonl", [call(n) for n in range(121)])
    cheap = {"training_usd": Decimal(1), "labour_usd": Decimal(0)}
    found = planned(path, Shares(validation=0, calibration=0, test=0), **cheap)
    assert found.verdict == "not enough data"
    assert found.reasons[0].startswith("121 of the 300 rows that a narrow task needs; at this pace 7 more days")
    assert planned(path, monthly_usd=Decimal(500), **cheap).verdict == "not worth it"


def test_what_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    """Unpriced answers have no mean price, and an hour of traffic no month."""
    unpriced = [call(n, attempts=[attempt("large", "card", pico_usd=None, status="unpriced")]) for n in range(30)]
    found = planned(write(tmp_path / "t.jsonl", unpriced))
    assert found.figures["teacher's price of a call (t)"].value is None
    assert found.figures["saved a month (S)"].value is None
    short = planned(write(tmp_path / "t.jsonl", [call(n) for n in range(20)]))
    assert short.figures["calls a month (N)"].value is None
    assert short.figures["saved on a call (g)"].value is not None


def test_only_the_teachers_calls_are_counted(tmp_path: Path) -> None:
    """Those that a cheap tier answers already would save nothing."""
    cheap = [call(n, attempts=[attempt("small", "card", pico_usd=1)]) for n in range(100, 150)]
    path = write(tmp_path / "t.jsonl", [*(call(n) for n in range(100)), *cheap])
    with Dataset.from_traffic(write(path, [*(call(n) for n in range(100)), *climbs(150), *cheap])) as data:
        figures = plan(data, terms()).figures
        assert (data.traffic.calls, data.traffic.by_teacher) == (151, 101)
    assert figures["teacher's price of a call (t)"].value == Decimal("0.001")


def climbs(number: int) -> list[dict[str, Any]]:
    tried = [attempt("small", "cash", "rejected", pico_usd=1), attempt("large", "card", cause="escalation")]
    return [call(number, attempts=tried)]


@pytest.mark.parametrize("bad", [{"escalation": Decimal("1.5")}, {"monthly_usd": Decimal(-1)}, {"horizon_months": 0}])
def test_terms_that_make_no_sense_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(DistillError):
        terms(**bad)


def test_training_costs_tokens_or_time() -> None:
    """Both by their formula; neither price is ever assumed."""
    assert hosted_usd(200_000, epochs=3, usd_per_mtok=Decimal("25")) == Decimal("15")
    hour = local_usd(3_600_000, epochs=2, tokens_per_s=Decimal(2_000), usd_per_hour=Decimal("2.5"))
    assert hour == Decimal("2.5")
    with pytest.raises(DistillError, match="epochs is 0"):
        hosted_usd(1, epochs=0, usd_per_mtok=Decimal(1))


# -- the command line


def test_the_plan_is_printed_with_its_formulas(traffic: Path) -> None:
    """As a table for a person, and the same as JSON."""
    given = (traffic, "--small-price", "0.1,2", "--labour", "45", "--training", "5")
    shown = run("plan", *given)
    assert shown.exit_code == 0, shown.output
    assert "t * (1 - e) - s - check" in shown.output
    assert "not worth it" in shown.output
    told = json.loads(run("plan", *given, "--format", "json").output)
    assert told["figures"]["investment (I)"] == {"value": "50", "unit": "USD", "formula": "training + labour"}
    assert told["verdict"] == "not worth it"


def test_training_is_priced_by_its_tokens(traffic: Path) -> None:
    """The provider's price of a million is asked for; tokens are those of the training side, times the epochs."""
    given = (traffic, "--small-price", "0.1,2", "--labour", "0", "--format", "json")
    told = json.loads(run("plan", *given, "--training-price", "3", "--epochs", "2").output)
    tokens = sum(told["tokens"].values())
    assert Decimal(told["figures"]["investment (I)"]["value"]) == Decimal(tokens) * 2 * 3 / 1_000_000


def test_data_sets_are_shown_and_written(tmp_path: Path) -> None:
    """Every site has its folder; what was left out is told by reason."""
    lines = [call(n, tags={"task": "sort"}) for n in range(60)]
    lines += [call(60, tags={"task": "sum"}, attempts=[]), feedback("call-5", 0.1)]
    lines += [call(n, f"Sum up: {question(n)}", tags={"task": "sum"}) for n in range(61, 80)]
    path = write(tmp_path / "t.jsonl", lines)
    shown = run("dataset", path, "--out", tmp_path / "out", "--redact", "builtins:str")
    assert shown.exit_code == 0, shown.output
    assert "sort: left out 1 disliked" in shown.output
    assert "sum: left out 1 no answer" in shown.output
    assert {one.name for one in (tmp_path / "out").iterdir()} == {"sort", "sum"}
    told = json.loads(run("dataset", path, "--site", "sort", "--format", "json").output)
    assert [one["site"] for one in told["sites"]] == ["sort"]
    assert told["sites"][0]["rows"]["train"] == 35


@pytest.mark.parametrize(
    ("word", "arguments"),
    [
        ("no call site 'x'", ("--site", "x")),
        ("'huge' gave no accepted answer", ("--teacher", "huge")),
        ("cannot be imported", ("--redact", "nowhere:at_all")),
        ("holds no judgements", ("--judged", "/nowhere")),
    ],
)
def test_what_is_wrong_is_said_in_a_line(traffic: Path, word: str, arguments: tuple[str, ...]) -> None:
    found = run("dataset", traffic, *arguments)
    assert found.exit_code != 0
    assert word in " ".join(found.output.replace("│", " ").split())


# -- the model card


def test_a_card_says_what_a_model_is_made_of(tmp_path: Path) -> None:
    """What nobody stated is told as missing, and figures come with their intervals."""
    trained = Trained("tuned", "base-1", None, 61.0, Decimal("1.25"), {"train_loss": 0.5}, "abc123")
    card = write_card(tmp_path, trained, measured={"accuracy": Interval(0.913, 0.884, 0.936, 450)})
    text = card.read_text("utf-8")
    for said in ("base_model: base-1", "`abc123`", "$1.25", "0.884 to 0.936 (95%)", "450", "not stated: fill in"):
        assert said in text
    assert "unpriced" in write_card(tmp_path, Trained("t", "b", None, 1.0, None)).read_text("utf-8")
