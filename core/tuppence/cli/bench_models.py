"""`tuppence bench-models`: a policy's models over a labelled set, what each is worth, and a gate for a build.

Here are the words of the command line, and the SDK client that each tier of a policy needs; what is done with them is
`evidence.benching`'s.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tuppence.cli import terminal
from tuppence.cli.terminal import TableOrJson
from tuppence.errors import ConfigError

if TYPE_CHECKING:
    from tuppence.config import TierSpec
    from tuppence.effects import Check
    from tuppence.evidence.benching import Case, Gate, Grader, Journal, Model, ModelResult
    from tuppence.evidence.benching.comparing import Scores
    from tuppence.evidence.benching.running import Told

# The SDKs refuse to be made without a key, and a server of one's own seldom asks for one.
_NO_KEY = "none"


def bench_models(
    cases: Annotated[
        Path, typer.Argument(help="Questions with their right answers: JSONL, JSON or CSV. Or recorded traffic.")
    ],
    config: Annotated[Path, typer.Option("--config", "-c", help="The policy whose tiers are run.")],
    models: Annotated[str | None, typer.Option(help="Only these tiers or judges, with commas.")] = None,
    grader: Annotated[
        str, typer.Option(help="exact, numeric, contains, or a check or function as module:name.")
    ] = "exact",
    recorded: Annotated[
        Path | None, typer.Option(help="Recorded traffic: an answer that is in it is not asked for again.")
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Of recorded traffic, draw so many questions.")] = 1000,
    seed: Annotated[int, typer.Option(help="Decides which are drawn; with more, the same come first.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Keep the answers in this file of outcomes, and go on from what it holds.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report, a later run's baseline, to this file.")] = None,
    gate: Annotated[
        list[str] | None, typer.Option(help="Fail unless this holds: quality>=.9,cost<=.002,against=FILE.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Questions asked at the same time.")] = 8,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many questions.")] = None,
    format: Annotated[TableOrJson, typer.Option(help="How to spell it.")] = TableOrJson.table,  # noqa: A002
) -> None:
    """Ask models the same questions: how good, how dear and how quick each is. Exits with 1 where a gate fails."""
    from tuppence.evidence import benching as room

    # All that can be wrong is found before anything is paid for.
    gates = [room.parse_gate(one) for one in gate or []]
    baselines = {one.against: room.read_baseline(one.against) for one in gates if one.against is not None}
    questions, recorded = _questions(cases, recorded, limit, grader, sample, seed)
    grades = _grader(grader, questions)
    specs = _specs(config, models)
    run = [_model(spec) for spec in specs]
    journal = room.Journal(output, questions, {one.name: one.version for one in run})
    if recorded is not None:
        _recall(journal, recorded, questions, {spec.tier.name: spec.tier.model for spec in specs})
    found = _run(questions, run, grades, journal, concurrency)
    told = _as_json(found, grader)
    if report is not None:
        terminal.out(told, report)
    if format is TableOrJson.json:
        terminal.out(told)
    else:
        _show(found, baselines)
    _judge(gates, found, baselines)


def _questions(
    cases: Path, recorded: Path | None, limit: int | None, grader: str, sample: int, seed: int
) -> tuple[Sequence[Case], Path | None]:
    """Read the questions, or draw them from recorded traffic; say where answers are recorded."""
    from tuppence.evidence import benching as room
    from tuppence.evidence.outcomes.sampling import is_traffic

    if not is_traffic(cases):
        return room.read_cases(cases, limit=limit), recorded
    if grader in room.GRADERS:
        raise ConfigError(
            f"{cases} is recorded traffic, which knows no right answer, and --grader {grader} compares: name a "
            "check, --grader module:name, or have right answers written to what `write_questions` makes of it"
        )
    return _drawn(cases, sample, seed)[:limit], recorded or cases


def _drawn(traffic: Path, count: int, seed: int) -> list[Case]:
    """Draw questions from recorded traffic, and say how many could not be drawn."""
    from tuppence.evidence.benching.recalled import case_of
    from tuppence.evidence.outcomes import read_traffic
    from tuppence.evidence.outcomes.sampling import sample_questions

    drawn = sample_questions(read_traffic(traffic), count, seed=seed)
    terminal.complain(drawn.words)
    return [case_of(call) for call in drawn.calls]


def _recall(journal: Journal, recorded: Path, questions: Sequence[Case], billed: Mapping[str, str]) -> None:
    """Take what was recorded, and say how much that is."""
    from tuppence.evidence.benching.recalled import recall
    from tuppence.evidence.outcomes import read_traffic

    found = recall(journal, read_traffic(recorded), questions=questions, billed=billed)
    for name in billed:
        terminal.complain(f"{name}: {found[name]:,} of {len(questions):,} answers are in {recorded}")


def _run(
    questions: Sequence[Case], models: Sequence[Model], grader: Grader, journal: Journal, concurrency: int
) -> list[ModelResult]:
    from tuppence.evidence import benching as room

    try:
        with _progress([one.name for one in models], len(questions)) as told:
            answers = room.run(questions, models, grader, journal, concurrency=concurrency, told=told)
    except KeyboardInterrupt:
        kept = f"what was answered is in {journal.path}, and the same command goes on from there"
        terminal.complain(kept if journal.path is not None else "nothing is kept: name a file with --output")
        raise
    return room.results(questions, answers)


@contextmanager
def _progress(names: Sequence[str], total: int) -> Iterator[Told]:
    """Show a bar a model on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        bars = {name: progress.add_task(name, total=total) for name in names}
        failed = dict.fromkeys(names, 0)

        def told(name: str, answered: bool) -> None:
            failed[name] += not answered
            said = f"{name} ({failed[name]} failed)" if failed[name] else name
            progress.update(bars[name], advance=1, description=said)

        yield told


