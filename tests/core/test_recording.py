"""Live traffic on disk, where the user asked for it: what is written, what never is, and that no call pays for it."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuppence.assembly import open_recorder
from tuppence.attempts import Result, Verdict
from tuppence.cache import ExactCache, MemoryStore
from tuppence.checks import judged_by
from tuppence.config import load_config
from tuppence.drivers import run, stream
from tuppence.effects import Ask, Settle
from tuppence.errors import ConfigError
from tuppence.evidence.outcomes import (
    from_feedback,
    read_feedback,
    read_outcomes,
    read_traffic,
)
from tuppence.flow import plan
from tuppence.policy import Policy, Retries
from tuppence.ports import Port
from tuppence.prices import token_rate
from tuppence.recording import Recorder, RecordingError
from tuppence.request import Message, Reply, Request, ToolCall
from tuppence.testing.models import ScriptedModels
from tuppence.tiers import Tier, function_tier
from tuppence.usage import Usage

POSIX = pytest.mark.skipif(os.name == "nt", reason="needs POSIX limits and signals")
SMALL = Tier("small", model="s-1", rate=token_rate(input="1", output="2"))
LARGE = Tier("large", model="l-1", rate=token_rate(input="10", output="20"))


class Refused(Exception):
    """Shaped like the SDKs' own, and quoting the prompt as some of them do."""

    status_code = 400


def says_good(_request: Request, reply: Reply) -> Verdict:
    return Verdict(1.0 if "good" in reply.text else 0.25, "looked for 'good'")


def policy(recorder: Any, **options: Any) -> Policy:
    given: dict[str, Any] = {"tiers": (SMALL, LARGE), "check": says_good, "retries": Retries(per_tier=0)}
    return Policy(**{**given, "record": recorder, **options})


def ask(text: str = "How deep is the fjord?", **options: Any) -> Request:
    return Request((Message("user", text),), received_at=1_000.0, **options)


def call(models: ScriptedModels, policy: Policy, request: Request | None = None) -> Result:
    return run(plan(request or ask(), policy), Port(models, cache=policy.cache))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "traffic.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


# -- what is recorded


def test_a_call_is_recorded_with_every_draft(path: Path) -> None:
    """Question, attempts and their answers, prices, times and tags, as the books have them."""
    recorder = Recorder(path)
    models = ScriptedModels(small="poor", large="a good answer")
    result = call(models, policy(recorder, version="v7"), ask(tags={"tenant": "acme", "task": "depth"}))
    recorder.flush()

    (recorded,) = read_traffic(path)
    assert (recorded.call_id, recorded.policy_version, recorded.mode) == (result.call_id, "v7", "optimise")
    assert recorded.request.question == "How deep is the fjord?"
    assert recorded.request.tags == {"tenant": "acme", "task": "depth"}
    for attempt, booked in zip(recorded.attempts, result.attempts, strict=True):
        told = ("tier", "model", "cause", "outcome", "score", "pico_usd", "status", "latency_ms")
        assert [getattr(attempt, name) for name in told] == [getattr(booked, name) for name in told]
        assert attempt.reply is not None
        assert attempt.reply.usage == booked.usage
    assert [a.reply.text for a in recorded.attempts if a.reply] == ["poor", "a good answer"]
    assert result.decision.faults == []


def test_recorded_traffic_is_read_as_outcomes(path: Path) -> None:
    """By tier, not graded: the check's opinion is a signal, and the user's answer is marked."""
    recorder = Recorder(path)
    result = call(ScriptedModels(small="poor", large="good enough"), policy(recorder), ask(tags={"task": "depth"}))
    recorder.flush()
    (one,) = read_outcomes(path)
    assert (one.id, one.query, one.task, one.at) == (result.call_id, "How deep is the fjord?", "depth", 1_000.0)
    small, large = one.by_model["small"], one.by_model["large"]
    assert (small.score, small.answer, small.served, small.signals) == (None, "poor", False, {"check": 0.25})
    assert (large.answer, large.served, large.signals) == ("good enough", True, {})
    assert (small.pico_usd, small.input_tokens, small.output_tokens) == (7_000_000, 5, 1)
    assert large.pico_usd == result.attempts[1].pico_usd


def test_feedback_joins_recorded_traffic(path: Path) -> None:
    """One file holds both; what the user said is a label of the answer that he got."""
    recorder = Recorder(path)
    result = call(ScriptedModels(small="good", large="never"), policy(recorder))
    recorder.flush()
    recorder.feedback(result.call_id, 0.75)
    (one,) = map(from_feedback(read_feedback(path)), read_outcomes(path))
    assert (one.by_model["small"].score, one.by_model["small"].labelled_by) == (0.75, "feedback")


