"""Reports: every figure against numbers worked out by hand or by plain Python integers."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tuppence.attempts import Attempt, Decision, Result
from tuppence.errors import LedgerError
from tuppence.spend import DIMENSIONS, Report, SqliteLedger, as_csv, as_json, as_table, notes, report, saved_pico
from tuppence.usage import Usage

MICRO = 1_000_000
"""Pico-USD in a micro-USD."""
MONDAY = datetime(2026, 3, 2, 23, 0, tzinfo=UTC).timestamp()
TUESDAY = datetime(2026, 3, 3, 1, 0, tzinfo=UTC).timestamp()


def attempt(tier: str, outcome: str, micro_usd: int | None, **changes: Any) -> Attempt:
    pico = None if micro_usd is None else micro_usd * MICRO
    fields: dict[str, Any] = {
        "tier": tier, "model": f"{tier}-1", "cause": "draft", "outcome": outcome, "usage": Usage(input=100, output=10),
        "pico_usd": pico, "status": "unpriced" if pico is None else "exact", "price_version": "v", "started_at": MONDAY,
        "latency_ms": 1.0,
    }  # fmt: skip
    if "baseline" in changes:
        fields["baseline_pico"] = changes.pop("baseline") * MICRO
    return Attempt(**(fields | changes))


def call(call_id: str, *attempts: Attempt, **tags: str) -> Result:
    return Result(call_id, None, list(attempts), Decision("optimise", baseline="large"), tags)


# Six calls of a day's work:
#   a  ann   small answers                                            cost  10  baseline 200
#   b  ann   small is rejected, a judge is asked, large answers       cost 10 + 5 + 200  baseline 200
#   c  bob   served from the cache                                    cost   0  baseline 150
#   d  bob   small fails, its retry of unknown price answers          cost  10 + ?
#   e  (nobody, Tuesday) large is watched: no answer of ours, no baseline; estimated          cost 300
#   f  bob   small answers with audio, images and cached tokens       cost  40  baseline  30
WORK = (
    call("a", attempt("small", "accepted", 10, baseline=200), user="ann", ab="x"),
    call(
        "b",
        attempt("small", "rejected", 10),
        attempt("judge", "consulted", 5, cause="judge"),
        attempt("large", "accepted", 200, cause="escalation", baseline=200),
        user="ann",
        ab="y",
    ),
    call("c", attempt("cache", "hit", 0, cause="hit", baseline=150, usage=Usage()), user="bob", task="faq"),
    call(
        "d",
        attempt("small", "failed", 10, error="RateLimitError: 429", usage=Usage()),
        attempt("small", "accepted", None, cause="retry", baseline=200),
        user="bob",
    ),
    call("e", attempt("large", "observed", 300, cause="observed", status="estimated", started_at=TUESDAY)),
    call(
        "f",
        attempt(
            "small", "accepted", 40, baseline=30,
            usage=Usage(
                input=1, cache_read=2, cache_write_5m=4, cache_write_1h=8, audio_input=16, audio_cache_read=32,
                output=64, audio_output=128, reasoning=60, media=(("image_input", 256), ("image_output", 512)),
            ),
        ),
        user="bob",
    ),
)  # fmt: skip


def ledger_of(folder: Path, results: Sequence[Result]) -> Path:
    path = folder / "ledger.sqlite"
    ledger = SqliteLedger(path)
    for result in results:
        ledger.write(result)
    ledger.close()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return ledger_of(tmp_path, WORK)


def figures(made: Report, *names: str) -> dict[Any, tuple[Any, ...]]:
    """The named figures by key; a single key is not a tuple."""
    lines = {line.key[0] if len(line.key) == 1 else line.key: line for line in (*made.lines, made.total)}
    return {key: tuple(getattr(line, name) for name in names) for key, line in lines.items()}


def test_the_total_is_what_was_paid_and_what_was_saved(path: Path) -> None:
    """Calls a, b, c and f can be compared: 200+200+150+30 baseline, 10+215+0+40 paid, 315 saved; d and e cannot."""
    total = report(path).total
    assert (total.calls, total.attempts, total.hits, total.errors) == (6, 8, 1, 1)
    assert (total.cost_usd, total.estimated, total.unpriced) == (Decimal("0.000575"), 1, 1)
    assert (total.compared, total.saved_usd) == (4, Decimal("0.000315"))
    assert total.amplification == 8 / 6
    assert total.input_tokens == 6 * 100 + 1 + 2 + 4 + 8 + 16 + 32 + 256
    assert total.output_tokens == 6 * 10 + 64 + 128 + 512


def test_a_tiers_line_has_its_own_attempts_and_the_lines_add_up(path: Path) -> None:
    """The judge and the rejected draft show what they took from the saving; sums are those of the total."""
    made = report(path, by=["tier"])
    assert figures(made, "calls", "attempts", "pico_usd", "compared", "saved_pico") == {
        "large": (2, 2, 500 * MICRO, 1, 0),
        "small": (4, 5, 70 * MICRO, 3, (200 - 10 - 10 + 30 - 40) * MICRO),
        "judge": (1, 1, 5 * MICRO, 1, -5 * MICRO),
        "cache": (1, 0, 0, 1, 150 * MICRO),
        (): (6, 8, 575 * MICRO, 4, 315 * MICRO),
    }
    assert [line.key for line in made.lines] == [("large",), ("small",), ("judge",), ("cache",)]


def test_every_dimension_groups_and_adds_up_to_the_same_total(path: Path) -> None:
    whole = report(path, by=[])
    assert whole.lines == ()
    for name in DIMENSIONS:
        made = report(path, by=[name])
        assert made.total == whole.total, name
        assert sum(line.pico_usd for line in made.lines) == whole.total.pico_usd, name
        assert sum(line.saved_pico for line in made.lines) == whole.total.saved_pico, name


def test_days_are_in_order_and_in_utc(path: Path) -> None:
    """Two attempts two hours apart, on both sides of midnight."""
    assert figures(report(path, by=["day"]), "calls") == {"2026-03-02": (5,), "2026-03-03": (1,), (): (6,)}


def test_two_dimensions_and_missing_labels(path: Path) -> None:
    """Calls without a label are a group of their own, not left out."""
    assert figures(report(path, by=["user", "cause"]), "attempts", "pico_usd") == {
        (None, "observed"): (1, 300 * MICRO),
        ("ann", "escalation"): (1, 200 * MICRO),
        ("bob", "draft"): (2, 50 * MICRO),
        ("ann", "draft"): (2, 20 * MICRO),
        ("ann", "judge"): (1, 5 * MICRO),
        ("bob", "hit"): (0, 0),
        ("bob", "retry"): (1, 0),
        (): (8, 575 * MICRO),
    }


WEST = timezone(timedelta(hours=-8))


@pytest.mark.parametrize(
    ("limits", "calls"),
    [
        ({"since": datetime(2026, 3, 3)}, 1),
        ({"until": datetime(2026, 3, 3)}, 5),
        ({"since": datetime(2026, 3, 2, 23, tzinfo=UTC), "until": datetime(2026, 3, 2, 23, tzinfo=UTC)}, 0),
        ({"since": datetime(2026, 3, 2, 15, tzinfo=WEST)}, 6),
        ({"since": datetime(2026, 3, 2, 15, 0, 0, 1, tzinfo=WEST)}, 1),
        ({"where": {"user": "ann"}}, 2),
        ({"where": {"user": "ann", "ab": "y"}}, 1),
        ({"where": {"ab": "x' OR 1=1 --"}}, 0),
        ({"where": {"no such tag": "x"}}, 0),
        ({"where": {"task": "faq"}, "until": datetime(2030, 1, 1)}, 1),
    ],
)
def test_time_and_tags_select(path: Path, limits: dict[str, Any], calls: int) -> None:
    """Since is included, until is not; a time without a zone is UTC; any tag selects, with a column or without."""
    assert report(path, **limits).total.calls == calls


def test_a_report_of_nothing_is_zeros_and_no_saving(path: Path) -> None:
    """No call to compare is not a saving of nothing."""
    total = report(path, where={"user": "nobody"}).total
    assert (total.calls, total.attempts, total.pico_usd, total.amplification) == (0, 0, 0, 0.0)
    assert total.saved_usd is None


def test_a_logical_call_has_one_baseline_however_often_it_was_asked(tmp_path: Path) -> None:
    """A framework that asked twice got one answer for the price of two: the first is overhead, not a second saving."""
    tries = [
        call("c", attempt("small", "accepted", 10, baseline=100)),
        call("c", attempt("small", "accepted", 10, baseline=100, started_at=TUESDAY)),
    ]
    tries[1].decision.again = True
    total = report(ledger_of(tmp_path, tries)).total
    assert (total.calls, total.attempts, total.saved_pico) == (1, 2, 80 * MICRO)


def test_a_loss_is_shown_as_one(tmp_path: Path) -> None:
    """Drafts that were all rejected cost more than the strong tier alone."""
    lost = call("c", attempt("small", "rejected", 10), attempt("large", "accepted", 100, baseline=100))
    made = report(ledger_of(tmp_path, [lost]))
    assert made.total.saved_usd == Decimal("-0.00001")
    assert "-0.000010" in text_of(made)


outcomes = st.sampled_from(["accepted", "rejected", "failed", "hit", "consulted", "abandoned"])
amounts = st.none() | st.integers(0, 2**63 - 1) | st.sampled_from([2**63 - 1, 2**63 - 2, 2**32, 2**32 - 1])


@st.composite
def works(draw: st.DrawFn) -> list[Result]:
    results = []
    for k in range(draw(st.integers(0, 12))):
        attempts = [
            attempt(
                draw(st.sampled_from(["small", "large"])), draw(outcomes), None, pico_usd=draw(amounts),
                baseline_pico=draw(amounts),
                usage=Usage(input=draw(st.integers(0, 2**53)), output=draw(st.integers(0, 9))),
            )
            for _ in range(draw(st.integers(1, 4)))
        ]  # fmt: skip
        results.append(call(f"c{k}", *attempts))
    return results


@settings(max_examples=60)
@given(results=works())
def test_sums_are_those_of_python_integers_far_beyond_int64(
    tmp_path_factory: pytest.TempPathFactory, results: list[Result]
) -> None:
    """SQLite's own SUM fails from 2**63 on, or becomes a float: ours may be off by nothing at all."""
    made = report(ledger_of(tmp_path_factory.mktemp("sums"), results), by=["tier"])
    for line in (*made.lines, made.total):
        chosen = [a for r in results for a in r.attempts if line.key in ((), (a.tier,))]
        asked = [a for a in chosen if a.outcome != "hit"]
        assert line.pico_usd == sum(a.pico_usd or 0 for a in chosen)
        assert line.unpriced == sum(a.pico_usd is None for a in chosen)
        assert line.input_tokens == sum(a.usage.input_tokens for a in asked)
        assert line.output_tokens == sum(a.usage.output_tokens for a in asked)
        assert (line.attempts, line.hits) == (len(asked), len(chosen) - len(asked))
    savings = [saved for r in results if (saved := saved_pico(r.attempts)) is not None]
    assert (made.total.compared, made.total.saved_pico) == (len(savings), sum(savings))
    assert sum(line.saved_pico for line in made.lines) == made.total.saved_pico


