"""Read the specification, train, and write what came of it; every way to fail becomes one event and an exit status."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .telling import Refused, say

FAILED = 3


def main() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    spec = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    try:
        with _alone(Path(spec["out"])):
            _train(spec)
    except Refused as refused:
        _fail(refused.kind, str(refused))
    except ImportError as error:
        _fail("package", error.name or str(error))
    except (MemoryError, RuntimeError, OSError) as error:
        _fail("memory" if _is_memory(error) else "other", f"{type(error).__name__}: {error}")


def _train(spec: dict[str, Any]) -> None:
    """Look first at what is cheap to find wrong: packages, the base's settings, the rows; then load the weights."""
    began, out = time.monotonic(), Path(spec["out"])
    import peft  # noqa: F401 - that it is missing is known before anything is loaded

    tokenizer, train, validation = _prepared(spec)

    from .fitting import fit
    from .model import load, merge
    from .packing import may_pack

    model, held = load(spec)
    if not may_pack(model, train):
        # No room for a second row beside the first.
        spec["tokens_at_once"] = 0
    tokens = sum(map(len, train))
    say(event="begun", rows=len(train), tokens=tokens, held=held)
    fitted = fit(model, train, validation, spec, out / "checkpoint.pt")
    with _whole(out / "adapter") as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    if spec["merged"]:
        del model
        with _whole(out / "merged") as folder:
            merge(spec["base"], out / "adapter", folder)
            tokenizer.save_pretrained(folder)
    seconds = time.monotonic() - began + fitted.earlier_seconds
    say(
        event="done", losses=fitted.losses, rows=len(train), tokens=tokens, epochs=spec["epochs"],
        fit_seconds=fitted.seconds, seconds=seconds,
    )  # fmt: skip


def _prepared(spec: dict[str, Any]) -> tuple[Any, list[Any], list[Any]]:
    from transformers import AutoConfig, AutoTokenizer

    from .rows import read

    try:
        config = AutoConfig.from_pretrained(spec["base"])
        tokenizer = AutoTokenizer.from_pretrained(spec["base"])
    except (OSError, ValueError) as error:
        raise Refused("base", str(error)) from error
    if not tokenizer.chat_template or tokenizer.eos_token is None:
        raise Refused("template", "it has none, or no token that ends an answer")
    longest = min(spec["max_tokens"] or sys.maxsize, getattr(config, "max_position_embeddings", sys.maxsize))
    validation = read(spec["validation"], tokenizer, longest) if spec["validation"] else []
    return tokenizer, read(spec["train"], tokenizer, longest), validation


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder for as long as this process lives, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (out / "lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Refused("busy", str(out)) from error
        yield


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Write a folder beside its place and move it there: a reader finds all of it or nothing."""
    beside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    yield beside
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(beside, folder)


def _is_memory(error: Exception) -> bool:
    """Say whether memory ran out: torch has a class of its own for a GPU's, and for a CPU's only words."""
    name = type(error).__name__
    return name in ("MemoryError", "OutOfMemoryError") or "allocate memory" in str(error)


def _fail(kind: str, found: str) -> None:
    say(event="failed", kind=kind, found=found)
    sys.exit(FAILED)


def _end_with_parent() -> None:
    """Wait for the end of standard input, which the parent holds open for as long as it lives, however it dies."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(FAILED)


main()
