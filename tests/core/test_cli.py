"""The command line: thin calls, plain words, endings that a shell understands."""

import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import types
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tuppence import Result as CallResult
from tuppence import SqliteLedger, Usage
from tuppence.attempts import Attempt, Decision, new_call_id
from tuppence.cli import app
from tuppence.cli.report import moment
from tuppence.prices import PriceBook, usd

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from tuppence.cli import app; app(prog_name='tuppence')"]
NOW = datetime.now(UTC)


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env={"COLUMNS": "100", **environment}).invoke(app, arguments, prog_name="tuppence")


def attempt(tier: str, cause: str, outcome: str, usage: Usage, at: datetime) -> Attempt:
    rate = PriceBook.default().rate(tier)
    assert rate is not None
    cost = rate.cost(usage)
    return Attempt(
        tier, tier, cause, outcome, usage, cost, "exact", rate.version, at.timestamp(), 10.0, baseline_pico=cost,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger of three calls: one escalated, one by another user, one of a month ago."""
    path = tmp_path / "ledger.sqlite"
    used = Usage(input=1000, output=200)
    today = NOW - timedelta(hours=1)
    calls = [
        ("ann", [attempt("gpt-4o-mini", "draft", "rejected", used, today),
                 attempt("gpt-4o", "escalation", "accepted", used, today)]),
        ("bob", [attempt("gpt-4o-mini", "draft", "accepted", used, today)]),
        ("ann", [attempt("gpt-4o-mini", "draft", "accepted", used, NOW - timedelta(days=31))]),
    ]  # fmt: skip
    written = SqliteLedger(path)
    for user, attempts in calls:
        written.write(CallResult(new_call_id(), None, attempts, Decision("optimise"), {"user": user}))
    written.close()
    return path


# -- report


def test_report_adds_up_by_tier_and_takes_its_window_and_tags(ledger: Path) -> None:
    """What the table says is what the ledger holds, narrowed as asked."""
    done = run("report", "--ledger", str(ledger), "--since", "7d", "--user", "ann", "--format", "json")
    found = json.loads(done.stdout)
    assert {line["tier"]: line["attempts"] for line in found["lines"]} == {"gpt-4o-mini": 1, "gpt-4o": 1}
    rates = {name: PriceBook.default().rate(name) for name in ("gpt-4o-mini", "gpt-4o")}
    cost = sum(rate.cost(Usage(input=1000, output=200)) or 0 for rate in rates.values() if rate)
    assert Decimal(found["total"]["cost_usd"]) == usd(cost)
    assert isinstance(found["total"]["cost_usd"], str)


def test_report_is_a_table_for_people_and_csv_for_programs(ledger: Path) -> None:
    """The same figures in each."""
    table = run("report", "--ledger", str(ledger), "--by", "user,tier").stdout
    assert re.search(r"^ ann +gpt-4o +1 ", table, re.MULTILINE)
    rows = list(csv.DictReader(io.StringIO(run("report", "--ledger", str(ledger), "--format", "csv").stdout)))
    assert [(row["tier"], row["calls"]) for row in rows] == [("gpt-4o", "1"), ("gpt-4o-mini", "3"), ("total", "3")]


def test_report_writes_a_file_without_colours(ledger: Path, tmp_path: Path) -> None:
    """What is written is what was asked for, and nothing goes to the terminal."""
    file = tmp_path / "report.txt"
    done = run("report", "--ledger", str(ledger), "--output", str(file), FORCE_COLOR="1")
    assert done.stdout == ""
    assert "gpt-4o-mini" in file.read_text()
    assert "\x1b" not in file.read_text()


def test_a_file_that_cannot_be_written_is_named(ledger: Path, tmp_path: Path) -> None:
    """No traceback of the file system's."""
    done = run("report", "--ledger", str(ledger), "--output", str(tmp_path / "no" / "report.txt"))
    assert done.exit_code == 1
    assert "cannot be written (No such file or directory)" in done.stderr


def test_without_a_ledger_the_report_says_how_to_get_one(tmp_path: Path) -> None:
    """A first-time user learns what to do; a script sees that there is no report."""
    done = run("report", TUPPENCE_LEDGER=str(tmp_path / "none.sqlite"))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "there is no ledger at" in done.stderr
    assert "ledger=True" in done.stderr


def test_an_empty_ledger_is_told_and_still_reported(tmp_path: Path, ledger: Path) -> None:
    """JSON of nothing is valid JSON; what narrows the question to nothing is said."""
    SqliteLedger(tmp_path / "empty.sqlite").close()
    empty = run("report", "--ledger", str(tmp_path / "empty.sqlite"), "--format", "json")
    assert json.loads(empty.stdout)["lines"] == []
    assert "holds no calls yet" in empty.stderr
    narrowed = run("report", "--ledger", str(ledger), "--user", "nobody")
    assert "holds no call that you asked for" in narrowed.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", datetime(2026, 11, 13, 12, tzinfo=UTC)),
        ("90m", datetime(2026, 11, 20, 10, 30, tzinfo=UTC)),
        ("2w", datetime(2026, 11, 6, 12, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T09:30", datetime(2026, 11, 1, 9, 30, tzinfo=UTC)),
        ("2026-11-01T09:30+01:00", datetime(2026, 11, 1, 8, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_how_long_ago_or_a_date(text: str, expected: datetime) -> None:
    """A time without a zone is UTC, as the report's days are."""
    assert moment(text, now=datetime(2026, 11, 20, 12, tzinfo=UTC)) == expected


# -- prices


def test_prices_show_every_bucket_step_and_kind_of_processing() -> None:
    """What a call is priced by is what is shown."""
    rows = json.loads(run("prices", "claude-sonnet-4-5", "--provider", "anthropic", "--format", "json").stdout)
    shown = {(row["processing"], row["unit"], row["above_input_tokens"]): row["usd"] for row in rows}
    rate = PriceBook.default().rate("claude-sonnet-4-5", provider="anthropic")
    assert rate is not None
    for (processing, unit, above), price in shown.items():
        if unit in ("input", "cache_read"):
            usage = Usage(**{unit: above + 1}, processing=processing)
            assert rate.cost(usage) == (above + 1) * int(Decimal(price) * 10**6), (processing, unit, above)
    assert {processing for processing, _, _ in shown} == {"standard", "batch"}
    assert {row["per"] for row in rows if row["unit"] == "call:web_search"} == {"1,000 calls"}


def test_prices_table_names_the_list_that_they_are_from() -> None:
    """A figure without its source is a rumour."""
    done = run("prices", "gpt-4o")
    assert PriceBook.default().version in done.stdout
    assert re.search(r"^ input +2\.50 +1\.25 ", done.stdout, re.MULTILINE)


def test_prices_of_a_date_are_those_of_that_date() -> None:
    """A call of February is explained by February's prices: this model then cost more above 200,000 tokens."""
    steps = {}
    for day in ("2026-02-01", "2026-04-01"):
        done = run("prices", "anthropic/claude-sonnet-4-6", "--at", day, "--format", "json")
        inputs = [row for row in json.loads(done.stdout) if (row["processing"], row["unit"]) == ("standard", "input")]
        steps[day] = [(row["above_input_tokens"], row["usd"]) for row in inputs]
    assert steps == {"2026-02-01": [(0, "3.00"), (200_000, "6.00")], "2026-04-01": [(0, "3.00")]}


def test_an_unknown_model_is_an_error_with_a_proposal() -> None:
    """A typing mistake costs one line, and never another model's price."""
    done = run("prices", "gpt-4o-mni")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no price is known for model 'gpt-4o-mni': did you mean gpt-4o-mini" in done.stderr


def test_search_lists_models_with_their_headline_prices() -> None:
    """Names for `prices`, over all providers or of one."""
    done = run("prices", "--search", "HAIKU-4-5", "--provider", "anthropic", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert row == {"provider": "anthropic", "model": "claude-haiku-4-5", "input": "1.00", "output": "5.00"}
    assert run("prices", "--search", "no such model").exit_code == 1


# -- estimate


def estimated(*arguments: str) -> dict[str, str]:
    done = run("estimate", *arguments, "--format", "json")
    assert done.exit_code == 0, done.output
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("arguments", "per_month"),
    [
        ("--requests-per-day 1,000,000 --price 0.01", "300000"),
        ("--requests-per-day 50000 --input-tokens 1235 --model gpt-4o", "4631.25"),
        ("--requests-per-day 100 --mix a=.05,b=35%,c=60% --price a=1 --price b=2 --price c=3", "7650"),
        ("--requests-per-day 100 --mix a=80%,b=20% --price a=1 --price b=2 --cascade", "4200"),
        ("--requests-per-day 10 --price 1 --cache-hit-rate 40% --days-per-month 31", "186"),
        ("--requests-per-day 10 --model gpt-4o --input-tokens 1000000 --batch-share 1", "375"),
    ],
)
def test_an_estimate_is_the_sum_that_it_should_be(arguments: str, per_month: str) -> None:
    """Parts may be written .8, 0.8 or 80%; amounts are exact texts."""
    assert estimated(*arguments.split())["per_month_usd"] == per_month


def test_an_estimate_shows_its_working() -> None:
    """Each line of the table can be redone by hand."""
    table = run("estimate", "--requests-per-day", "50000", "--input-tokens", "1235", "--model", "gpt-4o").stdout
    assert re.search(r"a request on gpt-4o +1,235 input x \$2\.50/1M +=\s+\$0\.0030875", table)
    assert re.search(r"a day +50,000 x \$0\.0030875 +=\s+\$154\.375", table)


def test_an_estimate_from_the_ledger_takes_its_calls_and_reprices_them(ledger: Path) -> None:
    """The window's two calls, each of 1,000 and 200 tokens, on another model."""
    found = estimated("--from-ledger", "--days", "1", "--ledger", str(ledger), "--model", "gpt-4o")
    assert Decimal(found["per_day_usd"]) == 2 * (Decimal("0.0025") + Decimal("0.002"))
    assert "2 answered calls" in " ".join(found["notes"])


def test_an_estimate_takes_tiers_from_a_configuration(tmp_path: Path) -> None:
    """Names in the mix are then the file's tiers, with the file's prices."""
    file = tmp_path / "t.yaml"
    file.write_text(
        "tiers:\n  - {name: own, class: vllm, model: q, base_url: 'http://h/v1', price: {input: 1, output: 1}}\n"
    )
    volume = ["--requests-per-day", "1", "--input-tokens", "1000000", "--config", str(file)]
    assert estimated(*volume, "--model", "own")["per_day_usd"] == "1"
    assert "has no tier 'mine': it has own" in run("estimate", *volume, "--model", "mine").stderr


MISUSED = [
    ["estimate", "--model", "gpt-4o"],
    ["estimate", "--requests-per-day", "5"],
    ["estimate", "--requests-per-day", "many", "--price", "1"],
    ["estimate", "--requests-per-day", "", "--price", "1"],
    ["estimate", "--requests-per-day", "5", "--model", "gpt-4o"],
    ["estimate", "--requests-per-day", "5", "--model", "a", "--mix", "a=1"],
    ["estimate", "--requests-per-day", "5", "--mix", "a=1,a=0", "--price", "a=1"],
    ["estimate", "--requests-per-day", "5", "--price", "1", "--batch-share", ".5"],
    ["estimate", "--requests-per-day", "5", "--price", "1", "--cache-hit-rate", "120%"],
    ["report", "--since", "yesterday"],
    ["report", "--format", "xml"],
    ["prices"],
    ["costs"],
]


@pytest.mark.parametrize("arguments", MISUSED, ids=" ".join)
def test_misuse_ends_with_two_and_says_what_to_give(arguments: list[str], ledger: Path) -> None:
    """As every command of a shell does."""
    done = run(*arguments, TUPPENCE_LEDGER=str(ledger))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage: tuppence" in done.stderr


def test_shares_that_do_not_add_up_are_one_line() -> None:
    """An error of ours is one line and ends with one."""
    done = run("estimate", "--requests-per-day", "5", "--mix", "a=.5,b=.4", "--price", "a=1", "--price", "b=2")
    assert done.exit_code == 1
    assert done.stderr == "tuppence: the shares a 50%, b 40% add up to 90%: they must add up to 100%\n"


# -- as a program


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], env=os.environ | environment, capture_output=True, text=True, timeout=600, check=False
    )


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    """`tuppence --help` is quick: what a command needs is loaded when it runs."""
    listing = program("--help")
    assert listing.returncode == 0
    for command in ("report", "prices", "estimate", "demo"):
        assert re.search(rf"^\W*{command} ", listing.stdout, re.MULTILINE)
    heavy = {"pydantic", "yaml", "tuppence.prices", "tuppence.spend"}
    code = f"import sys, tuppence.cli; print({heavy!r} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_output_into_a_pipe_has_no_colours_and_no_window_to_be_cut_to() -> None:
    """A pipe has no width: nothing is shortened to eighty columns."""
    done = program("prices", "--search", "claude-sonnet-4-5-2025", "--provider", "aws", COLUMNS="40")
    assert "\x1b" not in done.stdout
    assert re.search(r"global\.anthropic\.claude-sonnet-4-5-20250929-v1:0 +3\.00", done.stdout)


def test_a_closed_pipe_ends_quietly() -> None:
    """`tuppence prices ... | head -1` is no error worth a word."""
    command = f"set -o pipefail; {shlex.join(PROGRAM)} prices --provider openrouter | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=600, check=False)
    assert done.stderr == ""
    assert done.returncode in (0, 141)


def test_a_reader_that_is_gone_before_the_first_line_is_no_traceback() -> None:
    """The pipe is closed already when the program writes."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*PROGRAM, "prices", "gpt-4o"], stdout=write, stderr=subprocess.PIPE, timeout=600, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


WAITING_DEMO = """
import sys, threading, types
module = types.ModuleType("tuppence.demo")
def run(*, docs):
    print("ready", flush=True)
    threading.Event().wait()
module.run = run
sys.modules["tuppence.demo"] = module
from tuppence.cli import app
app(["demo"], prog_name="tuppence")
"""


def test_control_c_ends_with_130_and_one_line() -> None:
    """An interrupted program says so, without a traceback."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITING_DEMO], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGINT)
        _, complaint = running.communicate(timeout=600)
    assert (running.returncode, complaint) == (130, "tuppence: interrupted\n")


def test_demo_hands_the_folder_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is thin: the demo is another room's."""
    asked: list[Path | None] = []
    room = types.ModuleType("tuppence.demo")
    room.run = lambda *, docs: asked.append(docs)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tuppence.demo", room)
    assert run("demo", "--docs", str(tmp_path)).exit_code == 0
    assert run("demo").exit_code == 0
    assert asked == [tmp_path, None]
    assert run("demo", "--docs", str(tmp_path / "none")).exit_code == 2


def test_a_label_that_the_terminal_cannot_show_breaks_nothing(tmp_path: Path) -> None:
    """A user's name is data: it neither fails the report nor colours it."""
    path = tmp_path / "l.sqlite"
    written = SqliteLedger(path)
    used = attempt("gpt-4o", "draft", "accepted", Usage(input=1), NOW)
    written.write(CallResult(new_call_id(), None, [used], Decision("optimise"), {"user": "Ünal \x1b[31m [b]x"}))
    written.close()
    done = program("report", "--ledger", str(path), "--by", "user", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert r"\xdcnal \x1b[31m [b]x" in done.stdout


# -- the pages

SESSIONS = [
    (page, command, output)
    for page in ("estimate.md", "cli.md")
    for block in re.findall(r"```console\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)
    for command, output in re.findall(r"^\$ tuppence (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    if output.strip()
]


@pytest.mark.parametrize(("page", "command", "output"), SESSIONS, ids=[" ".join(one[:2]) for one in SESSIONS])
def test_what_a_page_shows_is_what_the_program_prints(page: str, command: str, output: str) -> None:
    """A reader who types it sees it."""
    done = run(*shlex.split(command))
    printed = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert printed == [line.strip() for line in output.splitlines() if line.strip()]
