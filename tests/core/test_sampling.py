"""A random sample of recorded traffic, and what is asked of models that have not answered it."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from tuppence.cli.bench_models import bench_models
from tuppence.cli.commands import Commands
from tuppence.clients import via, wrap
from tuppence.errors import ConfigError
from tuppence.evidence.benching import Case, Journal, read_cases
from tuppence.evidence.benching.recalled import case_of, recall
from tuppence.evidence.outcomes import (
    Outcome,
    OutcomesError,
    RecordedAttempt,
    RecordedCall,
    read_outcomes,
    read_traffic,
)
from tuppence.evidence.outcomes.sampling import is_traffic, sample_questions, write_questions
from tuppence.policy import Mode
from tuppence.prices import token_rate
from tuppence.recording import Recorder
from tuppence.request import Message, Reply, Request
from tuppence.testing import ProviderServer
from tuppence.usage import Usage


def attempt(tier: str = "large", model: str = "strong", **changes: Any) -> RecordedAttempt:
    reply = Reply("It is 4", finish="stop", usage=Usage(input=7, output=3))
    known = {"cause": "draft", "outcome": "accepted", "score": None, "pico_usd": 130, "status": "exact"}
    return RecordedAttempt(**{**known, "tier": tier, "model": model, "latency_ms": 5.0, "error": None, "reply": reply,
                              **changes})  # fmt: skip


def call(name: str, *messages: Message, **parts: Any) -> RecordedCall:
    attempts = parts.pop("attempts", (attempt(),))
    told = messages or (Message("user", f"What is {name}?"),)
    return RecordedCall(name, Request(told, **parts), attempts, "", "observe")


CALLS = [call(str(number)) for number in range(200)]


# -- the draw


@given(st.integers(1, 220), st.integers(0, 220), st.integers(), st.randoms())
def test_a_larger_sample_begins_with_the_smaller(count: int, more: int, seed: int, shuffled: random.Random) -> None:
    """Whatever order the calls come in: labels that were made stay in use where more are needed."""
    smaller = sample_questions(CALLS, count, seed=seed)
    other = shuffled.sample(CALLS, len(CALLS))
    assert sample_questions(other, count + more, seed=seed).calls[: len(smaller.calls)] == smaller.calls
    assert len({one.call_id for one in smaller.calls}) == len(smaller.calls) == min(count, 200)


def test_each_call_has_the_same_chance() -> None:
    """Over 2,000 draws of 20 of 200, each is drawn 200 times, give or take 4.5 standard deviations."""
    drawn = Counter(one.call_id for seed in range(2000) for one in sample_questions(CALLS, 20, seed=seed).calls)
    assert len(drawn) == 200
    assert min(drawn.values()) > 140
    assert max(drawn.values()) < 260


def test_where_there_are_fewer_all_are_drawn() -> None:
    """And the sample says from how many."""
    sample = sample_questions(CALLS[:3], 1000, seed=0)
    assert len(sample.calls) == sample.drawn_from == 3
    assert sample.words == "3 of 3 recorded questions drawn"


UNFIT = {
    "answered by a cache": call("1", attempts=(attempt(cause="hit"),)),
    "with tools": call("1", tools=({"type": "function"},)),
    "with a schema": call("1", schema={"type": "object"}),
    "with pictures, sound or files": call("1", Message("user", "Who is this?", media=frozenset({"vision"}))),
    "with earlier turns": call("1", Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Why?")),
    "without text": call("1", Message("user", "  ")),
}


@pytest.mark.parametrize(("reason", "unfit"), UNFIT.items(), ids=UNFIT)
def test_what_cannot_be_asked_again_is_left_out_and_counted(reason: str, unfit: RecordedCall) -> None:
    """The promise is not about such calls, and the reader is told."""
    sample = sample_questions([unfit, call("2")], 10, seed=0)
    assert ([one.call_id for one in sample.calls], sample.drawn_from) == (["2"], 1)
    assert sample.left_out == {reason: 1}
    assert sample.words == f"1 of 1 recorded questions drawn; left out: 1 {reason}"


FIT = {
    "with instructions": call("1", Message("system", "Be brief."), Message("user", "Why?")),
    "that no model could answer": call("1", attempts=(attempt(outcome="failed", reply=None),)),
    "that a model answered after a cache had failed": call("1", attempts=(attempt(cause="hit"), attempt())),
}


@pytest.mark.parametrize("fit", FIT.values(), ids=FIT)
def test_the_hard_ones_are_not_left_out(fit: RecordedCall) -> None:
    """What models make of a question has no influence on its chance."""
    assert sample_questions([fit], 1, seed=0).calls == (fit,)


@pytest.mark.parametrize(
    ("calls", "count", "error", "message"),
    [
        (CALLS, 0, ConfigError, "the count is 0: draw at least one"),
        ([], 5, OutcomesError, r"no recorded question can be drawn \(there are no calls\)"),
        ([UNFIT["with tools"]], 5, OutcomesError, r"can be drawn \(1 with tools\): record plain questions"),
        ([*CALLS[:5], CALLS[3]], 9, OutcomesError, "the call '3' stands twice"),
    ],
)
def test_what_cannot_be_drawn_is_told(
    calls: list[RecordedCall], count: int, error: type[Exception], message: str
) -> None:
    """With what is wrong, and the fix."""
    with pytest.raises(error, match=message):
        sample_questions(calls, count, seed=0)


# -- the questions, for somebody to answer


def test_questions_wait_for_right_answers(tmp_path: Path) -> None:
    """They are a labelled set as soon as somebody has added them; what was added is never written over."""
    asked = call("7", Message("system", "Be brief."), Message("user", "Why?"), tags={"task": "faq"})
    path = tmp_path / "questions.jsonl"
    assert write_questions(path, [asked]) == 1
    assert read_cases(path) == [Case("7", "Why?", (), "Be brief.", "faq")] == [case_of(asked)]
    path.write_text(path.read_text().replace('"answer": ""', '"answer": "So it is"'))
    with pytest.raises(OutcomesError, match="is there, and may hold answers already"):
        write_questions(path, [asked])
    assert read_cases(path)[0].right == ("So it is",)
    with pytest.raises(OutcomesError, match=r"cannot be written \(No such file"):
        write_questions(tmp_path / "none" / "questions.jsonl", [asked])


# -- recorded answers in the place of new ones


def answers_to(told: RecordedCall, case: Case) -> Outcome | None:
    """What a run knows of a question, once it has taken in a recorded call."""
    journal = Journal(None, [case], {"large": "v"})
    found = recall(journal, [told], questions=[case], billed={"large": "strong"})
    known = journal.known(case, "large")
    assert found["large"] == (known is not None)
    return known


def test_a_recorded_answer_is_taken_as_it_was() -> None:
    """At the price and in the time of then, retries included; nothing is graded yet."""
    told = call("1", attempts=(attempt(outcome="failed", reply=None, pico_usd=20), attempt()))
    known = Outcome(None, "It is 4", False, 7, 3, 150, 10.0, served=True)
    assert answers_to(told, case_of(told)) == known


@pytest.mark.parametrize("model", ["strong-2024-08-06", "strong@20250514", "strong-001"])
def test_a_dated_snapshot_is_the_model(model: str) -> None:
    """Providers bill the snapshot that they served."""
    told = call("1", attempts=(attempt(model=model),))
    assert answers_to(told, case_of(told)) is not None


@pytest.mark.parametrize(
    ("told", "case"),
    [
        (call("1", attempts=(attempt(model="strong-mini"),)), case_of(call("1"))),
        (call("1", attempts=(attempt(model="weak"),)), case_of(call("1"))),
        (call("1", attempts=(attempt(model="strong"), attempt(model="weak"))), case_of(call("1"))),
        (call("1", attempts=(attempt("small"),)), case_of(call("1"))),
        (call("1", attempts=(attempt(outcome="failed", reply=None),)), case_of(call("1"))),
        (call("1", attempts=(attempt(cause="hit"),)), case_of(call("1"))),
        (call("1"), Case("1", "Another question?")),
        (call("1"), Case("1", "What is 1?", system="Other instructions")),
        (call("2"), Case("1", "What is 2?")),
    ],
    ids=["a near name", "another model", "two models", "another tier", "no answer", "a cache", "another question",
         "other instructions", "another id"],
)  # fmt: skip
def test_what_is_not_its_answer_to_this_question_is_not_taken(told: RecordedCall, case: Case) -> None:
    """A certificate must not rest on another model's answers."""
    assert answers_to(told, case) is None


