"""Alerts over a real ledger: what is read of it, and the command that cron calls."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tuppence.attempts import Result
from tuppence.cli import alerts as command
from tuppence.errors import LedgerError
from tuppence.spend.alerts import AlertRules, check, checked
from tuppence.spend.alerts.facts import SUMS
from tuppence.spend.alerts.reading import read_facts
from tuppence.usage import Usage

from .small_calls import small_call, written

UNTIL = datetime(2026, 3, 30, tzinfo=UTC)
DAYS = 16
DEAR_HOURS = 20


def results() -> Iterator[Result]:
    """Five calls an hour for sixteen days; in the last twenty hours everything costs twice as much."""
    for index in range(DAYS * 24 * 5):
        at = UNTIL - timedelta(days=DAYS) + timedelta(hours=index // 5, minutes=10 * (index % 5))
        dear = at >= UNTIL - timedelta(hours=DEAR_HOURS)
        usage = Usage(input=900 + 50 * (index * 7 % 11), output=100)
        tags = {"user": f"u{index % 3}", "session": f"s{index // 10}", "endpoint": "/chat", "workflow": "chat"}
        yield small_call(f"c{index}", at, usage, dearer=2 if dear else 1, **tags)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("ledger") / "ledger.db", results())


def test_the_facts_are_the_ledgers_sums(ledger: Path) -> None:
    """By the hour, with users and runs."""
    facts, now = read_facts(ledger, AlertRules(), UNTIL)
    key = ("/chat", "small", "gpt-4o-mini")
    assert {name: facts.summed(name, [key])(0, now) for name in ("calls", "attempts", "output_tokens")} == {
        "calls": DAYS * 120, "attempts": DAYS * 120, "output_tokens": DAYS * 12_000,
    }  # fmt: skip
    paid = sum(one.pico_usd or 0 for result in results() for one in result.attempts)
    assert facts.summed("pico_usd", [key])(0, now) == paid
    assert len(SUMS) == len(facts.sums[key])
    assert set(facts.users[now - 1]) == {"u0", "u1", "u2"}
    assert {(run.workflow, run.calls) for run in facts.runs} == {("chat", 10)}


def test_a_price_that_doubled_rings_with_its_reason(ledger: Path) -> None:
    """Twenty hours after it began."""
    found = {one.rule: one for one in check(ledger, at=UNTIL)}
    one = found.get("price") or found["cost_per_request"]
    assert sum(one.drivers.values()) == one.extra_pico > 0
    assert max(one.drivers, key=lambda key: one.drivers[key])[0] == "price"
    assert "higher prices a token" in one.said


def test_before_it_began_nothing_rings(ledger: Path) -> None:
    """The same ledger, a day earlier; what comes after that moment is not looked at."""
    assert check(ledger, at=UNTIL - timedelta(hours=DEAR_HOURS)) == []


def test_tags_narrow_what_is_watched(ledger: Path) -> None:
    """Nothing of another endpoint is there to ring."""
    found = checked(ledger, at=UNTIL, rules=AlertRules(where={"endpoint": "/other"}))
    assert (found.new, found.calls) == ((), 0)


def test_a_place_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    """In place of silence, which would read as peace."""
    with pytest.raises(LedgerError, match=r"nothing\.db"):
        check(tmp_path / "nothing.db")


def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(command.alerts)
    return made


def test_cron_gets_a_code_once(ledger: Path, tmp_path: Path) -> None:
    """The first run rings and says so, the second is quiet and names what is on."""
    arguments = ["--ledger", str(ledger), "--at", "2026-03-30", "--check", "--state", str(tmp_path / "state.json")]
    first = CliRunner().invoke(app(), arguments)
    assert first.exit_code == command.RANG, first.output
    assert "! " in first.output
    second = CliRunner().invoke(app(), arguments)
    assert second.exit_code == 0, second.output
    assert "still on" in second.output


def test_without_check_nothing_is_remembered(ledger: Path) -> None:
    """Looking is free."""
    arguments = ["--ledger", str(ledger), "--at", "2026-03-30", "--format", "json"]
    for _ in range(2):
        done = CliRunner().invoke(app(), arguments)
        assert done.exit_code == 0, done.output
        assert json.loads(done.output)["new"]
    assert not ledger.with_name(f"{ledger.name}.alerts.json").exists()


def test_a_short_history_is_said(ledger: Path) -> None:
    """On the third day."""
    done = CliRunner().invoke(app(), ["--ledger", str(ledger), "--at", "2026-03-17"])
    assert "nothing is off" in done.output
    assert "not enough history yet" in done.output


def test_a_watch_goes_on_when_the_ledger_is_away(ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It complains, waits, and finds the ledger there the next time."""
    place, waited = tmp_path / "later.db", []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            raise KeyboardInterrupt
        place.write_bytes(ledger.read_bytes())

    monkeypatch.setattr(command.time, "sleep", wait)
    done = CliRunner().invoke(app(), ["--ledger", str(place), "--watch", "5"])
    assert waited == [300, 300]
    assert "later.db" in done.output
    assert "requests in the history" in done.output
    assert place.with_name("later.db.alerts.json").exists()
