"""The report on answer caches: rates, money, time and reasons, against figures worked out by hand."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tuppence.attempts import Attempt, Decision, Result
from tuppence.cache import Audit, SqliteAudits
from tuppence.cli import app
from tuppence.spend import HitReport, SqliteLedger, WrongHits, as_json, as_table, report
from tuppence.usage import Usage

MICRO = 1_000_000
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()


def attempt(tier: str, outcome: str, micro_usd: int | None, ms: float, baseline: int | None = None) -> Attempt:
    pico = None if micro_usd is None else micro_usd * MICRO
    return Attempt(
        tier, "m", "hit" if outcome == "hit" else "draft", outcome, Usage(), pico,  # type: ignore[arg-type]
        "unpriced" if pico is None else "exact", "", NOON, ms,
        baseline_pico=None if baseline is None else baseline * MICRO,
    )  # fmt: skip


def call(name: str, *attempts: Attempt, missed: str = "", policy: str = "p", **tags: str) -> Result:
    return Result(name, None, list(attempts), Decision("optimise", missed=missed, policy_version=policy), tags)


# Ten calls of which eight went through a policy:
#   a b   exact hits in 1 and 3 ms                                   saved 100 each
#   c     exact hit of unknown baseline, 2 ms                        saved ?
#   d     a similar one, verified by a judge for 10, in 40 ms        saved 100 - 10
#   e f g asked: 100 + 200 ms (a rejected draft, then an answer), 500 ms, 900 ms
#   h     failed after 7 ms: no answer
#   i     an embedding hit, j a call that was only watched: no policy's
WORK = (
    call("a", attempt("cache", "hit", 0, 1.0, 100), user="ann"),
    call("b", attempt("cache", "hit", 0, 3.0, 100)),
    call("c", attempt("cache", "hit", 0, 2.0)),
    call("d", attempt("judge", "consulted", 10, 30.0), attempt("similar", "hit", 0, 40.0, 100)),
    call("e", attempt("small", "rejected", 5, 100.0), attempt("large", "accepted", 50, 200.0, 50), missed="audited"),
    call("f", attempt("large", "accepted", 50, 500.0, 50), missed="differs in number"),
    call("g", attempt("large", "accepted", 50, 900.0, 50), missed="differs in number", user="ann"),
    call("h", attempt("large", "failed", 0, 7.0)),
    call("i", attempt("cache", "hit", 0, 1.0, 900), policy=""),
    call("j", attempt("watched", "observed", 70, 9000.0), policy=""),
)


def ledger_of(folder: Path, results: Sequence[Result]) -> Path:
    ledger = SqliteLedger(folder / "ledger.sqlite")
    for result in results:
        ledger.write(result)
    ledger.close()
    return folder / "ledger.sqlite"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return ledger_of(tmp_path, WORK)


def hits_of(path: Path, **options: Any) -> HitReport:
    found = report(path, **options).hits
    assert found is not None
    return found


def test_rates_are_of_all_calls_through_a_policy(path: Path) -> None:
    found = hits_of(path)
    assert found.calls == 8
    assert [(line.kind, line.hits, found.rate(line)) for line in found.lines] == [
        ("exact", 3, 3 / 8), ("similar", 1, 1 / 8),
    ]  # fmt: skip


def test_what_a_hit_saved_is_less_what_its_verifier_cost(path: Path) -> None:
    """Of one exact hit nobody knows the saving: it is left out, and counted as left out."""
    exact, similar = hits_of(path).lines
    assert (exact.compared, exact.saved_usd) == (2, Decimal("0.0002"))
    assert (similar.compared, similar.saved_usd) == (1, Decimal("0.00009"))


def test_time_saved_is_against_the_median_of_calls_that_models_answered(path: Path) -> None:
    """Asked: 300, 500 and 900 ms; three exact hits took 6 ms in all, the similar one 40."""
    found = hits_of(path)
    exact, similar = found.lines
    assert found.asked_median_ms == 500.0
    assert (exact.median_ms, found.saved_s(exact)) == (2.0, pytest.approx((3 * 500 - 6) / 1000))
    assert (similar.median_ms, found.saved_s(similar)) == (40.0, pytest.approx((500 - 40) / 1000))


def test_a_median_of_an_even_number_is_the_mean_of_the_middle_two(tmp_path: Path) -> None:
    found = hits_of(ledger_of(tmp_path, [*WORK, call("k", attempt("large", "accepted", 1, 700.0), missed="audited")]))
    assert found.asked_median_ms == 600.0


def test_a_hit_spares_nobody_the_wait_for_a_batch(tmp_path: Path) -> None:
    """A caller who was served at once would have asked a live model."""
    job = replace(attempt("large", "accepted", 25, 3_600_000.0, 50), usage=Usage(processing="batch"))
    found = hits_of(ledger_of(tmp_path, [*WORK, call("k", job), call("l", job)]))
    assert found.asked_median_ms == 500.0


def test_the_most_frequent_reasons_come_first(path: Path) -> None:
    assert hits_of(path).missed == (("differs in number", 2), ("audited", 1))


def test_time_and_tags_select(path: Path) -> None:
    found = hits_of(path, where={"user": "ann"})
    assert (found.calls, found.lines[0].hits, found.lines[1].hits) == (2, 1, 0)
    assert found.missed == (("differs in number", 1),)
    assert report(path, since=datetime(2027, 1, 1, tzinfo=UTC)).hits is None


def test_without_a_cache_there_is_no_section(tmp_path: Path) -> None:
    """Nothing that looks like a hit rate of zero."""
    made = report(ledger_of(tmp_path, [call("f", attempt("large", "accepted", 50, 500.0, 50))]))
    assert made.hits is None
    assert "answer cache" not in shown(made)


def test_hits_without_a_call_to_compare_have_no_time_saved(tmp_path: Path) -> None:
    found = hits_of(ledger_of(tmp_path, WORK[:2]))
    assert found.saved_s(found.lines[0]) is None


def shown(made: Any) -> str:
    console = Console(width=100, file=io.StringIO(), force_terminal=False)
    console.print(as_table(made))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_shows_it(path: Path) -> None:
    text = shown(report(path, wrong_hits=WrongHits(200, 3, (0.005, 0.043))))
    assert max(map(len, text.splitlines())) <= 100
    rows = {words[0]: words[1:] for line in text.splitlines() if (words := line.split())}
    assert rows["exact"] == ["3", "37.5%", "0.000200", "2.0", "ms", "500.0", "ms", "1.5", "s"]
    assert rows["similar"] == ["1", "12.5%", "0.000090", "40.0", "ms", "500.0", "ms", "460.0", "ms"]
    assert "wrong hits: 1.5% of 200 audited (95 % interval 0.5% to 4.3%)" in text
    assert "why calls were not served: differs in number 2, audited 1" in text


def test_json_holds_it(path: Path) -> None:
    made = json.loads(as_json(report(path)))["answer_cache"]
    assert made["kinds"][0] == {
        "kind": "exact", "hits": 3, "hit_rate": 0.375, "saved_usd": "0.000200000000", "compared_hits": 2,
        "median_ms": 2.0, "saved_s": 1.494,
    }  # fmt: skip
    assert made["missed"][0] == {"why": "differs in number", "calls": 2}
    assert made["audited"] is None


def test_the_command_reads_audits_beside_the_ledger(path: Path, tmp_path: Path) -> None:
    """Only what would be served by now counts: of the doubtful ones the share says nothing."""
    log = SqliteAudits(tmp_path / "audits.sqlite")
    for n in range(400):
        log.add(Audit('["", ""]', 0.99, n % 200 != 0, NOON))
    for _ in range(50):
        log.add(Audit('["", ""]', 0.55, False, NOON))
    log.close()
    asked = ["report", "--ledger", str(path), "--audits", str(tmp_path / "audits.sqlite"), "--format", "json"]
    asked += ["--max-wrong-share", "0.05"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    audited = json.loads(done.stdout)["answer_cache"]["audited"]
    assert (audited["audits"], audited["wrong"], audited["wrong_share"]) == (400, 2, 0.005)
    later = CliRunner().invoke(app, [*asked, "--since", "2026-04-01"])
    assert json.loads(later.stdout)["answer_cache"] is None
