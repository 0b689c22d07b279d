"""`tuppence cache`: which answers a cache serves most, and what the audits of a semantic one say about its wrong hits.

It only reads, and never makes a file where there was none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuppence.cli import terminal
from tuppence.cli.terminal import TableOrJson
from tuppence.errors import CacheError

if TYPE_CHECKING:
    from rich.table import Table

    from tuppence.cache import Audit, Finding, RedisStore, SqliteStore
    from tuppence.cache.calibration import AuditLog
    from tuppence.cache.stored import Stored

app = typer.Typer(no_args_is_help=True, help="Look into a cache.")

_EXAMPLES = 5
_LONGEST = 60
"""Letters of an answer: enough to know it again."""
_HOW = "give SemanticCache a Calibration(log={}(..., examples=True)) and let it see some traffic"


@app.callback()
def cache() -> None:
    """Look into a cache."""


@app.command()
def top(
    place: Annotated[str, typer.Argument(help="The file or redis:// URL of the answers.", show_default=False)],
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 10,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="How its keys in Redis begin.")] = "tuppence",
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
) -> None:
    """Show the answers that were served most often, and what that saved."""
    store = _open_answers(place, prefix)
    try:
        found = store.most_hit(limit)
    finally:
        store.close()
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps([_answer_as_json(one) for one in found], indent=2, ensure_ascii=False)}\n")
    elif found:
        terminal.show(_answers(found))
    else:
        terminal.complain(f"{place} holds no answer that was served a second time: ask something twice, then ask again")


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


def _open_answers(place: str, prefix: str) -> SqliteStore | RedisStore:
    """Open the answers that lie somewhere already; raises `CacheError` where there are none."""
    from tuppence.cache import RedisStore, SqliteStore
    from tuppence.cache.stores.opening import is_address
    from tuppence.cache.stores.sqlite_rows import has_replies

    if is_address(place):
        return RedisStore(place, prefix=prefix)
    if not has_replies(Path(place)):
        raise CacheError(f"{place} holds no answers: name the file that a model was given as its cache")
    return SqliteStore(place)


def _answer_as_json(one: Stored) -> dict[str, Any]:
    return {
        "key": one.key, "hits": one.hits, "saved_usd": f"{one.saved:f}", "bytes": len(one.value),
        "age_s": round(one.age_s, 3), "call_id": one.origin, "answer": one.text,
    }  # fmt: skip


def _answers(found: list[Stored]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("hits", "saved", "bytes", "age", "paid for by", "answer"):
        table.add_column(name, justify="left" if name in ("paid for by", "answer") else "right")
    for one in found:
        # Free, or of an unknown price: nothing can be said.
        saved = f"${one.saved:.4f}" if one.pico_usd else "-"
        cells = (f"{one.hits:,}", saved, f"{len(one.value):,}", _ago(one.age_s), one.origin, _beginning(one.text))
        table.add_row(*map(Text, cells))
    return table


def _beginning(text: str) -> str:
    """Return a line that a terminal can take: an answer may hold anything, escape sequences too."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


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
