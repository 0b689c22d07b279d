"""Advice from a ledger: what is advised, by which figures, and when nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tuppence.attempts import Attempt, Decision, Result
from tuppence.config import load_config
from tuppence.errors import ConfigError, LedgerError
from tuppence.evidence.advice import Advice, Advised, Range, advise, as_json
from tuppence.evidence.advice.facts import MONTH_DAYS, Facts
from tuppence.prices import PriceBook
from tuppence.spend import SqliteLedger
from tuppence.usage import Usage

DAY_S = 86_400
BEGIN = 1_761_955_200.0
"""2025-11-01, midnight in UTC."""
DAYS = 10
SMALL, LARGE = "gpt-4o-mini", "gpt-4o"
CONFIG = (
    "tiers:\n"
    "  - {name: small, class: openai, model: gpt-4o-mini}\n"
    "  - {name: large, class: openai, model: gpt-4o}\n"
)  # fmt: skip

Write = Callable[[list[Result]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(results: list[Result]) -> Path:
        path = tmp_path / "ledger.sqlite"
        ledger = SqliteLedger(path)
        for one in results:
            ledger.write(one)
        ledger.close()
        return path

    return write


def attempt(at: float, model: str = LARGE, *, sent: int = 1000, written: int = 100, **changes: Any) -> Attempt:
    usage = changes.pop("usage", Usage(input=sent, output=written))
    rate = PriceBook.default().rate(model, at=at)
    assert rate is not None
    fields: dict[str, Any] = {
        "tier": "small" if model == SMALL else "large", "model": model, "cause": "draft", "outcome": "accepted",
        "usage": usage, "pico_usd": rate.cost(usage), "status": "exact", "price_version": "v", "started_at": at,
        "latency_ms": 1.0, "baseline_pico": rate.cost(usage),
    }  # fmt: skip
    return Attempt(**(fields | changes))


def call(number: int, *attempts: Attempt, mode: str = "optimise", **tags: str) -> Result:
    return Result(f"call-{number}", None, list(attempts), Decision(mode, baseline="large"), tags)


def evenly(calls: int, days: int = DAYS) -> list[float]:
    """Moments, far enough apart that no minute holds ten."""
    return [BEGIN + days * DAY_S * at / calls for at in range(calls)]


def of(found: Advised, lever: str) -> list[Advice]:
    return [one for one in found.advice if one.lever == lever]


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=40))
def test_a_month_is_the_mean_of_all_days(amounts: list[int]) -> None:
    """Whatever days came to: the range holds the expectation, nothing is below 0, equal days leave no doubt."""
    facts = Facts((), (), (), calls=0, first_day=100, last_day=100 + len(amounts) - 1, at=0.0)
    found = facts.monthly({100 + day: amount for day, amount in enumerate(amounts)})
    assert 0 <= found.low_pico <= found.expected_pico <= found.high_pico
    assert found.expected_pico == pytest.approx(max(0.0, sum(amounts) / len(amounts)) * MONTH_DAYS, abs=1)
    if len(set(amounts)) == 1:
        assert found.high_pico - found.low_pico <= 1


def test_an_empty_ledger_is_an_error(write: Write) -> None:
    """There is nothing to say, and a file may be the wrong one."""
    with pytest.raises(LedgerError, match="holds no calls yet"):
        advise(write([]))


def test_few_calls_are_no_evidence(write: Write) -> None:
    """It says how many more it takes, and advises nothing."""
    found = advise(write([call(n, attempt(at)) for n, at in enumerate(evenly(100, days=2))]))
    assert found.advice == ()
    assert [one.needs for one in found.unknown] == ["not enough traffic: 200 more calls and 1 more days"]


def test_without_traffic_what_needs_texts_is_not_known(write: Write) -> None:
    """The ledger holds none: that is said, and how to get some."""
    found = advise(write([call(n, attempt(at, sent=200), user="u") for n, at in enumerate(evenly(400))]))
    assert {"exact cache", "semantic cache", "dead weight", "route"} == {one.lever for one in found.unknown}
    assert all("record" in one.needs or "observe" in one.needs for one in found.unknown)


def test_retries_cost_what_they_cost(write: Write) -> None:
    """One call in four is asked twice: at most the second ask can be saved."""
    results = [
        call(n, attempt(at, outcome="failed"), attempt(at + 1, cause="retry"), user="u") if n % 4 == 0
        else call(n, attempt(at), user="u")
        for n, at in enumerate(evenly(400))
    ]  # fmt: skip
    (found,) = of(advise(write(results)), "retries")
    rate = PriceBook.default().rate(LARGE)
    assert rate is not None
    once = rate.cost(Usage(input=1000, output=100))
    assert once is not None
    assert found.saves.expected_pico == pytest.approx(100 * once / DAYS * MONTH_DAYS / 2, rel=1e-6)
    assert "100 of 500 attempts" in found.evidence[0]


def test_a_cascade_that_loses_money_is_left(write: Write) -> None:
    """Nine drafts in ten are thrown away: the strongest tier alone is cheaper, and exactly by the drafts."""
    results = []
    for n, at in enumerate(evenly(400)):
        draft = attempt(at, SMALL, sent=20_000, outcome="rejected", baseline_pico=None)
        tried = [draft] if n % 10 else []
        results.append(call(n, *tried, attempt(at + 1, sent=1000, cause="escalation"), task="law", user="u"))
    (found,) = of(advise(write(results)), "route")
    assert found.site == "law"
    drafts = sum(one.attempts[0].pico_usd or 0 for one in results if len(one.attempts) > 1)
    assert found.saves.expected_pico == pytest.approx(drafts / DAYS * MONTH_DAYS, rel=1e-6)
    assert found.config == 'route: {by_task: {"law": strongest}}\n'


def test_observe_mode_says_what_a_route_would_save(write: Write) -> None:
    """The first choices' price is in the ledger; how many of them would have held is not."""
    results = [
        call(n, attempt(at, would_pico=1_000_000, pico_usd=5_000_000), mode="observe", user="u")
        for n, at in enumerate(evenly(400))
    ]
    (found,) = of(advise(write(results)), "route")
    whole = 400 * 4_000_000 / DAYS * MONTH_DAYS
    assert found.saves.low_pico == 0
    assert found.saves.expected_pico == pytest.approx(0.6 * whole, rel=1e-6)
    assert found.config == "mode: optimise\n"


