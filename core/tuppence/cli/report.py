"""`tuppence report`: what the ledger says."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuppence.cli import terminal
from tuppence.cli.terminal import Format

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tuppence.evidence.certificate.live import LiveCertificate
    from tuppence.spend import Report, WrongHits

_AGO = re.compile(r"(\d{1,6})\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_HOW = (
    "A ledger is written by every model that has one: ChatTuppence(..., ledger=True), TuppenceLLM(..., ledger=True),\n"
    "or a path in place of True. Make a call, then ask again; --ledger FILE or TUPPENCE_LEDGER names another file.\n"
)


def moment(text: str, *, now: datetime | None = None) -> datetime:
    """Read `7d`, `24h`, `2026-11-01` or `2026-11-01T09:30`; without a zone it is UTC."""
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return (now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time: give how long ago (7d, 24h) or a date (2026-11-01, 2026-11-01T09:30)"
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _tag(name: str) -> typer.models.OptionInfo:
    return typer.Option(f"--{name}", help=f"Only calls tagged with this {name}.", rich_help_panel="Which calls")  # type: ignore[no-any-return]


def report(
    ledger: Annotated[Path | None, typer.Option(help="The ledger; by default this user's own.")] = None,
    by: Annotated[str, typer.Option(help="Group by day, tier, model, cause or a tag; several with commas.")] = "tier",
    since: Annotated[
        str | None, typer.Option(help="From when: 7d, 24h, 2026-11-01.", rich_help_panel="Which calls")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until when, not included.", rich_help_panel="Which calls")] = None,
    user: Annotated[str | None, _tag("user")] = None,
    endpoint: Annotated[str | None, _tag("endpoint")] = None,
    task: Annotated[str | None, _tag("task")] = None,
    tenant: Annotated[str | None, _tag("tenant")] = None,
    session: Annotated[str | None, _tag("session")] = None,
    workflow: Annotated[str | None, _tag("workflow")] = None,
    audits: Annotated[
        str | None, typer.Option(help="File or redis:// URL of a semantic cache's audits, to show its wrong hits.")
    ] = None,
    max_wrong_share: Annotated[
        float, typer.Option(metavar="PART", help="Share of wrong hits that the cache promises.")
    ] = 0.02,
    certificate: Annotated[
        Path | None, typer.Option(help="A certificate, to show whether it holds and saves what it promised.")
    ] = None,
    format: Annotated[Format, typer.Option(help="How to spell it.")] = Format.table,  # noqa: A002 - the option's name
    output: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """Show what was spent, on what, and what it saved."""
    from tuppence import spend

    tags = {
        "user": user, "endpoint": endpoint, "task": task, "tenant": tenant, "session": session, "workflow": workflow,
    }  # fmt: skip
    where = {name: value for name, value in tags.items() if value is not None}
    path = ledger or spend.default_path()
    if not path.exists():
        terminal.complain(f"there is no ledger at {path} yet.\n{_HOW}".rstrip())
        raise typer.Exit(1)
    start, end = (None if one is None else moment(one) for one in (since, until))
    found = spend.report(
        path, by=[part.strip() for part in by.split(",") if part.strip()], where=where, since=start, until=end,
        wrong_hits=None if audits is None else _wrong_hits(audits, max_wrong_share, start, end),
    )  # fmt: skip
    if not found.total.attempts and not found.total.hits:
        narrowed = bool(where or since or until)
        why = "no call that you asked for: widen --since, --until or the tags" if narrowed else f"no calls yet.\n{_HOW}"
        terminal.complain(f"the ledger {path} holds {why}".rstrip())
    live = None if certificate is None else _certificate(certificate, path, start, end)
    _show(found, live, format, output)


def _wrong_hits(log: str, max_wrong_share: float, start: datetime | None, end: datetime | None) -> WrongHits:
    """Count the audits from a time of what the cache serves, by the threshold that it has learned by now."""
    from tuppence.cache import Calibration
    from tuppence.cache.calibration import wilson
    from tuppence.cli.cache import open_audits
    from tuppence.spend import WrongHits

    calibration = Calibration(max_wrong_share=max_wrong_share, log=open_audits(log, "tuppence"))
    served = [
        audit for audit in calibration.audits()
        if audit.probability >= calibration.threshold(audit.domain)
        and (start is None or audit.at >= start.timestamp())
        and (end is None or audit.at < end.timestamp())
    ]  # fmt: skip
    wrong = sum(not audit.same for audit in served)
    return WrongHits(len(served), wrong, wilson(wrong, len(served)))


def _certificate(path: Path, ledger: Path, start: datetime | None, end: datetime | None) -> LiveCertificate:
    """Hold a certificate against the ledger. Whatever tags the report asks for: it is about all its traffic."""
    from tuppence.evidence.certificate.file import read_certificate
    from tuppence.evidence.certificate.live import live_certificate

    return live_certificate(path, read_certificate(path), ledger, since=start, until=end)


def _show(found: Report, live: LiveCertificate | None, format: Format, output: Path | None) -> None:  # noqa: A002
    from tuppence import spend

    if format is Format.csv:
        terminal.out(spend.as_csv(found), output)
    elif format is Format.json:
        terminal.out(f"{_json(spend.as_json(found), live)}\n", output)
    else:
        terminal.show(spend.as_table(found), *_sections(live), file=output)


def _json(report: str, live: LiveCertificate | None) -> str:
    if live is None:
        return report
    from tuppence.evidence.certificate.live_shown import live_fields

    return json.dumps({**json.loads(report), "certificate": live_fields(live)}, indent=2)


def _sections(live: LiveCertificate | None) -> list[RenderableType]:
    if live is None:
        return []
    from tuppence.evidence.certificate.live_shown import live_section

    return [live_section(live)]