def test_what_is_known_stays() -> None:
    """An answer that was graded in an earlier run is not replaced by the recorded one."""
    case, graded = case_of(call("1")), Outcome(1.0, "4")
    journal = Journal(None, [case], {"large": "v"})
    journal.add(case, "large", graded)
    assert recall(journal, [call("1")], questions=[case], billed={"large": "strong"}) == {"large": 1}
    assert journal.known(case, "large") == graded


# -- the command

POLICY = """
tiers:
  - {{name: small, class: openai_compatible, model: weak, base_url: "{url}", price: {{input: 1, output: 2}}}}
  - {{name: large, class: openai_compatible, model: strong, base_url: "{url}", price: {{input: 10, output: 20}}}}
"""
Bench = Callable[..., Result]


def adds(request: dict[str, Any]) -> str:
    return f"It is {sum(map(int, re.findall(r'[0-9]+', request['messages'][-1]['content'])))}"


def refuses_large_numbers(request: dict[str, Any]) -> str:
    return "I cannot help with that." if "9" in str(request["messages"]) else adds(request)


def week_of(mode: Mode, folder: Path, server: ProviderServer) -> None:
    """Record thirty sums."""
    server.model("strong", replies=adds)
    server.model("weak", replies=refuses_large_numbers)
    (folder / "policy.yaml").write_text(POLICY.format(url=server.base_url))
    recorder = Recorder(folder / "traffic.jsonl")
    rate = token_rate(input="1", output="2")
    with openai.OpenAI(base_url=server.base_url, api_key="x") as client:
        tiers = [via(client, "weak", name="small", rate=rate), via(client, "strong", name="large", rate=rate)]
        wrapped = wrap(client, tiers=tiers, record=recorder, ledger=None, mode=mode)
        for number in range(1, 31):
            asked: Any = [{"role": "user", "content": f"What is {number} plus 1?"}]
            wrapped.chat.completions.create(model="auto", messages=asked)
    recorder.flush()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The command, run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grading.py").write_text(
        "import re\n"
        "def right(request, reply):\n"
        "    return re.findall('[0-9]+', reply.text) == [str(int(request.question.split()[2]) + 1)]\n"
    )
    app = typer.Typer(cls=Commands)
    app.callback()(lambda: None)
    app.command("bench-models")(bench_models)
    return lambda *given: CliRunner().invoke(app, ["bench-models", *given, "-c", "policy.yaml"])


