"""`tuppence report`: what the ledger says."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuppence.cli import report_page, terminal
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
    ledger: Annotated[
        str | None, typer.Option(metavar="PLACE", help="A file or a postgresql:// address; by default your own.")
    ] = None,
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
    waterfall: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw where the saving comes from: .svg, .png or .pdf.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it all as one page for a browser.", rich_help_panel="As a page"),
    ] = None,
    watch: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", min=1, help="Write the page anew so often.", rich_help_panel="As a page"),
    ] = None,
) -> None:
    """Show what was spent, on what, and what it saved."""
    from tuppence import spend

    tags = {
        "user": user, "endpoint": endpoint, "task": task, "tenant": tenant, "session": session, "workflow": workflow,
    }  # fmt: skip
    where = {name: value for name, value in tags.items() if value is not None}
    place = _existing(ledger)
    if watch is not None and html is None:
        raise typer.BadParameter("--watch writes a page anew: name it with --html FILE")
    if html is not None:
        report_page.write_html(place, html, span=lambda: (_moment(since), _moment(until)), where=where, watch_s=watch)
        return
    start, end = _moment(since), _moment(until)
    found = spend.report(
        place, by=[part.strip() for part in by.split(",") if part.strip()], where=where, since=start, until=end,
        wrong_hits=None if audits is None else _wrong_hits(audits, max_wrong_share, start, end),
    )  # fmt: skip
    if not found.total.attempts and not found.total.hits:
        _complain_of_nothing(place, narrowed=bool(where or since or until))
    live = None if certificate is None else _certificate(certificate, place, start, end)
    _show(found, live, format, output)
    if waterfall is not None:
        _draw(found, waterfall)


def _complain_of_nothing(place: str | Path, *, narrowed: bool) -> None:
    from tuppence.spend.ledger.places import shown_place

    why = "no call that you asked for: widen --since, --until or the tags" if narrowed else f"no calls yet.\n{_HOW}"
    terminal.complain(f"the ledger {shown_place(place)} holds {why}".rstrip())


def _draw(found: Report, file: Path) -> None:
    from tuppence.spend.waterfall_shown import plot

    if found.waterfall is not None:
        plot(found.waterfall, file)


def _existing(named: str | None) -> str | Path:
    """Return the ledger's place; where it is a file that is not there, say how to get one."""
    from tuppence.spend.ledger import default_place
    from tuppence.spend.ledger.places import file_of

    place = named or default_place()
    path = file_of(place)
    if path is not None and not path.exists():
        terminal.complain(f"there is no ledger at {path} yet.\n{_HOW}".rstrip())
        raise typer.Exit(1)
    return place


def _moment(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


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


def _certificate(path: Path, ledger: str | Path, start: datetime | None, end: datetime | None) -> LiveCertificate:
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
