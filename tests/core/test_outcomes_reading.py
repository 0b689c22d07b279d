"""Outcomes from every form of file that people have: read exactly, streamed, and refused by line where wrong."""

import csv
import gzip
import json
import logging
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuppence.evidence.outcomes import (
    Feedback,
    Outcome,
    Outcomes,
    OutcomesError,
    joined,
    read_feedback,
    read_outcomes,
    read_traffic,
    write_outcomes,
)

Write = Callable[..., Path]

ROW: dict[str, Any] = {
    "id": "gsm/1",
    "dataset": "gsm",
    "category": "arithmetic",
    "contaminated": False,
    "query": "What is 6 times 7?",
    "outcomes": {
        "small": {"score": 0.0, "answer": "41", "input_tokens": 9, "output_tokens": 2, "cost_usd": 1.74e-05},
        "large": {"score": 1.0, "no_answer": False, "cost_usd": "0.00031", "latency_ms": 81.5, "signals": {"votes": 1}},
    },
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write rows as JSON lines, or text as it stands, into a file of this test."""

    def written(*rows: Any, name: str = "outcomes.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), "utf-8")
        return path

    return written


def test_a_question_is_read_with_all_that_its_models_made_of_it(write: Write) -> None:
    """Costs are exact, what is missing is not known, and scalars under other keys become tags."""
    (one,) = read_outcomes(write(ROW))
    assert (one.id, one.query, one.dataset, one.task) == ("gsm/1", "What is 6 times 7?", "gsm", "arithmetic")
    assert one.tags == {"contaminated": "false"}
    assert one.by_model["small"] == Outcome(0.0, "41", False, 9, 2, 17_400_000)
    assert one.by_model["large"] == Outcome(1.0, "", False, None, None, 310_000_000, 81.5, {"votes": 1.0})


def test_zipped_files_and_lists_are_the_same_questions(tmp_path: Path, write: Write) -> None:
    """What a file is, is seen from what is in it, whatever its name."""
    plain = list(read_outcomes(write(ROW, {**ROW, "id": "gsm/2"})))
    zipped = tmp_path / "zipped"
    zipped.write_bytes(gzip.compress((tmp_path / "outcomes.jsonl").read_bytes()))
    assert list(read_outcomes(zipped)) == plain
    assert list(read_outcomes(write(json.dumps([ROW, {**ROW, "id": "gsm/2"}], indent=2), name="list"))) == plain
    assert list(read_outcomes(write("\ufeff", ROW, "\n", {**ROW, "id": "gsm/2"}, name="with marks"))) == plain
    assert list(read_outcomes(write(name="empty"))) == []


finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
outcome = st.builds(
    Outcome, score=st.none() | st.floats(0, 1), answer=texts, no_answer=st.booleans(),
    input_tokens=st.none() | st.integers(0, 10**9), output_tokens=st.none() | st.integers(0, 10**9),
    pico_usd=st.none() | st.integers(0, 10**25), latency_ms=st.none() | finite,
    signals=st.dictionaries(texts, finite, max_size=3), served=st.booleans(),
    labelled_by=st.sampled_from([None, "gold", "validator", "feedback", "judge"]),
)  # fmt: skip
outcomes = st.builds(
    Outcomes, id=texts.filter(bool), query=texts, by_model=st.dictionaries(texts, outcome, max_size=3), dataset=texts,
    task=texts, tags=st.dictionaries(texts, texts, max_size=3), at=st.none() | finite,
)  # fmt: skip


@given(st.lists(outcomes, max_size=4, unique_by=lambda one: one.id))
def test_what_is_written_is_read_the_same(tmp_path_factory: pytest.TempPathFactory, rows: list[Outcomes]) -> None:
    """Every field, to the pico-dollar, whatever the texts hold."""
    path = tmp_path_factory.mktemp("outcomes") / "rows.jsonl"
    assert write_outcomes(path, rows) == len(rows)
    assert list(read_outcomes(path)) == rows


def test_scores_of_another_scale_are_mapped(write: Write) -> None:
    """1 to 10 becomes 0 to 1; yes and no are the ends of any scale."""
    told = {"a": {"score": 1}, "b": {"score": "5.5"}, "c": {"score": 10}, "d": {"score": True}, "e": {"score": None}}
    (one,) = read_outcomes(write({"id": "1", "query": "?", "outcomes": told}), scale=(1, 10))
    assert [o.score for o in one.by_model.values()] == [0.0, 0.5, 1.0, 1.0, None]


def test_another_data_sets_rows_are_not_even_looked_at(write: Write) -> None:
    """Of a file that mixes scales, one can be read."""
    bench = {"id": "mt/1", "dataset": "mt", "query": "?", "outcomes": {"small": {"score": 9}}}
    path = write(ROW, bench)
    assert [one.id for one in read_outcomes(path, dataset="gsm")] == ["gsm/1"]
    assert [one.by_model["small"].score for one in read_outcomes(path, dataset="mt", scale=(1, 10))] == [8 / 9]


def changed(**values: Any) -> dict[str, Any]:
    return {**ROW, "outcomes": {"small": {**ROW["outcomes"]["small"], **values}}}


WRONG: list[tuple[Any, str]] = [
    (changed(score=1.5), r":2: outcomes\['small'\]\.score is 1.5: it lies outside scale=\(0.0, 1.0\): name the scale"),
    (changed(score="good"), r"\.score is 'good': give a number"),
    (changed(score=float("nan")), r"\.score is nan: give a finite number"),
    (changed(cost_usd=-1), r"\.cost_usd is -1: give dollars of 0 or more"),
    (changed(cost_usd=True), r"\.cost_usd is True: give a number"),
    (changed(input_tokens=1.5), r"\.input_tokens is 1.5: give a whole number"),
    (changed(answer=["a"]), r"\.answer is \['a'\]: give text"),
    (changed(no_answer="maybe"), r"\.no_answer is 'maybe': give true or false"),
    (changed(labelled_by="me"), r"\.labelled_by is 'me': it is one of gold, validator, feedback, judge"),
    (changed(signals={"votes": "many"}), r"\.signals\['votes'\] is 'many': give a number"),
    ({**ROW, "id": ""}, "id is '': give every question a name"),
    ({**ROW, "outcomes": [1]}, r"outcomes is \[1\]: give a JSON object"),
    ({**ROW, "at": "yesterday"}, "at is 'yesterday': give an ISO 8601 time"),
    ({"id": "1", "text": "?"}, r"the row's keys is \['id', 'text'\]: a row has `outcomes`"),
    ("[1, 2]\n", "is no JSON object: give one a line"),
    ('{"id": \n', "is no JSON .*: give one object a line"),
]


@pytest.mark.parametrize(("row", "message"), WRONG)
def test_a_wrong_line_is_named_with_value_and_fix(write: Write, row: Any, message: str) -> None:
    """File, line, value and what to do; the lines before it were read."""
    path = write(ROW, row, ROW)
    read = read_outcomes(path)
    assert next(read).id == "gsm/1"
    with pytest.raises(OutcomesError, match=f"outcomes.jsonl:2: .*{message.removeprefix(':2: ')}"):
        list(read)


@pytest.mark.parametrize("scale", [(1, 0), (0, 0), (0, float("inf"))])
def test_a_scale_that_is_none_is_refused_at_once(write: Write, scale: Any) -> None:
    """Before a single row is asked for."""
    with pytest.raises(OutcomesError, match="scale is"):
        read_outcomes(write(ROW), scale=scale)


def test_files_that_cannot_be_read_say_why(tmp_path: Path, write: Write) -> None:
    """A missing file, one that is cut short, another encoding, a list that never ends."""
    with pytest.raises(OutcomesError, match=r"nowhere cannot be read \(No such file"):
        list(read_outcomes(tmp_path / "nowhere"))
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(json.dumps(ROW).encode())[:-30])
    with pytest.raises(OutcomesError, match="zipped and cut short"):
        list(read_outcomes(cut))
    (tmp_path / "latin").write_bytes("id,query,model\n1,d\xe9j\xe0 vu,small\n".encode("latin-1"))
    with pytest.raises(OutcomesError, match="not UTF-8"):
        list(read_outcomes(tmp_path / "latin"))
    with pytest.raises(OutcomesError, match="is Parquet: write it as JSON lines or CSV"):
        list(read_outcomes(write("PAR1 and so on", name="runs.parquet")))
    with pytest.raises(OutcomesError, match=r"list:3: .* is no element of a JSON list"):
        list(read_outcomes(write('[\n{"id": "1", "query": "?", "outcomes": {}},\n{"id": ', name="list")))


def test_a_last_line_that_is_cut_off_is_passed_over(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    """A process that was killed while it wrote costs its own line and a warning."""
    with caplog.at_level(logging.WARNING, logger="tuppence.outcomes"):
        assert [one.id for one in read_outcomes(write(ROW, json.dumps(ROW)[:50]))] == ["gsm/1"]
    assert caplog.messages[0].endswith("outcomes.jsonl:2: passed over the last line, which is cut off")


def test_a_line_behind_a_torn_one_is_not_lost(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    """Others go on writing where a killed process stopped, on the same line."""
    whole = Feedback("call-2", 1.0, 5.0, 'said {"tuppence.feedback": "well"}').line().decode()
    torn = Feedback("call-1", 0.0, 4.0).line().decode()[:30]
    with caplog.at_level(logging.WARNING, logger="tuppence.outcomes"):
        assert [one.call_id for one in read_feedback(write(torn + whole, whole))] == ["call-2", "call-2"]
    assert "outcomes.jsonl:1: passed over what a killed process had begun to write" in caplog.messages[0]


@given(st.lists(st.text(max_size=5), min_size=1, max_size=5), st.data())
def test_whatever_a_kill_leaves_costs_one_line(
    tmp_path_factory: pytest.TempPathFactory, comments: list[str], data: st.DataObject
) -> None:
    """A line torn at any byte, with others' lines behind it: all the others are read."""
    whole = [Feedback(f"call-{k}", 0.5, 1.0, comment).line() for k, comment in enumerate(comments)]
    torn = Feedback("torn", 0.5, 1.0, "öäü").line()
    place = data.draw(st.integers(0, len(whole)))
    cut = data.draw(st.integers(0, len(torn) - 2))
    path = tmp_path_factory.mktemp("torn") / "traffic.jsonl"
    path.write_bytes(b"".join([*whole[:place], torn[:cut], *whole[place:]]))
    assert [one.call_id for one in read_feedback(path)] == [f"call-{k}" for k in range(len(whole))]


# -- tables

LONG = """\
id,query,model,score,answer,cost_usd,input_tokens,tenant
1,"What is, in words, 2+2?",small,0,"three
or so",0.0000012,12,acme
1,"What is, in words, 2+2?",large,1,four,0.00031,12,acme
2,And 3+3?,small,1,six,,,beta
"""
WIDE = """\
id,query,small.score,small.answer,gpt-4.1.score,gpt-4.1.cost_usd,tenant
1,What is 2+2?,0,three,1,0.00031,acme
2,And 3+3?,1,six,,,beta
"""


def test_a_long_table_has_a_row_a_question_and_model(write: Write) -> None:
    """Neighbouring rows of one question are joined; empty cells are not known."""
    first, second = read_outcomes(write(LONG, name="long.csv"))
    assert first.query == "What is, in words, 2+2?"
    assert first.by_model == {
        "small": Outcome(0.0, "three\nor so", input_tokens=12, pico_usd=1_200_000),
        "large": Outcome(1.0, "four", input_tokens=12, pico_usd=310_000_000),
    }
    assert (second.by_model, second.tags) == ({"small": Outcome(1.0, "six")}, {"tenant": "beta"})


def test_a_wide_table_has_a_row_a_question(write: Write) -> None:
    """A model's name may have points; one without a single value was not asked."""
    first, second = read_outcomes(write(WIDE, name="wide.csv"))
    assert first.by_model == {"small": Outcome(0.0, "three"), "gpt-4.1": Outcome(1.0, pico_usd=310_000_000)}
    assert (second.by_model, second.tags) == ({"small": Outcome(1.0, "six")}, {"tenant": "beta"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,query,model,score\n1,?,small,0\n1,?,large,7\n", r"table.csv:3: .*score is '7': it lies outside scale"),
        ("id,query,model,score\n1,?,,0\n", r"table.csv:2: model is None: name the model"),
        ("id,query,model,score\n1,?,small\n", r"table.csv:2: the row is .*: give it as many cells"),
        ("id,query,model,score\n1,?,small,0,9\n", r"table.csv:2: the row is .*: give it as many cells"),
        ('id,query,model,score\n1,"?,small,0\n', r"table.csv:2: no CSV"),
        ("name,question\n1,?\n", r"table.csv:2: the row's keys is \['name', 'question'\]"),
    ],
)
def test_a_wrong_row_of_a_table_is_named(write: Write, text: str, message: str) -> None:
    """By its line in the file."""
    with pytest.raises(OutcomesError, match=message):
        list(read_outcomes(write(text, name="table.csv")))


def test_rows_that_stand_apart_are_joined_in_memory(write: Write) -> None:
    """Of two outcomes of one model the later one counts."""
    table = "id,query,model,score\n1,a?,small,0\n2,b?,small,1\n1,a?,large,1\n1,a?,small,0.5\n"
    apart = list(read_outcomes(write(table, name="table.csv")))
    assert [(one.id, [*one.by_model]) for one in apart] == [
        ("1", ["small"]),
        ("2", ["small"]),
        ("1", ["large", "small"]),
    ]
    first, second = joined(apart)
    assert {model: one.score for model, one in first.by_model.items()} == {"small": 0.5, "large": 1.0}
    assert second.id == "2"


# -- exports of tracing tools

LANGSMITH_RUN: dict[str, Any] = {
    "id": "8a2a5ab4-5c3c-4a2b-9e5c-1f1f4e8f0a01",
    "trace_id": "8a2a5ab4-5c3c-4a2b-9e5c-1f1f4e8f0a00",
    "name": "ChatOpenAI",
    "run_type": "llm",
    "start_time": "2026-11-02T10:00:00.250000",
    "end_time": "2026-11-02T10:00:01.500000+00:00",
    "status": "success",
    "error": None,
    "extra": {"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o-mini", "tuppence_tenant": "acme", "n": 3}},
    "inputs": {
        "messages": [
            [
                {"id": ["langchain", "schema", "messages", "SystemMessage"], "kwargs": {"content": "Be brief."}},
                {"id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "How deep is it?"}},
            ]
        ]
    },
    "outputs": {"generations": [[{"text": "1,308 metres.", "message": {"kwargs": {"content": "1,308 metres."}}}]]},
    "feedback_stats": {"correctness": {"n": 2, "avg": 0.5}},
    "prompt_tokens": 21,
    "completion_tokens": 5,
    "total_cost": "0.00000615",
}


def test_langsmith_runs_of_models_become_outcomes(write: Write) -> None:
    """The question is the last user turn; chains, tools and failures are no outcomes."""
    chain = {**LANGSMITH_RUN, "run_type": "chain"}
    failed = {**LANGSMITH_RUN, "error": "RateLimitError"}
    (one,) = read_outcomes(write(chain, LANGSMITH_RUN, failed))
    assert (one.id, one.query, one.at) == (LANGSMITH_RUN["id"], "How deep is it?", 1793613600.25)
    assert one.by_model == {
        "gpt-4o-mini": Outcome(0.5, "1,308 metres.", False, 21, 5, 6_150_000, 1250.0, served=True),
    }
    assert one.tags == {"tenant": "acme", "n": "3", "trace": LANGSMITH_RUN["trace_id"]}


def test_runs_of_one_example_are_one_question(write: Write) -> None:
    """An experiment's runs name the example that they answer."""
    large = {"metadata": {"ls_model_name": "gpt-4o"}}
    runs = [{**LANGSMITH_RUN, "reference_example_id": "ex-1"}, {**LANGSMITH_RUN, "id": "2", "extra": large}]
    runs[1]["reference_example_id"] = "ex-1"
    (one,) = read_outcomes(write(*runs))
    assert (one.id, sorted(one.by_model)) == ("ex-1", ["gpt-4o", "gpt-4o-mini"])


def test_langsmiths_own_run_class_writes_what_is_read(write: Write) -> None:
    """The schema is that of the installed SDK, not of a test's memory."""
    schemas = pytest.importorskip("langsmith.schemas")
    run = schemas.Run(**{**LANGSMITH_RUN, "session_id": None})
    dumped = run.model_dump_json() if hasattr(run, "model_dump_json") else run.json()
    (one,) = read_outcomes(write(dumped + "\n"))
    assert one.by_model["gpt-4o-mini"].pico_usd == 6_150_000
    assert (one.query, one.at) == ("How deep is it?", 1793613600.25)


def test_of_several_feedbacks_the_score_must_be_named(write: Write) -> None:
    """Nothing is guessed: helpfulness is not correctness."""
    stats = {"correctness": {"avg": 1.0}, "helpful": {"avg": 0.0}}
    path = write({**LANGSMITH_RUN, "feedback_stats": stats})
    with pytest.raises(OutcomesError, match=r"feedback_stats is \['correctness', 'helpful'\]: name the one"):
        list(read_outcomes(path))
    (one,) = read_outcomes(path, feedback="helpful")
    assert one.by_model["gpt-4o-mini"].score == 0.0


LANGFUSE_API: dict[str, Any] = {
    "id": "obs-1", "traceId": "trace-1", "type": "GENERATION", "level": "DEFAULT", "model": "gpt-4o-mini",
    "startTime": "2026-11-02T10:00:00.250Z", "endTime": "2026-11-02T10:00:01.500Z", "userId": "ann",
    "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How deep is it?"}],
    "output": {"role": "assistant", "content": "1,308 metres."}, "metadata": {"region": "west"},
    "usageDetails": {"input": 20, "input_cached_tokens": 1, "output": 5, "total": 26},
    "costDetails": {"input": 3.15e-06, "output": 3e-06, "total": 6.15e-06}, "totalCost": 6.15e-06,
    "scores": [{"name": "correctness", "value": 0.5}, {"name": "tone", "stringValue": "kind", "value": None}],
}  # fmt: skip
LANGFUSE_BUCKET: dict[str, Any] = {
    "id": "obs-1", "trace_id": "trace-1", "type": "GENERATION", "provided_model_name": "gpt-4o-mini",
    "start_time": "2026-11-02 10:00:00.250000", "end_time": "2026-11-02 10:00:01.500000", "user_id": "ann",
    "input": json.dumps(LANGFUSE_API["input"]), "output": json.dumps(LANGFUSE_API["output"]),
    "metadata": {"region": "west"}, "usage_details": {"input": 21, "output": 5}, "total_cost": "0.00000615",
    "scores": {"correctness": [0.5]},
}  # fmt: skip


