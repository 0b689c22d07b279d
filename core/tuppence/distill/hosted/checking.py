"""Training files looked through before they are sent: a bad line that the provider finds costs an upload and minutes.

The rules are those of OpenAI's guide "Supervised fine-tuning": JSON lines of chat messages, 10 at least, each with an
answer to learn; files of up to 512 MB.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tuppence.distill.errors import TrainingError

LEAST = 10
_MOST_BYTES = 512 * 1024 * 1024
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


def check_file(path: Path) -> int:
    """Return how many examples a file has; raises `TrainingError` naming file, line and fix of the first bad one."""
    examples = 0
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise TrainingError(f"{path} has {size:,} bytes, and {_MOST_BYTES:,} are taken: train on fewer rows")
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if fault := _fault(line):
                    raise TrainingError(f"{path}:{number}: {fault}")
                examples += 1
    except OSError as error:
        raise TrainingError(f"{path} cannot be read ({error.strerror}): export the data set again") from error
    return examples


def check_training(train: Path, validation: Path | None) -> None:
    """Raise `TrainingError` unless the provider would take the files."""
    examples = check_file(train)
    if examples < LEAST:
        raise TrainingError(f"{train} has {examples} examples, and {LEAST} are the least that are taken: record more")
    if validation is not None and not check_file(validation):
        raise TrainingError(f"{validation} is empty: leave the validation file out")


def _fault(line: bytes) -> str | None:
    try:
        told = json.loads(line)
    except ValueError as error:
        return f"no JSON ({error}): write one object a line"
    messages = told.get("messages") if isinstance(told, dict) else None
    if not isinstance(messages, list) or not messages:
        return "no list `messages`: write {'messages': [...]}, as `export(..., form='openai')` does"
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            return f"{str(message)[:60]!r} is no chat message: its role is one of {', '.join(sorted(_ROLES))}"
    return _unlearnable(messages[-1])


def _unlearnable(last: dict[str, Any]) -> str | None:
    if last["role"] != "assistant":
        return f"the last message is the {last['role']}'s: end with the assistant's answer, which is what is learned"
    if not last.get("content") and not last.get("tool_calls"):
        return "the answer is empty: leave the row out"
    return None
