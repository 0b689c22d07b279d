"""Reading a ledger shows one moment of it, changes nothing, and says what is wrong with a place that is none."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tuppence.assembly import open_ledger
from tuppence.attempts import Attempt, Decision, Result
from tuppence.errors import LedgerError
from tuppence.spend.ledger import SCHEMA, SqliteLedger, reading
from tuppence.spend.ledger.tables import attempts
from tuppence.usage import Usage


def call(call_id: str) -> Result:
    made = Attempt("small", "m", "draft", "accepted", Usage(input=7, output=3), 5, "exact", "v", 1.0, 1.0)
    return Result(call_id, None, [made], Decision("optimise"), {"ab": "b"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "led ger%?#.sqlite"


def ids(path: str | Path) -> list[str]:
    with reading(path) as connection:
        return [row.call_id for row in connection.execute(attempts.select().order_by(attempts.c.id))]


def test_all_that_a_block_reads_is_of_one_moment(path: Path) -> None:
    """What is written meanwhile waits for nobody, and is seen by the next who reads."""
    ledger = SqliteLedger(path)
    ledger.write(call("one"))
    ledger.flush()
    with reading(path) as connection:
        ledger.write(call("two"))
        ledger.flush()
        assert [row.call_id for row in connection.execute(attempts.select())] == ["one"]
    assert ids(str(path)) == ["one", "two"]
    ledger.close()


def test_the_moment_is_that_of_opening(path: Path) -> None:
    """Not that of the first query."""
    ledger = SqliteLedger(path)
    with reading(path) as connection:
        ledger.write(call("late"))
        ledger.flush()
        assert connection.execute(attempts.select()).all() == []
    ledger.close()


def test_json_comes_as_what_it_means(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.write(call("a"))
    with reading(path) as connection:
        row = connection.execute(attempts.select()).one()
    assert (row.tags, row.extra, row.again) == ({"ab": "b"}, None, 0)


def test_nothing_can_be_changed(path: Path) -> None:
    SqliteLedger(path).close()
    with pytest.raises(LedgerError, match="attempt to write a readonly database"), reading(path) as connection:
        connection.execute(attempts.delete())


def test_what_a_query_fails_with_names_the_ledger(path: Path) -> None:
    SqliteLedger(path).close()
    with pytest.raises(LedgerError, match=r"cannot be read .no such table: nowhere") as raised, reading(path) as one:
        one.exec_driver_sql("SELECT * FROM nowhere")
    assert str(path) in str(raised.value)


def test_a_mistake_of_the_block_is_its_own(path: Path) -> None:
    SqliteLedger(path).close()
    with pytest.raises(ZeroDivisionError), reading(path):
        raise ZeroDivisionError


def test_a_place_that_is_none_is_told_apart(path: Path) -> None:
    def told() -> str:
        with pytest.raises(LedgerError) as raised, reading(path):
            pass
        return str(raised.value)

    assert "there is no ledger at" in told()
    path.touch()
    assert "is an empty database" in told()
    path.write_text("dear diary, " * 100)
    assert "file is not a database" in told()
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE customers (name TEXT)")
    assert "not a ledger" in told()
    path.unlink()
    SqliteLedger(path).close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    assert f"has schema {SCHEMA + 1}, this tuppence knows up to {SCHEMA}" in told()


def test_a_file_need_not_be_ours_to_write(path: Path) -> None:
    """A copy without its log, in a folder that may not be written: the way backups are read."""
    with closing(SqliteLedger(path)) as ledger:
        ledger.write(call("a"))
    path.chmod(0o444)
    assert ids(path) == ["a"]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("mysql://ann:hidden@host/db", r"begins with mysql:// is no place for a ledger: give .* one of postgresql://"),
        ("postgresql+psycopg2://ann:hidden@host/db", r"begins with postgresql\+psycopg2:// is no place"),
        ("sqlite:///hidden.sqlite", r"begins with sqlite:// is no place for a ledger"),
        ("postgresql://ann:p@hidden@127.0.0.1:1/db", r"cannot be read: .* with %40 for an @ in the password"),
    ],
)
def test_no_address_becomes_a_file_and_no_password_a_message(
    place: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened for writing, for reading, or as this user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUPPENCE_LEDGER", place)
    for of in (open_ledger, ids, lambda _: open_ledger(True)):
        with pytest.raises(LedgerError, match=said) as raised:
            of(place)
        assert "hidden" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_opened_at_an_address() -> None:
    with pytest.raises(LedgerError, match="make a PostgresLedger"):
        SqliteLedger("postgresql://host/db")
