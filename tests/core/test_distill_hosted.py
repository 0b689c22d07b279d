"""Fine-tuning at a provider, through the real SDK: trained once and paid once, whatever kills the program between."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tuppence.cli import distill
from tuppence.cli.commands import Commands
from tuppence.distill import Progress, Trained, TrainingData, TrainingError
from tuppence.distill.hosted import OpenAIFineTune, tier_of
from tuppence.distill.hosted.journal import FILE, alone
from tuppence.prices import token_rate
from tuppence.spend import SqliteLedger
from tuppence.testing import ProviderServer

openai = pytest.importorskip("openai")
httpx = pytest.importorskip("httpx")

BASE = "gpt-4o-mini-2024-07-18"
MODEL = f"ft:{BASE}:scripted::000001"


def example(number: int, answer: str = "card") -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"Question {number}"}, {"role": "assistant", "content": answer}]}


@pytest.fixture
def data(tmp_path: Path) -> TrainingData:
    for name, rows in (("train", range(12)), ("validation", range(20, 24))):
        lines = "".join(f"{json.dumps(example(n))}\n" for n in rows)
        (tmp_path / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return TrainingData(tmp_path / "train.jsonl", tmp_path / "validation.jsonl", "d" * 64)


class Killed(BaseException):
    """The program ends here."""


class Wire(httpx.BaseTransport):
    """The network; `after` may end the program once an answer has been sent, before it is read."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.asked: list[str] = []
        self.after: Callable[[str], None] = lambda _: None

    def handle_request(self, request: Any) -> Any:
        response = self._inner.handle_request(request)
        self.asked.append(f"{request.method} {request.url.path.removeprefix('/v1')}")
        self.after(self.asked[-1])
        return response

    def close(self) -> None:
        self._inner.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    with closing(Wire()) as wire:
        yield wire


@pytest.fixture
def client(server: ProviderServer, wire: Wire) -> Iterator[Any]:
    with openai.OpenAI(api_key="k", base_url=server.base_url, http_client=httpx.Client(transport=wire)) as client:
        yield client


def trainer(client: Any, **options: Any) -> OpenAIFineTune:
    return OpenAIFineTune(client, BASE, sleep=lambda _: None, **options)


def jobs(client: Any) -> list[Any]:
    return list(client.fine_tuning.jobs.list())


def test_a_model_is_trained(client: Any, data: TrainingData, tmp_path: Path) -> None:
    """Files, job, events, metrics and the cost of what the provider billed; done again, it is read from disk."""
    told: list[Progress] = []
    one = trainer(client, usd_per_mtok=Decimal("3"), settings={"suffix": "bank"})
    trained = one.train(data, out=tmp_path / "out", on_progress=told.append)
    (job,) = jobs(client)
    usd = Decimal(job.trained_tokens) * 3 / 1_000_000
    assert trained == Trained(
        f"ft:{BASE}:scripted:bank:000001", BASE, None, 60.0, usd, {"train_loss": pytest.approx(2 / 36)}, "d" * 64
    )
    assert (told[0].message, told[-1].step, told[-1].steps) == ("Created fine-tuning job: ftjob-000001", 36, 36) or (
        told[-1].message == "The job has succeeded"
    )
    assert len({one.message for one in told}) == len(told)
    assert job.metadata["tuppence_data"] == "d" * 64
    assert {file.filename.split("-")[0] for file in client.files.list(purpose="fine-tune")} == {"tuppence"}


def test_a_finished_training_is_read_from_disk(client: Any, wire: Wire, data: TrainingData, tmp_path: Path) -> None:
    first = trainer(client).train(data, out=tmp_path / "out")
    asked = len(wire.asked)
    assert trainer(client).train(data, out=tmp_path / "out") == first
    assert len(wire.asked) == asked


