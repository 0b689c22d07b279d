"""Models over a labelled set: the real SDKs before a scripted provider, and what is said of them."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from tuppence.checks import custom, judged_by
from tuppence.cli.bench_models import bench_models
from tuppence.cli.commands import Commands
from tuppence.clients import via
from tuppence.errors import ConfigError
from tuppence.evidence.benching import (
    Answered,
    Case,
    Gate,
    Journal,
    ModelResult,
    by_check,
    compared,
    contains,
    exact,
    model_of,
    numeric,
    parse_gate,
    read_cases,
    results,
    run,
    violations,
)
from tuppence.evidence.benching.comparing import binomial_tail
from tuppence.evidence.benching.gates import Condition
from tuppence.evidence.outcomes import OutcomesError, read_outcomes
from tuppence.policy import Retries
from tuppence.prices import token_rate
from tuppence.testing import Fault, ProviderServer, Turn
from tuppence.tiers import Additions, Tier, function_tier

SUMS = [Case(f"sum {n}", f"What is {n} plus {n}?", (str(2 * n),)) for n in range(1, 21)]
RATE = token_rate(input="1", output="2")


def adds(request: dict[str, Any]) -> Turn:
    """A model that can add, and says how."""
    first, second = map(int, re.findall(r"\d+", request["messages"][-1]["content"]))
    return Turn(f"{first} and {second} make {first + second}")


def adds_small(request: dict[str, Any]) -> Turn:
    """One that can add up to ten."""
    first, second = map(int, re.findall(r"\d+", request["messages"][-1]["content"]))
    return Turn(f"{first + second}" if first <= 10 else "I think 7")


@pytest.fixture
def client(server: ProviderServer) -> Iterator[openai.OpenAI]:
    server.model("strong", replies=adds)
    server.model("weak", replies=adds_small)
    with openai.OpenAI(base_url=server.base_url, api_key="x") as client:
        yield client


def asked(models: Sequence[Any], cases: Sequence[Case] = SUMS, **options: Any) -> dict[str, ModelResult]:
    """Run the models and sum them up, by name."""
    journal = options.pop("journal", None) or Journal(None, cases, {one.name: one.version for one in models})
    answers = run(cases, models, options.pop("grader", numeric()), journal, **options)
    return {one.name: one for one in results(cases, answers)}


# -- the labelled set


def test_a_set_is_read_from_json_lines_lists_and_tables(tmp_path: Path) -> None:
    """Under the names that people use; without an id the same question has the same one in every run."""
    (tmp_path / "a.jsonl").write_text(
        '{"id": 7, "question": "Capital of France?", "answers": ["Paris", "Paname"], "category": "geo"}\n'
        '{"prompt": "2+2", "target": 4, "system": "Be brief."}\n'
    )
    (tmp_path / "b.csv").write_text("query,answer\nCapital of France?,Paris\n2+2,4\n")
    first, second = read_cases(tmp_path / "a.jsonl")
    assert first == Case("7", "Capital of France?", ("Paris", "Paname"), task="geo")
    assert (second.query, second.right, second.system, len(second.id)) == ("2+2", ("4",), "Be brief.", 16)
    table = read_cases(tmp_path / "b.csv")
    assert [one.right for one in table] == [("Paris",), ("4",)]
    assert read_cases(tmp_path / "b.csv") == table
    assert read_cases(tmp_path / "b.csv", limit=1) == table[:1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a", "query": "x"}\n{"id": "a", "query": "y"}', r":2: the id 'a' stands twice"),
        ('{"answer": "x"}', r":1: no question \(keys \['answer'\]\)"),
        ('{"query": "x", "answer": {"a": 1}}', r":1: .* is neither text nor a number"),
        ("", "holds no questions"),
        ("{nonsense}\n", r":1: .* is no JSON"),
    ],
)
def test_a_set_that_cannot_be_used_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """Before anything is asked."""
    (tmp_path / "cases.jsonl").write_text(text)
    with pytest.raises(OutcomesError, match=message):
        read_cases(tmp_path / "cases.jsonl")


# -- graders


@pytest.mark.parametrize(
    ("grader", "answer", "right", "score"),
    [
        (exact(), " The Paris. ", "paris", 1.0),
        (exact(), "Paris, France", "Paris", 0.0),
        (numeric(), "12 boxes of 3 are 36", "36", 1.0),
        (numeric(), "that is $1,250.00", "1250", 1.0),
        (numeric(), "36 or 37", "36", 0.0),
        (contains(), "It is Paris, of course", "paris", 1.0),
        (contains(), "comparison", "paris", 0.0),
        (contains(), "use a + here", "+", 1.0),
    ],
)
def test_a_grader_compares_what_it_keeps(grader: Any, answer: str, right: str, score: float) -> None:
    """And what it keeps has the same score when it is graded again."""
    case = Case("1", "?", ("no such thing", right))
    kept = grader.kept(answer)
    assert grader.grade(case, kept) == grader.grade(case, grader.kept(kept)) == score


def test_a_check_grades_between_right_and_wrong() -> None:
    """The user's own function, as a policy's checks; one that asks a model cannot grade."""
    length = by_check(custom(lambda _request, reply: min(1.0, len(reply.text) / 10)))
    assert length.grade(Case("1", "?"), "12345") == 0.5
    with pytest.raises(ConfigError, match="asks nobody"):
        by_check(judged_by("judge")).grade(Case("1", "?"), "x")
    with pytest.raises(ConfigError, match=r"failed on question '1' \(ZeroDivisionError"):
        by_check(custom(lambda _request, _reply: bool(1 / 0))).grade(Case("1", "?"), "x")
    with pytest.raises(ConfigError, match="question '1' has no right answer"):
        exact().grade(Case("1", "?"), "x")


# -- a run


def test_models_are_measured_side_by_side(client: openai.OpenAI, server: ProviderServer) -> None:
    """Quality, its interval, and a cost that is the sum of what the provider would bill."""
    models = [model_of(via(client, name, rate=RATE)) for name in ("weak", "strong")]
    found = asked(models)
    assert (found["weak"].quality, found["strong"].quality) == (0.5, 1.0)
    assert found["weak"].low == pytest.approx(0.299, abs=0.001)
    assert found["weak"].high == pytest.approx(0.701, abs=0.001)
    billed = [one.usage for one in server.served if one.model == "strong"]
    pico = sum(one["prompt_tokens"] * 10**6 + one["completion_tokens"] * 2 * 10**6 for one in billed)
    assert found["strong"].pico_usd == pico
    assert found["strong"].usd_per_question == Decimal(pico) / 10**12 / 20
    assert found["weak"].usd_per_correct == Decimal(found["weak"].pico_usd or 0) / 10**12 / 10
    p50, p95 = found["weak"].p50_ms, found["weak"].p95_ms
    assert p50 is not None and p95 is not None and 0 < p50 <= p95


def test_anthropic_and_plain_functions_run_too(server: ProviderServer) -> None:
    """Each as its policy would ask it: with its additions, its parameters and the question's instructions."""
    server.model("claude", replies=adds)
    cases = [Case("1", "What is 1 plus 1?", ("2",), system="Be brief.")]
    with anthropic.Anthropic(base_url=server.anthropic_url, api_key="x") as client:
        claude = model_of(
            via(client, "claude", rate=RATE, additions=Additions(system="Think.")), params={"temperature": 0.0}
        )
        rules = function_tier("rules", lambda request: "2" if request.system == "Be brief." else None)
        found = asked([claude, model_of(rules)], cases)
    assert (found["claude"].quality, found["rules"].quality, found["rules"].pico_usd) == (1.0, 1.0, 0)
    (sent,) = [one.request for one in server.served]
    assert sent["temperature"] == 0.0
    assert sent["system"] in ("Be brief.\n\nThink.", "Think.\n\nBe brief.")


