"""`tuppence selfhost plan`: from what was typed to the questions of `tuppence.selfhost.economics`, and the answers."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuppence.cli import terminal
from tuppence.cli.prices import listed_rate
from tuppence.cli.terminal import TableOrJson

if TYPE_CHECKING:
    from rich.table import Table

    from tuppence.prices.spelling import Step
    from tuppence.selfhost.economics import Capacity, Load, Option, Running

_TRAFFIC, _MACHINE, _OTHER = "Traffic", "Machines", "Everything else"


def _said(panel: str, help: str, metavar: str = "N") -> Any:  # noqa: A002 - typer's word
    return typer.Option(help=help, metavar=metavar, rich_help_panel=panel)


def plan(
    requests_per_day: Annotated[str, _said(_TRAFFIC, "How many requests come in.")],
    input_tokens: Annotated[str, _said(_TRAFFIC, "Prompt tokens of a request.")],
    output_tokens: Annotated[str, _said(_TRAFFIC, "Answer tokens of a request.")],
    peak_per_s: Annotated[str, _said(_TRAFFIC, "Requests a second when it is busiest.")],
    against: Annotated[str, _said(_TRAFFIC, "The model that answers now, or dollars a request: 0.025.", "MODEL")],
    prefill_per_s: Annotated[str, _said(_MACHINE, "Prompt tokens a second of one server under load.")],
    decode_per_s: Annotated[str, _said(_MACHINE, "Answer tokens a second, likewise.")],
    gpu_hour: Annotated[str, _said(_MACHINE, "What an hour of one GPU costs.", "USD")],
    gpus: Annotated[int, typer.Option(min=1, metavar="N", help="GPUs of a server.", rich_help_panel=_MACHINE)] = 1,
    utilisation: Annotated[str, _said(_MACHINE, "How busy a server may be at the peak.", "PART")] = "0.7",
    ops: Annotated[str, _said(_OTHER, "People and tools, a month.", "USD")] = "0",
    once: Annotated[str, _said(_OTHER, "Spent once: engineering, training.", "USD")] = "0",
    escalated: Annotated[
        str, _said(_OTHER, "Share of answers that will not do and are asked for again.", "PART")
    ] = "0",
    judge: Annotated[str, _said(_OTHER, "What checking answers costs, a request.", "USD")] = "0",
    hosted: Annotated[str | None, _said(_OTHER, "The same open model by the token, at a provider.", "MODEL")] = None,
    machine: Annotated[str | None, _said(_OTHER, "What a server costs to buy.", "USD")] = None,
    life_months: Annotated[int, typer.Option(min=1, help="Over which it is written off.", rich_help_panel=_OTHER)] = 36,
    kilowatts: Annotated[str, _said(_OTHER, "What a bought server draws.", "KW")] = "0",
    kwh: Annotated[str, _said(_OTHER, "What a kilowatt-hour costs.", "USD")] = "0",
    picture: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it as PNG or SVG.")] = None,
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
) -> None:
    """Say when a server of your own pays, with every sum."""
    from tuppence.prices.amounts import amount
    from tuppence.selfhost import economics as room

    load = room.Load.of(
        requests_per_month=amount("--requests-per-day", requests_per_day) * room.MONTH_HOURS / 24,
        peak_per_s=peak_per_s, input_tokens=input_tokens, output_tokens=output_tokens,
    )  # fmt: skip
    replica = room.Replica.of(prefill_per_s=prefill_per_s, decode_per_s=decode_per_s, utilisation=utilisation)
    needed = room.capacity(load, replica)
    now = _priced(against, load)
    running = room.Running.of(escalated=escalated, escalated_usd=now.request_usd, judge_usd=judge)
    own = room.rented(
        "rented GPUs", replicas=needed.replicas, gpus=gpus, gpu_hour_usd=gpu_hour, ops_usd=ops, running=running
    )
    options = [now, own]
    if hosted is not None:
        options.insert(1, room.by_token(hosted, listed_rate(hosted), load, running))
    if machine is not None:
        options.append(
            room.owned(
                "own machines", replicas=needed.replicas, machine_usd=machine, life_months=life_months,
                kilowatts=kilowatts, kwh_usd=kwh, ops_usd=ops, running=running,
            )
        )  # fmt: skip
    told = _Told(load, needed, tuple(options), own, running, amount("--once", once))
    if picture is not None:
        told.draw(picture)
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps(told.fields(), indent=2)}\n")
    else:
        terminal.show(told.table(), *told.words())


def _priced(against: str, load: Load) -> Option:
    """Read `--against`: dollars for a request, or a model on the price list."""
    from tuppence.selfhost import economics as room

    try:
        flat = Fraction(against.removeprefix("$"))
    except ValueError:
        return room.by_token(against, listed_rate(against), load)
    return room.by_request("as now", flat)


class _Told:
    """A plan in words and figures."""

    def __init__(
        self, load: Load, needed: Capacity, options: tuple[Option, ...], own: Option, running: Running, once: Fraction
    ) -> None:
        from tuppence.selfhost import economics as room

        self.requests, self.needed, self.options, self.running = load.requests_per_month, needed, options, running
        self.own, self.now = own, options[0]
        self.even = room.break_even(own.fixed_usd, self.now.request_usd, running)
        before, after = (one.monthly_usd(self.requests) for one in (self.now, own))
        self.payback = room.payback(once, before, after) if once else None

    def draw(self, path: Path) -> None:
        from tuppence.selfhost import economics as room
        from tuppence.selfhost.economics.picture import save_picture

        found = room.swings(self.own.fixed_usd, self.now.request_usd, self.running)
        save_picture(path, self.options, requests=self.requests, base=self.even.requests, swings=found)

    def steps(self) -> list[Step]:
        steps = [step for option in self.options for step in option.at(self.requests)]
        return steps if self.even.step is None else [*steps, self.even.step]

    def words(self) -> list[Any]:
        from rich.text import Text

        from tuppence.prices.spelling import count

        cheapest = min(self.options, key=lambda one: one.monthly_usd(self.requests))
        said = [
            f"servers: {self.needed.replicas} = {self.needed.formula}",
            f"cheapest as things are: {cheapest.name}",
            f"rented GPUs against {self.now.name}: {self.even.why}",
        ]
        if self.even.requests is not None:
            more = self.requests >= self.even.requests
            said.append(
                f"you have {count(self.requests)}: your own {'is cheaper' if more else 'is dearer'} as things are"
            )
        if self.payback is not None:
            months = self.payback.months
            when = "never" if months is None else f"after {float(months):.1f} months"
            said.append(f"what is spent once has come back {when}: {self.payback.formula}")
        return [Text(one) for one in said]

    def fields(self) -> dict[str, Any]:
        from tuppence.prices.spelling import exact_usd

        months = None if self.payback is None else self.payback.months
        return {
            "requests_per_month": float(self.requests), "replicas": self.needed.replicas,
            "replicas_formula": self.needed.formula,
            "options": [
                {"name": one.name, "usd_per_month": f"{exact_usd(one.monthly_usd(self.requests)):f}"}
                for one in self.options
            ],
            "break_even_requests": self.even.whole_requests, "break_even": self.even.why,
            "payback_months": None if months is None else float(months),
            "steps": [
                {"label": one.label, "formula": one.formula, "usd": f"{exact_usd(one.usd):f}"} for one in self.steps()
            ],
        }  # fmt: skip

    def table(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        from tuppence.prices.spelling import dollars

        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_header=False)
        for column in ("what", "formula"):
            table.add_column(column, overflow="fold")
        table.add_column("dollars", justify="right", no_wrap=True)
        for step in self.steps():
            total = step.label.endswith(", a month") and step.label.partition(",")[0] in {o.name for o in self.options}
            shown = "" if step is self.even.step else dollars(step.usd)
            table.add_row(Text(step.label), Text(step.formula), Text(shown), style="bold" if total else "")
        return table
