"""`tuppence forecast`: a table and a sentence for people, every digit for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tuppence.attempts import Attempt, Decision, Result
from tuppence.cli.forecast import forecast
from tuppence.spend import SqliteLedger
from tuppence.usage import Usage

app = typer.Typer()
app.command()(forecast)
AT = ("--at", "2026-06-13")


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """Twelve days of June at 4 dollars a day, on two endpoints; all on one tier."""
    file = tmp_path / "ledger.sqlite"
    writer = SqliteLedger(file)
    for day in range(12):
        moment = datetime(2026, 6, 1, 8, tzinfo=UTC) + timedelta(days=day)
        for endpoint, dollars in (("/chat", 3), ("/search", 1)):
            answer = Attempt(
                "small", "gpt-4o-mini", "draft", "accepted", Usage(input=10, output=5), dollars * 10**12, "exact", "v",
                moment.timestamp(), 5.0,
            )  # fmt: skip
            tags = {"endpoint": endpoint}
            writer.write(Result(f"{endpoint}{day}", None, [answer], Decision("optimise"), tags))
    writer.close()
    return str(file)


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def test_the_table_says_what_the_month_comes_to(ledger: str) -> None:
    """A sentence with the budget's end, a line a scope, and the total."""
    told = run("--ledger", ledger, *AT, "--by", "endpoint", "--budget", "$100")
    assert "June 2026 comes to $120.00" in told
    assert "the budget of $100.00 ends on 26 June" in told
    assert [line.split()[:3] for line in told.splitlines() if line.lstrip().startswith(("/", "total"))] == [
        ["/chat", "36.0000", "90.00"], ["/search", "12.0000", "30.00"], ["total", "48.0000", "120.00"],
    ]  # fmt: skip


def test_json_holds_every_digit_and_every_day(ledger: str) -> None:
    """Dollars are exact decimal text; days add up to the month."""
    told = json.loads(run("--ledger", ledger, *AT, "--format", "json", "--what-if", "small=100%,cache=0,growth=50%"))
    total = told["total"]
    assert (total["spent_usd"], total["expected_usd"]) == ("48.000000000000", "120.000000000000")
    assert len(total["days"]) == 18
    assert total["days"][-1]["total_usd"] == total["expected_usd"]
    assert told["what_if"]["factor"] == 0.5
    assert told["what_if"]["expected_usd"] == "84.000000000000"
    assert "budget" not in total


def test_what_if_is_told_with_what_it_assumes(ledger: str) -> None:
    """Nobody is shown a saving without its assumptions."""
    told = run("--ledger", ledger, *AT, "--what-if", "growth=150%")
    assert "It would come to $156.00" in told
    assert "assumed: the last 28 days' calls stand for those to come" in told


def test_it_can_be_written_to_a_file(ledger: str, tmp_path: Path) -> None:
    """And nothing is printed then."""
    assert run("--ledger", ledger, *AT, "--horizon", "week", "--output", str(tmp_path / "told.txt")) == ""
    assert (tmp_path / "told.txt").read_text().startswith("The week from 08 June comes to $")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--budget", "lots"], "--budget is 'lots'"),
        (["--budget", "-1"], "--budget is '-1'"),
        (["--what-if", "small"], "--what-if has 'small'"),
        (["--what-if", "small=1,small=0"], "give each name once"),
    ],
)
def test_what_cannot_be_read_is_refused(ledger: str, arguments: list[str], says: str) -> None:
    """With the value, and what to give instead."""
    done = CliRunner().invoke(app, ["--ledger", ledger, *AT, *arguments], env={"COLUMNS": "300"})
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())
