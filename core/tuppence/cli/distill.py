"""`tuppence distill`: data sets from recorded traffic, whether training pays, and training."""

from __future__ import annotations

import json
from contextlib import closing
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuppence.cli import terminal
from tuppence.cli.terminal import TableOrJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tuppence.distill import Dataset, Datasets, Progress
    from tuppence.prices import Rate

app = typer.Typer(no_args_is_help=True, help="Move a premium model's recorded work to a small model.")
train = typer.Typer(no_args_is_help=True, help="Train a model on a data set.")
app.add_typer(train, name="train")


class Form(StrEnum):
    """What reads the files."""

    openai = "openai"
    trl = "trl"
    preference = "preference"


Traffic = Annotated[list[Path], typer.Argument(help="Files that `record` writes.", show_default=False)]
SiteName = Annotated[str | None, typer.Option(metavar="NAME", help="One call site of several.")]
Teacher = Annotated[str | None, typer.Option(metavar="TIER", help="Whose answers to learn from; by default the top's.")]
Judged = Annotated[Path | None, typer.Option(metavar="FILE", help="Judgements; answers below grade 4 are left out.")]
Redact = Annotated[str | None, typer.Option(metavar="MODULE:NAME", help="A function from text to text.")]
HowSpelt = Annotated[TableOrJson, typer.Option(help="How to spell it.")]


@app.callback()
def distill() -> None:
    """Move a premium model's recorded work to a small model."""


@app.command()
def dataset(
    traffic: Traffic,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write it there, a folder for each site.")] = None,
    site: SiteName = None,
    form: Annotated[Form, typer.Option(help="What reads the files.")] = Form.openai,
    teacher: Teacher = None,
    judged: Judged = None,
    only_judged: Annotated[bool, typer.Option("--only-judged", help="Leave out what no judge graded.")] = False,
    only_rated: Annotated[bool, typer.Option("--only-rated", help="Leave out what no user rated.")] = False,
    redact: Redact = None,
    model: Annotated[str, typer.Option(help="Whose tokens to count.")] = "gpt-4o-mini",
    format: HowSpelt = TableOrJson.table,  # noqa: A002
) -> None:
    """Make data sets of recorded traffic, one for each call site, and say what is in them."""
    from tuppence.cli import distill_shown as shown
    from tuppence.distill import Filters, export, statistics

    filters = Filters(teacher=teacher, only_judged=only_judged, only_rated=only_rated)
    with closing(_datasets(traffic, filters, judged, redact)) as found:
        chosen = [one for one in found if len(one)] if site is None else [found[site]]
        facts = [(one, statistics(one, model=model)) for one in chosen]
        written = [] if out is None else [export(one, out / one.name, form=form.value) for one in chosen]
        if format is TableOrJson.json:
            terminal.out(f"{json.dumps(shown.datasets_as_json(found, facts, written), indent=2, ensure_ascii=False)}\n")
        else:
            terminal.show(*shown.datasets_as_table(found, facts, written))


@app.command()
def plan(
    traffic: Traffic,
    site: SiteName = None,
    small_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The small model, at its listed price.")
    ] = None,
    small_price: Annotated[
        str | None, typer.Option(metavar="IN,OUT", help="Or its price: USD per million tokens in and out.")
    ] = None,
    escalation: Annotated[
        str, typer.Option(metavar="PART", help="Share of calls that need the teacher after all.")
    ] = "0.1",
    training: Annotated[str | None, typer.Option(metavar="USD", help="What training costs.")] = None,
    training_price: Annotated[
        str | None, typer.Option(metavar="USD", help="Or a provider's price of a million training tokens.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="How often each row is learned from.")] = 3,
    labour: Annotated[str | None, typer.Option(metavar="USD", help="What the work on it costs.")] = None,
    monthly: Annotated[str, typer.Option(metavar="USD", help="What it costs a month, such as a GPU.")] = "0",
    check: Annotated[str, typer.Option(metavar="USD", help="What checking one answer costs.")] = "0",
    horizon: Annotated[int, typer.Option(min=1, metavar="MONTHS", help="By when it must have paid back.")] = 12,
    teacher: Teacher = None,
    judged: Judged = None,
    format: HowSpelt = TableOrJson.table,  # noqa: A002
) -> None:
    """Say whether training a small model pays: every figure with its formula. What is not given stays open."""
    from tuppence.cli import distill_shown as shown
    from tuppence.distill import Filters, Terms, plan

    with closing(_datasets(traffic, Filters(teacher=teacher), judged, None)) as found:
        data = found.only() if site is None else found[site]
        terms = Terms(
            small=_rate(small_model, small_price), escalation=_dollars(escalation),
            training_usd=_training_usd(data, training, training_price, epochs),
            labour_usd=None if labour is None else _dollars(labour), check_usd=_dollars(check),
            monthly_usd=_dollars(monthly), horizon_months=horizon,
        )  # fmt: skip
        made = plan(data, terms)
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps(shown.plan_as_json(made), indent=2, ensure_ascii=False)}\n")
    else:
        terminal.show(*shown.plan_as_table(made))