def test_langfuse_generations_become_outcomes_however_they_were_exported(write: Write) -> None:
    """From the API, a bucket, or as a table whose cells hold JSON: the same outcome."""
    span = {**LANGFUSE_API, "type": "SPAN", "model": None}
    table = write(name="table.csv")
    with table.open("w", newline="") as file:
        cells = {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in LANGFUSE_BUCKET.items()}
        writer = csv.DictWriter(file, cells)
        writer.writeheader()
        writer.writerow(cells)
    expected = Outcome(0.5, "1,308 metres.", False, 21, 5, 6_150_000, 1250.0, served=True)
    for path in (write(span, LANGFUSE_API), write(LANGFUSE_BUCKET, name="bucket"), table):
        (one,) = read_outcomes(path)
        assert (one.id, one.query, one.by_model) == ("obs-1", "How deep is it?", {"gpt-4o-mini": expected})
        assert one.tags == {"user": "ann", "region": "west", "trace": "trace-1"}
        assert one.at == 1793613600.25


def test_a_cost_that_langfuse_does_not_know_is_no_cost_of_nothing(write: Write) -> None:
    """It writes 0 for models without a price; a total among the details is a price."""
    unknown = {**LANGFUSE_API, "costDetails": {}, "totalCost": 0}
    free = {**LANGFUSE_API, "id": "obs-2", "costDetails": {"total": 0}, "totalCost": 0}
    assert [one.by_model["gpt-4o-mini"].pico_usd for one in read_outcomes(write(unknown, free))] == [None, 0]


