"""`tuppence distill train local`, `evaluate`, `deploy`, `widen`, `rollback`: a small model judged and put to work."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuppence.cli import terminal
from tuppence.cli.distill import app, train

if TYPE_CHECKING:
    from tuppence.distill import Exported, Progress
    from tuppence.distill.evaluation import Evaluation, HeldOut
    from tuppence.prices import Rate
    from tuppence.selfhost import AdapterClient

__all__ = ["app"]

Data = Annotated[Path, typer.Argument(help="A folder that `distill dataset --out` wrote.", show_default=False)]
Url = Annotated[str, typer.Option(help="The vLLM server, such as http://127.0.0.1:8000.", show_default=False)]
Trainings = Annotated[
    Path, typer.Option("--trained", metavar="FOLDER", help="What `train local` wrote.", show_default=False)
]
State = Annotated[Path, typer.Argument(help="The file that says what stands.", show_default=False)]


@train.command("local")
def train_local(
    data: Data,
    base: Annotated[str, typer.Option(help="The model to train: a folder, or a hub's name.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where adapter and log go.", show_default=False)],
    python: Annotated[str | None, typer.Option(metavar="FILE", help="An interpreter with torch and peft.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="How often each row is learned from.")] = 2,
    rank: Annotated[int, typer.Option(min=1, help="Of the adapter.")] = 16,
    usd_per_hour: Annotated[str | None, typer.Option(metavar="USD", help="Price of this machine.")] = None,
) -> None:
    """Train an adapter on this machine. Called again after a kill, it goes on after the last whole epoch."""
    import sys

    from tuppence.distill import write_card
    from tuppence.distill.local import LocalLora

    made = _exported(data)
    trainer = LocalLora(
        base, python=python or sys.executable, epochs=epochs, rank=rank,
        usd_per_hour=None if usd_per_hour is None else _dollars(usd_per_hour),
    )  # fmt: skip
    trained = trainer.train(made.training, out=out, on_progress=_say)
    card = write_card(out, trained, provenance=made.provenance)
    cost = "unpriced: give --usd-per-hour" if trained.usd is None else f"${trained.usd:.4f}"
    terminal.out(f"{trained.model} is trained in {trained.seconds:,.0f} s ({cost}); its card is {card}\n")


@app.command()
def evaluate(
    data: Data,
    trained: Trainings,
    url: Url,
    base: Annotated[str | None, typer.Option(metavar="NAME", help="The base as this server calls it.")] = None,
    tfidf: Annotated[bool, typer.Option("--tfidf", help="Hold it against a classifier on counted words.")] = False,
) -> None:
    """Judge a trained model on rows that were held out, against the teacher's answers, and write its card."""
    from tuppence.distill import write_card
    from tuppence.distill.evaluation import Contender, Served, Tfidf, read_held_out
    from tuppence.distill.evaluation import evaluate as judge
    from tuppence.distill.local import read_trained
    from tuppence.selfhost import AdapterClient

    made, model = _exported(data), read_trained(trained)
    _load(AdapterClient(url), model.model, model.adapter)
    others: list[Contender] = []
    if base is not None:
        others.append(Served("the base as it is", _base_url(url), base))
    if tfidf:
        others.append(Tfidf(read_held_out(made.training.train)))
    found = judge(_side(made, "test"), Served(model.model, _base_url(url), model.model), others)
    _show(found)
    card = write_card(trained, model, provenance=made.provenance, measured=found.measured)
    terminal.complain(f"the card is {card}")