def every_request() -> list[tuple[str, int]]:
    """Each request of a training, with how often it was made before."""
    plain = ["GET /files", "POST /files", "GET /files", "POST /files", "POST /fine_tuning/jobs"]
    looks = ["GET /fine_tuning/jobs/ftjob-000001", "GET /fine_tuning/jobs/ftjob-000001/events"] * 3
    whole = [*plain, *looks]
    return [(one, whole[:place].count(one)) for place, one in enumerate(whole)]


@pytest.mark.parametrize(("request_line", "nth"), every_request(), ids=str)
def test_killed_after_any_request_it_goes_on_and_trains_once(
    client: Any, wire: Wire, data: TrainingData, tmp_path: Path, request_line: str, nth: int
) -> None:
    """The answer is lost with the program: what the request made at the provider is found again."""

    def kill(asked: str) -> None:
        if asked == request_line and wire.asked.count(asked) == nth + 1:
            raise Killed

    wire.after = kill
    with pytest.raises(Killed):
        trainer(client).train(data, out=tmp_path / "out")
    wire.after = lambda _: None
    assert trainer(client).train(data, out=tmp_path / "out").model == MODEL
    assert len(jobs(client)) == 1
    assert len(list(client.files.list(purpose="fine-tune"))) == 2


def test_a_lost_answer_makes_no_second_job(client: Any, wire: Wire, data: TrainingData, tmp_path: Path) -> None:
    """The SDK would send the request again: here the job is looked for first."""
    lost = iter([True])

    def lose(asked: str) -> None:
        if asked == "POST /fine_tuning/jobs" and next(lost, False):
            raise httpx.ReadError("the connection broke")

    wire.after = lose
    assert trainer(client).train(data, out=tmp_path / "out").model == MODEL
    assert len(jobs(client)) == 1


def test_a_provider_that_is_away_is_waited_for(client: Any, wire: Wire, data: TrainingData, tmp_path: Path) -> None:
    """While the job runs; waits grow up to a minute."""
    broken = iter(range(12))
    waited: list[float] = []

    def away(asked: str) -> None:
        if asked.startswith("GET /fine_tuning/jobs/") and next(broken, None) is not None:
            raise httpx.ConnectError("no route")

    wire.after = away
    once = client.with_options(max_retries=0)
    trained = OpenAIFineTune(once, BASE, sleep=waited.append).train(data, out=tmp_path / "out")
    assert trained.model == MODEL
    assert waited == sorted(waited)
    assert max(waited) == 60.0


def test_the_cost_is_booked_once(client: Any, data: TrainingData, tmp_path: Path) -> None:
    """As what fine-tuning cost, and as no call's input; unpriced where no price was given, never free."""
    for name, price, expected in (("a", Decimal("3"), "exact"), ("b", None, "unpriced")):
        file = tmp_path / f"{name}.sqlite"
        with closing(SqliteLedger(file)) as ledger:
            for _ in range(3):
                trained = trainer(client, usd_per_mtok=price, ledger=ledger).train(data, out=tmp_path / name)
        with closing(sqlite3.connect(file)) as rows:
            found = rows.execute("SELECT tier, model, status, pico_usd, input, task FROM attempts").fetchall()
        pico = None if trained.usd is None else int(trained.usd * 10**12)
        assert found == [("fine-tuning", BASE, expected, pico, 0, "fine-tuning")]


def test_a_job_that_fails_says_why(client: Any, data: TrainingData, tmp_path: Path) -> None:
    """In the provider's words, and again when asked again: a failed job is not begun anew by itself."""
    one = trainer(client, settings={"metadata": {"project": "sort"}})

    def cancel(progress: Progress) -> None:
        client.fine_tuning.jobs.cancel("ftjob-000001")

    with pytest.raises(TrainingError, match=r"ftjob-000001 ended as cancelled.*another folder"):
        one.train(data, out=tmp_path / "out", on_progress=cancel)
    with pytest.raises(TrainingError, match="ended as cancelled"):
        one.train(data, out=tmp_path / "out")
    assert [job.metadata["project"] for job in jobs(client)] == ["sort"]