def test_messages_come_back_as_they_were_asked(path: Path) -> None:
    """Replay sends the same neutral request through the same flow."""
    messages = (
        Message("system", "Be brief."),
        Message("user", "Weather?\u2028And \ud800 tomorrow?", media=frozenset({"vision"}), extra={"name": "ann"}),
        Message("assistant", "", (ToolCall("1", "weather", '{"city": "Bergen"}'),)),
        Message("tool", "rain", extra={"tool_call_id": "1"}),
    )
    tools = ({"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}},)
    request = Request(
        messages, {"temperature": 0.25, "stop": ["."]}, tools, {"type": "object"}, {"user": "ann"}, received_at=5.5
    )
    recorder = Recorder(path)
    reply = Reply("good", (ToolCall("2", "weather", "{}"),), "tool_calls", Usage(input=3, output=4, calls=(("s", 1),)))
    reply.logprobs = (-0.1, -0.3)
    call(ScriptedModels(small=reply, large="never"), policy(recorder), request)
    recorder.flush()
    (recorded,) = read_traffic(path)
    assert recorded.request.fingerprint() == request.fingerprint()
    (attempt,) = recorded.attempts
    assert attempt.reply is not None
    assert (attempt.reply.tool_calls, attempt.reply.finish) == (reply.tool_calls, "tool_calls")
    assert attempt.reply.usage == reply.usage
    assert attempt.signals["sequence_probability"] == pytest.approx(0.8187, abs=1e-4)
    assert attempt.reply.logprobs == pytest.approx((-0.2,))


def test_judges_hits_and_functions_are_told_apart(path: Path) -> None:
    """A judge's answer is none to the question, and a hit is no model's."""
    judge = Tier("judge", model="j", rate=token_rate(input="1", output="2"))
    recorder = Recorder(path)
    known = policy(
        recorder, tiers=(function_tier("faq", lambda _: None), SMALL, LARGE), judges=(judge,),
        check=judged_by("judge"), cache=ExactCache(MemoryStore()),
    )  # fmt: skip
    models = ScriptedModels(small="some answer", judge='{"score": 5, "reason": "fine"}', large="never")
    call(models, known)
    assert call(models, known).tier == "cache"
    recorder.flush()
    first, second = read_traffic(path)
    assert [a.cause for a in first.attempts] == ["draft", "judge"]
    assert [(a.cause, a.reply and a.reply.text) for a in second.attempts] == [("hit", "some answer")]
    (one,) = read_outcomes(path)
    assert [*one.by_model] == ["small"]


def test_retries_are_part_of_what_a_tier_costs(path: Path) -> None:
    """Tokens, money and time of a tier are those of all its attempts; its answer is the last."""
    recorder = Recorder(path)
    models = ScriptedModels(small=["bad one", "a good one"])
    result = call(models, policy(recorder, tiers=(SMALL,), retries=Retries(validation=1)))
    recorder.flush()
    (one,) = read_outcomes(path)
    assert one.by_model["small"].answer == "a good one"
    assert one.by_model["small"].pico_usd == result.pico_usd
    assert one.by_model["small"].input_tokens == sum(a.usage.input_tokens for a in result.attempts)


# -- calls that end otherwise


def test_a_failed_call_is_recorded_without_the_providers_words(path: Path) -> None:
    """They may quote the prompt; the class says enough."""
    recorder = Recorder(path)
    with pytest.raises(Refused):
        call(ScriptedModels(small=Refused("secret prompt"), large=Refused("secret prompt")), policy(recorder))
    recorder.flush()
    (recorded,) = read_traffic(path)
    assert [(a.outcome, a.error, a.reply) for a in recorded.attempts] == [("failed", "Refused", None)] * 2
    assert "secret" not in path.read_text()
    assert list(read_outcomes(path)) == []


def test_a_stream_that_is_left_is_recorded_as_far_as_it_came(path: Path) -> None:
    """What the user saw is in the attempt; it is no model's whole answer."""
    recorder = Recorder(path)
    models = ScriptedModels(small="one two three", large="never")
    chunks = stream(plan(ask(streaming=True), policy(recorder, check=None)), Port(models))
    assert next(chunks) == "one "
    chunks.close()  # type: ignore[attr-defined]
    recorder.flush()
    (recorded,) = read_traffic(path)
    (attempt,) = recorded.attempts
    assert attempt.reply is not None
    assert (attempt.outcome, attempt.status, attempt.reply.text) == ("abandoned", "estimated", "one ")
    assert list(read_outcomes(path)) == []


def test_a_call_that_asked_nobody_is_not_recorded(path: Path) -> None:
    """There is nothing to learn from it."""
    recorder = Recorder(path)
    with pytest.raises(Exception, match="no tier answered"):
        call(ScriptedModels(), policy(recorder, tiers=(function_tier("faq", lambda _: None),)))
    recorder.flush()
    assert lines(path) == []


# -- whose text, and how much of it


def test_nothing_is_kept_without_a_recorder() -> None:
    """No reply of an attempt is held for nobody, and no effect is yielded for it."""
    asked = plan(ask(), policy(None))
    effect = next(asked)
    assert isinstance(effect, Ask)
    settle = asked.send(Reply("good", finish="stop", usage=Usage(input=1, output=1)))
    assert type(settle) is Settle
    with pytest.raises(StopIteration):
        asked.send(None)


def test_without_its_required_tenant_a_call_is_answered_and_not_recorded(path: Path) -> None:
    """The scope fails closed, the call does not; the decision says which tag is missing."""
    recorder = Recorder(path, require_tenant=True)
    result = call(ScriptedModels(small="good"), policy(recorder))
    assert result.reply is not None
    assert "record: ScopeError: the recorder requires a tenant" in result.decision.faults[0]
    call(ScriptedModels(small="good"), policy(recorder), ask(tags={"tenant": "acme"}))
    recorder.flush()
    assert [line["tags"] for line in lines(path)] == [{"tenant": "acme"}]


def test_two_tenants_are_told_apart_in_every_line(path: Path) -> None:
    """Who may be learned from, and who may be shown, is a question of the line's own tag."""
    recorder = Recorder(path, require_tenant=True)
    for tenant in ("acme", "beta"):
        question = ask(f"{tenant}'s own question", tags={"tenant": tenant})
        call(ScriptedModels(small=f"a good answer to {tenant}"), policy(recorder), question)
    recorder.flush()
    for one in read_outcomes(path):
        tenant = one.tags["tenant"]
        other = {"acme": "beta", "beta": "acme"}[tenant]
        assert tenant in one.query and tenant in one.by_model["small"].answer
        assert other not in json.dumps([one.query, one.by_model["small"].answer])


def test_redaction_reaches_every_text(path: Path) -> None:
    """System prompt, question, tool arguments, native extras, parameters, drafts and answers, on every attempt."""
    secret = "4111-1111"
    recorder = Recorder(path, redact=lambda text: text.replace(secret, "****"))
    request = Request(
        (
            Message("system", f"card {secret}"),
            Message("user", f"card {secret}", extra={"name": [secret]}),
            Message("assistant", "", (ToolCall("1", "pay", f'{{"card": "{secret}"}}'),)),
        ),
        {"user": secret, "extra_headers": {"Authorization": "Bearer key"}},
    )
    answer = Reply(f"good {secret}", (ToolCall("1", "pay", secret),), "stop", Usage(input=1, output=1))
    call(ScriptedModels(small=f"poor {secret}", large=answer), policy(recorder), request)
    recorder.flush()
    written = path.read_text()
    assert secret not in written and "Bearer" not in written
    assert written.count("****") == 8


def raising(_text: str) -> str:
    raise ValueError("cannot redact 4111-1111")


def wordless(_text: str) -> Any:
    return None


@pytest.mark.parametrize("redact", [raising, wordless])
def test_a_redaction_that_fails_writes_nothing(path: Path, redact: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The call goes on; a later decision and the log say so, without the text that was to be redacted."""
    recorder = Recorder(path, redact=redact)
    with caplog.at_level(logging.WARNING, logger="tuppence.recording"):
        first = call(ScriptedModels(small="good"), policy(recorder), ask("card 4111-1111"))
        recorder.flush()
        second = call(ScriptedModels(small="good"), policy(recorder))
        recorder.flush()
    assert first.reply is not None and second.reply is not None
    assert (first.decision.faults, recorder.lost) == ([], 2)
    (fault,) = second.decision.faults
    assert f"call {first.call_id} is not recorded: redaction or JSON failed" in fault
    assert lines(path) == []
    assert len(caplog.messages) == 1
    assert "4111" not in caplog.text + fault


def test_a_share_of_the_calls_is_recorded_and_always_the_same(path: Path, tmp_path: Path) -> None:
    """By a hash of the call's id: another process, or a larger share, chooses these again."""
    small, large = Recorder(path, share=0.1), Recorder(tmp_path / "more.jsonl", share=0.5)
    for k in range(2_000):
        for recorder in (small, large):
            call(ScriptedModels(small="good"), policy(recorder), ask(call_id=f"call-{k}"))
        if k % 500 == 0:
            small.flush()
            large.flush()
    small.flush()
    large.flush()
    few, many = ({line["call_id"] for line in lines(one.path)} for one in (small, large))
    assert few < many
    assert 150 < len(few) < 250 and 900 < len(many) < 1_100


def test_a_large_image_is_recorded_as_its_digest(path: Path) -> None:
    """Megabytes of base64 tell a decision nothing; two images still differ."""
    recorder = Recorder(path)
    for image in ("a" * 100_000, "b" * 100_000):
        message = Message("user", "What is this?", extra={"blocks": [[0, {"image_url": {"url": image}}]]})
        call(ScriptedModels(small="good"), policy(recorder), Request((message,)))
    recorder.flush()
    first, second = read_traffic(path)
    assert path.stat().st_size < 3_000
    assert first.request.fingerprint() != second.request.fingerprint()


# -- what it may never cost


def test_a_call_waits_for_no_redaction(path: Path) -> None:
    """It is answered while its text is still being redacted."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(text: str) -> str:
        begun.set()
        go_on.wait(600)
        return text

    recorder = Recorder(path, redact=slow)
    assert call(ScriptedModels(small="good"), policy(recorder)).reply is not None
    assert begun.wait(600)
    assert lines(path) == []
    with pytest.raises(RecordingError, match="1 calls still wait"):
        recorder.flush(timeout_s=0.01)
    go_on.set()
    recorder.flush()
    assert len(lines(path)) == 1


def test_what_waits_is_bounded(path: Path) -> None:
    """A disk or a redaction that is too slow costs recordings, never memory without end; the call is told."""
    go_on = threading.Event()

    def slow(text: str) -> str:
        go_on.wait(600)
        return text

    recorder = Recorder(path, redact=slow)
    faults: list[str] = []
    while not faults:
        faults = call(ScriptedModels(small="good"), policy(recorder)).decision.faults
    assert "lower share, or make redact faster" in faults[0]
    assert recorder.lost == 1
    go_on.set()
    recorder.flush()
    assert 1_000 <= len(lines(path)) <= 1_001


def test_a_file_that_is_moved_away_is_begun_anew(path: Path) -> None:
    """Nothing is rotated here, and whoever rotates need tell nobody."""
    recorder = Recorder(path)
    for k in range(2):
        call(ScriptedModels(small="good"), policy(recorder))
        recorder.flush()
        path.rename(path.with_name(f"old-{k}"))
    assert [len(lines(path.with_name(f"old-{k}"))) for k in range(2)] == [1, 1]


def program(script: str) -> list[str]:
    return [sys.executable, "-c", f"import runpy; globals().update(runpy.run_path({__file__!r}))\n{script}"]


# A file that may not grow is what a full disk looks like.
FULL_DISK = """
import resource
path = Path(sys.argv[1])
recorder = Recorder(path)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
for k in range(20):
    print(call(ScriptedModels(small="good"), policy(recorder), ask(call_id=f"call-{k}")).reply.text)
    recorder.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
last = call(ScriptedModels(small="good"), policy(recorder), ask(call_id="last"))
recorder.flush()
print(last.decision.faults, recorder.lost)
"""


@POSIX
def test_a_full_disk_fails_no_call(path: Path) -> None:
    """Recordings are lost and counted, the log says so once; with room again, the next line is whole."""
    done = subprocess.run([*program(FULL_DISK), str(path)], check=True, capture_output=True, text=True, timeout=120)
    *answers, told = done.stdout.splitlines()
    assert answers == ["good"] * 20
    assert "make room, or name a file that can be" in told
    assert done.stderr.count("cannot be written") == 1
    assert "is written again" in done.stderr
    read = [one.call_id for one in read_traffic(path)]
    assert read == [f"call-{k}" for k in range(len(read) - 1)] + ["last"]
    assert len(read) + int(told.rpartition(" ")[2]) == 21


KILLED = """
recorder = Recorder(sys.argv[1])
for k in range(10**6):
    call(ScriptedModels(small="good " * 2_000), policy(recorder), ask(call_id=f"{sys.argv[2]}-{k}"))
    recorder.flush()
    print(k, flush=True)
"""


@POSIX
def test_a_kill_loses_nothing_that_was_flushed(path: Path) -> None:
    """Two processes write to one file and are killed at any moment; every acknowledged line is there and whole."""
    acknowledged: dict[str, int] = {}
    processes = {
        name: subprocess.Popen([*program(KILLED), str(path), name], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    }
    for name, process in processes.items():
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                acknowledged[name] = int(line)
                if acknowledged[name] == 200:
                    process.send_signal(signal.SIGKILL)
    read = [one.call_id for one in read_traffic(path)]
    assert min(acknowledged.values()) >= 200
    for name, last in acknowledged.items():
        mine = [call_id for call_id in read if call_id.startswith(name)]
        assert mine[: last + 1] == [f"{name}-{k}" for k in range(last + 1)]


def _record_in_a_fork(path: Path, recorder: Recorder) -> None:
    call(ScriptedModels(small="good"), policy(recorder))


@POSIX
def test_a_forked_process_records_too(path: Path) -> None:
    """The child begins with an empty queue and a thread of its own, and ends without losing its line."""
    recorder = Recorder(path)
    call(ScriptedModels(small="good"), policy(recorder))
    child = multiprocessing.get_context("fork").Process(target=_record_in_a_fork, args=(path, recorder))
    child.start()
    child.join(600)
    recorder.flush()
    assert child.exitcode == 0
    assert len({line["call_id"] for line in lines(path)}) == 2


def test_a_program_that_ends_writes_what_waits(path: Path) -> None:
    """Nobody has to flush."""
    script = 'call(ScriptedModels(small="good"), policy(Recorder(sys.argv[1])))'
    subprocess.run([*program(script), str(path)], check=True, timeout=120)
    assert len(lines(path)) == 1


@POSIX
def test_only_its_owner_may_read_the_file(path: Path) -> None:
    """It holds prompts."""
    Recorder(path)
    assert path.stat().st_mode & 0o777 == 0o600


# -- how it is asked for


def test_one_word_opens_one_recorder_a_file(path: Path) -> None:
    """Models that record to one file share its writer."""
    opened = open_recorder(str(path))
    assert opened is open_recorder(path)
    assert open_recorder(opened) is opened
    assert open_recorder(None) is None is open_recorder(False)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: open_recorder(True), ConfigError, "record is True: give a file path"),  # type: ignore[arg-type]
        (lambda path: Recorder(path, share=0), ConfigError, "share is 0"),
        (lambda path: Recorder(path, share=10), ConfigError, "share is 10"),
        (lambda path: Recorder(path, redact="no"), ConfigError, "redact is 'no'"),  # type: ignore[arg-type]
        (lambda path: Recorder(path.parent.parent), RecordingError, "cannot be written"),
    ],
)
def test_what_cannot_record_is_refused_at_once(
    path: Path, make: Callable[[Path], Any], error: type[Exception], message: str
) -> None:
    """A typing error must not be found after a week without traffic."""
    with pytest.raises(error, match=message):
        make(path)


def test_a_recorder_is_pickled_as_what_it_was_asked_for(path: Path) -> None:
    """Models are sent to other processes."""
    copy = pickle.loads(pickle.dumps(Recorder(path, share=0.5, redact=str.upper, require_tenant=True)))
    assert (copy.path, copy.share, copy.require_tenant) == (path, 0.5, True)


CONFIG = "tiers:\n  - {name: small, class: openai, model: gpt-4o-mini}\n"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Any]:
    def loaded(record: str) -> Any:
        (tmp_path / "policy.yaml").write_text(CONFIG + record)
        return load_config(tmp_path / "policy.yaml")

    return loaded


def test_a_configuration_file_asks_for_a_recorder(tmp_path: Path, load: Callable[[str], Any]) -> None:
    """Paths are relative to the file; what it leaves out is the recorder's own default."""
    said = load("record: {path: log/traffic.jsonl, share: 0.1, redact: 'textwrap:dedent', require_tenant: true}")
    recorder = said.options()["record"]
    assert (recorder.path, recorder.share, recorder.require_tenant) == (tmp_path / "log/traffic.jsonl", 0.1, True)
    assert load("record: traffic.jsonl").options()["record"].share == 1.0
    assert "record" not in load("record: off").options()
    assert said.policy().record is None


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("record: true", "record is True"),
        ("record: {share: 0.1}", "record.path is missing"),
        ("record: {path: a, share: 2}", "record.share is 2"),
        ("record: {path: a, redact: 'textwrap:nobody'}", "textwrap has no 'nobody'"),
        ("record: {path: a, rotate: daily}", "unknown key 'rotate'"),
    ],
)
def test_a_wrong_recorder_in_a_file_is_named_by_its_line(load: Callable[[str], Any], record: str, message: str) -> None:
    """Like everything else in it."""
    with pytest.raises(ConfigError, match=f"policy.yaml:3:.*{message}"):
        load(record)