def test_traffic_is_drawn_from_and_only_what_is_missing_is_asked(
    bench: Bench, tmp_path: Path, server: ProviderServer
) -> None:
    """In observe mode the strongest tier has answered all: the small one is asked the same questions."""
    week_of("observe", tmp_path, server)
    done = bench("traffic.jsonl", "--sample", "20", "--seed", "3", "--grader", "grading:right", "--output", "out.jsonl")
    assert done.exit_code == 0, done.output
    assert "20 of 30 recorded questions drawn" in done.stderr
    assert "large: 20 of 20 answers are in traffic.jsonl" in done.stderr
    assert [one.model for one in server.served[30:]] == ["weak"] * 20
    rows = list(read_outcomes("out.jsonl"))
    drawn = sample_questions(read_traffic("traffic.jsonl"), 20, seed=3).calls
    assert {one.id for one in rows} == {one.call_id for one in drawn}
    for one in rows:
        assert one.by_model["large"].score == 1.0
        assert one.by_model["small"].score == float("9" not in one.query)


def test_a_cascades_own_recording_is_filled_up(bench: Bench, tmp_path: Path, server: ProviderServer) -> None:
    """It holds the strong answers to escalated questions alone, which are the hard ones: the others are asked for."""
    week_of("optimise", tmp_path, server)
    escalated = sum(one.model == "strong" for one in server.served)
    before = len(server.served)
    assert escalated == 3
    done = bench("traffic.jsonl", "--grader", "grading:right", "--output", "out.jsonl")
    assert done.exit_code == 0, done.output
    assert "small: 30 of 30 answers are in traffic.jsonl" in done.stderr
    assert {one.id for one in read_outcomes("out.jsonl")} == {one.call_id for one in read_traffic("traffic.jsonl")}
    assert "large: 3 of 30 answers are in traffic.jsonl" in done.stderr
    assert [one.model for one in server.served[before:]] == ["strong"] * 27
    assert all({*one.by_model} == {"small", "large"} for one in read_outcomes("out.jsonl"))


def test_labelled_questions_use_recorded_answers(bench: Bench, tmp_path: Path, server: ProviderServer) -> None:
    """Right answers that people wrote, and no answer paid for twice."""
    week_of("observe", tmp_path, server)
    write_questions("questions.jsonl", sample_questions(read_traffic("traffic.jsonl"), 10, seed=0).calls)
    rows = [json.loads(line) for line in Path("questions.jsonl").read_text().splitlines()]
    labelled = [row | {"answer": str(int(row["query"].split()[2]) + 1)} for row in rows]
    Path("questions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in labelled))
    done = bench("questions.jsonl", "--recorded", "traffic.jsonl", "--grader", "contains", "--format", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["models"][1]["quality"] == 1.0
    assert [one.model for one in server.served[30:]] == ["weak"] * 10


def test_traffic_knows_no_right_answers(bench: Bench, tmp_path: Path, server: ProviderServer) -> None:
    """A grader that compares has nothing to compare with; nobody is asked in vain."""
    week_of("observe", tmp_path, server)
    done = bench("traffic.jsonl", "--grader", "exact")
    assert done.exit_code == 1
    assert "traffic.jsonl is recorded traffic, which knows no right answer" in done.stderr
    assert len(server.served) == 30


def test_recorded_traffic_is_told_from_other_files(tmp_path: Path) -> None:
    """By its rows; feedback may stand before the first call."""
    path = tmp_path / "file.jsonl"
    path.write_text('{"tuppence.feedback":1,"call_id":"a","score":1,"at":0}\n')
    assert not is_traffic(path)
    with path.open("a") as file:
        file.write('{"tuppence.traffic":1}\n')
    assert is_traffic(path)
    path.write_text('{"query": "Why?"}\n')
    assert not is_traffic(path)