QUESTIONS: list[Any] = [
    "How deep?",
    ["How deep?"],
    {"input": "How deep?"},
    {"question": "How deep?", "context": "The fjord ..."},
    {"anything": "How deep?"},
    {"prompts": ["How deep?"]},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"},
                  {"role": "user", "content": [{"type": "text", "text": "How deep?"}, {"type": "image_url"}]}]},
    {"messages": [{"type": "human", "data": {"content": "How deep?"}}]},
    {"contents": [{"role": "user", "parts": [{"text": "How deep?"}]}]},
]  # fmt: skip
ANSWERS: list[Any] = [
    "1,308 m",
    {"output": "1,308 m"},
    {"choices": [{"message": {"role": "assistant", "content": "1,308 m"}}]},
    {"content": [{"type": "text", "text": "1,308 m"}], "role": "assistant"},
    {"generations": [[{"text": "1,308 m"}]]},
    {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "1,308 m"}]},
    {"message": {"kwargs": {"content": "1,308 m"}}},
]


@pytest.mark.parametrize("kept", QUESTIONS)
def test_the_question_is_found_in_every_form_of_a_prompt(write: Write, kept: Any) -> None:
    """As the SDKs and frameworks write it."""
    (one,) = read_outcomes(write({**LANGFUSE_API, "input": kept}))
    assert one.query == "How deep?"


