"""What an answer is worth to the exact cache: price and tenant come from the call, hits from being served."""

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from typer.testing import Result as CliResult

from tuppence.attempts import Result
from tuppence.cache import ExactCache, MemoryStore, RedisStore, SqliteStore
from tuppence.cli import app
from tuppence.config.cache_schema import CacheSettings
from tuppence.config.caching import cache_of
from tuppence.drivers import run
from tuppence.effects import Hit, Lease
from tuppence.errors import ConfigError
from tuppence.flow import plan
from tuppence.policy import Policy
from tuppence.ports import Port
from tuppence.prices import token_rate
from tuppence.request import Message, Reply, Request
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier

Ask = Callable[..., Result]


def cli(*arguments: Any) -> CliResult:
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, [str(one) for one in arguments], prog_name="tuppence")


def asking(cache: ExactCache, answer: str = "An answer.") -> Ask:
    """Ask through the flow, of a tier with a price."""
    policy = Policy(tiers=(Tier("m", model="m", rate=token_rate(input="1", output="2")),), check=None, cache=cache)
    models = ScriptedModels(m=answer)

    def ask(question: str, **tags: str) -> Result:
        request = Request((Message("user", question),), tags=tags)
        return run(plan(request, policy), Port(models, cache=cache))

    return ask


def test_an_answer_is_kept_with_what_its_call_cost() -> None:
    """What its hits saved is that, times their number, to the last digit."""
    cache = ExactCache(MemoryStore())
    ask = asking(cache)
    paid = ask("How much is tea?")
    for _ in range(3):
        assert ask("How much is tea?").pico_usd == 0
    (one,) = cache.most_hit()
    assert (one.hits, one.origin, one.text) == (3, paid.call_id, "An answer.")
    assert paid.pico_usd > 0
    assert one.saved == 3 * Decimal(paid.pico_usd).scaleb(-12)
    cache.close()


def test_a_call_is_kept_in_its_tenants_room() -> None:
    """One tenant's many questions push out none of another's."""
    cache = ExactCache(MemoryStore(max_entries=10, max_share_per_tenant=0.5))
    ask = asking(cache)
    for question in "abc":
        ask(question, tenant="quiet")
    for number in range(50):
        ask(f"{number} times", tenant="noisy")
    hits = [ask(question, tenant="quiet").tier == "cache" for question in "abc"]
    assert hits == [True, True, True]
    cache.close()


def test_who_waited_for_the_answer_was_served_by_it() -> None:
    """Eight equal calls at the same time, of which one pays: seven hits, in whatever way they were served."""
    cache, answered = ExactCache(MemoryStore()), threading.Event()

    def call(_number: int) -> bool:
        found = cache.lookup("ab12")
        if isinstance(found, Hit):
            return True
        assert answered.wait(600)
        cache.remember(found, Reply("2 pence"), origin="call-1")
        return False

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(call, number) for number in range(8)]
        answered.set()
        assert sum(one.result() for one in calls) == 7
    assert [one.hits for one in cache.most_hit()] == [7]
    cache.close()


# -- what a configuration file may say


@pytest.mark.parametrize("place", ["memory", "kept.sqlite"])
def test_a_file_bounds_a_cache(tmp_path: Path, place: str) -> None:
    """In bytes, in entries, and a tenant's part of them."""
    said = CacheSettings(store=place, max_entries=100, max_bytes=160_000, max_share_per_tenant=0.02)
    cache = cache_of(said, tmp_path)
    assert cache is not None
    for number in range(5):
        keep(cache, f"{number:x}", Reply("x" * 100), tenant="ann")
    keep(cache, "b1", Reply("x" * 5_000), tenant="bob")
    cache.flush()
    assert [key for key in ("0", "1", "2", "3", "4", "b1") if cache.peek(key)] == ["3", "4"]
    cache.close()


