"""The page's file is whole at every moment, once and again and again, and the command line writes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("plotly")

from tuppence.cli import report_page
from tuppence.errors import LedgerError, TuppenceError
from tuppence.spend.alerts.state import On, State
from tuppence.spend.page import Added, Facts, read_facts, watch_page, write_page
from tuppence.spend.page.wording import count, dollars, label, moment, percent, ratio, seconds, signed

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

from report_page_parts.traffic import write_ledger  # noqa: E402

DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000
START_US = 1_761_955_200_000_000  # 2025-11-01
DOLLAR = 10**12


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "made.db"
    write_ledger(path, 300, start_us=START_US, days=5, users=5)
    return path


def whole(page: Path) -> str:
    """The page's text, which has a beginning and an end."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")
    return text


def test_a_reader_never_finds_a_part_of_it(ledger: Path, tmp_path: Path) -> None:
    """However often it is written meanwhile; and nothing else is left in the folder."""
    page = tmp_path / "page.html"
    write_page(ledger, page)
    done = threading.Event()

    def rewrite() -> None:
        for _ in range(5):
            write_page(ledger, page)
        done.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    while not done.is_set():
        whole(page)
    writer.join()
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_folder_that_cannot_be_written_is_named(ledger: Path, tmp_path: Path) -> None:
    with pytest.raises(TuppenceError, match="name a file in a writable folder"):
        write_page(ledger, tmp_path / "missing" / "page.html")


def test_a_failed_writing_leaves_the_old_page(ledger: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.mkdir()
    with pytest.raises(TuppenceError):
        write_page(ledger, page)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_watching_tells_of_a_ledger_that_is_away_and_goes_on(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And ends with a page that does not load itself anew."""
    page, told, pauses = tmp_path / "page.html", list[str](), list[float]()
    asked = iter([None, LedgerError("the ledger is away"), None])

    def read() -> tuple[Facts, Added]:
        trouble = next(asked)
        if trouble is not None:
            raise trouble
        return read_facts(ledger), Added()

    def sleep(pause_s: float) -> None:
        assert 'data-reload="2"' in whole(page)
        pauses.append(pause_s)
        if len(pauses) == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    watch_page(page, read, every_s=2, tell=told.append)
    assert told == ["the ledger is away; trying again in 2 s"]
    assert pauses == [1] * 6
    assert "data-reload" not in whole(page).partition("<script")[0]


def test_ctrl_c_ends_a_watch_in_peace(ledger: Path, tmp_path: Path) -> None:
    """A real signal to a real program."""
    page = tmp_path / "page.html"
    program = (
        "import sys; from pathlib import Path; from tuppence.cli.report_page import write_html; "
        "write_html(sys.argv[1], Path(sys.argv[2]), span=lambda: (None, None), where={}, watch_s=600)"
    )
    command = [sys.executable, "-c", program, str(ledger), str(page)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stderr is not None
        while not page.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert "stopped" in said
    assert "data-reload" not in whole(page).partition("<script")[0]


def test_the_command_writes_the_page_and_says_where(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    report_page.write_html(ledger, page, span=lambda: (None, None), where={"user": "user-000"}, watch_s=None)
    assert capsys.readouterr().err == f"tuppence: wrote {page}: open it in a browser\n"
    assert "user user-000" in whole(page)


def test_the_page_of_all_time_forecasts_the_month_and_tells_what_alerts_are_on(tmp_path: Path) -> None:
    """From the rows that were read and the alerts' own file; a page about a part of the past does neither."""
    now_us = time.time_ns() // 1000
    ledger, page = tmp_path / "now.db", tmp_path / "page.html"
    write_ledger(ledger, 3_000, start_us=(now_us - 40 * DAY_US) // DAY_US * DAY_US, days=40, users=5)
    State({"spend/\x3cb>all": On(now_us // HOUR_US - 5, now_us // HOUR_US - 2)}).write(tmp_path / "now.db.alerts.json")
    report_page.write_html(ledger, page, span=lambda: (None, None), where={}, watch_s=None)
    text = whole(page)
    assert "with 80% between" in text
    assert 'id="forecast-chart"' in text
    assert "&lt;b&gt;all" in text
    earlier = datetime.fromtimestamp(now_us / 1e6 - 86_400 * 20, UTC)
    report_page.write_html(ledger, page, span=lambda: (earlier, None), where={}, watch_s=None)
    assert 'id="forecast-chart"' not in whole(page)


@pytest.mark.parametrize(
    ("spelt", "expected"),
    [
        (dollars(0), "$0"),
        (dollars(1), "$0.000000000001"),
        (dollars(1234), "$0.000000001234"),
        (dollars(DOLLAR // 100_000), "$0.000010"),
        (dollars(DOLLAR // 100), "$0.0100"),
        (dollars(DOLLAR), "$1.0000"),
        (dollars(1234 * DOLLAR + DOLLAR // 2), "$1,234.50"),
        (dollars(-12 * DOLLAR), "−$12.00"),
        (signed(DOLLAR), "+$1.0000"),
        (signed(0), "$0"),
        (count(1234567), "1,234,567"),
        (percent(1, 3), "33.3%"),
        (percent(1, 0), "–"),
        (percent(-1, 8), "−12.5%"),
        (ratio(None), "–"),
        (ratio(1.0349), "1.03"),
        (seconds(None), "–"),
        (seconds(0.4), "0.40 ms"),
        (seconds(999.4), "999 ms"),
        (seconds(1234), "1.23 s"),
        (label(None), "(none)"),
        (label(""), "(empty)"),
        (moment(START_US, "day"), "2025-11-01"),
        (moment(START_US + 61_000_000), "2025-11-01 00:01"),
    ],
)
def test_figures_are_spelt_to_be_read(spelt: str, expected: str) -> None:
    assert spelt == expected
