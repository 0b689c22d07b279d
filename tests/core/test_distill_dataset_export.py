"""Data sets on disk: sides that know nothing of each other, forms that trainers read, and where it all came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuppence.distill import Dataset, DistillError, Filters, Shares, export, exported, statistics
from tuppence.distill.dataset.duplicates import Alike
from tuppence.distill.dataset.exporting import SIDECAR
from tuppence.distill.dataset.row import Row
from tuppence.distill.dataset.scratch import Scratch
from tuppence.distill.dataset.splitting import LEFT_OUT, NAMES, split
from tuppence.recording import Recorder

from .distill_traffic import SYSTEM, attempt, call, lines_of, question, write

pytest.importorskip("rensa")


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    return write(tmp_path / "traffic.jsonl", [call(n) for n in range(100)])


# -- the split


@st.composite
def timed_rows(draw: st.DrawFn) -> tuple[list[float], list[int]]:
    """Moments in order, some of them shared, and clusters."""
    rows = draw(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), max_size=60))
    rows.sort(key=lambda one: one[0])
    return [float(at) for at, _ in rows], [cluster for _, cluster in rows]


shares = st.builds(
    Shares, validation=st.sampled_from([0, 0.1, 0.3]), calibration=st.sampled_from([0, 0.2]),
    test=st.sampled_from([0, 0.05, 0.4]),
)  # fmt: skip


@given(timed_rows(), shares)
def test_no_cluster_is_on_two_sides_and_a_later_side_is_later(
    rows: tuple[list[float], list[int]], parts: Shares
) -> None:
    """Whatever the shares: and a row is left out only where its cluster was on an earlier side."""
    times, clusters = rows
    sides = split(times, clusters, parts)
    placed = [(side, at, cluster) for side, at, cluster in zip(sides, times, clusters, strict=True) if side != LEFT_OUT]
    assert len({(cluster, side) for side, _, cluster in placed}) == len({cluster for _, _, cluster in placed})
    for side in range(len(NAMES)):
        before = [at for one, at, _ in placed if one < side]
        assert all(at > max(before, default=-1.0) for one, at, _ in placed if one == side)
    first = {cluster: side for side, _, cluster in reversed(placed)}
    for side, cluster in zip(sides, clusters, strict=True):
        assert side != LEFT_OUT or cluster in first


@given(st.integers(1, 200))
def test_sides_have_the_shares_that_were_asked_for(rows: int) -> None:
    """Rounded up for the later ones, so that a few rows are enough to test on."""
    sides = split([float(n) for n in range(rows)], range(rows), Shares(validation=0.1, calibration=0.1, test=0.2))
    assert sum(side >= 1 for side in sides) == -(-rows * 4 // 10)
    assert sum(side == 3 for side in sides) == -(-rows * 2 // 10)


@pytest.mark.parametrize("bad", [{"test": 1.0}, {"test": -0.1}, {"validation": 0.5, "calibration": 0.4}])
def test_shares_leave_something_to_train_on(bad: dict[str, float]) -> None:
    with pytest.raises(DistillError, match="leave something to train on"):
        Shares(**bad)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=30))
def test_what_was_learned_is_not_asked_again(rows: list[tuple[int, int]]) -> None:
    """The very prompt, or nearly, in whatever order: rows that are alike are of one cluster."""
    base = [" ".join(question(n * 100 + k) for k in range(4)) for n in range(6)]
    texts = [f"{base[n]}{'.' * dots}" for n, dots in rows]
    scratch = Scratch()
    try:
        alike = Alike(scratch, [])
        for n, text in enumerate(texts):
            alike.see(
                Row(str(n), 0.0, ({"role": "user", "content": text},), {"role": "assistant", "content": ""}), None
            )
        clusters = [alike.cluster(place) for place in range(len(texts))]
    finally:
        scratch.close()
    named = {number: cluster for (number, _), cluster in zip(rows, clusters, strict=True)}
    assert [named[number] for number, _ in rows] == clusters
    assert len(set(named.values())) == len(named)


def test_a_conversation_stays_together(tmp_path: Path) -> None:
    """Its later calls hold the earlier turns: split, they would tell the test what was learned."""
    lines = [call(n, tags={"session": f"s{n // 10}", "task": "t"}) for n in range(100)]
    with Dataset.from_traffic(write(tmp_path / "t.jsonl", lines), shares=Shares(test=0.25)) as data:
        sessions: dict[int, set[str]] = {}
        for side in NAMES:
            for row in data.rows(side):
                sessions.setdefault(int(row.call_id.removeprefix("call-")) // 10, set()).add(side)
        assert data.dropped == {"like an earlier split": 100 - len(data)}
    assert all(len(sides) == 1 for sides in sessions.values())


def test_test_rows_are_later_and_unlike_what_is_learned(tmp_path: Path) -> None:
    """End to end: a question of the first days that comes again with another word is on no side."""
    asked = "I would like to know when the parcel that you sent me last {} will at long last arrive here in Lisbon"
    lines = [*(call(n) for n in range(98)), call(98, asked.format("Monday"), "cash"), call(5_000)]
    lines[3] = call(3, asked.format("Tuesday"), "card")
    with Dataset.from_traffic(write(tmp_path / "t.jsonl", lines)) as data:
        last = max(row.at for row in data.rows("train"))
        assert all(row.at > last for side in ("validation", "calibration", "test") for row in data.rows(side))
        assert "call-98" not in {row.call_id for row in data.rows()}
        assert data.dropped == {"like an earlier split": 1}
        assert data.sizes == {"train": 60, "validation": 10, "calibration": 10, "test": 19}


# -- forms


def chat_with_tools() -> list[dict[str, Any]]:
    tool = {"type": "function", "function": {"name": "balance", "parameters": {"type": "object", "properties": {}}}}
    turns = [
        {"role": "system", "text": SYSTEM}, {"role": "user", "text": "What have I got?"},
        {"role": "assistant", "text": "", "tool_calls": [["c1", "balance", '{"of": "me"}']]},
        {"role": "tool", "text": "12 EUR", "extra": {"tool_call_id": "c1"}},
    ]  # fmt: skip
    climbed = [attempt("small", "12 dollars", "rejected"), attempt("large", "12 EUR", cause="escalation")]
    asks = attempt("large", "", reply={"tool_calls": [["c2", "balance", ""]], "finish": "tool_calls"})
    return [
        call(1, messages=turns, attempts=climbed, tools=[tool]),
        call(2, messages=turns[:2], attempts=[asks], tools=[tool]),
    ]


def only_row(path: Path, form: Any, out: Path) -> list[Any]:
    with Dataset.from_traffic(path, shares=Shares(validation=0, calibration=0, test=0)) as data:
        made = export(data, out, form=form)
    return list(lines_of(made.files["train"])) if made.files else []


def test_openai_lines_are_what_its_sdk_takes(tmp_path: Path) -> None:
    """Validated by the SDK's own types; only the last answer is learned, and tool calls have their form."""
    types = pytest.importorskip("openai.types.chat")
    from pydantic import TypeAdapter

    first, second = only_row(write(tmp_path / "t.jsonl", chat_with_tools()), "openai", tmp_path / "out")
    message, tool = TypeAdapter(types.ChatCompletionMessageParam), TypeAdapter(types.ChatCompletionToolParam)
    for line in (first, second):
        for one in line["messages"]:
            message.validate_python(one)
        assert [tool.validate_python(one)["function"]["name"] for one in line["tools"]] == ["balance"]
    assert [one["role"] for one in first["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert first["messages"][2]["tool_calls"][0]["function"] == {"name": "balance", "arguments": '{"of": "me"}'}
    assert [one.get("weight") for one in first["messages"]] == [None, None, 0, None, None]
    assert first["messages"][-1] == {"role": "assistant", "content": "12 EUR"}
    assert second["messages"][-1]["content"] is None
    assert second["messages"][-1]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_trl_lines_have_prompt_and_completion_apart(tmp_path: Path) -> None:
    """Conversational, with the arguments of tool calls as objects, as chat templates read them."""
    first, second = only_row(write(tmp_path / "t.jsonl", chat_with_tools()), "trl", tmp_path / "out")
    assert first["completion"] == [{"role": "assistant", "content": "12 EUR"}]
    assert [one["role"] for one in first["prompt"]] == ["system", "user", "assistant", "tool"]
    assert first["prompt"][2]["tool_calls"][0]["function"]["arguments"] == {"of": "me"}
    assert second["completion"][0]["tool_calls"][0]["function"]["arguments"] == {}
    assert [one["function"]["name"] for one in second["tools"]] == ["balance"]


def test_preferences_are_the_better_answer_and_the_rejected_draft(tmp_path: Path) -> None:
    """A call without a draft has none, and neither has one whose draft said the same."""
    same = [attempt("small", "cash", "rejected"), attempt("large", "cash", cause="escalation")]
    lines = [*chat_with_tools(), call(3, attempts=same)]
    (pair,) = only_row(write(tmp_path / "t.jsonl", lines), "preference", tmp_path / "out")
    assert pair.keys() == {"prompt", "chosen", "rejected", "tools"}
    assert pair["chosen"] == [{"role": "assistant", "content": "12 EUR"}]
    assert pair["rejected"] == [{"role": "assistant", "content": "12 dollars"}]


def test_traffic_of_a_real_client_becomes_rows(tmp_path: Path, server: Any) -> None:
    """Recorded by `wrap` around the SDK, tools and an earlier round of them included."""
    openai = pytest.importorskip("openai")
    from tuppence import wrap
    from tuppence.testing import Turn

    server.model("gpt-4o", replies=[Turn(tool_calls=[("balance", {"of": "me"})]), Turn("12 EUR")])
    tool = {"type": "function", "function": {"name": "balance", "parameters": {"type": "object", "properties": {}}}}
    recorder = Recorder(tmp_path / "t.jsonl")
    client = wrap(openai.OpenAI(api_key="k", base_url=server.base_url), record=recorder)
    turns: list[Any] = [{"role": "user", "content": "What have I got?"}]
    asked = client.chat.completions.create(model="gpt-4o", messages=turns, tools=[tool]).choices[0].message
    turns += [asked, {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "1200 cents"}]
    client.chat.completions.create(model="gpt-4o", messages=turns, tools=[tool])
    recorder.flush()

    first, second = only_row(tmp_path / "t.jsonl", "openai", tmp_path / "out")
    assert first["messages"][-1]["tool_calls"][0]["function"]["name"] == "balance"
    assert [one["role"] for one in second["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert second["messages"][2]["tool_call_id"] == second["messages"][1]["tool_calls"][0]["id"]
    assert second["messages"][3]["content"] == "12 EUR"


# -- where it came from


def test_a_sidecar_says_where_every_row_came_from(traffic: Path, tmp_path: Path) -> None:
    """Hashes of sources and files, what was left out and why, by which rules, and with what."""

    def no_names(text: str) -> str:
        return text

    filters = Filters(judged_at_least=5)
    with Dataset.from_traffic(traffic, filters=filters, redact=no_names) as data:
        made = export(data, tmp_path / "out")
        told = json.loads(made.provenance.read_text("utf-8"))
        assert told["dropped"] == data.dropped
        assert told["template"]["hash"] == data.template.name
    assert told["sources"] == [{"name": "traffic.jsonl", "sha256": sha256(traffic)}]
    assert told["files"]["train"] == {"name": "train.jsonl", "lines": 60, "sha256": sha256(made.files["train"])}
    assert told["filters"]["judged_at_least"] == 5
    assert told["redaction"].endswith("no_names")
    assert told["teacher"] == {"tier": "large", "model": "large-1"}
    assert told["data_hash"] == made.data_hash == made.training.data_hash
    assert (made.training.train, made.training.validation) == (made.files["train"], made.files["validation"])


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_traffic_makes_the_same_data_set(traffic: Path, tmp_path: Path) -> None:
    """Byte for byte; one more row makes another."""
    hashes = []
    for name, lines in (("a", range(100)), ("b", range(100)), ("c", range(101))):
        write(traffic, [call(n) for n in lines])
        with Dataset.from_traffic(traffic) as data:
            hashes.append(export(data, tmp_path / name).data_hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_data_set_is_read_back_and_a_changed_file_is_refused(traffic: Path, tmp_path: Path) -> None:
    """What is trained on is what the sidecar speaks of."""
    with Dataset.from_traffic(traffic) as data:
        made = export(data, tmp_path / "out")
    assert exported(tmp_path / "out") == made
    with made.files["train"].open("a") as file:
        file.write("\n")
    with pytest.raises(DistillError, match=r"train.jsonl is not what"):
        exported(tmp_path / "out")
    (tmp_path / "out" / SIDECAR).unlink()
    with pytest.raises(DistillError, match="holds no data set"):
        exported(tmp_path / "out")


def test_a_side_without_rows_has_no_file(traffic: Path, tmp_path: Path) -> None:
    """Also where an earlier export had left one."""
    for parts, sides in ((Shares(), set(NAMES)), (Shares(validation=0, calibration=0), {"train", "test"})):
        with Dataset.from_traffic(traffic, shares=parts) as data:
            made = export(data, tmp_path / "out")
        assert {path.stem for path in (tmp_path / "out").glob("*.jsonl")} == sides == made.files.keys()
    assert made.training.validation is None


# -- before training


def counts(traffic: Path, lines: Sequence[Any], **options: Any) -> Any:
    with Dataset.from_traffic(write(traffic, lines), **options) as data:
        return statistics(data, model="gpt-4o-mini")


def test_statistics_count_what_would_be_trained_on(traffic: Path) -> None:
    """Tokens of the training side by part, lengths and answers of all, by the model's own vocabulary."""
    pytest.importorskip("bpe_openai")
    found = counts(traffic, [call(n, f"Question number {n}?", answer="card") for n in range(10)])
    assert found.exact_tokens
    assert found.rows == {"train": 6, "validation": 1, "calibration": 1, "test": 2}
    assert found.tokens == {"system": 6 * 17, "user": 6 * 5, "assistant": 0, "tool": 0, "tools": 0, "answer": 6}
    assert found.training_tokens == 6 * 23
    assert found.prompt_tokens == {50: 22, 90: 22, 99: 22}
    assert (found.answers.different, found.answers.bits, found.answers.commonest) == (1, 0.0, {"card": 10})


def test_entropy_is_that_of_the_answers(traffic: Path) -> None:
    """Four labels, equally often, are two bits."""
    assert counts(traffic, [call(n) for n in range(100)]).answers.bits == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("word", "lines"),
    [
        ("300 to 500, record more", [call(n) for n in range(40)]),
        ("500 are safer", [call(n) for n in range(520)]),
        ("no row to test on", [call(n, tags={"session": "one"}) for n in range(40)]),
        ("a wide task", [call(n, answer=" ".join(question(n * 99 + k) for k in range(80))) for n in range(40)]),
        ("answered in different ways", [call(n, f"{question(n // 2)}, {n // 2}?", f"{n % 2}") for n in range(40)]),
        ("the prompt changed", [call(n, system=f"{SYSTEM} {'ABCD'[n // 60]}") for n in range(240)]),
    ],
)
def test_what_speaks_against_training_is_said_before(traffic: Path, word: str, lines: list[Any]) -> None:
    assert any(word in warning for warning in counts(traffic, lines).warnings)


def test_nothing_speaks_against_a_good_data_set(traffic: Path) -> None:
    found = counts(traffic, [call(n) for n in range(560)], shares=Shares(validation=0, calibration=0, test=0.1))
    assert found.warnings == ()
