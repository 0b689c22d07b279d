"""`tuppence estimate`: from what was typed to a question for the calculator.

It reads, refuses and looks prices up; every sum is worked out in `tuppence.estimate`, and `estimate_shown` shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuppence.cli.estimate_shown import show
from tuppence.cli.prices import listed_rate
from tuppence.cli.terminal import TableOrJson
from tuppence.errors import ConfigError, PriceError

if TYPE_CHECKING:
    from tuppence.estimate import Estimate, Leg, Traffic
    from tuppence.prices import Rate

_TRAFFIC, _PLAN = "Traffic", "Plan"

_RequestsPerDay = Annotated[
    str | None, typer.Option(metavar="N", help="How many requests come in.", rich_help_panel=_TRAFFIC)
]
_InputTokens = Annotated[
    int, typer.Option(min=0, metavar="N", help="Prompt tokens of a request.", rich_help_panel=_TRAFFIC)
]
_OutputTokens = Annotated[
    int, typer.Option(min=0, metavar="N", help="Answer tokens of a request.", rich_help_panel=_TRAFFIC)
]
_FromLedger = Annotated[
    bool, typer.Option("--from-ledger", help="Take the traffic from the ledger.", rich_help_panel=_TRAFFIC)
]
_Days = Annotated[int, typer.Option(min=1, metavar="N", help="How many days of the ledger.", rich_help_panel=_TRAFFIC)]
_LedgerPlace = Annotated[
    str | None, typer.Option(help="A file or postgresql:// address; by default your own.", rich_help_panel=_TRAFFIC)
]
_Model = Annotated[str | None, typer.Option(help="One model for everything.", rich_help_panel=_PLAN)]
_Mix = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=PART,...",
        help="Shares over models or tiers, cheapest first: gpt-4o-mini=80%,gpt-4o=20%.",
        rich_help_panel=_PLAN,
    ),
]
_Prices = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DOLLARS",
        help="Dollars for one request: 0.01, or small=0.0004 for a name in --mix.",
        rich_help_panel=_PLAN,
    ),
]
_ConfigFile = Annotated[
    Path | None, typer.Option(help="Configuration file whose tiers --mix may name.", rich_help_panel=_PLAN)
]
_Cascade = Annotated[
    bool,
    typer.Option(
        "--cascade", help="A request answered further up has paid the tiers below too.", rich_help_panel=_PLAN
    ),
]
_BatchShare = Annotated[
    str,
    typer.Option(
        metavar="PART", help="Part of the requests that go at the models' batch prices.", rich_help_panel=_PLAN
    ),
]
_CacheHitRate = Annotated[
    str | None,
    typer.Option(metavar="PART", help="Part of the requests that your own cache answers.", rich_help_panel=_PLAN),
]
_SelfHost = Annotated[
    str | None,
    typer.Option(
        metavar="USD",
        help="What machines of your own would cost a month: says from how many requests on they pay.",
        rich_help_panel=_PLAN,
    ),
]
_DaysPerMonth = Annotated[str, typer.Option(metavar="N", help="Days that make a month.")]
_Format = Annotated[TableOrJson, typer.Option(help="How to spell it.")]


def estimate(
    requests_per_day: _RequestsPerDay = None,
    input_tokens: _InputTokens = 0,
    output_tokens: _OutputTokens = 0,
    from_ledger: _FromLedger = False,
    days: _Days = 7,
    ledger: _LedgerPlace = None,
    model: _Model = None,
    mix: _Mix = None,
    price: _Prices = None,
    config: _ConfigFile = None,
    cascade: _Cascade = False,
    batch_share: _BatchShare = "0",
    cache_hit_rate: _CacheHitRate = None,
    self_host: _SelfHost = None,
    days_per_month: _DaysPerMonth = "30",
    format: _Format = TableOrJson.table,  # noqa: A002 - the option's name
) -> None:
    """Work out what traffic costs, a request, a day and a month."""
    from tuppence import estimate as room
    from tuppence.spend import default_place

    traffic = room.recorded(ledger or default_place(), days=days) if from_ledger else None
    volume = _volume(requests_per_day, traffic)
    shares = _shares(model, mix, price or [])
    batch = _part("--batch-share", batch_share)
    flat = _flat_prices(price or [], shares)
    rate_of = _rates(config)
    legs = [
        _leg(name, share, flat, rate_of, traffic=traffic, tokens=(input_tokens, output_tokens), batch_share=batch)
        for name, share in shares.items()
    ]
    result = room.estimate(
        legs,
        cascade=cascade,
        days_per_month=_number("--days-per-month", days_per_month),
        requests_per_day=volume,
        cache_hit_rate=_hit_rate(cache_hit_rate, traffic),
    )
    show(result, traffic, format, said=[] if self_host is None else [_own_machines(self_host, result)])


def _own_machines(usd: str, result: Estimate) -> str:
    """Say when machines of one's own would pay against this plan."""
    from tuppence.selfhost.economics import break_even

    found = break_even(_number("--self-host", usd.removeprefix("$")), result.per_request)
    return f"own machines: {found.why}" + ("" if found.step is None else f", {found.step.formula}")


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


def _volume(said: str | None, traffic: Traffic | None) -> Fraction:
    """Return how many requests come in a day: what is said counts before what the ledger saw."""
    if said is not None:
        return _number("--requests-per-day", said)
    if traffic is None:
        raise typer.BadParameter("say how much traffic: --requests-per-day N, or --from-ledger")
    return traffic.requests_per_day


def _hit_rate(said: str | None, traffic: Traffic | None) -> Fraction:
    if said is not None:
        return _part("--cache-hit-rate", said)
    return Fraction(0) if traffic is None else traffic.hit_rate


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
    if config is None:
        return listed_rate
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
