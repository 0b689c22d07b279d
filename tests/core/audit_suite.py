"""What every log of audits promises, wherever it lies, and what `tuppence cache audit` reads in it."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from typer.testing import CliRunner, Result

from tuppence.cache import Audit, Calibration
from tuppence.cache.calibration import AuditLog
from tuppence.cli import app

OpenLog = Callable[..., AuditLog]

FAQ = json.dumps(["acme", "faq"])


def audits(n: int, *, wrong: int = 0, domain: str = FAQ) -> list[Audit]:
    return [Audit(domain, 0.96, same=i >= wrong, at=float(i), question=f"Q{i}?", served=f"S{i}?") for i in range(n)]


class LogSuite:
    """Inherit it, and give it a fixture `open_log`, which opens the log of one place again, as each process does."""

    def test_audits_come_back_in_order(self, open_log: OpenLog) -> None:
        """Whole, oldest first, from any place on."""
        log = open_log(examples=True)
        kept = [Audit(FAQ, 0.5, True, 1.5, "Größe?", 'with "quotes"\n'), *audits(1_200)]
        for audit in kept:
            log.add(audit)
        assert list(log.read()) == kept
        assert list(open_log().read(1_199)) == kept[1_199:]
        assert list(log.read(len(kept))) == []

    def test_threads_add_to_one_log(self, open_log: OpenLog) -> None:
        """Each audit once; those who share a calibration have counted each once as well."""
        calibration = Calibration(max_wrong_share=0.05, log=open_log())
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(calibration.add, audit) for audit in audits(200)]:
                done.result()
        assert sorted(audit.at for audit in open_log().read()) == [float(i) for i in range(200)]
        assert calibration.finding(FAQ).audits == 200

    def test_two_calibrations_learn_from_each_other(self, open_log: OpenLog) -> None:
        """What one has found is the other's once that makes its next audit, good news and bad."""
        ours, theirs = (Calibration(max_wrong_share=0.05, log=open_log()) for _ in range(2))
        for audit in audits(200):
            ours.add(audit)
        assert theirs.finding(FAQ).audits == 0
        theirs.add(audits(1)[0])
        assert theirs.finding(FAQ).audits == 201
        assert theirs.threshold(FAQ) == ours.threshold(FAQ) == 0.95
        for audit in audits(30, wrong=30):
            theirs.add(audit)
        ours.add(audits(1)[0])
        assert ours.findings() == theirs.findings() == Calibration(max_wrong_share=0.05, log=open_log()).findings()
        assert ours.threshold(FAQ) == math.inf


class KeptLogSuite(LogSuite):
    """Of a log that outlives its process; give it, too, `where`, as the command line takes it, and `opening`, a line of
    Python that opens it as `log`.
    """

    def test_questions_are_kept_only_as_examples(self, open_log: OpenLog) -> None:
        """Without being asked for, no text is stored."""
        open_log().add(audits(1)[0])
        (kept,) = open_log(examples=True).read()
        assert (kept.question, kept.served) == ("", "")

    def test_a_kill_loses_nothing_that_was_added(self, open_log: OpenLog, opening: str) -> None:
        """kill -9 in the middle of adding: all that were acknowledged are there, and none is torn."""
        script = f"""
from tuppence.cache import Audit, RedisAudits, SqliteAudits
{opening}
for n in range(1_000_000):
    log.add(Audit("d" * 5_000, 0.5, True, float(n)))
    print(n, flush=True)
"""
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as adding:
            assert adding.stdout is not None
            acknowledged = [int(adding.stdout.readline()) for _ in range(20)][-1]
            adding.send_signal(signal.SIGKILL)
        kept = open_log().read()
        assert len(kept) > acknowledged
        assert kept == [Audit("d" * 5_000, 0.5, True, float(n)) for n in range(len(kept))]

    def test_the_command_line_shows_what_was_learned(self, open_log: OpenLog, where: str) -> None:
        """Hits audited, wrong ones, the interval, the threshold, and examples."""
        log = open_log(examples=True)
        for audit in audits(400, wrong=2):
            log.add(audit)
        shown = cli("cache", "audit", where, "--max-wrong-share", "0.05")
        assert shown.exit_code == 0, shown.output
        for word in ("acme / faq", "400", "0.1% to 1.8%", "0.95", "Q1?", "S1?"):
            assert word in shown.output
        told = json.loads(cli("cache", "audit", where, "--max-wrong-share", "0.05", "--format", "json").output)
        (domain,) = told["domains"]
        assert (domain["audits"], domain["wrong"], domain["threshold"]) == (400, 2, 0.95)
        assert told["wrong_examples"][0] == {"question": "Q0?", "served": "S0?"}

    def test_the_command_line_says_how_many_more_it_takes(self, open_log: OpenLog, where: str) -> None:
        """Not enough evidence is an answer."""
        open_log().add(audits(1)[0])
        shown = cli("cache", "audit", where)
        assert shown.exit_code == 0, shown.output
        assert "more audits, none wrong" in " ".join(shown.output.split())

    def test_the_command_line_says_that_there_are_none(self, where: str) -> None:
        """And what to do to get some."""
        shown = cli("cache", "audit", where)
        assert shown.exit_code == 1
        assert "examples=True" in " ".join(shown.output.split())


def cli(*arguments: Any) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, [str(one) for one in arguments], prog_name="tuppence")