def test_no_more_questions_are_open_than_allowed(client: openai.OpenAI, server: ProviderServer) -> None:
    """Three at a time, and never more."""
    together, counting = threading.Barrier(3), threading.Lock()
    open_now, most = 0, 0

    def slow(request: dict[str, Any]) -> Turn:
        nonlocal open_now, most
        with counting:
            open_now += 1
            most = max(most, open_now)
        together.wait(600)
        with counting:
            open_now -= 1
        return adds(request)

    server.model("slow", replies=slow)
    found = asked([model_of(via(client, "slow", rate=RATE))], SUMS[:18], concurrency=3)
    assert (found["slow"].quality, most) == (1.0, 3)


def test_a_model_that_fails_is_told_and_its_questions_count_as_wrong(
    client: openai.OpenAI, server: ProviderServer, tmp_path: Path
) -> None:
    """It is never left out, and what failed is asked again by the next run."""
    answers = iter([Turn("2"), *[Fault(status=400, message="no such luck")] * 3])
    server.model("flaky", replies=lambda request: next(answers, None) or adds(request))
    journal = Journal(tmp_path / "out.jsonl", SUMS, {"flaky": "v1"})
    flaky = model_of(via(client, "flaky", rate=RATE))
    found = asked([flaky], journal=journal, concurrency=1)["flaky"]
    assert (found.questions, found.failed, found.quality) == (20, 3, 17 / 20)
    ((reason, count),) = found.failures.items()
    assert count == 3 and "no such luck" in reason
    again = Journal(tmp_path / "out.jsonl", SUMS, {"flaky": "v1"})
    assert asked([flaky], journal=again)["flaky"].failed == 0
    assert len(server.served) == 23


