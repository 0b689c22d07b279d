"""`tuppence estimate`: what traffic will cost, with the working shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuppence.cli import terminal
from tuppence.cli.terminal import TableOrJson
from tuppence.errors import ConfigError, PriceError

if TYPE_CHECKING:
    from tuppence.estimate import Estimate, Leg, Traffic
    from tuppence.prices import Rate

_TRAFFIC, _PLAN = "Traffic", "Plan"


def estimate(
    requests_per_day: Annotated[
        str | None, typer.Option(metavar="N", help="How many requests come in.", rich_help_panel=_TRAFFIC)
    ] = None,
    input_tokens: Annotated[
        int, typer.Option(min=0, metavar="N", help="Prompt tokens of a request.", rich_help_panel=_TRAFFIC)
    ] = 0,
    output_tokens: Annotated[
        int, typer.Option(min=0, metavar="N", help="Answer tokens of a request.", rich_help_panel=_TRAFFIC)
    ] = 0,
    from_ledger: Annotated[
        bool, typer.Option("--from-ledger", help="Take the traffic from the ledger.", rich_help_panel=_TRAFFIC)
    ] = False,
    days: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many days of the ledger.", rich_help_panel=_TRAFFIC)
    ] = 7,
    ledger: Annotated[
        Path | None, typer.Option(help="The ledger; by default this user's own.", rich_help_panel=_TRAFFIC)
    ] = None,
    model: Annotated[str | None, typer.Option(help="One model for everything.", rich_help_panel=_PLAN)] = None,
    mix: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=PART,...",
            help="Shares over models or tiers, cheapest first: gpt-4o-mini=80%,gpt-4o=20%.",
            rich_help_panel=_PLAN,
        ),
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DOLLARS",
            help="Dollars for one request: 0.01, or small=0.0004 for a name in --mix.",
            rich_help_panel=_PLAN,
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file whose tiers --mix may name.", rich_help_panel=_PLAN)
    ] = None,
    cascade: Annotated[
        bool,
        typer.Option(
            "--cascade", help="A request answered further up has paid the tiers below too.", rich_help_panel=_PLAN
        ),
    ] = False,
    batch_share: Annotated[
        str,
        typer.Option(
            metavar="PART", help="Part of the requests that go at the models' batch prices.", rich_help_panel=_PLAN
        ),
    ] = "0",
    cache_hit_rate: Annotated[
        str | None,
        typer.Option(metavar="PART", help="Part of the requests that your own cache answers.", rich_help_panel=_PLAN),
    ] = None,
    days_per_month: Annotated[str, typer.Option(metavar="N", help="Days that make a month.")] = "30",
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
) -> None:
    """Work out what traffic costs, a request, a day and a month."""
    from tuppence import estimate as room
    from tuppence.spend import default_path

    if not from_ledger and requests_per_day is None:
        raise typer.BadParameter("say how much traffic: --requests-per-day N, or --from-ledger")
    shares = _shares(model, mix, price or [])
    batch = _part("--batch-share", batch_share)
    flat = _flat_prices(price or [], shares)
    traffic = room.recorded(ledger or default_path(), days=days) if from_ledger else None
    rate_of = _rates(config)
    legs = [
        _leg(name, share, flat, rate_of, traffic=traffic, tokens=(input_tokens, output_tokens), batch_share=batch)
        for name, share in shares.items()
    ]
    hits = Fraction(0) if traffic is None else traffic.hit_rate
    result = room.estimate(
        legs, cascade=cascade, days_per_month=_number("--days-per-month", days_per_month),
        requests_per_day=traffic.requests_per_day
        if traffic is not None and requests_per_day is None
        else _number("--requests-per-day", requests_per_day or "0"),
        cache_hit_rate=hits if cache_hit_rate is None else _part("--cache-hit-rate", cache_hit_rate),
    )  # fmt: skip
    notes = _notes(result, traffic)
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps(_as_json(result, notes), indent=2)}\n")
    else:
        _show(result, notes)


# -- reading the options


def _shares(model: str | None, mix: str | None, price: list[str]) -> dict[str, Fraction]:
    """Say which tiers take which part, cheapest first."""
    if model is not None and mix is not None:
        raise typer.BadParameter("--model and --mix both say who answers: keep one")
    if model is not None:
        return {model: Fraction(1)}
    if mix is None:
        if not price:
            raise typer.BadParameter("say what a request costs: --model NAME, --mix NAME=PART,... or --price DOLLARS")
        return {"flat price": Fraction(1)}
    shares: dict[str, Fraction] = {}
    for part in mix.split(","):
        name, equals, share = part.strip().rpartition("=")
        if not equals or not name or name in shares:
            raise typer.BadParameter(
                f"--mix has {part.strip()!r}: write each name once, like gpt-4o-mini=80%,gpt-4o=20%"
            )
        shares[name] = _part("--mix", share)
    return shares


def _flat_prices(price: list[str], shares: Mapping[str, Fraction]) -> dict[str, Fraction]:
    flat: dict[str, Fraction] = {}
    for given in price:
        name, equals, amount = given.rpartition("=")
        if not equals:
            name = next(iter(shares))
        if name not in shares or (not equals and len(shares) > 1):
            raise typer.BadParameter(
                f"--price has {given!r}: name one of {', '.join(shares)}, like {next(iter(shares))}=0.01"
            )
        flat[name] = _number("--price", amount.removeprefix("$"))
    return flat


def _part(option: str, text: str) -> Fraction:
    """Read `.8`, `0.8` or `80%`."""
    part = _number(option, text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if part > 1:
        raise typer.BadParameter(f"{option} has {text}: a part is between 0 and 1, or 0% and 100%")
    return part


def _number(option: str, text: str) -> Fraction:
    try:
        number = Fraction(text.replace(",", "").replace("_", ""))
    except (ValueError, ZeroDivisionError):
        raise typer.BadParameter(f"{option} is {text!r}: give a number") from None
    if number < 0:
        raise typer.BadParameter(f"{option} is {text}: it must be 0 or more")
    return number


# -- pricing


def _rates(config: Path | None) -> Callable[[str], Rate]:
    """Find rates by the names of a configuration's tiers, else by model."""
    from tuppence.cli.prices import _rate as listed_rate

    if config is None:
        return lambda name: listed_rate(name, None, None)
    from tuppence.config import load_config

    tiers = {spec.tier.name: spec.tier for spec in load_config(config).tiers}

    def rate_of(name: str) -> Rate:
        tier = tiers.get(name)
        if tier is None:
            raise ConfigError(f"{config} has no tier {name!r}: it has {', '.join(tiers)}")
        if tier.rate is None:
            raise PriceError(f"tier {name!r} has no price: give it one in {config}, or --price {name}=DOLLARS")
        return tier.rate

    return rate_of


