"""What the demo shows: progress while it runs, each answer with who gave it and what it cost, and the bill at the end.

Says only what was measured in this run. A cost too small for its column is never shown as nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.padding import Padding
from rich.rule import Rule
from rich.status import Status
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from tuppence.attempts import Attempt
from tuppence.demo.comparison import Answered, Comparison, Share
from tuppence.demo.documents import Document
from tuppence.demo.local_model import LOCAL_MODEL, PRICE_SETTING, local_rate
from tuppence.demo.models import Found
from tuppence.demo.questions import Question
from tuppence.demo.retrieval import PassageIndex
from tuppence.demo.stage import PASSAGES, Absent, Framework, llm_line
from tuppence.prices import PicoUSD, usd
from tuppence.spend import Report, as_table

COLUMNS = 100
_WIDTHS = {"#": 2, "question": 44, "answered by": 14, "tokens": 9, "cost $": 10, "ms": 7}


class Screen:
    """The terminal, or the pipe, that the demo writes to."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(highlight=False)
        if not console.is_terminal or console.width > COLUMNS:
            console.width = COLUMNS
        self._console = console
        self._status: Status | None = None

    # -- progress

    @contextmanager
    def busy(self, doing: str) -> Iterator[None]:
        """Show that something goes on, and what."""
        with self._console.status(doing) as self._status:
            yield

    def asking(self, number: int, count: int, question: Question) -> None:
        if self._status is not None:
            self._status.update(f"{number} of {count}: {escape(question.text)}")

    # -- what is about to happen

    def opening(
        self, documents: Sequence[Document], index: PassageIndex, found: Found, asked: Sequence[Question],
        absent: Sequence[Absent],
    ) -> None:  # fmt: skip
        """Say what the run is made of."""
        folders = ", ".join(dict.fromkeys(d.name.partition("/")[0] for d in documents))
        repeats = sum(q.repeated for q in asked)
        table = Table.grid(padding=(0, 2, 0, 0))
        pieces = f"cut into {len(index)} passages, of which BM25 picks {PASSAGES}"
        table.add_row("documents", f"{len(documents)} in {folders}, {pieces}")
        places = {"local": "on this machine: 135 million parameters on its processors, quick and weak"}
        for spec in found.specs:
            table.add_row("model", f"{spec.model}, {places.get(spec.provider, f'by {spec.provider}')}")
        for note in found.notes:
            table.add_row("keys", Text(note))
        if any(spec.provider != "local" for spec in found.specs):
            table.add_row("privacy", "with a key set, questions and passages are sent to that provider")
        table.add_row("questions", f"{len(asked)} calls a chain, {repeats} of them repeats; made from the documents")
        for one in absent:
            table.add_row("missing", f"{one.name} needs {one.missing}: pip install 'tuppence[demo]'")
        self._console.print(Rule("tuppence demo"), table)

    def unchanged(self, framework: Framework, strongest: str) -> None:
        title = Rule(f"{framework.title}, unchanged", align="left")
        line = f"  {llm_line(framework.unchanged)}  # {strongest}"
        self._console.print("", title, _code(line, "python"))
        self._header()

    def changed(self, framework: Framework) -> None:
        before, after = llm_line(framework.unchanged), llm_line(framework.with_tuppence)
        title = Rule(f"{framework.title}, one line changed", align="left")
        told = Text("  rules: a plain function; options: the check, the prices and the ledger", style="dim")
        self._console.print("", title, _code(f"- {before}\n+ {after}", "diff"), told)
        self._header()

    # -- answers

    def _header(self) -> None:
        self._console.print(_row(*_WIDTHS, style="bold"))

    def answer(self, number: int, answered: Answered) -> None:
        """Show one answer: a line of figures, and under it what was said."""
        tokens = f"{answered.input_tokens}/{answered.output_tokens}"
        again = "(again) " if answered.question.repeated else ""
        self._console.print(
            _row(
                str(number), again + answered.question.text, answered.tier or "nobody", tokens,
                _dollars(answered.pico_usd), f"{answered.ms:,.0f}",
            )
        )  # fmt: skip
        said = answered.failure or " ".join(answered.text.split())
        self._under(said, style="red" if answered.failure else "dim")
        if answered.best_draft:
            self._under(f"not good enough, and nobody stronger to ask: {answered.check}", style="yellow")
        elif answered.unused_pico:
            self._under(f"a draft was rejected: {answered.check}", style="yellow")

    def _under(self, text: str, style: str) -> None:
        self._console.print(Padding(Text(text, style=style, no_wrap=True, overflow="ellipsis"), (0, 0, 0, 4)))

    def total(self, answers: Sequence[Answered]) -> None:
        costs = [a.pico_usd for a in answers]
        known = sum(cost for cost in costs if cost is not None)
        tokens = f"{sum(a.input_tokens for a in answers)}/{sum(a.output_tokens for a in answers)}"
        missing = f" ({costs.count(None)} without a known cost)" if None in costs else ""
        ms = f"{sum(a.ms for a in answers):,.0f}"
        self._console.print(_row("", f"{len(answers)} calls{missing}", "", tokens, _dollars(known), ms, style="bold"))

    # -- the bill

    def summary(self, compared: Sequence[Comparison], found: Found) -> None:
        """Show what each framework's chain cost both times, and what made the difference."""
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("answered by", no_wrap=True)
        for name in ("answers", "unchanged $", "tuppence $", "difference $", "chance $", "saved $", "%"):
            table.add_column(name, justify="right", no_wrap=True)
        for comparison in compared:
            table.add_row(comparison.title, *_share(comparison.total), style="bold")
            for source, share in comparison.shares.items():
                if share.answers:
                    table.add_row(f"  {source}", *_share(share))
            table.add_section()
        notes = (Text(f"- {note}") for note in _notes(compared, found))
        self._console.print("", Rule("What it came to, in this run"), table, Group(*notes))

    def ledger(self, report: Report, path: Path) -> None:
        """Show the spend report of all the runs, and where its ledger is."""
        self._console.print("", Rule("The ledger"), as_table(report))
        self._console.print(f"again: tuppence report --by workflow,tier --ledger {path}", soft_wrap=True)

    def certificate(self, state: str) -> None:
        """Say what may be promised of all this."""
        self._console.print("", Rule("The certificate"), Text(state))