@app.command()
def deploy(
    state: State,
    data: Annotated[Path, typer.Option(help="Its calibration rows choose the threshold.", show_default=False)],
    trained: Trainings,
    url: Url,
    price: Annotated[
        str, typer.Option(metavar="IN,OUT", help="Its price: USD per million tokens.", show_default=False)
    ],
    teacher: Annotated[str, typer.Option(help="The teacher's model, at its listed price.", show_default=False)],
    share: Annotated[float, typer.Option(metavar="PART", help="Of the users that meet it at first.")] = 0.1,
    target: Annotated[float, typer.Option(metavar="PART", help="Part of the teacher's answers to keep.")] = 0.95,
    delta: Annotated[float, typer.Option(metavar="PART", help="Probability that this fails, at most.")] = 0.1,
) -> None:
    """Load the adapter, find when it may be believed, and send it a share of the users. Exits with 1 if never."""
    from tuppence.cli.prices import listed_rate
    from tuppence.distill.calibrating import calibrate
    from tuppence.distill.deploying import deploy as put
    from tuppence.distill.evaluation import Served
    from tuppence.distill.local import read_trained
    from tuppence.selfhost import AdapterClient

    model, rows, rate = read_trained(trained), _side(_exported(data), "calibration"), listed_rate(teacher)
    adapters, (usd_in, usd_out) = AdapterClient(url), _pair(price)
    _load(adapters, model.model, model.adapter)
    answers = Served(model.model, _base_url(url), model.model).answer(rows)
    found = calibrate(rows, answers, small=_rate(usd_in, usd_out), teacher=rate, target=target, delta=delta)
    terminal.out(f"{found.words}\n")
    if found.threshold is None:
        adapters.unload(model.model)
        terminal.complain(f"nothing is deployed: {state} is not written")
        raise typer.Exit(1)
    made = put(model, state, url=url, threshold=found.threshold, usd_per_mtok=(usd_in, usd_out), share=share)
    terminal.out(
        f"{made.model} stands at {made.base_url} for {share:.0%} of the users: deployed({str(state)!r}) gives check, "
        f"threshold and route; `tuppence distill rollback {state}` takes it back\n"
    )


@app.command()
def widen(
    state: State, share: Annotated[float, typer.Argument(metavar="PART", help="Of the users.", show_default=False)]
) -> None:
    """Give a deployed model a larger or smaller share of the users, at once and in every program."""
    from tuppence.distill.deploying import widen as give

    terminal.out(f"{give(state, share).model} meets {share:.0%} of the users\n")


@app.command()
def rollback(state: State) -> None:
    """Send everybody to the teacher again, at once and in every program, and unload the adapter."""
    from tuppence.distill.deploying import rollback as take_back

    terminal.out(f"{take_back(state).model} is rolled back: nobody meets it any more\n")


def _exported(folder: Path) -> Exported:
    from tuppence.distill import exported

    return exported(folder)


def _side(made: Exported, side: str) -> list[HeldOut]:
    from tuppence.distill import DistillError
    from tuppence.distill.evaluation import read_held_out

    found = next((path for name, path in made.files.items() if name == side), None)
    if found is None:
        raise DistillError(f"{made.folder} has no {side} rows: record more traffic, or give that side a larger share")
    return read_held_out(found)


def _load(adapters: AdapterClient, name: str, folder: Path | None) -> None:
    from tuppence.distill import DistillError

    if folder is None:
        raise DistillError(f"{name} has no adapter: a provider's model is evaluated as a tier, by its name")
    adapters.load(name, folder)


def _show(found: Evaluation) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("model", "as the teacher", "95 % interval", "rows", box=None, pad_edge=False)
    for one in (found.trained, *found.others):
        quality = one.quality
        table.add_row(one.name, f"{quality.value:.1%}", f"{quality.low:.1%} to {quality.high:.1%}", f"{quality.rows:,}")
    terminal.show(table, *(Text(f"{found.trained.name} is {one.words}") for one in found.comparisons))


def _base_url(url: str) -> str:
    return f"{url.rstrip('/').removesuffix('/v1')}/v1"


def _pair(text: str) -> tuple[str, str]:
    first, comma, second = text.partition(",")
    if not comma:
        raise typer.BadParameter(f"{text!r}: give USD per million tokens in and out, such as 0.02,0.08")
    return first.strip(), second.strip()


def _rate(usd_in: str, usd_out: str) -> Rate:
    from tuppence.prices import token_rate

    return token_rate(input=usd_in, output=usd_out)


def _dollars(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is no number: give one such as 2.50") from None


def _say(progress: Progress) -> None:
    if progress.message:
        terminal.complain(progress.message)