def test_a_model_that_cannot_be_asked_is_given_up(client: openai.OpenAI, server: ProviderServer) -> None:
    """Five refusals tell that the key is wrong; a thousand would not tell more."""
    server.model("locked", replies=Fault(status=401))
    models = [model_of(via(client, name, rate=RATE)) for name in ("locked", "strong")]
    found = asked(models, concurrency=1)
    assert found["locked"].quality == 0.0
    assert found["locked"].failed == 20
    assert {count for reason, count in found["locked"].failures.items() if "not asked" in reason} == {15}
    assert found["strong"].quality == 1.0
    assert sum(one.model == "locked" for one in server.served) == 5


def test_retries_are_part_of_the_cost(client: openai.OpenAI, server: ProviderServer) -> None:
    """A passing failure costs no answer, and what it was billed is counted."""
    answers = iter([Fault.die_after(chunks=1), None])
    server.model("shaky", replies=lambda request: next(answers, None) or adds(request))
    model = model_of(via(client, "shaky", rate=RATE), retries=Retries(base_s=0.0))
    found = asked([model], SUMS[:1])["shaky"]
    assert (found.failed, found.quality, len(server.served)) == (0, 1.0, 2)
    answered = server.served[-1]
    assert answered.usage is not None
    alone = answered.usage["prompt_tokens"] * 10**6 + answered.usage["completion_tokens"] * 2 * 10**6
    assert found.pico_usd is not None and found.pico_usd > alone


@pytest.mark.filterwarnings("ignore:tier 'strong'")
def test_an_unknown_price_is_unknown(client: openai.OpenAI) -> None:
    """Never zero: not in the sum, not on the front, not past a gate."""
    found = asked([model_of(via(client, "strong"))])["strong"]
    assert (found.pico_usd, found.usd_per_question, found.usd_per_correct, found.pareto) == (None,) * 4
    assert violations(parse_gate("cost<=1"), [found], None) == ["strong: cost is not known, and cost<=1 must hold"]


def result(name: str, scores: dict[str, float], pico: int | None = 0, **changes: Any) -> ModelResult:
    told: dict[str, Any] = {
        "name": name, "scores": scores, "quality": sum(scores.values()) / len(scores), "low": 0.0, "high": 1.0,
        "failures": {}, "no_answer": 0, "pico_usd": pico, "p50_ms": 10.0, "p95_ms": 20.0, "input_tokens": 0,
        "output_tokens": 0,
    }  # fmt: skip
    return ModelResult(**{**told, **changes})


class Fixed:
    """A model with set answers and costs."""

    version = "v1"

    def __init__(self, name: str, right: int, pico: int | None) -> None:
        self.name, self._right, self._pico = name, right, pico

    def ask(self, case: Case) -> Answered:
        number = SUMS.index(case)
        return Answered(case.right[0] if number < self._right else "0", self._pico, 5.0, 1, 1)