def _notes(compared: Sequence[Comparison], found: Found) -> Iterator[str]:
    """Say what the figures rest on, and what they do not show."""
    ran = dict.fromkeys(a.tier for c in compared for a in _attempts(c))
    yield f"Tiers that ran: {', '.join(ran)}."
    asked = [a.question for c in compared[:1] for a in c.with_tuppence]
    yield (
        f"{sum(q.repeated for q in asked)} of {len(asked)} calls were repeats, by the demo's choice: "
        "what a cache saves depends on the traffic."
    )
    strongest = found.specs[-1].model
    if any(c.shares["same model"].answers for c in compared):
        yield (
            f"Where {strongest} answered both chains it did the same work twice: what the two cost differs by chance "
            "(the machine's timing, an answer's length), and is not counted as saved."
        )
    if any(c.shares["cascade"].answers for c in compared):
        yield (
            f"In the cascade {LOCAL_MODEL} may answer in place of {strongest}. The check looks at form and wording, "
            "not at truth: read those answers above before you believe that saving."
        )
    if len(found.specs) == 1:
        yield "There is one model in this run, so there is no cascade that could save or cost anything."
    unused = sum(c.unused_pico for c in compared)
    if unused:
        yield f"${_dollars(unused)} of the cost with tuppence were drafts that were not used; they are counted in it."
    drafts = sum(a.best_draft for c in compared for a in c.with_tuppence)
    if drafts:
        yield f"{drafts} answers failed the check and were given as the best there was; such answers are not cached."
    compute = {a.price_version for c in compared for a in _attempts(c) if a.usage.gpu_ms}
    if compute:
        hourly = f"${Decimal(local_rate().nano_usd_per_hour).scaleb(-9).normalize():f} an hour ({', '.join(compute)})"
        yield (
            f"{LOCAL_MODEL} is priced by the time it takes, so a busy machine makes it dearer: {hourly}; "
            f"{PRICE_SETTING} sets another price."
        )
    hits = sorted(a.ms for c in compared for a in c.with_tuppence if a.tier == "cache")
    if hits:
        yield f"An answer from the cache took {hits[len(hits) // 2]:.0f} ms (median), retrieval and framework included."
    left_out = sum(len(c.unchanged) - len(c.pairs) for c in compared)
    if left_out:
        yield f"{left_out} questions are left out: one of the two chains failed, or its cost is unknown."


def _attempts(comparison: Comparison) -> list[Attempt]:
    """List the attempts of both chains; a cache hit counts as one."""
    return [a for answered in (*comparison.unchanged, *comparison.with_tuppence) for a in answered.attempts]


def _row(*cells: str, style: str = "") -> Table:
    """Lay one row out in the fixed columns that all rows share, so that each can be printed as it comes."""
    row = Table.grid(padding=(0, 1, 0, 0))
    for name, width in _WIDTHS.items():
        row.add_column(width=width, justify="right" if name in ("tokens", "cost $", "ms") else "left", style=style)
    row.add_row(*(Text(cell, overflow="ellipsis", no_wrap=True) for cell in cells))
    return row


def _code(source: str, lexer: str) -> Syntax:
    return Syntax(source, lexer, word_wrap=True, background_color="default", theme="ansi_dark")


def _share(share: Share) -> list[str]:
    difference = share.unchanged_pico - share.tuppence_pico
    amounts = [share.unchanged_pico, share.tuppence_pico, difference, share.chance_pico, share.saved_pico]
    percent = f"{100 * share.saved_pico / share.unchanged_pico:.0f}" if share.unchanged_pico else "-"
    return [str(share.answers), *map(_dollars, amounts), percent]


def _dollars(pico: PicoUSD | None) -> str:
    """Spell money with seven decimals: a call here costs some hundred-thousandths of a dollar."""
    return "unknown" if pico is None else f"{usd(pico):.7f}"
