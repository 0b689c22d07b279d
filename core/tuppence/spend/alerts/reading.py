"""Reading the facts from a ledger: hours of money and tokens, users, scores and the runs of workflows, in one
snapshot.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from sqlalchemy import Connection, func, select

from tuppence.spend.alerts.facts import HOUR_US, SUMS, Facts, Run, Totals
from tuppence.spend.alerts.growing import HISTORY_DAYS
from tuppence.spend.alerts.rules import AlertRules
from tuppence.spend.alerts.users import USUAL_DAYS
from tuppence.spend.cells import cells_of
from tuppence.spend.comparing import own
from tuppence.spend.digest.segments import segment
from tuppence.spend.ledger import reading
from tuppence.spend.ledger.tables import attempts, feedback
from tuppence.spend.selection import Selection, microseconds
from tuppence.spend.sums import tokens_in, tokens_out


def read_facts(place: str | Path, rules: AlertRules, at: datetime) -> tuple[Facts, int]:
    """Return the facts of the rules' history up to the last full hour before `at`, and that hour's index.

    Raises `LedgerError` for a place that is not a ledger.
    """
    last = microseconds(at) // HOUR_US
    # A day more than the history: its windows reach back that far.
    first = last - (rules.history_days + 1) * 24
    facts = Facts(first)
    selection = Selection(_moment(first), _moment(last), rules.where)
    with reading(place) as connection:
        _add_hours(connection, facts, selection, last - first)
        _add_users(connection, facts, _from(selection, last - (USUAL_DAYS + 2) * 24), last - first)
        _add_runs(connection, facts, _from(selection, last - HISTORY_DAYS * 24))
        _add_scores(connection, facts, selection, last - first)
    return facts, last - first


def _add_hours(connection: Connection, facts: Facts, selection: Selection, hours: int) -> None:
    columns: dict[tuple[str | None, str, str], list[list[int]]] = {}
    for cell in cells_of(connection, selection, by=("endpoint", "tier", "model", "outcome"), every="hour"):
        one = segment(cell)
        held = columns.setdefault((one.endpoint, one.tier, one.model), [[0] * hours for _ in SUMS])
        for column, name in zip(held, SUMS, strict=True):
            column[cell.start_us // HOUR_US - facts.first] += getattr(one, name)
    facts.sums = {key: tuple(map(Totals, held)) for key, held in columns.items()}


def _add_users(connection: Connection, facts: Facts, selection: Selection, hours: int) -> None:
    hour, user = (attempts.c.started_us // HOUR_US).label("hour"), attempts.c.user
    query = (
        select(hour, user, func.sum(tokens_in(attempts) + tokens_out(attempts)))
        .where(selection.met_by(attempts), user.is_not(None)).group_by(hour, user)
    )  # fmt: skip
    facts.users = [{} for _ in range(hours)]
    for at, name, tokens in connection.execute(query):
        facts.users[at - facts.first][name] = int(tokens)


def _add_runs(connection: Connection, facts: Facts, selection: Selection) -> None:
    c = attempts.c
    query = (
        select(c.workflow, c.endpoint, c.session, c.started_us, tokens_in(attempts).label("size"))
        .where(selection.met_by(attempts), own(attempts), c.workflow.is_not(None), c.session.is_not(None))
        .order_by(c.workflow, c.endpoint, c.session, c.started_us)
    )
    found = groupby(connection.execute(query).all(), key=lambda row: (row.workflow, row.endpoint, row.session))
    for (workflow, endpoint, _), rows in found:
        begun, size = next((int(row.started_us), int(row.size)) for row in rows)
        calls = 1 + sum(1 for _ in rows)
        name = workflow if endpoint is None or endpoint.strip("/") == workflow else f"{workflow} {endpoint}"
        if size:
            facts.runs.append(Run(name, begun // HOUR_US - facts.first, size, calls))
    facts.runs.sort(key=lambda run: run.hour)


def _add_scores(connection: Connection, facts: Facts, selection: Selection, hours: int) -> None:
    hour = (feedback.c.at_us // HOUR_US).label("hour")
    query = select(hour, func.sum(feedback.c.score), func.count()).group_by(hour)
    begin, end = facts.first * HOUR_US, (facts.first + hours) * HOUR_US
    query = query.where(feedback.c.at_us >= begin, feedback.c.at_us < end)
    if selection.where:
        told = Selection(where=selection.where).met_by(attempts)
        query = query.where(feedback.c.call_id.in_(select(attempts.c.call_id).where(told)))
    sums, counts = [0.0] * hours, [0] * hours
    for at, total, count in connection.execute(query):
        sums[at - facts.first], counts[at - facts.first] = float(total), int(count)
    facts.scores = Totals(sums), Totals(counts)


def _from(selection: Selection, hour: int) -> Selection:
    return Selection(_moment(hour), selection.until, selection.where)


def _moment(hour: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