def test_what_comes_in_bursts_may_wait(write: Write) -> None:
    """Fifty calls in a minute that name nobody; the same calls of a user are somebody's."""

    def job(**tags: str) -> Path:
        moments = [BEGIN + day * DAY_S + n for day in range(DAYS) for n in range(50)]
        return write([call(n, attempt(at), task="nightly", **tags) for n, at in enumerate(moments)])

    (found,) = of(advise(job()), "batch")
    rate = PriceBook.default().rate(LARGE)
    assert rate is not None
    once, halved = (rate.cost(Usage(input=1000, output=100, processing=way)) for way in ("standard", "batch"))  # type: ignore[arg-type]
    assert once is not None
    assert halved is not None
    assert found.saves.expected_pico == pytest.approx(500 * (once - halved) / DAYS * MONTH_DAYS, rel=1e-6)


def test_calls_of_users_are_waited_for(write: Write) -> None:
    """However many of them come at once."""
    moments = [BEGIN + day * DAY_S + n for day in range(DAYS) for n in range(50)]
    found = advise(write([call(n, attempt(at), user="u") for n, at in enumerate(moments)]))
    assert of(found, "batch") == []


def test_long_prompts_that_are_not_read_from_a_cache(write: Write) -> None:
    """Without texts only a bound is known, and it is said to be one."""
    found = advise(write([call(n, attempt(at, sent=3000), user="u") for n, at in enumerate(evenly(400))]))
    (one,) = of(found, "prefix cache")
    assert one.config == "prompt_cache: true\n"
    assert one.saves.low_pico == 0
    assert any("at most 3,000 tokens" in line for line in one.evidence)