def _leg(
    name: str, share: Fraction, flat: Mapping[str, Fraction], rate_of: Callable[[str], Rate], *,
    traffic: Traffic | None, tokens: tuple[int, int], batch_share: Fraction,
) -> Leg:  # fmt: skip
    from tuppence import estimate as room
    from tuppence.usage import Usage

    if name in flat:
        if batch_share:
            raise typer.BadParameter(f"--batch-share needs batch prices, and {name!r} has a flat price: name a model")
        return room.flat_leg(name, flat[name], share=share)
    if traffic is not None:
        return room.repriced_leg(name, rate_of(name), traffic, share=share, batch_share=batch_share)
    if not any(tokens):
        raise typer.BadParameter(f"{name!r} is priced by tokens: give --input-tokens and --output-tokens")
    usage = Usage(input=tokens[0], output=tokens[1])
    return room.priced_leg(name, rate_of(name), usage, share=share, batch_share=batch_share)


# -- showing


def _notes(result: Estimate, traffic: Traffic | None) -> list[str]:
    from tuppence.estimate.spelling import dollars, percent
    from tuppence.prices import usd

    said = []
    if result.baseline_per_month != result.per_month:
        said.append(f"saved against: {result.baseline}")
    if traffic is None:
        return said
    paid = dollars(Fraction(usd(traffic.paid_pico)))
    said.append(
        f"traffic: {traffic.calls:,} answered calls and {traffic.hits:,} cache hits ({percent(traffic.hit_rate)}) in "
        f"{traffic.days} days, for which {paid} was paid, drafts and judges included"
    )
    said.append("tokens as the answering models counted them: another model's tokenizer counts otherwise")
    if traffic.unpriced:
        said.append(f"{traffic.unpriced:,} attempts have no known price and are missing from what was paid")
    if traffic.left_out:
        said.append(f"{traffic.left_out:,} calls with images or the like are left out: their kinds are not on record")
    if traffic.first is not None and traffic.span < timedelta(days=traffic.days - 1):
        said.append(
            f"the first recorded call of these {traffic.days} days was on {traffic.first:%Y-%m-%d}: with a smaller "
            "--days the daily figures rise"
        )
    return said


def _as_json(result: Estimate, notes: list[str]) -> dict[str, Any]:
    from tuppence.estimate.spelling import exact_usd

    return {
        "per_request_usd": f"{result.per_request_usd:f}",
        "per_day_usd": f"{result.per_day_usd:f}",
        "per_month_usd": f"{result.per_month_usd:f}",
        "baseline": result.baseline,
        "baseline_per_month_usd": f"{result.baseline_per_month_usd:f}",
        "saved_per_month_usd": f"{result.saved_per_month_usd:f}",
        "steps": [
            {"label": step.label, "formula": step.formula, "usd": f"{exact_usd(step.usd):f}"} for step in result.steps
        ],
        "notes": notes,
    }


def _show(result: Estimate, notes: list[str]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tuppence.estimate.spelling import dollars

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_header=False)
    table.add_column("what", overflow="fold")
    table.add_column("formula", overflow="fold")
    table.add_column("dollars", no_wrap=True)
    amounts = _aligned([dollars(step.usd) for step in result.steps])
    totals = ("a day", "a month", "saved")
    for step, amount in zip(result.steps, amounts, strict=True):
        style = "bold" if step.label.startswith(totals) else ""
        table.add_row(Text(step.label), Text(step.formula), Text(amount), style=style)
    terminal.show(table, *(Text(note) for note in notes))


def _aligned(amounts: list[str]) -> list[str]:
    """Pad amounts so that their decimal points stand under each other."""
    whole = max(len(amount.partition(".")[0]) for amount in amounts)
    return [f"= {amount.partition('.')[0]:>{whole}}.{amount.partition('.')[2]}" for amount in amounts]
