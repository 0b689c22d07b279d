"""`tuppence prompt audit`: what of a prompt is dead weight, in tokens and in dollars a month.

It reads and shows; nothing is changed, and no figure is guessed: what has no price is said to have none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuppence.cli import terminal
from tuppence.cli.prices import listed_rate
from tuppence.cli.terminal import TableOrJson
from tuppence.errors import RequestError

if TYPE_CHECKING:
    from rich.table import Table

    from tuppence.prices import PicoUSD, Rate
    from tuppence.prune.prompts import Inspection
    from tuppence.usage import Usage

app = typer.Typer(no_args_is_help=True, help="Look into a prompt.")


@app.callback()
def prompt() -> None:
    """Look into a prompt."""


@app.command()
def audit(
    file: Annotated[Path, typer.Argument(help="A prompt's text, or a request with messages and tools as JSON.")],
    model: Annotated[str, typer.Option(help="Whose tokens and prices.")] = "gpt-4o",
    calls_per_month: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How often it is sent: dollars a month are shown then.")
    ] = None,
    fillers: Annotated[bool, typer.Option("--fillers", help="Also look for phrases that say nothing.")] = False,
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
) -> None:
    """Show what of a prompt is dead weight, and which removals would be risky."""
    from tuppence.prune.prompts import inspected, read_prompt

    found = inspected(read_prompt(_text(file)), model=model, with_fillers=fillers)
    money = _Money(model, calls_per_month)
    notes = _notes(found, money)
    if format is TableOrJson.json:
        terminal.out(f"{json.dumps(_as_json(found, money, notes), indent=2, ensure_ascii=False)}\n")
    else:
        _show(found, money, notes)


def _text(file: Path) -> str:
    """Read a file; raises `RequestError` where there is none, or it is no text."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RequestError(f"{file} cannot be read ({error.strerror}): name a file with a prompt in it") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{file} is not UTF-8 (byte {error.start}): save it as UTF-8 text") from error


@dataclass(frozen=True, slots=True)
class _Money:
    """What tokens of a model cost a month, where both are known."""

    model: str
    calls: int | None

    @property
    def rate(self) -> Rate | None:
        """The listed price; raises `PriceError` where dollars were asked for and there is none."""
        from tuppence.prices import PriceBook

        return PriceBook.default().rate(self.model) if self.calls is None else listed_rate(self.model)

    def a_month(self, usage: Usage) -> PicoUSD | None:
        """Price the same usage for every call of a month."""
        once = self.once(usage)
        return None if self.calls is None or once is None else once * self.calls

    def once(self, usage: Usage) -> PicoUSD | None:
        return None if self.rate is None else self.rate.cost(usage)


def _notes(found: Inspection, money: _Money) -> list[str]:
    from tuppence.prices import usd
    from tuppence.tokens import count_tokens
    from tuppence.usage import Usage

    notes = []
    if not count_tokens("a", money.model).exact:
        notes.append(f"tokens are estimated, on the high side: the vocabulary of {money.model} is not at hand")
    if money.rate is None:
        notes.append(f"no price is known for {money.model}: look with `tuppence prices --search TEXT`")
    if not found.saved:
        return notes
    after = found.tokens - found.saved
    write = money.once(Usage(cache_write_5m=after))
    paid = "" if write is None else f", for ${usd(write):.4f} at this model's price"
    notes.append(f"a changed prompt is not in the provider's prefix cache: its {after:,} tokens are written once{paid}")
    cached = money.a_month(Usage(cache_read=found.saved))
    if cached is not None:
        notes.append(f"where calls read the prompt from that cache, it could save ${_dollars(cached)} a month")
    return notes


def _show(found: Inspection, money: _Money, notes: list[str]) -> None:
    from rich.text import Text

    items: list[Any] = [_table(found, money)]
    repeats = [cut for cut in found.audit.cuts if cut.kind == "repeat"]
    for cut in repeats:
        items.append(Text(f"repeat in {cut.source}, {cut.why}: {_short(cut.text)}"))
    for source, risky in found.risky:
        items.append(Text(f"risky, stays: {source}, line {risky.line}: “{risky.phrase}” beside “{risky.beside}”"))
    items += [Text(diff, style="dim") for diff in found.diffs]
    terminal.show(*items, *(Text(note) for note in notes))


def _table(found: Inspection, money: _Money) -> Table:
    from rich import box
    from rich.table import Table

    from tuppence.usage import Usage

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("dead weight")
    table.add_column("pieces", justify="right", no_wrap=True)
    table.add_column("tokens", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    priced = money.calls is not None
    if priced:
        table.add_column("$ a month", justify="right", no_wrap=True)
    for weight in found.weights():
        row = [weight.kind, f"{weight.pieces:,}", f"{weight.tokens:,}", _share(weight.tokens, found.tokens)]
        table.add_row(*row, *([_dollars(money.a_month(Usage(input=weight.tokens)))] if priced else []))
    table.add_section()
    for name, tokens in (("could go", found.saved), ("the prompt", found.tokens)):
        row = [name, "", f"{tokens:,}", _share(tokens, found.tokens)]
        table.add_row(*row, *([_dollars(money.a_month(Usage(input=tokens)))] if priced else []), style="bold")
    return table


def _as_json(found: Inspection, money: _Money, notes: list[str]) -> dict[str, Any]:
    from tuppence.usage import Usage

    return {
        "model": money.model,
        "tokens": found.tokens,
        "tokens_saved": found.saved,
        "usd_per_month": _exact(money.a_month(Usage(input=found.tokens))),
        "usd_saved_per_month": _exact(money.a_month(Usage(input=found.saved))),
        "kinds": {
            one.kind: {
                "tokens": one.tokens,
                "pieces": one.pieces,
                "usd_per_month": _exact(money.a_month(Usage(input=one.tokens))),
            }
            for one in found.weights()
        },
        "cuts": [
            {"kind": cut.kind, "source": cut.source, "why": cut.why, "tokens": cut.tokens} for cut in found.audit.cuts
        ],
        "risky": [
            {"source": source, "line": one.line, "phrase": one.phrase, "beside": one.beside}
            for source, one in found.risky
        ],
        "diffs": list(found.diffs),
        "notes": notes,
    }


def _share(tokens: int, whole: int) -> str:
    return f"{tokens / whole:.1%}" if whole else "-"


def _dollars(pico: PicoUSD | None) -> str:
    from tuppence.prices import usd

    return "unpriced" if pico is None else f"{usd(pico):,.2f}"


def _exact(pico: PicoUSD | None) -> str | None:
    from tuppence.prices import usd

    return None if pico is None else f"{usd(pico):f}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
