"""A real vLLM: it is well, it names what it serves, adapters come and go, it sleeps and wakes."""

from __future__ import annotations

import json
import random
import struct
import subprocess
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tuppence.selfhost import AdapterClient, Preset, RunningServer, SelfHostError, VllmServer

ASKED: list[Any] = [{"role": "user", "content": "Name three fruits."}]


def adapter(folder: Path, model: Path, *, loudness: float) -> Path:
    """Write a LoRA adapter for all layers' queries and values, as peft does; one of loudness 0 changes nothing."""
    folder.mkdir()
    config = json.loads((model / "config.json").read_text())
    hidden, rank, noise = config["hidden_size"], 4, random.Random(5)
    widths = {"q_proj": hidden, "v_proj": config["num_key_value_heads"] * config["head_dim"]}
    header: dict[str, Any] = {}
    blob = bytearray()
    for layer in range(config["num_hidden_layers"]):
        for part, width in widths.items():
            for side, shape, loud in (("A", (rank, hidden), 0.05), ("B", (width, rank), loudness)):
                values = array("f", (noise.gauss(0, 1) * loud for _ in range(shape[0] * shape[1])))
                name = f"base_model.model.model.layers.{layer}.self_attn.{part}.lora_{side}.weight"
                end = len(blob) + 4 * len(values)
                header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(blob), end]}
                blob += values.tobytes()
    described = json.dumps(header).encode()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(described)) + described + blob)
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": sorted(widths), "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def client(server: VllmServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        yield client


def answer(client: openai.OpenAI, model: str) -> str:
    said = client.chat.completions.create(model=model, messages=ASKED, temperature=0, max_tokens=12)
    return said.choices[0].message.content or ""


def test_it_is_well_and_says_what_it_is(server: VllmServer) -> None:
    """Asked by who started it, and by who only knows its address."""
    attached = RunningServer(server.url)
    assert server.healthy()
    assert attached.healthy()
    assert attached.models() == ("small",)
    assert attached.version()
    assert "/health" in server.log_tail(200) or "startup" in server.log_tail(200)


def test_adapters_are_models_of_their_own_and_change_while_it_serves(
    server: VllmServer, client: openai.OpenAI, small_model: Path, tmp_path: Path
) -> None:
    """Loaded, asked by name, swapped under the same name, unloaded; the base model answers as before throughout."""
    quiet = adapter(tmp_path / "quiet", small_model, loudness=0.0)
    loud = adapter(tmp_path / "loud", small_model, loudness=1.0)
    adapters, before = AdapterClient(server.url), answer(client, "small")
    adapters.load("banking", quiet)
    adapters.load("banking", quiet)  # twice is once
    try:
        assert adapters.names() == ("banking",)
        assert server.models() == ("small", "banking")
        assert answer(client, "banking") == before
        with pytest.raises(SelfHostError, match=r"swap\(\) replaces it"):
            adapters.load("banking", loud)
        with pytest.raises(SelfHostError, match="write the new weights to a folder of their own"):
            adapters.swap("banking", quiet)
        adapters.swap("banking", loud)
        assert adapters.names() == ("banking",)
        assert answer(client, "banking") != before
        assert answer(client, "small") == before
    finally:
        adapters.unload("banking")
    assert adapters.names() == ()
    with pytest.raises(openai.NotFoundError):
        answer(client, "banking")


def test_an_adapter_that_cannot_be_is_refused_with_the_reason(server: VllmServer, tmp_path: Path) -> None:
    """An empty folder, one of the server's own name, one that was never loaded; the server goes on."""
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SelfHostError, match=r"adapter 'banking' could not be loaded from .*empty"):
        server.adapters.load("banking", empty)
    with pytest.raises(SelfHostError, match="conflicts with a served base model"):
        server.adapters.load("small", empty)
    with pytest.raises(SelfHostError, match=r"no adapter 'banking' is loaded at .* there are none"):
        server.adapters.unload("banking")
    assert server.adapters.names() == ()
    assert server.healthy()


def test_it_sleeps_and_wakes(server: VllmServer, client: openai.OpenAI) -> None:
    """A CPU has no memory to give back, but the pages and their order are the same; awake it answers again."""
    before = answer(client, "small")
    assert not server.sleep.asleep()
    server.sleep.begin()
    try:
        assert server.sleep.asleep()
    finally:
        server.sleep.end()
    assert not server.sleep.asleep()
    assert answer(client, "small") == before


FLAGS = """
import sys
from vllm import EngineArgs
from vllm.utils.argparse_utils import FlexibleArgumentParser
print(*EngineArgs.add_cli_args(FlexibleArgumentParser()).parse_known_args(sys.argv[1:])[1])
"""


def test_what_a_gpu_is_given_is_known_to_vllm(vllm_python: Path) -> None:
    """No GPU is here to try it on. Its parser takes every flag, but for the server's own, which the tests above use."""
    preset = Preset.gpu(gpus=2, context_tokens=4096).with_adapters().with_sleep()
    done = subprocess.run([vllm_python, "-c", FLAGS, *preset.flags], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "--enable-prompt-tokens-details"