def test_the_front_holds_what_no_other_model_beats() -> None:
    """A dearer and worse model is off it; so is one that is as good for more."""
    found = asked([Fixed("cheap", 10, 1), Fixed("good", 18, 9), Fixed("dear", 17, 12), Fixed("same", 18, 10)])
    assert {name: one.pareto for name, one in found.items()} == {
        "cheap": True, "good": True, "dear": False, "same": False,
    }  # fmt: skip


def test_scores_between_right_and_wrong_have_a_bootstrap_interval() -> None:
    """The same at every run."""
    grader = by_check(custom(lambda _request, reply: min(1.0, float(reply.text) / 40)))
    first, again = (asked([Fixed("good", 20, 1)], grader=grader)["good"] for _ in range(2))
    assert first.quality == pytest.approx(0.525)
    assert 0.35 < first.low < 0.45 < 0.6 < first.high < 0.7
    assert (first.low, first.high) == (again.low, again.high)


# -- going on


def test_answers_are_outcomes_and_a_run_goes_on_from_them(
    client: openai.OpenAI, server: ProviderServer, tmp_path: Path
) -> None:
    """Nothing is asked twice, and another model is added to the same questions."""
    path = tmp_path / "out.jsonl"
    weak, strong = (model_of(via(client, name, rate=RATE)) for name in ("weak", "strong"))
    asked([weak], SUMS[:5], journal=Journal(path, SUMS[:5], {"weak": weak.version}))
    versions = {one.name: one.version for one in (weak, strong)}
    found = asked([weak, strong], journal=Journal(path, SUMS, versions))
    assert (found["weak"].resumed, found["strong"].resumed) == (5, 0)
    assert len(server.served) == 40
    rows = {row.id: row for row in read_outcomes(path)}
    assert len(rows) == len(path.read_text().splitlines()) == 20
    first = rows["sum 1"].by_model["strong"]
    assert (first.score, first.answer, first.labelled_by) == (1.0, "2", "gold")
    assert first.pico_usd and first.input_tokens and first.output_tokens and first.latency_ms
    assert path.stat().st_mode & 0o077 == 0


def test_another_model_under_the_same_name_is_asked_anew(
    client: openai.OpenAI, server: ProviderServer, tmp_path: Path
) -> None:
    """A tier whose model, address, parameters or additions changed is another model."""
    path = tmp_path / "out.jsonl"
    for tier, params in (
        (via(client, "weak", name="tier", rate=RATE), {}),
        (via(client, "strong", name="tier", rate=RATE), {}),
        (via(client, "strong", name="tier", rate=RATE), {"temperature": 0.5}),
        (via(client, "strong", name="tier", rate=RATE, additions=Additions(system="Think.")), {}),
    ):
        model = model_of(tier, params=params)
        assert asked([model], SUMS[:2], journal=Journal(path, SUMS[:2], {"tier": model.version}))["tier"].resumed == 0
    assert len(server.served) == 8


def test_another_grader_grades_what_was_kept(tmp_path: Path) -> None:
    """Without asking anybody, and the file then holds its scores."""
    path = tmp_path / "out.jsonl"
    model = Fixed("good", 10, 1)
    asked([model], journal=Journal(path, SUMS, {"good": "v1"}), grader=exact())
    lenient = by_check(custom(lambda _request, _reply: True))
    found = asked([model], journal=Journal(path, SUMS, {"good": "v1"}), grader=lenient)["good"]
    assert (found.quality, found.resumed) == (1.0, 20)
    assert {row.by_model["good"].score for row in read_outcomes(path)} == {1.0}


def test_an_answer_without_a_number_is_kept_as_it_is(tmp_path: Path) -> None:
    """It counts as no answer, until a grader comes that needs no number."""
    path = tmp_path / "out.jsonl"
    (case, *_) = cases = [Case("1", "Who?", ("nobody",))]
    mute = model_of(function_tier("mute", lambda _request: "Nobody, I think."))
    versions = {"mute": mute.version}
    assert asked([mute], cases, journal=Journal(path, cases, versions))["mute"].no_answer == 1
    known = Journal(path, cases, versions).known(case, "mute")
    assert known is not None and (known.answer, known.no_answer, known.score) == ("Nobody, I think.", True, 0.0)
    found = asked([mute], cases, journal=Journal(path, cases, versions), grader=contains())["mute"]
    assert (found.quality, found.no_answer, found.resumed) == (1.0, 0, 1)


