"""The Parquet file holds what the ledger holds, to the last pico-dollar, and is there whole or not at all."""

import json
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from tuppence.attempts import Attempt, Decision, Levers, Result
from tuppence.cli.ledger import app
from tuppence.errors import LedgerError
from tuppence.spend.ledger import SqliteLedger
from tuppence.spend.ledger.parquet import PIECE_ROWS, export
from tuppence.spend.ledger.tables import attempts
from tuppence.usage import Usage


def call(call_id: str, at: float = 1_700_000_000.25, **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "tier": "small", "model": "m", "cause": "draft", "outcome": "accepted", "usage": Usage(input=7, output=3),
        "pico_usd": 5, "status": "exact", "price_version": "v", "started_at": at, "latency_ms": 1.5,
    }  # fmt: skip
    return Result(call_id, None, [Attempt(**(fields | changes))], Decision("optimise"), {"user": "ann", "ab": "b"})


def ledger_of(path: Path, results: list[Result]) -> Path:
    with closing(SqliteLedger(path)) as ledger:
        for result in results:
            ledger.write(result)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_every_column_arrives(path: Path, tmp_path: Path) -> None:
    """Times as timestamps, money as integers, JSON as its text, and what is not known as nothing."""
    ledger_of(path, [call("a", levers=Levers(prune=1)), call("b", pico_usd=None, score=0.5)])
    assert export(path, tmp_path / "rows.parquet") == 2
    first, second = pyarrow.parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert first["started_at"] == datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC)
    assert json.loads(first["tags"]) == {"ab": "b"}
    assert (first["call_id"], first["pico_usd"], first["prune_pico"], first["latency_ms"]) == ("a", 5, 1, 1.5)
    assert (second["pico_usd"], second["score"], second["prune_pico"], second["extra"]) == (None, 0.5, None, None)
    names = ["started_at" if name == "started_us" else name for name in attempts.columns.keys()]  # noqa: SIM118
    assert list(first) == names


def test_sums_are_equal_however_many_rows(path: Path, tmp_path: Path) -> None:
    """Several pieces; each sum as the ledger's own, and none of a float."""
    count = 2 * PIECE_ROWS + 7
    ledger_of(path, [call(f"c{k}", at=1e9 + k, pico_usd=None if k % 5 == 0 else 3 * k + 2**40) for k in range(count)])
    file = tmp_path / "rows.parquet"
    assert export(path, file) == count
    found = pyarrow.parquet.ParquetFile(file)
    assert found.metadata.num_row_groups == 3
    table = found.read()
    expected = sum(3 * k + 2**40 for k in range(count) if k % 5)
    assert pyarrow.compute.sum(table["pico_usd"]).as_py() == expected
    assert table["pico_usd"].null_count == len(range(0, count, 5))
    grouped = table.group_by("tier").aggregate([("input", "sum"), ("pico_usd", "sum")]).to_pylist()
    assert grouped == [{"tier": "small", "input_sum": 7 * count, "pico_usd_sum": expected}]
    found.close()


def test_a_time_can_be_chosen(path: Path, tmp_path: Path) -> None:
    ledger_of(path, [call(f"c{k}", at=datetime(2026, 11, 1 + k, tzinfo=UTC).timestamp()) for k in range(5)])
    file = tmp_path / "rows.parquet"
    done = CliRunner().invoke(
        app, ["export", str(file), "--since", "2026-11-02", "--until", "2026-11-04", "--ledger", str(path)]
    )
    assert (done.exit_code, done.stdout) == (0, "")
    assert pyarrow.parquet.read_table(file)["call_id"].to_pylist() == ["c1", "c2"]


def test_an_empty_ledger_gives_an_empty_table(path: Path, tmp_path: Path) -> None:
    ledger_of(path, [])
    assert export(path, tmp_path / "rows.parquet") == 0
    assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").num_rows == 0


def test_a_file_appears_whole_or_not_at_all(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails half-way leaves the file of the last time as it was, and no other behind."""
    folder = tmp_path / "out"
    folder.mkdir()
    ledger_of(path, [call("a")])
    export(path, folder / "rows.parquet")
    before = (folder / "rows.parquet").read_bytes()

    def fail(*_: object) -> None:
        raise pyarrow.lib.ArrowInvalid("no")

    monkeypatch.setattr(pyarrow.parquet.ParquetWriter, "write_batch", fail)
    with pytest.raises(pyarrow.lib.ArrowInvalid):
        export(path, folder / "rows.parquet")
    assert [file.name for file in folder.iterdir()] == ["rows.parquet"]
    assert (folder / "rows.parquet").read_bytes() == before


def test_what_cannot_be_done_is_told(path: Path, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger at"):
        export(path, tmp_path / "rows.parquet")
    ledger_of(path, [call("a")])
    with pytest.raises(LedgerError, match=r"nowhere.rows\.parquet cannot be written"):
        export(path, tmp_path / "nowhere" / "rows.parquet")
    assert not list(tmp_path.glob("*.part"))


def test_money_is_read_as_dollars_without_loss(path: Path, tmp_path: Path) -> None:
    """As the documentation says: pico-USD, a million millionths of a dollar."""
    ledger_of(path, [call("a", pico_usd=1_234_567_890_123)])
    export(path, tmp_path / "rows.parquet")
    (pico,) = pyarrow.parquet.read_table(tmp_path / "rows.parquet")["pico_usd"].to_pylist()
    assert Decimal(pico).scaleb(-12) == Decimal("1.234567890123")
