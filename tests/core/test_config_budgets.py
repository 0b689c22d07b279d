"""`budgets:` in a configuration file: what it opens, and what it says of mistakes, each with its line."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tuppence.config import Config, load_config
from tuppence.errors import ConfigError
from tuppence.spend.budgets import Budget, Budgets
from tuppence.spend.budgets.memory import MemoryCounters
from tuppence.spend.budgets.sqlite import SqliteCounters

TIER = (
    "tiers:\n  - {name: m, class: openai_compatible, model: m-1, base_url: 'http://localhost:1/v1', price: unpriced}\n"
)
LIMITS = """
budgets:
  store: budgets.db
  timezone: Europe/Berlin
  unpriced: allow
  lease_s: 60
  limits:
    - {usd: 50, per: month}
    - {usd: 0.25, per: day, each: user, soft: true}
    - {usd: '2', per: session, where: {tenant: 42}, name: one talk}
"""

Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str) -> Config:
        path = tmp_path / "tuppence.yaml"
        path.write_text(TIER + text, encoding="utf-8")
        return load_config(path)

    return load


def opened(config: Config) -> Budgets:
    budgets = config.budgets()
    assert budgets is not None
    return budgets


def test_all_that_a_file_can_say(load: Load, tmp_path: Path) -> None:
    """A path is relative to the file's folder; numbers are exact, and tags are text."""
    budgets = opened(load(LIMITS))
    assert budgets.budgets == (
        Budget(usd="50", per="month"),
        Budget(usd="0.25", per="day", each="user", soft=True),
        Budget(usd="2", per="session", where={"tenant": "42"}, name="one talk"),
    )
    assert budgets.budgets[1].usd == Decimal("0.25")
    assert (budgets.timezone, budgets.unpriced) == ("Europe/Berlin", "allow")
    assert isinstance(budgets.counters, SqliteCounters)
    assert (tmp_path / "budgets.db").exists()
    budgets.close()


def test_what_a_file_leaves_out_is_the_default(load: Load) -> None:
    """Counted in the program's own memory, by UTC, and without a price there is no call."""
    budgets = opened(load("budgets:\n  limits:\n    - {usd: 1, per: call}\n"))
    assert isinstance(budgets.counters, MemoryCounters)
    assert (budgets.timezone, budgets.unpriced) == ("UTC", "refuse")
    assert load("").settings.budgets is None


def test_counters_are_opened_with_the_first_model(load: Load, tmp_path: Path) -> None:
    """Checking a file makes none, and a replay of it is held to none."""
    config = load(LIMITS)
    assert config.policy().budgets is None
    assert not (tmp_path / "budgets.db").exists()
    budgets = config.options()["budgets"]
    assert (tmp_path / "budgets.db").exists()
    budgets.close()
    assert "budgets" not in load("").options()
    assert load("").budgets() is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budgets: {limits: []}", r"3:.*budgets.limits is \[\].*at least 1 item"),
        ("budgets: {store: x}", "3:.*budgets.limits is missing: add it"),
        ("budgets: {limits: [{usd: 1, per: week}]}", "per is 'week'.*it is one of call, session, day, month"),
        ("budgets: {limits: [{usd: -5, per: day}]}", "usd is -5: it should be greater than"),
        ("budgets: {limits: [{usd: 0, per: day}]}", "usd is 0: it should be greater than 0"),
        ("budgets: {limits: [{usd: much, per: day}]}", "usd is 'much': .*decimal"),
        ("budgets: {limits: [{per: day}]}", "usd is missing: add it"),
        ("budgets: {limits: [{usd: 1, per: day, user: ann}]}", "unknown key 'user'.*it can be usd, per, each, where"),
        ("budgets: {limits: [{usd: 1, per: day}], unpriced: guess}", "it is one of refuse, allow"),
        ("budgets: {limits: [{usd: 1, per: day}], lease_s: 0}", "lease_s is 0: it should be greater than 0"),
        ("budgets: [{usd: 1, per: day}]", r"give a mapping \(keys and values\)"),
        (
            "budgets:\n  limits:\n  - {usd: 1, per: day}\n  - {usd: 1, per: call, each: user}",
            r"6:.*budgets.limits\[1\]: a budget per call is for each 'user'",
        ),
        (
            "budgets: {limits: [{usd: 1, per: day}, {usd: 2, per: day}]}",
            "3:.*budgets: two budgets are called 'day'.*give each a `name`",
        ),
        (
            "budgets: {timezone: Berlin, limits: [{usd: 1, per: day}]}",
            "3:.*timezone is 'Berlin'.*such as 'Europe/Berlin'",
        ),
    ],
)
def test_what_a_file_cannot_say(load: Load, text: str, said: str) -> None:
    """Cause, value and fix, at its line."""
    with pytest.raises(ConfigError, match=said):
        load(text)