def test_an_answer_is_kept_before_a_grader_breaks(tmp_path: Path) -> None:
    """It is paid for: the mended grader grades it."""
    path = tmp_path / "out.jsonl"
    journal = Journal(path, SUMS, {"good": "v1"})
    with pytest.raises(ConfigError, match="failed on question"):
        asked([Fixed("good", 10, 1)], journal=journal, concurrency=1, grader=by_check(custom(lambda _q, _r: 1 / 0 > 1)))
    assert len(list(read_outcomes(path))) == 1
    found = asked([Fixed("good", 10, 1)], journal=Journal(path, SUMS, {"good": "v1"}))["good"]
    assert (found.resumed, found.quality) == (1, 0.5)


def test_a_file_of_other_questions_is_refused(tmp_path: Path) -> None:
    """And a line that a killed run left half-written does not stop the next run."""
    path = tmp_path / "out.jsonl"
    asked([Fixed("good", 10, 1)], journal=Journal(path, SUMS, {"good": "v1"}))
    with path.open("a") as file:
        file.write('{"id": "sum 1", "que')
    assert asked([Fixed("good", 10, 1)], journal=Journal(path, SUMS, {"good": "v1"}))["good"].resumed == 20
    with pytest.raises(OutcomesError, match="another question under the id 'sum 1'"):
        Journal(path, [Case("sum 1", "Who?", ("me",))], {"good": "v1"})
    (tmp_path / "questions.jsonl").write_text('{"query": "x"}\n')
    with pytest.raises(OutcomesError, match="no file that bench-models wrote"):
        Journal(tmp_path / "questions.jsonl", SUMS, {"good": "v1"})


# -- comparing


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_counts_the_questions_that_changed(pairs: list[tuple[bool, bool]]) -> None:
    """Against scipy's binomial test, and nothing but the changed questions matters."""
    from scipy.stats import binomtest

    before = {str(i): float(was) for i, (was, _) in enumerate(pairs)}
    paired = compared(result("m", {str(i): float(now) for i, (_, now) in enumerate(pairs)}), before)
    assert paired is not None
    worse, better = sum(was > now for was, now in pairs), sum(now > was for was, now in pairs)
    assert (paired.worse, paired.better, paired.questions) == (worse, better, len(pairs))
    wanted = binomtest(worse, worse + better, alternative="greater").pvalue if worse + better else 1.0
    assert paired.p_worse == pytest.approx(wanted)
    assert binomial_tail(0, worse + better) == 1.0


def test_other_scores_are_compared_by_a_paired_bootstrap() -> None:
    """A loss of a tenth on every question is certain, though scores differ far more between questions."""
    before = {str(i): (i % 10) / 10 + 0.05 * (i % 2) for i in range(40)}
    lower = compared(result("m", {key: max(0.0, score - 0.1) for key, score in before.items()}), before)
    same = compared(result("m", {key: before[key] + (0.01 if int(key) % 3 else -0.02) for key in before}), before)
    assert lower is not None and same is not None
    assert lower.p_worse < 0.001 and lower.high is not None and lower.high < 0
    assert same.p_worse > 0.1
    assert compared(result("m", {"other": 1.0}), before) is None


# -- gates


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("quality>=.9", Gate((Condition("quality", ">=", Decimal("0.9")),))),
        (
            " quality_low > 0.5 , cost<=$0.002, model=small ",
            Gate(
                (Condition("quality_low", ">", Decimal("0.5")), Condition("cost", "<=", Decimal("0.002"))),
                model="small",
            ),
        ),
        ("against=base.json,alpha=.01", Gate(against="base.json", alpha=0.01)),
    ],
)
def test_a_gate_is_read(text: str, gate: Gate) -> None:
    """Conditions in any order, with blanks where people put them."""
    assert parse_gate(text) == gate


@pytest.mark.parametrize(
    "text",
    ["", "quality", "quality=.9", "speed>=1", "quality>=many", "quality>=nan", "alpha=.1", "quality>=.9,alpha=2"],
)
def test_a_gate_that_says_nothing_is_refused(text: str) -> None:
    """It would let everything through."""
    with pytest.raises(ConfigError, match="the gate"):
        parse_gate(text)


