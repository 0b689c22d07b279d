"""`tuppence calibrate`: from labelled outcomes to a certificate, or to the reason why there is none."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuppence.cli import terminal
from tuppence.cli.scales import scale_of
from tuppence.cli.terminal import TableOrJson

if TYPE_CHECKING:
    from tuppence.evidence.certificate import Objective
    from tuppence.evidence.learning import Calibration
    from tuppence.evidence.outcomes import Outcomes
    from tuppence.tiers import Tier

_LIMITS = "What is wanted of it"


def calibrate(
    outcomes: Annotated[Path, typer.Argument(help="Graded outcomes, or recorded traffic: JSON lines, CSV, an export.")],
    tiers: Annotated[str, typer.Option(metavar="CHEAP,...,STRONG", help="Tiers or models of the outcomes, in order.")],
    helper: Annotated[str | None, typer.Option(help="A model that is asked for its opinion only.")] = None,
    target: Annotated[float, typer.Option(metavar="PART", help="Part of the last tier's quality to keep.")] = 0.95,
    delta: Annotated[float, typer.Option(metavar="PART", help="Probability that the promise fails, at most.")] = 0.1,
    prefer: Annotated[
        str, typer.Option(help="Of what is certified: cost, quality or speed.", rich_help_panel=_LIMITS)
    ] = "cost",
    max_usd_per_call: Annotated[
        str | None, typer.Option(metavar="USD", help="Mean cost of a call.", rich_help_panel=_LIMITS)
    ] = None,
    max_latency_ms: Annotated[
        float | None, typer.Option(metavar="MS", help="Wait of 95% of the calls.", rich_help_panel=_LIMITS)
    ] = None,
    min_quality: Annotated[
        float | None, typer.Option(metavar="PART", help="Mean score, by its lower bound.", rich_help_panel=_LIMITS)
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Only rows of this data set.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="A policy with these tiers: binds the promise to its models.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="A file of feedback, which grades the answers.")] = None,
    scale: Annotated[str, typer.Option(metavar="WORST,BEST", help="The scale of the scores in the file.")] = "0,1",
    seed: Annotated[int, typer.Option(help="Decides which labels teach and which certify: do not try several.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the certificate to this file.")] = None,
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
) -> None:
    """Learn a cascade from labelled outcomes and certify what it keeps and saves. Exits with 1 where nothing can be."""
    from tuppence.evidence import learning

    wanted = _objective(prefer, max_usd_per_call, max_latency_ms, min_quality)
    rows = _rows(outcomes, scale, dataset, labels)
    found = learning.calibrate(
        rows, tiers=_names(tiers), helper=helper, target=target, delta=delta, objective=wanted, seed=seed
    )  # fmt: skip
    _show(found, format)
    _keep(found, out, _configured(config))


def _configured(config: Path | None) -> list[Tier]:
    if config is None:
        return []
    from tuppence.config import load_config

    loaded = load_config(config)
    return [spec.tier for spec in (*loaded.tiers, *loaded.judges)]


def _objective(
    prefer: str, max_usd_per_call: str | None, max_latency_ms: float | None, min_quality: float | None
) -> Objective:
    from tuppence.evidence.certificate.objective import Objective, preferred

    return Objective(
        prefer=preferred(prefer), max_usd_per_call=None if max_usd_per_call is None else _dollars(max_usd_per_call),
        max_latency_ms=max_latency_ms, min_quality=min_quality,
    )  # fmt: skip


def _rows(path: Path, scale: str, dataset: str | None, labels: Path | None) -> list[Outcomes]:
    """Read the questions, those of one id together."""
    from tuppence.evidence.outcomes import joined
    from tuppence.evidence.replay import read_rows

    found = read_rows(path, scale=scale_of(scale), dataset=dataset, labels=labels)
    return joined(row.outcomes for row in found if row is not None)


def _show(found: Calibration, format: TableOrJson) -> None:  # noqa: A002
    from tuppence.evidence.certificate.shown import as_json, as_table, notes

    verdict = found.verdict
    dropped = [f"{one.tier} is not asked: {one.reason}" for one in found.dropped]
    if format is TableOrJson.json:
        asked = None if found.model is None else found.model.tiers
        told = {**as_json(verdict), "order": asked, "dropped": dropped, "skipped_rows": found.skipped}
        terminal.out(f"{json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)}\n")
        return
    from rich.text import Text

    skipped = (
        [f"{found.skipped:,} rows left out: not all models were asked, graded and priced"] if found.skipped else []
    )
    order = [f"asked in the order {found.reordered}"] if found.reordered else []
    lines = [*notes(verdict), *order, *dropped, *skipped, "", verdict.words]
    terminal.show(*([as_table(verdict)] if verdict.trials else []), *(Text(line) for line in lines))


def _keep(found: Calibration, out: Path | None, configured: list[Tier]) -> None:
    """Write the certificate; a program that waits for one learns from the exit status that there is none."""
    from tuppence.evidence.certificate.verdicts import Certified

    if not isinstance(found.verdict, Certified):
        terminal.complain("no certificate" if out is None else f"no certificate: {out} is not written")
        raise typer.Exit(1)
    if out is None:
        terminal.complain("nothing is kept: name a file with --out")
        return
    beside = found.save(out, configured=configured)
    terminal.complain(f"the certificate is in {out}, the learned check in {beside}")


# -- what the options say


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _dollars(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is no amount of dollars: give a number such as 0.002") from None