def test_a_refusal_passes_as_the_sdk_raises_it(client: Any, data: TrainingData, tmp_path: Path) -> None:
    """At once: asking again would bring the same."""
    with pytest.raises(openai.BadRequestError, match="not available for fine-tuning"):
        OpenAIFineTune(client, "no-such-model").train(data, out=tmp_path / "out")
    assert jobs(client) == []


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("no JSON", "{"),
        ("no list `messages`", "{}"),
        ("is no chat message", '{"messages": [{"role": "boss", "content": "x"}]}'),
        ("the last message is the user's", '{"messages": [{"role": "user", "content": "x"}]}'),
        ("the answer is empty", '{"messages": [{"role": "assistant", "content": ""}]}'),
    ],
)
def test_bad_lines_are_found_before_anything_is_sent(
    client: Any, wire: Wire, data: TrainingData, tmp_path: Path, word: str, line: str
) -> None:
    """File, line, cause and fix."""
    with data.train.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(TrainingError, match=rf"train.jsonl:13: .*{word}"):
        trainer(client).train(data, out=tmp_path / "out")
    assert wire.asked == []


def test_too_few_examples_are_refused(client: Any, data: TrainingData, tmp_path: Path) -> None:
    data.train.write_text("".join(f"{json.dumps(example(n))}\n" for n in range(9)))
    with pytest.raises(TrainingError, match="9 examples, and 10 are the least"):
        trainer(client).train(data, out=tmp_path / "out")


def test_a_folder_holds_one_training(client: Any, data: TrainingData, tmp_path: Path) -> None:
    """Of one data set and base, by one process at a time; a file that is none of ours is not written over."""
    out = tmp_path / "out"
    trainer(client).train(data, out=out)
    other = TrainingData(data.train, None, "e" * 64)
    with pytest.raises(TrainingError, match=r"another training \(other data_hash\)"):
        trainer(client).train(other, out=out)
    with alone(out), pytest.raises(TrainingError, match="another process trains"):
        trainer(client).train(data, out=out)
    (out / FILE).write_text("[]")
    with pytest.raises(TrainingError, match="cannot be read"):
        trainer(client).train(data, out=out)


def test_a_trained_model_is_a_tier(client: Any, server: ProviderServer, data: TrainingData, tmp_path: Path) -> None:
    """At its listed price, or at one's own; and it answers."""
    trained = trainer(client).train(data, out=tmp_path / "out")
    tier = tier_of(trained, "tuned")
    assert (tier.name, tier.model) == ("tuned", MODEL)
    assert tier.rate is not None
    own = token_rate(input="1", output="2")
    assert tier_of(trained, "tuned", rate=own).rate == own
    server.model(MODEL, replies="card")
    said = client.chat.completions.create(model=tier.model, messages=[{"role": "user", "content": "Which?"}])
    assert said.choices[0].message.content == "card"


def test_the_command_trains_and_writes_a_card(
    server: ProviderServer, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the folder that `distill dataset` wrote, with key and address of the environment."""
    pytest.importorskip("rensa")
    from .distill_traffic import call, write

    app = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False)
    app.add_typer(distill.app, name="distill")
    app.callback()(lambda: None)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setattr("tuppence.distill.hosted.openai_jobs._FIRST_WAIT_S", 0.0)
    path = write(tmp_path / "t.jsonl", [call(n, tags={"task": "sort"}) for n in range(40)])
    runner = CliRunner(env={"COLUMNS": "160"})
    made = runner.invoke(app, ["distill", "dataset", str(path), "--out", str(tmp_path / "sets")])
    assert made.exit_code == 0, made.output
    given = ["--base", BASE, "--out", str(tmp_path / "out"), "--price", "3"]
    done = runner.invoke(app, ["distill", "train", "openai", str(tmp_path / "sets" / "sort"), *given])
    assert done.exit_code == 0, done.output
    assert f"{MODEL} is trained ($0." in done.output
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "| teacher | large-1 (tier `large`)" in card