@pytest.mark.parametrize(
    ("gate", "lines"),
    [
        ("quality>=0.5,cost<=0.000001", []),
        ("quality>0.5", ["m: quality is 0.5, and quality>0.5 must hold"]),
        ("cost<1e-7", ["m: cost is 5e-07, and cost<1E-7 must hold"]),
        ("p95<=10", ["m: p95 is 20, and p95<=10 must hold"]),
        ("model=other,quality>=0", ["model 'other' was not run: there are m"]),
        ("failed<=0", []),
    ],
)
def test_what_does_not_hold_is_told_with_its_figures(gate: str, lines: list[str]) -> None:
    """A line for each; none where all holds."""
    found = [result("m", {"1": 1.0, "2": 0.0}, pico=10**6)]
    assert violations(parse_gate(gate), found, None) == lines


def test_a_gate_fails_with_the_failures_beside_it() -> None:
    """A build's reader must see that it was the network and not the model."""
    found = [result("m", {"1": 1.0, "2": 0.0}, failures={"APIConnectionError: refused": 1})]
    (line,) = violations(parse_gate("quality>=.9"), found, None)
    assert line.endswith("(1 of 2 were not answered; 1 times APIConnectionError: refused)")


def test_a_gate_against_a_baseline_refuses_only_what_chance_does_not_explain() -> None:
    """One question more wrong is chance, ten are not; a model that the baseline lacks does not pass."""
    before = {str(i): 1.0 for i in range(40)}
    gate = parse_gate("against=base.json")
    chance, worse = (result("m", {key: float(int(key) >= lost) for key in before}) for lost in (1, 10))
    assert violations(gate, [chance], {"m": before}) == []
    (line,) = violations(gate, [worse], {"m": before})
    assert line.startswith("m: worse than base.json by 25.0 points on 40 questions (10 worse, 0 better; McNemar, exact")
    assert violations(gate, [worse], {"n": before}) == ["m: base.json does not have it: it has n"]
    assert "shares no question" in violations(gate, [worse], {"m": {"other": 1.0}})[0]


# -- the command

POLICY = """
tiers:
  - {{name: small, class: openai_compatible, model: weak, base_url: "{url}", price: {{input: 1, output: 2}}}}
  - {{name: large, class: openai_compatible, model: strong, base_url: "{url}", price: {{input: 10, output: 20}}}}
"""


