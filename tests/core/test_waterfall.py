"""The waterfall over a ledger in an SQLite file, and how it is shown."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tuppence.cli import app
from tuppence.errors import LedgerError
from tuppence.spend.waterfall import Waterfall, waterfall
from tuppence.spend.waterfall_shown import as_fields, as_table, bars, plot

from .ledger_rows import Store, numbered, row, sqlite_store

pytest.register_assert_rewrite(f"{__package__}.cells_suite", f"{__package__}.waterfall_suite")

from .waterfall_suite import EXAMPLE, WaterfallSuite  # noqa: E402


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return sqlite_store(tmp_path)


@pytest.fixture
def example(store: Store) -> Waterfall:
    return waterfall(store(EXAMPLE))


class TestWaterfall(WaterfallSuite):
    """The same suite as for PostgreSQL."""


class TestShown:
    """As a table, as JSON, as a picture."""

    def test_the_table_goes_down_to_what_was_paid(self, example: Waterfall) -> None:
        console = Console(width=100, file=io.StringIO(), force_terminal=False)
        console.print(as_table(example))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        rows = [line.strip().rsplit(maxsplit=2) for line in text.splitlines() if "%" in line]
        assert [(name, amount) for name, amount, _ in rows] == [
            ("full baseline", "0.031000"), ("answered from the cache", "-0.004500"),
            ("prompt shortened (estimate)", "-0.007500"), ("a cheaper tier answered", "-0.008460"),
            ("batch or flex lane", "-0.002250"), ("drafts not used", "+0.000270"), ("not compared", "+0.000150"),
            ("paid", "0.008710"),
        ]  # fmt: skip
        assert "every call on tier 'large' alone, as it was asked (5 of 6 calls)" in text
        assert max(map(len, text.splitlines())) <= 100

    def test_json_holds_every_digit(self, example: Waterfall) -> None:
        made = json.loads(json.dumps(as_fields(example)))
        assert (made["full_baseline_usd"], made["paid_usd"]) == ("0.031000000000", "0.008710000000")
        assert made["steps"][1] == {"name": "prune", "saved_usd": "0.007500000000", "estimated": True}
        assert made["overhead_usd"] == {"draft": "0.000270000000"}
        assert made["saved_usd"] == "0.022440000000"

    def test_bars_hang_together(self, example: Waterfall) -> None:
        """Each begins where the one before it ended; the last is what was paid."""
        _, *middle, (_, _, paid, _) = bars(example)
        level = example.full_baseline
        for _, begin, end, _ in middle:
            assert begin == level
            level = end
        assert level == paid == example.paid

    def test_nothing_has_no_saving(self, store: Store) -> None:
        nothing = waterfall(store([]))
        assert as_fields(nothing)["saved_usd"] is None
        console = Console(width=100, file=io.StringIO())
        console.print(as_table(nothing))
        assert "paid" in console.file.getvalue()  # type: ignore[attr-defined]

    def test_a_picture_says_the_same(self, example: Waterfall, tmp_path: Path) -> None:
        """An SVG whose text is text, the same file each time; a PNG is one."""
        plot(example, tmp_path / "a.svg")
        plot(example, tmp_path / "b.SVG")
        plot(example, tmp_path / "a.png")
        words = " ".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
        assert "prompt shortened" in words and "(estimate)" in words and "72.4% of the baseline" in words
        assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.SVG").read_bytes()
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    def test_labels_are_taken_as_they_are(self, store: Store, tmp_path: Path) -> None:
        """A cause that no version knows, with markup, mathematics and control characters in it."""
        odd = "$x^2$ <b>[red]\x1b"
        rows = [row("a", "rejected", 10, cause=odd), row("a", pico=50, n=2, baseline_pico=100)]
        found = waterfall(store(numbered(rows)))
        plot(found, tmp_path / "a.svg")
        assert any("$x^2$ <b>[red]\\x1b" in word for word in ElementTree.parse(tmp_path / "a.svg").getroot().itertext())

    def test_another_ending_is_refused(self, example: Waterfall, tmp_path: Path) -> None:
        with pytest.raises(LedgerError, match=r"'a.doc'.*\.svg, \.png or \.pdf"):
            plot(example, tmp_path / "a.doc")
        with pytest.raises(LedgerError, match="cannot be written"):
            plot(example, tmp_path / "no" / "a.svg")


class TestCommand:
    """`tuppence report`."""

    def test_the_report_has_it_as_a_section_and_draws_it(self, store: Store, tmp_path: Path) -> None:
        asked = ["report", "--ledger", store(EXAMPLE), "--waterfall", str(tmp_path / "w.svg")]
        done = CliRunner().invoke(app, asked)
        assert done.exit_code == 0, done.output
        assert "where the saving comes from" in done.stdout and "prompt shortened (estimate)" in done.stdout
        assert (tmp_path / "w.svg").stat().st_size > 1000
        made = json.loads(CliRunner().invoke(app, [*asked[:3], "--format", "json"]).stdout)
        assert made["waterfall"]["paid_usd"] == made["total"]["cost_usd"] == "0.008710000000"

    def test_a_file_that_is_no_picture_is_refused(self, store: Store, tmp_path: Path) -> None:
        done = CliRunner().invoke(app, ["report", "--ledger", store(EXAMPLE), "--waterfall", str(tmp_path / "w.txt")])
        assert done.exit_code == 1
        assert "ends in .svg, .png or .pdf" in done.output

    def test_without_a_call_to_compare_there_is_no_section(self, store: Store) -> None:
        done = CliRunner().invoke(app, ["report", "--ledger", store(numbered([row("a", "failed")]))])
        assert "where the saving comes from" not in done.stdout
