"""`tuppence cache audit`: what the audits of a semantic cache say about its wrong hits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuppence.cli import terminal
from tuppence.cli.terminal import TableOrJson
from tuppence.errors import CacheError

if TYPE_CHECKING:
    from tuppence.cache import Audit, Finding
    from tuppence.cache.calibration import AuditLog

app = typer.Typer(no_args_is_help=True, help="Look into a semantic cache.")

_EXAMPLES = 5
_HOW = "give SemanticCache a Calibration(log={}(..., examples=True)) and let it see some traffic"


@app.callback()
def cache() -> None:
    """Look into a semantic cache."""


@app.command()
def audit(
    log: Annotated[str, typer.Argument(help="The file or redis:// URL that audits are kept in.", show_default=False)],
    max_wrong_share: Annotated[float, typer.Option(metavar="PART", help="Share of wrong hits to promise.")] = 0.02,
    delta: Annotated[float, typer.Option(metavar="PART", help="Probability with which a promise may fail.")] = 0.05,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="How its keys in Redis begin.")] = "tuppence",
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
) -> None:
    """Show hits that were audited, how many were wrong, and the threshold that keeps the promise."""
    from tuppence.cache import Calibration

    calibration = Calibration(max_wrong_share=max_wrong_share, delta=delta, log=open_audits(log, prefix))
    findings, wrong = calibration.findings(), [one for one in calibration.audits() if not one.same and one.question]
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps(_as_json(findings, wrong), indent=2, ensure_ascii=False)}\n")
    else:
        _show(findings, wrong, max_wrong_share)


def open_audits(log: str, prefix: str) -> AuditLog:
    """Open the audits that lie somewhere already; raises `CacheError` where there are none."""
    from tuppence.cache import RedisAudits, SqliteAudits
    from tuppence.cache.stores.audits import has_audits

    if "://" in log:
        in_redis = RedisAudits(log, prefix=prefix)
        if in_redis.read():
            return in_redis
        raise CacheError(f"no audits lie in that Redis: {_HOW.format('RedisAudits')}")
    if not has_audits(Path(log)):
        raise CacheError(f"{log} holds no audits: {_HOW.format('SqliteAudits')}")
    return SqliteAudits(log)


def _as_json(findings: list[Finding], wrong: list[Audit]) -> dict[str, Any]:
    return {
        "domains": [
            {
                "domain": _spelt(one.domain), "threshold": one.threshold, "audits": one.audits, "wrong": one.wrong,
                "wilson95": one.interval, "more_needed": one.more_needed, "pooled": one.pooled,
            }
            for one in findings
        ],
        "wrong_examples": [{"question": one.question, "served": one.served} for one in wrong[-_EXAMPLES:]],
    }  # fmt: skip


def _show(findings: list[Finding], wrong: list[Audit], promised: float) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("domain", "audits", "wrong", "95 % interval", "serves from"):
        table.add_column(name, justify="left" if name in ("domain", "serves from") else "right")
    for one in findings:
        low, high = one.interval
        table.add_row(
            Text(_spelt(one.domain)), f"{one.audits:,}", f"{one.wrong:,}", f"{low:.1%} to {high:.1%}", _threshold(one)
        )
    shown: list[Any] = [table, Text(f"promised: at most {promised:.1%} of the hits wrong")]
    if wrong:
        shown.append(Text("would have been wrong (question, and the one whose answer was at hand):"))
        shown += [Text(f"  {one.question}\n  {one.served}\n") for one in wrong[-_EXAMPLES:]]
    terminal.show(*shown)


def _threshold(one: Finding) -> str:
    if one.threshold is None:
        return f"not yet: {one.more_needed:,} more audits, none wrong"
    return f"{one.threshold:.2f}{' (evidence of all domains)' if one.pooled else ''}"


def _spelt(domain: str) -> str:
    """Name a domain for a person: its tenant and its task."""
    tenant, task = json.loads(domain)
    return " / ".join(part for part in (tenant, task) if part) or "all traffic"