def test_short_prompts_have_no_prefix_to_keep(write: Write) -> None:
    """OpenAI keeps none below 1,024 tokens."""
    found = advise(write([call(n, attempt(at, sent=900), user="u") for n, at in enumerate(evenly(400))]))
    assert of(found, "prefix cache") == []


def test_runaway_answers_are_limited(write: Write) -> None:
    """One answer in three hundred runs on to 16,000 tokens."""
    results = [
        call(n, attempt(at, written=16_000 if n % 300 == 7 else 100 + n % 40), task="sum", user="u")
        for n, at in enumerate(evenly(900))
    ]
    (found,) = of(advise(write(results)), "output limits")
    assert found.config == "limits: true\n"
    assert found.saves.low_pico <= found.saves.expected_pico <= found.saves.high_pico


def test_volume_at_one_kind_of_call_is_worth_a_model(write: Write) -> None:
    """4,000 calls in ten days at the large model, with a small one in use elsewhere."""
    results = [call(n, attempt(at), task="triage", user="u") for n, at in enumerate(evenly(4000))]
    results.append(call(4001, attempt(BEGIN, SMALL), user="u"))
    (found,) = of(advise(write(results)), "fine-tune")
    assert found.effort == "high"
    assert found.site == "triage"


def test_one_machine_must_be_cheaper_than_the_bill(write: Write) -> None:
    """A GPU for 0.1 cents an hour pays; one for $2.50 does not."""
    path = write([call(n, attempt(at, sent=20_000), user="u") for n, at in enumerate(evenly(400))])
    assert of(advise(path), "self-host") == []
    assert of(advise(path, gpu_hour=Decimal("0.001")), "self-host")
    with pytest.raises(ConfigError, match="above 0"):
        advise(path, gpu_hour=Decimal(0))


def mixed(write: Write) -> Path:
    results = [
        call(n, attempt(at, outcome="failed"), attempt(at + 1, cause="retry", sent=3000), task="faq", user="u")
        for n, at in enumerate(evenly(400))
    ]
    return write(results)


def test_the_most_money_for_the_effort_comes_first_and_overlaps_are_said(write: Write) -> None:
    """Nothing is added up blindly: all together is less than the sum."""
    found = advise(mixed(write))
    assert len(found.advice) >= 2
    assert [one.worth for one in found.advice] == sorted((one.worth for one in found.advice), reverse=True)
    assert all(one.overlaps for one in found.advice)
    assert found.together_pico < sum(one.saves.expected_pico for one in found.advice)
    assert found.together_pico <= found.month_pico


def test_every_line_of_config_loads(write: Write, tmp_path: Path) -> None:
    """Each is what a policy's file takes, beside its tiers."""
    every = [
        *advise(mixed(write)).advice,
        Advice(lever="route", do="", saves=Range(0, 0, 0), effort="low", evidence=(),
               config='route: {by_task: {"a: b": strongest}}\n'),
    ]  # fmt: skip
    lines = {one.config for one in every} | {
        "cache: {store: answers.sqlite, ttl_s: 86400}\n", "mode: optimise\n", "limits: true\n", "shape: [tidy]\n",
    }  # fmt: skip
    for number, line in enumerate(sorted(lines)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(CONFIG + line, encoding="utf-8")
        load_config(path)


def test_a_program_reads_it_as_json(write: Write) -> None:
    """Money is decimal text; the command prints the same."""
    from tuppence.cli.advise import advise as command

    path = mixed(write)
    told = json.loads(as_json(advise(path)))
    assert Decimal(told["month_usd"]) > 0
    assert {"lever", "do", "usd_a_month", "low_usd", "high_usd", "effort", "evidence", "config"} <= told["advice"][
        0
    ].keys()

    import typer

    app = typer.Typer()
    app.command()(command)
    shown = CliRunner().invoke(app, ["--ledger", str(path), "--format", "json"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout) == told
    table = CliRunner().invoke(app, ["--ledger", str(path)])
    assert table.exit_code == 0, table.output
    assert "not the sum: they overlap" in table.stdout