def test_a_file_bounds_similar_answers_too(tmp_path: Path) -> None:
    """Each store of a semantic cache takes the bounds; a tenant's part is of the exact one."""
    said = CacheSettings.model_validate(
        {"store": "kept.sqlite", "max_entries": 1, "max_share_per_tenant": 0.5, "semantic": {"threshold": 0.9}}
    )
    cache = cache_of(said, tmp_path)
    assert cache is not None
    ask = asking(cache)
    for question in ("How much is tea?", "Where is the station?"):
        ask(question)
    cache.flush()
    assert len(cache.similar.entries()) == 1  # type: ignore[attr-defined]
    cache.close()


def test_a_part_of_nothing_is_refused() -> None:
    """A Redis has no bounds but those that are given, and the message says so."""
    with pytest.raises(ValueError, match="max_share_per_tenant is a part of max_entries or max_bytes"):
        CacheSettings(store="redis://127.0.0.1:1", max_share_per_tenant=0.5)
    with pytest.raises(ConfigError, match=r"max_share_per_tenant is 0\.5, but of what"):
        RedisStore("redis://127.0.0.1:1", max_share_per_tenant=0.5)


def keep(cache: ExactCache, key: str, reply: Reply, **about: Any) -> None:
    lease = cache.lookup(key)
    assert isinstance(lease, Lease)
    cache.remember(lease, reply, origin=f"call-{key}", **about)


# -- the command line


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """A file of three answers, of which two were served again."""
    cache = ExactCache(SqliteStore(tmp_path / "answers.sqlite"))
    keep(cache, "a1", Reply("Two pence.\nOr \x1b[31mthree? " + "Words. " * 20), pico_usd=25 * 10**9)
    keep(cache, "b2", Reply("At noon."))
    keep(cache, "c3", Reply("Never asked again."))
    for key, times in (("a1", 2), ("b2", 5)):
        for _ in range(times):
            assert isinstance(cache.lookup(key), Hit)
    cache.close()
    return tmp_path / "answers.sqlite"


def test_the_most_served_answers_are_shown(answers: Path) -> None:
    """Most first, one line each, nothing in it that a terminal would obey; without a price nothing is claimed."""
    shown = cli("cache", "top", answers)
    assert shown.exit_code == 0, shown.output
    rows = [line.split() for line in shown.output.splitlines() if re.match(r"\s*\d", line)]
    assert [(row[0], row[1]) for row in rows] == [("5", "-"), ("2", "$0.0500")]
    assert "At noon." in shown.output
    assert "Two pence. Or [31mthree? Words." in shown.output
    assert "\x1b" not in shown.output
    assert len(cli("cache", "top", answers, "--limit", 1).output.splitlines()) < len(shown.output.splitlines())


def test_the_most_served_answers_are_spelt_as_json(answers: Path) -> None:
    """With every digit, money as text."""
    told = json.loads(cli("cache", "top", answers, "--format", "json").output)
    assert [(one["key"], one["hits"], one["saved_usd"], one["call_id"]) for one in told] == [
        ("b2", 5, "0.000000000000", "call-b2"),
        ("a1", 2, "0.050000000000", "call-a1"),
    ]
    assert told[0]["answer"] == "At noon."


def test_nothing_was_served_yet(tmp_path: Path) -> None:
    """That is no error; the message says what would change it."""
    SqliteStore(tmp_path / "answers.sqlite").close()
    shown = cli("cache", "top", tmp_path / "answers.sqlite")
    assert shown.exit_code == 0
    assert "ask something twice" in " ".join(shown.output.split())


@pytest.mark.parametrize("kind", ["nothing", "text"])
def test_a_place_without_answers_is_left_as_it_is(tmp_path: Path, kind: str) -> None:
    """A mistyped name makes no file."""
    file = tmp_path / "other"
    if kind == "text":
        file.write_text("not a database, but long enough to be taken for one" * 20)
    before = file.read_bytes() if file.exists() else None
    shown = cli("cache", "top", file)
    assert shown.exit_code == 1
    assert "holds no answers" in " ".join(shown.output.split())
    assert (file.read_bytes() if file.exists() else None) == before