def _training_usd(data: Dataset, given: str | None, price: str | None, epochs: int) -> Decimal | None:
    """Return what training costs: as given, or by the price of its tokens; None where neither is known."""
    if given is not None or price is None:
        return None if given is None else _dollars(given)
    from tuppence.distill import statistics
    from tuppence.distill.training_cost import hosted_usd

    return hosted_usd(statistics(data).training_tokens, epochs=epochs, usd_per_mtok=_dollars(price))


@train.callback()
def training() -> None:
    """Train a model on a data set."""


@train.command("openai")
def train_openai(
    data: Annotated[Path, typer.Argument(help="A folder that `distill dataset --out` wrote.", show_default=False)],
    base: Annotated[str, typer.Option(help="The model to train, such as gpt-4o-mini-2024-07-18.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="What is known of the training.", show_default=False)],
    price: Annotated[str | None, typer.Option(metavar="USD", help="Price of a million training tokens.")] = None,
    suffix: Annotated[str | None, typer.Option(help="Part of the new model's name.")] = None,
    ledger: Annotated[str | None, typer.Option(metavar="PLACE", help="Book the cost in this ledger.")] = None,
) -> None:
    """Train at OpenAI, with the key and address of the environment. Called again after a kill, it goes on."""
    from tuppence.distill import exported, write_card
    from tuppence.distill.hosted import OpenAIFineTune

    made = exported(data)
    settings: dict[str, Any] = {} if suffix is None else {"suffix": suffix}
    usd_per_mtok = None if price is None else _dollars(price)
    trainer = OpenAIFineTune(_client(), base, usd_per_mtok=usd_per_mtok, ledger=ledger, settings=settings)
    trained = trainer.train(made.training, out=out, on_progress=_say)
    card = write_card(out, trained, provenance=made.provenance)
    cost = "unpriced: give --price" if trained.usd is None else f"${trained.usd:f}"
    terminal.out(f"{trained.model} is trained ({cost}); its card is {card}\n")


def _datasets(traffic: Sequence[Path], filters: Any, judged: Path | None, redact: str | None) -> Datasets:
    from tuppence.distill import Datasets
    from tuppence.evidence.judging.sqlite import open_judgements

    kept = () if judged is None else open_judgements(judged).read()
    return Datasets(traffic, filters=filters, judged=kept, redact=_function(redact))


def _function(reference: str | None) -> Any:
    if reference is None:
        return None
    from tuppence.config.references import imported
    from tuppence.config.source import Fault

    found = imported(reference, ("redact",))
    if isinstance(found, Fault):
        raise typer.BadParameter(found.message)
    return found


def _rate(model: str | None, price: str | None) -> Rate | None:
    from tuppence.cli.prices import listed_rate
    from tuppence.prices import token_rate

    if price is not None:
        given, comma, made = price.partition(",")
        if not comma:
            raise typer.BadParameter(f"{price!r}: give USD per million tokens in and out, such as 0.30,1.20")
        return token_rate(input=given.strip(), output=made.strip())
    return None if model is None else listed_rate(model)


def _client() -> Any:
    from tuppence.errors import ConfigError

    try:
        from openai import OpenAI, OpenAIError
    except ImportError as error:
        raise ConfigError("training at OpenAI needs its SDK: pip install 'tuppence[openai]'") from error
    try:
        return OpenAI()
    except OpenAIError as error:
        raise ConfigError(f"OpenAI cannot be asked: {error}") from error


def _dollars(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is no number: give one such as 2.50") from None


def _say(progress: Progress) -> None:
    of = "" if progress.steps is None else f" of {progress.steps}"
    terminal.complain(f"step {progress.step}{of}: {progress.message}" if progress.step else progress.message)