@pytest.mark.parametrize("kept", ANSWERS)
def test_the_answer_is_found_in_every_form_of_a_completion(write: Write, kept: Any) -> None:
    """As the SDKs and frameworks write it."""
    (one,) = read_outcomes(write({**LANGFUSE_API, "output": kept}))
    assert one.by_model["gpt-4o-mini"].answer == "1,308 m"


def test_feedback_is_read_from_every_tool(write: Write) -> None:
    """Ours, LangSmith's and Langfuse's, each by what it is about; scores that are words are none."""
    path = write(
        Feedback("call-1", 1.0, 5.0, "Thank you").line().decode(),
        {"run_id": "run-1", "key": "thumbs", "score": 0, "created_at": "1970-01-01T00:00:06+00:00"},
        {"id": "s", "traceId": "trace-1", "observationId": None, "name": "stars", "value": 0.5},
        {"id": "s", "trace_id": "t", "observation_id": "obs-1", "name": "tone", "value": None, "string_value": "kind"},
    )
    assert list(read_feedback(path)) == [
        Feedback("call-1", 1.0, 5.0, "Thank you"),
        Feedback("run-1", 0.0, 6.0),
        Feedback("trace-1", 0.5, 0.0),
    ]


def test_other_rows_are_no_recorded_traffic(write: Write) -> None:
    """Replay needs the requests, which imported outcomes do not have."""
    with pytest.raises(OutcomesError, match=r"outcomes\.jsonl:1: not a recorded call"):
        list(read_traffic(write(ROW)))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TRAFFIC: dict[str, Any] = {
    "tuppence.traffic": 1, "call_id": "c", "at": 1.0, "messages": [{"role": "user", "text": "?"}], "tags": {"a": "b"},
    "attempts": [{"tier": "small", "model": "m", "cause": "draft", "outcome": "accepted", "status": "exact",
                  "latency_ms": 1.0, "pico_usd": 5, "usage": {"input": 1}, "reply": {"text": "yes"}}],
}  # fmt: skip


