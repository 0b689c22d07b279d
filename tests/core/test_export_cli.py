"""`tuppence export`: the dashboard is Grafana's JSON, and the metrics are served until Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from typer.testing import CliRunner

from tuppence.attempts import Attempt, Decision, Result
from tuppence.cli import app
from tuppence.spend import SqliteLedger
from tuppence.usage import Usage

TUPPENCE = [sys.executable, "-c", "from tuppence.cli import app; app()"]


def test_the_dashboard_is_printed_or_written(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["export", "grafana"])
    assert printed.exit_code == 0
    written = CliRunner().invoke(app, ["export", "grafana", "--output", str(tmp_path / "board.json")])
    assert written.exit_code == 0
    board = json.loads((tmp_path / "board.json").read_text())
    assert board == json.loads(printed.stdout)
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"${datasource}"}
    places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
    assert len(set(places)) == len(places)


def test_without_a_ledger_there_is_nothing_to_serve(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", "prometheus", "--ledger", str(tmp_path / "none.sqlite")])
    assert done.exit_code == 1
    assert "there is no ledger at" in done.stderr


def test_this_users_own_ledger_may_be_a_database() -> None:
    """Its password is in no message."""
    own = {"TUPPENCE_LEDGER": "postgresql://ann:hidden@127.0.0.1:1/spend"}
    done = CliRunner().invoke(app, ["export", "prometheus", "--port", "0"], env=own)
    assert done.exit_code == 1
    assert "the ledger at postgresql://ann@127.0.0.1:1/spend cannot be reached" in " ".join(done.stderr.split())


def test_the_metrics_of_a_ledger_are_served_until_ctrl_c(tmp_path: Path) -> None:
    place = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger(place)
    attempt = Attempt("small", "m", "draft", "accepted", Usage(input=7), 3_000_000, "exact", "v", 1.0, 5.0)
    ledger.write(Result("c", None, [attempt], Decision("optimise"), {"endpoint": "/chat"}))
    ledger.close()
    command = [*TUPPENCE, "export", "prometheus", "--ledger", str(place), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        told = httpx.get(found[0].rstrip(","), trust_env=False).text
        server.send_signal(signal.SIGINT)
        _, said = server.communicate()
    expected = 'tuppence_cost_usd_total{cause="draft",endpoint="/chat",model="m",tier="small"} 3e-06'
    assert expected in told
    assert server.returncode == 130
    assert said == "tuppence: interrupted\n"