def _as_json(found: Sequence[ModelResult], grader: str) -> str:
    from tuppence.evidence.benching.shown import as_json

    return f"{json.dumps(as_json(found, grader=grader), indent=2, ensure_ascii=False)}\n"


def _show(found: Sequence[ModelResult], baselines: Mapping[str, Mapping[str, Scores]]) -> None:
    from rich.text import Text

    from tuppence.evidence.benching.shown import as_table, comparisons, notes

    said = notes(found)
    for name, baseline in baselines.items():
        said += comparisons(found, baseline, name)
    terminal.show(as_table(found), *(Text(line) for line in said))


def _judge(gates: list[Gate], found: Sequence[ModelResult], baselines: Mapping[str, Mapping[str, Scores]]) -> None:
    from tuppence.evidence.benching import violations

    broken = [
        line
        for gate in gates
        for line in violations(gate, found, None if gate.against is None else baselines[gate.against])
    ]
    for line in broken:
        terminal.complain(f"gate failed: {line}")
    if broken:
        raise typer.Exit(1)


# -- what the options name


def _grader(name: str, questions: Sequence[Case]) -> Grader:
    from tuppence.config.references import imported
    from tuppence.evidence import benching as room

    if name in room.GRADERS:
        wanting = next((case for case in questions if not case.right), None)
        if wanting is not None:
            raise ConfigError(
                f"question {wanting.id!r} has no right answer, and --grader {name} compares: give it one under "
                "`answer`, or name a check, --grader module:name"
            )
        return room.GRADERS[name]()
    if ":" not in name:
        raise ConfigError(
            f"--grader is {name!r}: it is {', '.join(room.GRADERS)}, or module:name of a check or function"
        )
    from tuppence.checks import custom
    from tuppence.checks.compose import Composable
    from tuppence.config.source import Fault

    # As for a policy's own functions: a module beside the place where the command is given can be named.
    sys.path.insert(0, "")
    try:
        found: Any = imported(name, ("grader",))
    finally:
        sys.path.remove("")
    if isinstance(found, Fault):
        raise ConfigError(f"--{found.message}")
    return room.by_check(cast("Check", found) if isinstance(found, Composable) else custom(found))


def _specs(config: Path, names: str | None) -> list[TierSpec]:
    """Find the models of a policy: its tiers, or those that are named, judges too."""
    from tuppence.config import load_config

    loaded = load_config(config)
    known = {spec.tier.name: spec for spec in (*loaded.tiers, *loaded.judges)}
    wanted = [spec.tier.name for spec in loaded.tiers]
    if names is not None:
        wanted = list(dict.fromkeys(part.strip() for part in names.split(",") if part.strip()))
    strange = [name for name in wanted if name not in known]
    if strange or not wanted:
        raise ConfigError(f"--models names {', '.join(strange) or 'nothing'}: {config} has {', '.join(known)}")
    return [known[name] for name in wanted]


def _model(spec: TierSpec) -> Model:
    from tuppence.clients import via
    from tuppence.evidence.benching import model_of

    tier = spec.tier
    if tier.answer is not None:
        return model_of(tier)
    asked = via(
        _client(spec), tier.model, name=tier.name, rate=tier.rate, provider=tier.provider,
        capabilities=tier.capabilities, context_tokens=tier.context_tokens, timeout_s=tier.timeout_s,
        self_hosted=tier.self_hosted, additions=tier.additions,
    )  # fmt: skip
    return model_of(asked, params=spec.params)


def _client(spec: TierSpec) -> Any:
    """Make the SDK client that a tier's class needs; raises `ConfigError` where the SDK or the key is missing."""
    module, name = ("anthropic", "Anthropic") if spec.kind == "anthropic" else ("openai", "OpenAI")
    try:
        make: Any = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ConfigError(
            f"{spec.where}: class {spec.kind} needs the {module} SDK ({error}): pip install 'tuppence[{module}]'"
        ) from error
    given: dict[str, Any] = {} if spec.base_url is None else {"base_url": spec.base_url}
    key = spec.api_key
    if key is None and spec.kind in ("vllm", "openai_compatible"):
        key = _NO_KEY
    if key is not None:
        given["api_key"] = key
    try:
        return make(**given)
    except Exception as error:
        # Each SDK has an error of its own for a key that is not there.
        raise ConfigError(f"{spec.where}: tier {spec.tier.name!r} has no client: {error}") from error