@given(st.sampled_from([ROW, LANGSMITH_RUN, LANGFUSE_API, LANGFUSE_BUCKET, TRAFFIC]), anything, st.data())
def test_whatever_a_row_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any], value: Any, data: st.DataObject
) -> None:
    """One value of it replaced by any other: never anything but outcomes, or an error that names the line."""
    row = json.loads(json.dumps(row))
    holder: Any = row
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = data.draw(st.sampled_from(keys))
        if not holder[key] or not isinstance(holder[key], dict | list) or data.draw(st.booleans()):
            break
        holder = holder[key]
    holder[key] = value
    path = tmp_path_factory.mktemp("any") / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    refused = ""
    try:
        for one in read_outcomes(path):
            assert all(o.score is None or 0 <= o.score <= 1 for o in one.by_model.values())
            assert all(isinstance(text, str) for text in (one.id, one.query, *one.tags, *one.tags.values()))
    except OutcomesError as error:
        refused = str(error)
    assert refused.startswith(f"{path}:1: ") or not refused


def test_a_large_file_takes_the_memory_of_one_row(write: Write) -> None:
    """Twenty times the rows, the same peak: nothing of the file is held."""

    def peak(count: int, name: str) -> int:
        path = write(*({**ROW, "id": str(k)} for k in range(count)), name=name)
        tracemalloc.start()
        assert sum(1 for _ in read_outcomes(path)) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100, "warm")
    assert peak(20_000, "large") < 2 * peak(1_000, "small") + 3_000_000
