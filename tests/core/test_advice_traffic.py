"""Advice from recorded traffic: what only texts can tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tuppence.attempts import Attempt, Decision, Result
from tuppence.effects import Record
from tuppence.embed import Vectors
from tuppence.evidence.advice import Advised, advise
from tuppence.evidence.advice.alike import compare
from tuppence.evidence.advice.traffic import Traffic, traffic_of
from tuppence.evidence.outcomes import read_traffic
from tuppence.recording import Recorder
from tuppence.recording.lines import line_of
from tuppence.request import Message, Reply, Request
from tuppence.spend import SqliteLedger
from tuppence.usage import Usage

np = pytest.importorskip("numpy")

BEGIN = 1_761_955_200.0
MODEL = "claude-sonnet-4-5"
PICO = 6_000_000_000
RULES = "You answer for the harbour office. " * 400


def traffic(folder: Path, questions: Sequence[str], *, before: str = RULES, busy: bool = False) -> tuple[Path, Path]:
    """Write the same calls into a ledger and into a recording: one an hour, or 100 in one hour of each day."""
    ledger, lines = SqliteLedger(folder / "ledger.sqlite"), []
    recorder = Recorder(folder / "unused.jsonl")
    for number, question in enumerate(questions):
        at = BEGIN + (number // 100 * 86_400.0 + number % 100 * 30.0 if busy else 3_600.0 * number)
        request = Request((Message("system", before), Message("user", question)), received_at=at)
        reply = Reply(f"About {question}", finish="stop", usage=Usage(input=2_000, output=100), model=MODEL)
        attempt = Attempt(
            "large", MODEL, "draft", "accepted", Usage(input=2_000, output=100), PICO, "exact", "v", at, 1.0,
            baseline_pico=PICO,
        )  # fmt: skip
        result = Result(f"call-{number}", reply, [attempt], Decision("optimise", baseline="large"), {})
        ledger.write(result)
        lines.append(line_of(Record(result, request, [reply], recorder, ()), str))
    ledger.close()
    recorded = folder / "traffic.jsonl"
    recorded.write_bytes(b"".join(lines))
    return folder / "ledger.sqlite", recorded


def levers(found: Advised) -> set[str]:
    return {one.lever for one in found.advice}


def test_exact_repeats_are_put_up_to_a_month(tmp_path: Path) -> None:
    """Every question is asked twice: half of the money, with an interval by their number."""
    ledger, recorded = traffic(tmp_path, [f"Where is berth {number % 200}?" for number in range(400)])
    found = advise(ledger, traffic=recorded)
    (one,) = [one for one in found.advice if one.lever == "exact cache"]
    assert one.saves.expected_pico == pytest.approx(found.month_pico / 2, rel=1e-6)
    assert one.saves.low_pico < one.saves.expected_pico < one.saves.high_pico
    assert "200 of 400 recorded calls" in one.evidence[0]


def test_nothing_is_served_to_another_tenant_or_at_a_temperature() -> None:
    """A repeat is one where a cache would have served it."""
    from tuppence.evidence.advice.traffic import cacheable

    assert cacheable(Request((Message("user", "a"),)))
    assert not cacheable(Request((Message("user", "a"),), params={"temperature": 0.7}))
    assert not cacheable(Request((Message("user", "a"),), params={"n": 2}))
    assert not cacheable(Request((Message("user", "a"),), tools=({"name": "t"},)))


def test_the_constant_beginning_is_measured(tmp_path: Path) -> None:
    """Instructions that never vary are said with their length, and what shortening them would give."""
    ledger, recorded = traffic(tmp_path, [f"Where is berth {number}?" for number in range(400)], busy=True)
    found = advise(ledger, traffic=recorded)
    assert {"prefix cache", "dead weight"} <= levers(found)
    (prefix,) = [one for one in found.advice if one.lever == "prefix cache"]
    assert any("their beginning is the same for 2,000 tokens" in line for line in prefix.evidence)
    # 400 times 2,000 tokens at $0.30 in place of $3 a million, in four days; hardly a write among them.
    assert prefix.saves.high_pico == pytest.approx(400 * 2_000 * 2_700_000 / 4 * 365.25 / 12, rel=1e-6)
    assert prefix.saves.expected_pico == pytest.approx(prefix.saves.high_pico, rel=0.01)
    assert "exact cache" not in levers(found)


def test_calls_too_far_apart_read_nothing(tmp_path: Path) -> None:
    """One call an hour: a prefix is held for five minutes, and writing it costs a quarter more."""
    ledger, recorded = traffic(tmp_path, [f"Where is berth {number}?" for number in range(400)])
    assert "prefix cache" not in levers(advise(ledger, traffic=recorded))


def test_paragraphs_said_twice_in_one_prompt(tmp_path: Path) -> None:
    """The same passage came from two searches."""
    passage = "The ferry leaves the northern quay at nine and comes back at noon on every day of the week. " * 4
    questions = [f"{passage}\n\n{passage}\n\nWhere is berth {number}?" for number in range(400)]
    ledger, recorded = traffic(tmp_path, questions, before="Be short.")
    found = advise(ledger, traffic=recorded)
    (one,) = [one for one in found.advice if one.lever == "repeated passages"]
    assert "47." in one.evidence[0] or "48." in one.evidence[0]


def test_a_short_recording_says_how_many_calls_it_takes(tmp_path: Path) -> None:
    """Ten recorded calls beside a ledger of 400."""
    ledger, recorded = traffic(tmp_path, [f"Where is berth {number}?" for number in range(400)])
    lines = recorded.read_bytes().splitlines(keepends=True)
    recorded.write_bytes(b"".join(lines[:10]))
    found = advise(ledger, traffic=recorded)
    (needed,) = [one.needs for one in found.unknown if one.lever == "exact cache"]
    assert needed.startswith("290 more recorded calls")


class Known:
    """An embedder of two directions: questions about ferries, and all others."""

    name = "known"

    def embed(self, texts: Sequence[str], /) -> Vectors:
        return np.array([[1.0, 0.0] if "gym" in text else [0.0, 1.0] for text in texts], dtype=np.float32)

    async def aembed(self, texts: Sequence[str], /) -> Vectors:
        return self.embed(texts)


def test_other_wordings_are_judged_as_the_cache_would(tmp_path: Path) -> None:
    """One of three would be served; an exact repeat is the exact cache's."""
    questions = [
        "How do I cancel my gym membership?", "How can I cancel my gym membership?",
        "How do I cancel my gym membership?", "What is the capital of Portugal?",
    ]  # fmt: skip
    _, recorded = traffic(tmp_path, questions, before="Be short.")
    found = Traffic()
    compare(read_traffic(recorded), found, Known())
    assert (found.compared, found.alike, found.alike_pico) == (4, 1, PICO)
    assert traffic_of(read_traffic(recorded)).repeats == 1