@pytest.mark.parametrize(
    ("attempts", "saved"),
    [
        ([attempt("small", "accepted", 10, baseline=30)], 20),
        ([attempt("small", "rejected", 10), attempt("large", "accepted", 30, baseline=30)], -10),
        ([attempt("cache", "hit", 0, baseline=30)], 30),
        ([attempt("small", "accepted", 10)], None),
        ([attempt("small", "failed", 10)], None),
        ([attempt("small", "rejected", None), attempt("large", "accepted", 30, baseline=30)], None),
        ([], None),
    ],
)
def test_what_one_call_saved(attempts: list[Attempt], saved: int | None) -> None:
    assert saved_pico(attempts) == (None if saved is None else saved * MICRO)


def text_of(made: Report, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(as_table(made))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_fits_and_says_what_savings_are_measured_against(path: Path) -> None:
    made = report(path, by=["tier"])
    text = text_of(made)
    assert max(map(len, text.splitlines())) <= 100
    first, _, _ = text.partition("prompt cache")
    rows = {words[0]: words for line in first.splitlines() if (words := line.split())}
    assert rows["small"] == ["small", "4", "5", "1.25", "0", "619", "734", "0.000070", "0.000170", "0", "1", "1"]
    assert rows["total"] == ["total", "6", "8", "1.33", "1", "919", "764", "0.000575", "0.000315", "1", "1", "1"]
    assert "saved against: every call on tier 'large' alone (4 of 6 calls could be compared)" in text
    assert "1 attempts have no known price and are missing from the cost" in text


def test_a_long_or_hostile_label_breaks_neither_the_table_nor_the_terminal(tmp_path: Path) -> None:
    """Labels come from users: no escape sequence, no markup, no overlong line; every figure still in sight."""
    labels = ("u" * 300, "\x1b[2Jgone\r\n", "[red]red[/red]", "名前" * 60)
    results = [call(str(k), attempt("small", "accepted", 10**9), user=label) for k, label in enumerate(labels)]
    text = text_of(report(ledger_of(tmp_path, results), by=["user"]))
    assert max(Console().measure(line).maximum for line in text.splitlines()) <= 100
    assert "\x1b" not in text
    assert "\r" not in text
    assert "[red]red[/red]" in text
    assert text.count("1,000.00") == 4


def test_json_holds_every_digit(path: Path) -> None:
    """Money is text, a missing label is null, an unknown saving is null."""
    made = json.loads(as_json(report(path, by=["user"])))
    assert made["by"] == ["user"]
    assert made["saved_against"] == "every call on tier 'large' alone"
    assert made["total"]["cost_usd"] == "0.000575000000"
    assert made["total"]["saved_usd"] == "0.000315000000"
    nobody = next(line for line in made["lines"] if line["user"] is None)
    assert (nobody["calls"], nobody["cost_usd"], nobody["saved_usd"], nobody["estimated"]) == (
        1,
        "0.000300000000",
        None,
        1,
    )


def test_csv_holds_every_digit_and_a_total(path: Path) -> None:
    made = list(csv.DictReader(io.StringIO(as_csv(report(path, by=["user", "tier"])))))
    assert made[-1]["user"] == made[-1]["tier"] == "total"
    assert made[-1]["cost_usd"] == "0.000575000000"
    by_key: Mapping[tuple[str, str], dict[str, str]] = {(row["user"], row["tier"]): row for row in made}
    assert by_key["ann", "judge"]["saved_usd"] == "-0.000005000000"
    assert by_key["", "large"]["saved_usd"] == ""


def test_an_unknown_dimension_names_the_known_ones(path: Path) -> None:
    with pytest.raises(LedgerError, match=r"by \['colour'\].*'day', 'tier'"):
        report(path, by=["tier", "colour"])


def test_a_report_needs_a_ledger_and_does_not_make_one(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger"):
        report(tmp_path / "none.sqlite")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "text.sqlite").write_text("no database at all " * 100)
    with pytest.raises(LedgerError, match="cannot be read"):
        report(tmp_path / "text.sqlite")


def test_a_report_reads_while_others_write(path: Path) -> None:
    """A writer with an open connection and a report at the same time, in a folder with odd characters."""
    odd = path.parent / "100% [odd] ?&#ü"
    ledger = SqliteLedger(odd / "ledger.sqlite")
    for k in range(3):
        ledger.write(call(f"c{k}", attempt("small", "accepted", 1)))
        ledger.flush()
        assert report(odd / "ledger.sqlite").total.calls == k + 1
    ledger.close()


def test_observed_calls_say_what_they_would_have_saved(tmp_path: Path) -> None:
    """Nothing was saved, so nothing is claimed: the estimate stands apart, and says that it is one."""
    watched = attempt("large", "accepted", 100, baseline=100)
    watched.would_pico = 30 * MICRO
    made = report(ledger_of(tmp_path, [call("a", watched), call("b", attempt("large", "accepted", 50, baseline=50))]))
    assert (made.total.saved_pico, made.total.observed, made.total.would_save_pico) == (0, 1, 70 * MICRO)
    assert any("observed only: 1 calls" in note and "estimate" in note for note in notes(made))
