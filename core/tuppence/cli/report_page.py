"""`tuppence report --html FILE [--watch SECONDS]`: the report as one page for a browser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tuppence.cli import terminal
from tuppence.errors import LedgerError

if TYPE_CHECKING:
    from tuppence.spend.page import Added, AlertShown, Facts, ForecastShown

Span = tuple[datetime | None, datetime | None]
_HOUR_US = 3_600_000_000


def write_html(
    place: str | Path, path: Path, *, span: Callable[[], Span], where: Mapping[str, str], watch_s: int | None
) -> None:
    """Write the page, once or until Ctrl-C. `span` is asked each time: `--since 7d` moves on while it is watched."""
    from tuppence.spend.page import read_facts, replace_page, watch_page

    def read() -> tuple[Facts, Added]:
        since, until = span()
        facts = read_facts(place, since=since, until=until, where=where)
        return facts, _added(place, facts, since, until)

    if watch_s is None:
        replace_page(path, *read())
        terminal.complain(f"wrote {path}: open it in a browser")
        return
    terminal.complain(f"writing {path} every {watch_s} s until Ctrl-C: open it in a browser")
    watch_page(path, read, every_s=watch_s, tell=terminal.complain)
    terminal.complain(f"stopped; {path} stays as it is")


def _added(place: str | Path, facts: Facts, since: datetime | None, until: datetime | None) -> Added:
    from tuppence.spend.page import Added

    # A part of the past says nothing of the month that is on, nor does one of the alerts say what was then.
    if since is not None or until is not None:
        return Added()
    return Added(_forecast(facts), None if facts.where else _alerts(place))


def _forecast(facts: Facts) -> ForecastShown | None:
    """Forecast the month from the hours that were read already; None where nothing is spent in it, or too little is
    known.
    """
    from tuppence.spend.forecasts import forecast
    from tuppence.spend.forecasts.for_page import for_page

    found = forecast(facts.hours, at=datetime.fromtimestamp(facts.made_us / 1e6, UTC))
    if found.total.expected is None or not found.total.spent:
        return None
    return for_page(found, scope=", ".join(f"{name} {value}" for name, value in facts.where) or "all calls")


def _alerts(place: str | Path) -> tuple[AlertShown, ...] | None:
    """Tell what `tuppence alerts --check` found on last; None where nobody has it watch this ledger."""
    from tuppence.cli.alerts import state_beside
    from tuppence.spend.alerts.state import State
    from tuppence.spend.page import AlertShown

    held = state_beside(str(place))
    if not held.exists():
        return None
    try:
        on = State.read(held).on
    except LedgerError as error:
        terminal.complain(str(error))
        return None
    return tuple(
        AlertShown(
            one.rang * _HOUR_US, key.partition("/")[0].replace("_", " "), key.partition("/")[2],
            one.said or "is off; `tuppence alerts` says by how much, and what changed most.",
        )
        for key, one in sorted(on.items(), key=lambda item: -item[1].rang)
    )  # fmt: skip
