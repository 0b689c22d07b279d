"""The queue in a file: what every queue does, what is kept how, and a worker that is killed in the middle of it."""

import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tuppence.attempts import Attempt, Decision, Result
from tuppence.batch.queue import LaneQueue, QueueError
from tuppence.batch.queue.billing import Billing
from tuppence.batch.queue.desk import Desk
from tuppence.cli.batch_work import work
from tuppence.errors import ConfigError
from tuppence.spend import SqliteLedger
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import attempts
from tuppence.testing import ProviderServer
from tuppence.usage import Usage

from ..lanes import until  # noqa: TID252

pytest.register_assert_rewrite(f"{__package__}.batch_queue_suite")

from .batch_queue_suite import QueueSuite, answers, claimed, request, requests  # noqa: E402


@pytest.fixture
def again(tmp_path: Path) -> Callable[[], LaneQueue]:
    return lambda: LaneQueue(tmp_path / "lane.sqlite")


@pytest.fixture
def queue(again: Callable[[], LaneQueue]) -> LaneQueue:
    return again()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    made = SqliteLedger(tmp_path / "ledger.sqlite")
    yield made
    made.close()


class TestSqliteQueue(QueueSuite):
    """All of it, in a file."""


def test_nobody_else_may_read_the_file(queue: LaneQueue, tmp_path: Path) -> None:
    """Prompts are in it."""
    queue.put(requests(1))
    assert stat.S_IMODE((tmp_path / "lane.sqlite").stat().st_mode) == 0o600


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """The message says where, why, and what to do."""
    (tmp_path / "taken").write_text("no folder")
    with pytest.raises(QueueError, match=r"taken/lane\.sqlite.*name a file on a local disk"):
        LaneQueue(tmp_path / "taken" / "lane.sqlite").put(requests(1))
    with pytest.raises(QueueError, match="mysql://"):
        LaneQueue("mysql://root:secret@host/db")


def test_no_password_reaches_a_message() -> None:
    """An address is shown without it."""
    pytest.importorskip("psycopg")
    queue = LaneQueue("postgresql://ann:hunter2@127.0.0.1:1/none")
    with pytest.raises(QueueError) as raised:
        queue.put(requests(1))
    assert "ann@127.0.0.1:1/none" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_other_processes_read_while_one_writes(queue: LaneQueue, tmp_path: Path) -> None:
    """Callers look for answers while a worker's long transaction is open."""
    put = requests(1)
    queue.put(put)
    writer = sqlite3.connect(tmp_path / "lane.sqlite", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert queue.landed([put[0].id]) == []
    writer.execute("ROLLBACK")
    writer.close()
    assert claimed(queue)


# -- answers that nobody came for


def bill(queue: LaneQueue, ledger: SqliteLedger) -> list[tuple[str, str, int, str]]:
    """Bill what is due, twice, as one who was killed in between does; return the ledger's rows."""
    for _ in range(2):
        Billing(queue, ledger, grace_s=0.0).bill()
    with reading(ledger.place) as rows:
        found = rows.execute(attempts.select().order_by(attempts.c.id)).all()
    return [(row.call_id, row.outcome, row.pico_usd, row.user) for row in found]


def answered(queue: LaneQueue, name: str, *, deadline: float) -> str:
    """Put a request and answer it; return its id."""
    one = request(name, deadline=deadline)
    queue.put([one])
    queue.finish(claimed(queue), answers([one.id]), now=2.0)
    return one.id


def test_a_killed_caller_is_billed_once(queue: LaneQueue, ledger: SqliteLedger) -> None:
    """What its answer cost is in the ledger, under its call and its tags, however often the worker tries."""
    answered(queue, "killed", deadline=100.0)
    queue.put([request("alive", deadline=time.time() + 1000)])
    assert bill(queue, ledger) == [("killed", "abandoned", 5, "ann")]


def test_who_was_killed_after_he_paid_pays_no_more(queue: LaneQueue, ledger: SqliteLedger) -> None:
    """The books of a call may be written, and the word of it not yet: the ledger is asked first."""
    answered(queue, "paid", deadline=100.0)
    used = Attempt("small", "m", "draft", "accepted", Usage(input=7, output=3), 5, "exact", "", 0.0, 1.0)
    ledger.write(Result("paid", None, [used], Decision("optimise"), {"user": "ann"}))
    ledger.flush()
    assert bill(queue, ledger) == [("paid", "accepted", 5, "ann")]


def test_who_was_killed_between_ledger_and_queue_bills_the_same_row(queue: LaneQueue, ledger: SqliteLedger) -> None:
    """A bill that is written a second time is no second bill."""
    name = answered(queue, "left", deadline=1e9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LaneQueue, "settled", lambda *_: None)
        with sqlite3.connect(queue.place) as rows:
            rows.execute("UPDATE lane_requests_v1 SET left_behind = 1 WHERE id = ?", (name,))
        rows.close()
        Billing(queue, ledger).bill()
    assert bill(queue, ledger) == [("left", "abandoned", 5, "ann")]


# -- the thread that goes to the queue


def test_a_queue_that_comes_back_is_told_what_it_missed(queue: LaneQueue, tmp_path: Path) -> None:
    """Who leaves while the queue is away is cancelled when it is back; who wants to put something goes at once."""
    desk = Desk(queue, look_s=0.02)
    first, second = request("first", deadline=1e12), request("second", deadline=1e12)
    ticket = desk.put(first)
    until(lambda: queue.standing())
    (tmp_path / "lane.sqlite").rename(tmp_path / "away")
    (tmp_path / "lane.sqlite").mkdir()
    desk.leave(ticket)
    with pytest.raises(QueueError):
        desk.put(second).future.result(30)
    (tmp_path / "lane.sqlite").rmdir()
    (tmp_path / "away").rename(tmp_path / "lane.sqlite")
    assert ticket.future.result(30).fate == "cancelled"


# -- the command


def test_the_command_answers_what_waits_and_stops(
    queue: LaneQueue, server: ProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tuppence batch work QUEUE --until-empty` makes a batch, hands the answers back and ends."""
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    put = [request(f"call-{n}", deadline=time.time() + 60, endpoint=server.base_url) for n in range(3)]
    queue.put(put)
    app = typer.Typer()
    app.command()(work)
    options = ["--store", str(tmp_path / "jobs.sqlite"), "--ledger", str(tmp_path / "ledger.sqlite")]
    done = CliRunner().invoke(app, [str(queue.place), "--provider", "openai", *options, "--until-empty"])
    assert done.exit_code == 0, done.output
    landed = {one.id: one for one in queue.landed([one.id for one in put])}
    assert [landed[one.id].fate for one in put] == ["answered"] * 3
    assert "You said: call-2" in str(landed[put[2].id].body)


def test_the_command_needs_a_key(queue: LaneQueue, tmp_path: Path) -> None:
    """It says which, before it takes anything."""
    app = typer.Typer()
    app.command()(work)
    options = ["--provider", "anthropic", "--store", str(tmp_path / "jobs.sqlite"), "--ledger", str(tmp_path / "l")]
    done = CliRunner().invoke(app, [str(queue.place), *options])
    assert isinstance(done.exception, ConfigError)
    assert "ANTHROPIC_API_KEY is not set" in str(done.exception)
