"""A real LoRA of the real small model, on a few rows: trained, killed, gone on with, served, deployed, taken back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import openai
import pytest
from typer.testing import CliRunner

from tuppence.cli import app
from tuppence.clients import result_of, via, wrap
from tuppence.distill import Dataset, Progress, Shares, Trained, TrainingData, TrainingError, export
from tuppence.distill.deploying import deploy, deployed, rollback
from tuppence.distill.evaluation import Served, read_held_out
from tuppence.distill.local import LocalLora, merged_model
from tuppence.recording import Recorder
from tuppence.selfhost import VllmServer
from tuppence.testing import ProviderServer

pytestmark = pytest.mark.vllm

SYSTEM = "Answer with the colour of the thing."
COLOURS = {"grass": "green", "snow": "white", "coal": "black", "blood": "red"}


def write(path: Path, repeats: int, *, word: str = "What about") -> TrainingData:
    rows = [
        {
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": f"{word} {thing} number {n}?"},
                {"role": "assistant", "content": colour},
            ]
        }
        for n in range(repeats)
        for thing, colour in COLOURS.items()
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return TrainingData(path, None, "c0105")


@pytest.fixture(scope="module", autouse=True)
def _calm() -> Iterator[None]:
    """One thread: tests share the processors with a server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


class Interrupted(Exception):
    """Stops a training from within."""


@pytest.fixture(scope="module")
def trainer(small_model: Path, vllm_python: Path) -> LocalLora:
    return LocalLora(small_model, python=vllm_python, epochs=3, batch=4, learning_rate=1e-3, name="colours")