@pytest.fixture
def folder(tmp_path: Path, client: openai.OpenAI, server: ProviderServer) -> Path:
    """A folder with a policy and a set of questions."""
    assert client
    (tmp_path / "policy.yaml").write_text(POLICY.format(url=server.base_url))
    rows = [{"id": one.id, "query": one.query, "answer": one.right[0]} for one in SUMS]
    (tmp_path / "cases.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


Command = Callable[..., Result]


@pytest.fixture
def command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, run in that folder."""
    monkeypatch.chdir(folder)
    app = typer.Typer(cls=Commands)
    app.callback()(lambda: None)
    app.command("bench-models")(bench_models)
    given = ["bench-models", "cases.jsonl", "-c", "policy.yaml", "--grader", "numeric"]
    return lambda *more: CliRunner().invoke(app, [*given, *more])


def test_the_command_shows_a_table(command: Command) -> None:
    """A line a model, and a star for those that are worth a look."""
    done = command()
    assert done.exit_code == 0, done.output
    assert re.search(r"small +50\.0% +29\.9% to 70\.1% .* 0 +\*", done.stdout)
    assert re.search(r"large +100\.0% +83\.9% to 100\.0% .* 0 +\*", done.stdout)


def test_the_command_writes_outcomes_and_a_report(command: Command, folder: Path) -> None:
    """The report is what a later run is compared with; standard output holds nothing but what was asked for."""
    done = command("--output", "out.jsonl", "--report", "report.json", "--format", "json", "--models", "large")
    told = json.loads(done.stdout)
    assert told == json.loads((folder / "report.json").read_text())
    (large,) = told["models"]
    assert (large["model"], large["quality"], len(large["scores"])) == ("large", 1.0, 20)
    assert isinstance(large["cost_usd"], str)
    assert {*next(iter(read_outcomes(folder / "out.jsonl"))).by_model} == {"large"}


def test_a_gate_decides_the_exit_status(command: Command, folder: Path, server: ProviderServer) -> None:
    """0 where it holds; 1 with the reason where it does not, as when a model has become worse."""
    held = command("--report", "base.json", "--gate", "model=large,quality>=.9,cost<=.01")
    assert held.exit_code == 0, held.output
    failed = command("--gate", "quality>=.9")
    assert failed.exit_code == 1
    assert "gate failed: small: quality is 0.5, and quality>=0.9 must hold" in failed.stderr
    server.model("strong", replies=adds_small)
    worse = command("--gate", "against=base.json")
    assert worse.exit_code == 1
    assert "gate failed: large: worse than base.json by 50.0 points on 20 questions (10 worse, 0 better" in worse.stderr
    assert "small" not in worse.stderr
    assert "small: +0.0 points against base.json" in worse.stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--models", "huge"], "--models names huge: policy.yaml has small, large"),
        (["--grader", "fuzzy"], "--grader is 'fuzzy': it is exact, numeric, contains, or module:name"),
        (["--grader", "no_such_module_here:f"], "no_such_module_here cannot be imported"),
        (["--gate", "quality"], "the gate 'quality' has 'quality'"),
        (["--gate", "against=none.json"], "the baseline none.json cannot be read"),
        (["--gate", "against=policy.yaml"], "the baseline policy.yaml is no JSON"),
        (["--gate", "against=cases.json"], "cases.json is no report of bench-models"),
        (["-c", "none.yaml"], "none.yaml cannot be read"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_asked(
    command: Command, folder: Path, server: ProviderServer, more: list[str], message: str
) -> None:
    """In one line, for nothing."""
    (folder / "cases.json").write_text("{}")
    done = command(*more)
    assert done.exit_code == 1
    assert message in done.stderr
    assert server.served == []


def test_a_function_of_the_users_grades(command: Command, folder: Path) -> None:
    """Found beside the place where the command is given."""
    (folder / "my_graders.py").write_text("def ends_even(request, reply):\n    return reply.text[-1] in '02468'\n")
    done = command("--grader", "my_graders:ends_even", "--format", "json", "--models", "large")
    assert json.loads(done.stdout)["models"][0]["quality"] == 1.0


def test_a_missing_key_is_told_with_its_tier(command: Command, folder: Path) -> None:
    """A model that nobody can ask is an error, not a row of zeros."""
    (folder / "policy.yaml").write_text("tiers: [{name: a, class: openai, model: gpt-4o}]")
    done = command()
    assert done.exit_code == 1
    assert "tier 'a' has no client" in done.stderr


PROGRAM = (
    "import typer; from tuppence.cli.commands import Commands; from tuppence.cli.bench_models import bench_models; "
    "app = typer.Typer(cls=Commands); app.callback()(lambda: None); app.command('bench-models')(bench_models); app()"
)


def test_ctrl_c_keeps_what_is_done(folder: Path, server: ProviderServer) -> None:
    """The command ends at once, though a question is held, and the next one asks only what is missing."""
    hold = threading.Event()
    server.model(
        "strong", replies=lambda request: Turn("8", hold=hold) if "4 plus 4" in str(request) else adds(request)
    )
    given = ["bench-models", "cases.jsonl", "-c", "policy.yaml", "--grader", "numeric", "--models", "large"]
    arguments = [sys.executable, "-c", PROGRAM, *given, "--output", "out.jsonl", "--concurrency", "1"]
    process = subprocess.Popen(arguments, cwd=folder, stderr=subprocess.PIPE, text=True, env=os.environ)
    server.await_arrived(4, timeout_s=600)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "what was answered is in out.jsonl, and the same command goes on from there" in said
    assert [row.id for row in read_outcomes(folder / "out.jsonl")] == ["sum 1", "sum 2", "sum 3"]
    hold.set()
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "large: 3 answers were there already" in done.stdout
    assert len(server.served) == 21


def test_a_tier_without_a_client_is_refused() -> None:
    """With the way to give it one."""
    with pytest.raises(ConfigError, match=r"via\(client, 'm'\)"):
        model_of(Tier("m", model="m"))
