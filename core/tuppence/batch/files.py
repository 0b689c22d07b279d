"""Jobs as files: JSON lines in, JSON lines out, in the same order. Both are read and written a line at a time.

A line is one of OpenAI's batch input, one of Anthropic's, or just a request (`messages` or `input`), as the questions
of an evaluation often are; what is no such line is refused by its number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tuppence.batch.lines import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Answer, BatchError, Line
from tuppence.prices import usd

_NAMES = ("custom_id", "id")


def read_lines(path: Path, *, model: str | None = None, url: str | None = None) -> Iterator[Line]:
    """Read a job; `model` is for lines that name none, `url` for those that say not where they go.

    Lines without a name are called `line-1` and so on, by their number. Raises `BatchError`, with the line's number,
    for what cannot be one.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield _line(path, number, text, model, url)
    except (OSError, UnicodeDecodeError) as error:
        raise BatchError(f"{path} cannot be read ({error}): name a file of JSON lines, as UTF-8") from error


def name_of(path: Path, *options: str | None) -> str:
    """Name a job by what is in its file and how it is asked, so that submitting it again is the same job."""
    digest = hashlib.blake2b(repr(options).encode(), digest_size=8)
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise BatchError(f"{path} cannot be read ({error.strerror}): name a file of JSON lines") from error
    return f"{path.name}-{digest.hexdigest()}"


def write_answers(path: Path, answers: Iterable[Answer]) -> int:
    """Write what came of each line, and return how many; the file is there once it is whole."""
    half = path.with_name(f"{path.name}.half")
    written = 0
    try:
        with half.open("w", encoding="utf-8") as file:
            for answer in answers:
                file.write(f"{json.dumps(_told(answer), ensure_ascii=False)}\n")
                written += 1
        half.replace(path)
    except OSError as error:
        raise BatchError(f"{path} cannot be written ({error.strerror}): name a file in a writable folder") from error
    return written


def _told(answer: Answer) -> dict[str, Any]:
    cost = None if answer.pico_usd is None else f"{usd(answer.pico_usd).normalize():f}"
    return {"custom_id": answer.custom_id, "response": answer.body, "error": answer.error, "usd": cost}


def _line(path: Path, number: int, text: str, model: str | None, url: str | None) -> Line:
    where = f"{path}, line {number}"
    try:
        given = json.loads(text)
    except ValueError as error:
        raise BatchError(f"{where} is not JSON ({error}): write one object a line, without breaks in it") from None
    if not isinstance(given, dict):
        raise BatchError(f'{where} is {_short(given)}: write a JSON object, such as {{"messages": [...]}}')
    custom_id = next((given[name] for name in _NAMES if name in given), f"line-{number}")
    body, meant = _body(given, url)
    if not isinstance(body, dict):
        raise BatchError(f"{where} has {_short(body)} for its request: give an object with `messages` or `input`")
    body = {**({"model": model} if model else {}), **body}
    line = Line(str(custom_id), body, meant)
    if not any(name in body for name in ("messages", "input")):
        raise BatchError(f"{where} has neither `messages` nor `input` but {_short(sorted(body))}: give it one of them")
    try:
        line.spelt()
    except BatchError as error:
        raise BatchError(f"{where}: {error}; --model names one for lines without") from None
    return line


def _body(given: dict[str, Any], url: str | None) -> tuple[Any, str]:
    """Return the request that a line holds, and where it goes."""
    if "body" in given:
        return given["body"], str(given.get("url") or url or CHAT)
    if "params" in given:
        return given["params"], MESSAGES
    body = {name: value for name, value in given.items() if name not in (*_NAMES, "url", "method")}
    if given.get("url") or url:
        return body, str(given.get("url") or url)
    return body, CHAT if "messages" in body else EMBEDDINGS if _embeds(body) else RESPONSES


def _embeds(body: dict[str, Any]) -> bool:
    return "embed" in str(body.get("model") or "embed")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