@pytest.fixture(scope="module")
def trained(trainer: LocalLora, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Trained in two runs: the first was stopped after its first epoch."""
    folder = tmp_path_factory.mktemp("training")
    data, said = write(folder / "train.jsonl", 4), list[str]()

    def stop_after_an_epoch(progress: Progress) -> None:
        if progress.message.startswith("epoch 1"):
            raise Interrupted

    with pytest.raises(Interrupted):
        trainer.train(data, out=folder / "out", on_progress=stop_after_an_epoch)
    assert not (folder / "out" / "adapter").exists()
    found = trainer.train(data, out=folder / "out", on_progress=lambda progress: said.append(progress.message))
    assert "goes on after epoch 1" in said
    assert not any(message.startswith("epoch 1") for message in said)
    return found


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    trained: Trained, trainer: LocalLora, tmp_path: Path
) -> None:
    """Order of rows and state of the optimiser are those that it would have had."""
    again = trainer.train(write(tmp_path / "train.jsonl", 4), out=tmp_path / "out")
    assert again.metrics["train_loss"] == pytest.approx(trained.metrics["train_loss"], rel=1e-3)
    assert trained.metrics["epochs"] == 3
    assert merged_model(again).joinpath("model.safetensors").exists()


def test_rows_together_are_the_rows_apart(trained: Trained, trainer: LocalLora, tmp_path: Path) -> None:
    """One row at a time, in other words with nothing packed, learns the same."""
    one_by_one = replace(trainer, tokens_at_once=1, merged=False)
    again = one_by_one.train(write(tmp_path / "train.jsonl", 4), out=tmp_path / "out")
    assert again.metrics["train_loss"] == pytest.approx(trained.metrics["train_loss"], rel=0.02)


def test_a_row_that_the_context_cannot_hold_is_refused(trainer: LocalLora, tmp_path: Path) -> None:
    """Before the weights are loaded, with its line; nothing is cut off."""
    data = write(tmp_path / "train.jsonl", 2)
    with pytest.raises(TrainingError, match=r"8 of 8 rows of .* are longer than 12 tokens, the longest .* in line"):
        replace(trainer, max_tokens=12).train(data, out=tmp_path / "out")


def test_the_training_ends_with_the_program_that_started_it(trainer: LocalLora, tmp_path: Path) -> None:
    """Also where that is killed and can tidy nothing up: the folder is free again, and the training goes on."""
    data, out = write(tmp_path / "train.jsonl", 2), tmp_path / "out"
    program = (
        "import sys, pathlib; from tuppence.distill import TrainingData; from tuppence.distill.local import LocalLora\n"
        "base, python, rows, out = sys.argv[1:]\n"
        "LocalLora(base, python=python, epochs=50).train(TrainingData(pathlib.Path(rows), None, 'x'), "
        "out=pathlib.Path(out), on_progress=lambda progress: print(progress.step, flush=True))"
    )
    command = [sys.executable, "-c", program, str(trainer.base), str(trainer.python), str(data.train), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        next(line for line in started.stdout if line.strip() == "1")
        started.send_signal(signal.SIGKILL)
        started.wait()
    import fcntl

    with (out / "lock").open("w") as held:
        # Waits for the training to let go of its folder, which it does by ending.
        fcntl.flock(held, fcntl.LOCK_EX)
    assert not (out / "trained.json").exists()


def test_a_trained_model_is_a_tier_until_it_is_rolled_back(
    trained: Trained, server: VllmServer, tmp_path: Path
) -> None:
    """Its sure answers are kept, the others are the teacher's; after the roll-back all are, in the running program."""
    state = tmp_path / "deployed.json"
    stands = deploy(trained, state, url=server.url, threshold=0.5, usd_per_mtok=("0.1", "0.1"), share=1.0)
    try:
        asked = read_held_out(write(tmp_path / "test.jsonl", 3, word="And what of").train)
        answers = Served("colours", server.base_url, "colours", max_tokens=8).answer(asked)
        right = sum(row.expected == answer.text for row, answer in zip(asked, answers, strict=True))
        assert right >= 10
        assert all(answer.confidence is not None and 0 < answer.confidence <= 1 for answer in answers)
        with ProviderServer() as provider:
            provider.model("gpt-4o", replies="the teacher")
            api = openai.OpenAI(base_url=provider.base_url, api_key="none")
            own = openai.OpenAI(base_url=stands.base_url, api_key="none")
            tiers = [via(own, "colours", rate=stands.rate, self_hosted=True), "gpt-4o"]
            client = wrap(api, tiers=tiers, ledger=None, **deployed(state))

            def ask() -> tuple[list[str], str | None]:
                answer = client.chat.completions.create(
                    model="auto", logprobs=True, temperature=0, max_tokens=8,
                    messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": "What about snow?"}],
                )  # fmt: skip
                return [one.tier for one in result_of(answer).attempts], answer.choices[0].message.content

            assert ask() == (["colours"], "white")
            rollback(state)
            assert ask() == (["gpt-4o"], "the teacher")
            assert "colours" not in server.adapters.names()
            rollback(state)
    finally:
        if "colours" in server.adapters.names():
            server.adapters.unload("colours")


def test_the_commands_judge_it_and_deploy_nothing_that_too_few_rows_vouch_for(
    trained: Trained, server: VllmServer, tmp_path: Path
) -> None:
    """Its card gets what was measured; the adapter is gone again where no threshold could be proved."""
    pytest.importorskip("sklearn")
    assert trained.adapter is not None
    with ProviderServer() as provider:
        provider.model(
            "gpt-4o", replies=lambda request: COLOURS[request["messages"][-1]["content"].split()[2].strip(",")]
        )
        recorder = Recorder(tmp_path / "traffic.jsonl")
        client = wrap(openai.OpenAI(base_url=provider.base_url, api_key="none"), tiers=["gpt-4o"], record=recorder)
        for n, what in enumerate(["old", "wet", "cold", "tall", "dry", "strange", "distant"] * 4):
            thing = list(COLOURS)[n % 4]
            question = f"What about {thing}, {what} {n}?"
            asked = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
            client.chat.completions.create(model="auto", messages=asked)
        recorder.flush()
    with Dataset.from_traffic(recorder.path, shares=Shares(validation=0.1, calibration=0.3, test=0.3)) as data:
        export(data, tmp_path / "data")
    folder, state = str(trained.adapter.parent), tmp_path / "deployed.json"
    told = ["--trained", folder, "--url", server.url]
    judged = CliRunner().invoke(app, ["distill", "evaluate", str(tmp_path / "data"), *told])
    assert judged.exit_code == 0, judged.output
    assert "colours" in judged.stdout
    assert "On held-out rows" in Path(folder, "README.md").read_text()
    Path(folder, "README.md").unlink()
    terms = ["--data", str(tmp_path / "data"), "--price", "0.1,0.1", "--teacher", "gpt-4o"]
    done = CliRunner().invoke(app, ["distill", "deploy", str(state), *terms, *told])
    assert done.exit_code == 1, done.output
    assert "not certifiable at 95%" in done.stdout
    assert not state.exists()
    assert "colours" not in server.adapters.names()


def test_the_folder_names_no_process(trained: Trained) -> None:
    """What is left behind can be moved: an adapter that any server loads, and no checkpoint."""
    assert trained.adapter is not None
    left = {path.name for path in trained.adapter.parent.iterdir()}
    assert left == {"adapter", "merged", "lock", "training.json", "trained.json", "training.log"}
    assert os.path.getsize(trained.adapter / "adapter_model.safetensors") > 0
