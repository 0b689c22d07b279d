"""Alerts and the digest say the same of a ledger in PostgreSQL as of the same ledger in a file."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

from tuppence.spend import SqliteLedger
from tuppence.spend.alerts import AlertRules, check
from tuppence.spend.alerts.reading import read_facts
from tuppence.spend.digest import as_fields, digest
from tuppence.spend.ledger import PostgresLedger

from ..core.test_alerts_ledger import DEAR_HOURS, UNTIL, results  # noqa: TID252


def test_both_databases_say_the_same(postgres_address: str, tmp_path: Path) -> None:
    """Facts, alerts with their reasons, and the weeks' drivers."""
    path = tmp_path / "ledger.db"
    with closing(SqliteLedger(path)) as file, closing(PostgresLedger(postgres_address)) as server:
        for result in results():
            file.write(result)
            server.write(result)
    (mine, _), (theirs, _) = (read_facts(place, AlertRules(), UNTIL) for place in (path, postgres_address))
    assert (mine.users, mine.runs) == (theirs.users, theirs.runs)
    assert {key: [one.before for one in sums] for key, sums in mine.sums.items()} == {
        key: [one.before for one in sums] for key, sums in theirs.sums.items()
    }
    alerts = [check(place, at=UNTIL) for place in (path, postgres_address)]
    assert alerts[0] == alerts[1] != []
    until = UNTIL - timedelta(hours=DEAR_HOURS // 2)
    assert as_fields(digest(path, at=until)) == as_fields(digest(postgres_address, at=until))
