"""The whole of it: read a ledger, check it, remember what has rung."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tuppence.spend.alerts.alert import Alert
from tuppence.spend.alerts.checking import rung
from tuppence.spend.alerts.measures import measures
from tuppence.spend.alerts.reading import read_facts
from tuppence.spend.alerts.rules import AlertRules
from tuppence.spend.alerts.state import On, State
from tuppence.spend.alerts.telling import alert
from tuppence.spend.alerts.watching import too_new


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check came to."""

    at: datetime
    new: tuple[Alert, ...]
    on: dict[str, On]
    """All that is on, new ones included, by rule and scope."""
    recovered: tuple[str, ...]
    too_new: tuple[str, ...]
    """What has too short a history to say anything about."""
    calls: int
    """Requests in the history that was read."""


def checked(
    place: str | Path, *, at: datetime | None = None, state: str | Path | None = None, rules: AlertRules | None = None
) -> Checked:
    """Check a ledger, a file or a postgresql:// address, by its last full hour before `at` (now; without a zone, UTC).

    `state` is the file that remembers what rang; without one, everything that is off rings. Raises `LedgerError` for a
    place that is not a ledger and a state that is none.
    """
    rules = rules or AlertRules()
    at = at or datetime.now(UTC)
    path = None if state is None else Path(state)
    held = State() if path is None else State.read(path)
    facts, now = read_facts(place, rules, at)
    found = rung(facts, rules, now, held)
    new = tuple(alert(facts, rules, finding, now) for finding in found.new)
    for finding, told in zip(found.new, new, strict=True):
        held.on[finding.key] = replace(held.on[finding.key], said=told.said)
    if path is not None:
        held.write(path)
    calls = round(facts.summed("calls", facts.sums)(0, now)) if facts.sums else 0
    quiet = tuple(too_new(measures(facts, rules, now), now))
    return Checked(at, new, dict(held.on), tuple(found.recovered), quiet, calls)


def check(
    place: str | Path, *, at: datetime | None = None, state: str | Path | None = None, rules: AlertRules | None = None
) -> list[Alert]:
    """Return the alerts that ring now; as `checked`, which says more."""
    return list(checked(place, at=at, state=state, rules=rules).new)
