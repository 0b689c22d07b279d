"""What can be said of rows before any model is loaded: that they are conversations which end with an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tuppence.distill.errors import TrainingError

_SHAPE = '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}'


def check(path: Path) -> int:
    """Count the rows of a file; raises `TrainingError` naming the first line that nothing can be learned from."""
    count = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                count += 1
                fault = _fault(line)
                if fault is not None:
                    raise TrainingError(f"{path}:{number}: {fault}; a row is {_SHAPE}")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} cannot be read ({error}): name a file of rows in OpenAI's chat form") from error
    if not count:
        raise TrainingError(f"{path} holds no rows: give at least one, such as {_SHAPE}")
    return count


def _fault(line: str) -> str | None:
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        return f"it is not JSON ({error})"
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        return "it has no list of messages"
    if len(messages) < 2:
        return f"it has {len(messages)} messages, and a prompt and an answer are two"
    last = messages[-1]
    if last.get("role") != "assistant":
        return f"its last message is the {last.get('role')}'s, not the assistant's"
    if not last.get("content") and not last.get("tool_calls"):
        return "its answer is empty"
    return None
