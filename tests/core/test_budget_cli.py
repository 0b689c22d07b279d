"""`tuppence budget`: how budgets stand, what is released, and counters set right from the ledger."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from tuppence.attempts import Attempt, Decision
from tuppence.attempts import Result as Settled
from tuppence.cli import budget
from tuppence.cli.commands import Commands
from tuppence.effects import Release, Reserve
from tuppence.prices import pico_usd
from tuppence.spend import SqliteLedger
from tuppence.spend.budgets import Budget, Budgets
from tuppence.usage import Usage

app = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(budget.app, name="budget")
app.callback()(lambda: None)

CONFIG = """
tiers:
  - {name: m, class: openai_compatible, model: m-1, base_url: 'http://localhost:1/v1', price: unpriced}
budgets:
  store: budgets.db
  limits:
    - {usd: 5, per: month, each: user}
    - {usd: 2, per: day, soft: true}
"""
LIMITS = Budget(usd="5", per="month", each="user"), Budget(usd="2", per="day", soft=True)


def run(*arguments: Any) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, ["budget", *map(str, arguments)], prog_name="tuppence")


def said(done: Result) -> str:
    return " ".join(done.stderr.split())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tuppence.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture
def budgets(config: Path) -> Iterator[Budgets]:
    opened = Budgets(*LIMITS, store=config.parent / "budgets.db")
    yield opened
    opened.close()


def reserve(budgets: Budgets, hold: str, usd: str, *, at: float) -> None:
    charges = budgets.charges({"user": "ann / bob"}, time.time())
    # Not through `budgets.store`, which looks for old reservations itself.
    budgets.counters.reserve(Reserve(budgets.store, hold, charges, pico_usd(usd), at))


def spend(budgets: Budgets, usd: str) -> None:
    now = time.time()
    reserve(budgets, f"spent {usd}", usd, at=now)
    charges = budgets.charges({"user": "ann / bob"}, now)
    budgets.store.release(Release(budgets.store, f"spent {usd}", charges, pico_usd(usd)))
    budgets.counters.flush()


def test_how_budgets_stand(config: Path, budgets: Budgets) -> None:
    """Spent, held, limit, left and until when, for each user by name."""
    spend(budgets, "0.5")
    reserve(budgets, "under way", "0.25", at=time.time())
    done = run("show", "--config", config)
    assert done.exit_code == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if "$" in line]
    amounts = next(line for line in lines if "month" in line)[-6:-2]
    assert amounts == ["$0.500000", "$0.250000", "$5.000000", "$4.250000"]
    assert "ann / bob / 20" in done.stdout
    assert len(lines) == 2


def test_the_same_for_a_program(config: Path, budgets: Budgets) -> None:
    """Exact amounts, as text."""
    spend(budgets, "0.000000000001")
    by_config, by_store = (
        json.loads(run("show", *where, "--format", "json").stdout)
        for where in (("--config", config), ("--store", config.parent / "budgets.db"))
    )
    of_user, of_day = sorted(by_config, key=lambda one: one["soft"])
    assert of_user["of"][0] == "ann / bob"
    assert (of_user["spent_usd"], of_user["limit_usd"], of_user["held_usd"]) == ("0.000000000001", "5", "0")
    assert of_day["soft"]
    # Who only has the counters does not know which budgets are soft.
    assert [one | {"soft": None} for one in by_config] == [one | {"soft": None} for one in by_store]


def test_what_was_never_given_back_is_released(config: Path, budgets: Budgets) -> None:
    """What is older than its lease, and nothing else."""
    reserve(budgets, "of a process that was killed", "0.25", at=time.time() - 1000)
    reserve(budgets, "under way", "0.5", at=time.time())
    assert run("sweep", "--config", config).stdout == "released 1 reservations of $0.25 together\n"
    place = config.parent / "budgets.db"
    assert json.loads(run("sweep", "--store", place, "--format", "json").stdout) == {"reservations": 0, "usd": "0"}
    reserve(budgets, "a minute old", "0.125", at=time.time() - 60)
    assert "released 1 " in run("sweep", "--store", place, "--lease-s", 30).stdout
    assert {one.held_usd.normalize() for one in budgets.standing()} == {budgets.budgets[0].usd / 10}


def test_counters_are_read_anew_from_the_ledger(config: Path) -> None:
    """For budgets that begin in the middle of a month: what was spent before them counts."""
    with closing(SqliteLedger(config.parent / "ledger.db")) as ledger:
        attempt = Attempt(
            tier="m", model="m-1", cause="draft", outcome="accepted", usage=Usage(input=1), pico_usd=pico_usd("0.75"),
            status="exact", price_version="", started_at=time.time() - 5, latency_ms=1.0,
        )  # fmt: skip
        ledger.write(Settled("one", None, [attempt], Decision("optimise"), {"user": "ann"}))
        ledger.flush()
    done = run("rebuild", "--config", config, "--ledger", config.parent / "ledger.db", "--format", "json")
    assert done.exit_code == 0, done.stderr
    assert {one["spent_usd"] for one in json.loads(done.stdout)} == {"0.75"}
    assert (config.parent / "budgets.db").exists()


@pytest.mark.parametrize("command", ["show", "sweep"])
def test_it_must_be_known_which_counters_are_meant(command: str, config: Path) -> None:
    """By a configuration or by a place: one of them."""
    assert "give --config FILE, or --store PLACE" in said(run(command))
    assert "keep one" in said(run(command, "--config", config, "--store", "budgets.db"))


@pytest.mark.parametrize("command", ["show", "sweep"])
def test_no_file_is_made_by_looking(command: str, config: Path) -> None:
    """A name that was mistyped says so."""
    assert "budgets.db holds no counters" in said(run(command, "--config", config))
    assert "elsewhere.db holds no counters" in said(run(command, "--store", "elsewhere.db"))
    assert [path.name for path in config.parent.iterdir()] == ["tuppence.yaml"]


def test_a_configuration_without_counters_of_its_own(config: Path) -> None:
    """No budgets, budgets in a program's memory, or no ledger: each says what to do."""
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("budgets.db", "memory"), encoding="utf-8")
    assert "give them a file or a redis:// URL" in said(run("show", "--config", config))
    config.write_text(text + "ledger: off\n", encoding="utf-8")
    assert "keeps no ledger (ledger: off): name one by --ledger" in said(run("rebuild", "--config", config))
    config.write_text(text[: text.index("budgets:")], encoding="utf-8")
    assert "has no budgets: add them" in said(run("show", "--config", config))
    assert "cannot be read" in said(run("show", "--config", config.parent / "no.yaml"))


def test_a_store_that_is_no_place_for_counters(config: Path) -> None:
    """What the file names is opened after the file was read, and said no less."""
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("budgets.db", "'mysql://host'"), encoding="utf-8")
    done = run("show", "--config", config)
    assert done.exit_code == 1
    assert "budgets: mysql://host is no place for budgets" in said(done)


def test_small_amounts_can_be_told_from_nothing(config: Path, budgets: Budgets) -> None:
    """A call to a cheap model costs less than a hundredth of a cent."""
    spend(budgets, "0.000012")
    assert "$0.000012" in run("show", "--config", config).stdout


def test_counters_that_nobody_has_used_yet(config: Path, budgets: Budgets) -> None:
    """Nothing to show is not an error, and is said."""
    done = run("show", "--config", config)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no call of a current period has been counted" in said(done)


def test_a_ledger_in_a_database_is_named_by_its_address(config: Path) -> None:
    """The configuration's own, which is no path beside it; one that is away changes nothing."""
    with config.open("a", encoding="utf-8") as file:
        file.write("ledger: postgresql://nobody@127.0.0.1:1/spend\n")
    done = run("rebuild", "--config", config)
    assert done.exit_code == 1
    assert "127.0.0.1:1" in said(done)
