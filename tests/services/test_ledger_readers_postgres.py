"""What reads a ledger reads it from PostgreSQL as from a file: estimates, scores for experiments, advice, alerts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

pytest.importorskip("psycopg")

from typer.testing import CliRunner

from tuppence.attempts import Attempt, Decision, Result
from tuppence.cli import app
from tuppence.cli.alerts import state_beside
from tuppence.estimate import recorded
from tuppence.evidence.experiments import ExperimentLog, read_experiment, take_scores
from tuppence.routes.experiment import Observation
from tuppence.spend import SqliteLedger
from tuppence.spend.ledger import PostgresLedger
from tuppence.usage import Usage

START = time.time() - 3600


def call(number: int) -> Result:
    answer = Attempt(
        "large", "gpt-4o", "draft", "accepted", Usage(input=1000, output=100 + number % 3), 3_500_000_000, "exact", "v",
        START + number, 5.0,
    )  # fmt: skip
    return Result(f"c{number}", None, [answer], Decision("optimise"), {})


@pytest.fixture
def places(postgres_address: str, tmp_path: Path) -> tuple[str, str]:
    """Return a file and a database with the same calls and the same feedback."""
    file = tmp_path / "ledger.sqlite"
    for ledger in (SqliteLedger(file), PostgresLedger(postgres_address)):
        for number in range(40):
            ledger.write(call(number))
        ledger.feedback("c1", 1.0)
        ledger.feedback("c2", 0.5)
        ledger.close()
    return str(file), postgres_address


def test_recorded_traffic_is_the_same_from_both(places: tuple[str, str]) -> None:
    here, there = (recorded(place, days=1) for place in places)
    assert (here.answered, here.paid_pico, here.first) == (there.answered, there.paid_pico, there.first)
    assert here.calls == 40


def test_an_experiment_takes_scores_from_both(places: tuple[str, str], tmp_path: Path) -> None:
    arms = []
    for number, place in enumerate(places):
        log = ExperimentLog(tmp_path / str(number))
        for unit, call_id in enumerate(("c1", "c2")):
            log.observe(Observation("mini", f"{unit:032x}", "control", 0.5, call_id, 1000.0, 1_000_000, 200.0, False))
        log.flush()
        assert take_scores(tmp_path / str(number), place) == 2
        arms.append(read_experiment(tmp_path / str(number), "mini").control)
    assert [(arm.scored, arm.quality.mean) for arm in arms] == [(2, 0.75)] * 2


@pytest.mark.parametrize(
    "command",
    [["advise"], ["estimate", "--from-ledger", "--days", "1", "--model", "gpt-4o-mini"], ["alerts", "--check"]],
    ids=" ".join,
)
def test_the_default_ledger_may_be_a_database(
    command: list[str], places: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`$TUPPENCE_LEDGER` names it for every command."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("TUPPENCE_LEDGER", places[1])
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output


def test_two_databases_remember_their_alerts_apart() -> None:
    first, second = (state_beside(f"postgresql://me:secret@host/{name}") for name in ("one", "two"))
    assert first != second
    assert "secret" not in str(first)
    assert first == state_beside("postgresql://me:changed@host/one")
