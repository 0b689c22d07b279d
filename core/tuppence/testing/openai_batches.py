"""OpenAI's Batch API: validating, in progress, finalizing, and one of four endings, as the reference documents them.

Answers come in an output file, lines that failed or were never run in an error file, and neither in the order of the
input.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuppence.testing.batch_shelf import BatchShelf, HeldBatch
from tuppence.testing.batches_run import EMBEDDINGS, URLS, LineRunner, Result
from tuppence.testing.generation import Rejected
from tuppence.testing.openai_files import FilesApi

if TYPE_CHECKING:
    from tuppence.testing.batches import Asked, Body, Gate

_MOST_LINES = 50_000
_MOST_ERRORS = 100
PAGE = 500
_NEVER_RUN = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed because the batch was cancelled."),
}


class OpenAIBatchApi:
    """`/v1/batches`."""

    def __init__(
        self, files: FilesApi, runner: LineRunner, gate: Gate, begin: Callable[[Callable[[], None]], None]
    ) -> None:
        self._files = files
        self._runner = runner
        self._gate = gate
        self._begin = begin
        self._shelf = BatchShelf("batch")

    def answer(self, asked: Asked) -> Body | None:
        if not asked.path.startswith("/v1/batches"):
            return None
        parts = [part for part in asked.path.removeprefix("/v1/batches").split("/") if part]
        if not parts:
            return self._create(asked.request) if asked.command == "POST" else self._list(asked)
        batch = self._shelf.find(parts[0])
        if batch is None:
            raise Rejected(f"No batch found with id '{parts[0]}'.", status=404)
        if parts[1:] == ["cancel"]:
            self._cancel(batch)
        return dict(batch.told)

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("endpoint") not in URLS:
            raise Rejected(f"Invalid value: {request.get('endpoint')!r}.", code="invalid_value")
        if request.get("completion_window") != "24h":
            raise Rejected("Invalid value for 'completion_window': only '24h' is supported.", code="invalid_value")
        source = self._files.find(str(request.get("input_file_id")))
        if source["purpose"] != "batch":
            raise Rejected(f"Invalid purpose of {source['id']}: expected 'batch'.")
        batch = self._shelf.make(lambda batch_id: _told(batch_id, request))
        told = dict(batch.told)
        self._begin(lambda: self._run(batch))
        return told

    def _list(self, asked: Asked) -> dict[str, Any]:
        page = self._shelf.page(after=asked.query.get("after"), limit=int(asked.query.get("limit", "20")))
        return {"object": "list", **page}

    def _cancel(self, batch: HeldBatch) -> None:
        if batch.told["status"] not in ("validating", "in_progress", "cancelling"):
            raise Rejected(f"Cannot cancel a batch with status '{batch.told['status']}'.", status=409)
        _enter(batch, "cancelling")
        batch.cancelled.set()

    # -- running

    def _run(self, batch: HeldBatch) -> None:
        told, source = batch.told, self._files.path(batch.told["input_file_id"])
        errors, total = _validated(source, told["endpoint"])
        if errors:
            told["errors"] = {"object": "list", "data": errors}
            _enter(batch, "failed")
            return
        told["request_counts"]["total"] = total
        if not batch.cancelled.is_set():
            _enter(batch, "in_progress")
        if not self._gate.passed(batch.cancelled):
            return
        ending = self._run_lines(batch, source)
        _enter(batch, "finalizing")
        self._keep_files(batch)
        _enter(batch, ending)

    def _run_lines(self, batch: HeldBatch, source: Path) -> str:
        """Run the lines, pages in their order and shuffled within; return how the batch ends."""
        told, expired = batch.told, False
        shuffle = random.Random(told["id"]).shuffle
        with self._out(told, "output").open("w") as output, self._out(told, "error").open("w") as errors:
            for page in _pages(source):
                if batch.cancelled.is_set():
                    results = [Result(line["custom_id"], 0, {}) for line in page]
                else:
                    asked = [(line["custom_id"], line["body"]) for line in page]
                    results = self._runner.run(told["id"], told["endpoint"], asked)
                    expired |= any(one.status == 0 for one in results)
                shuffle(results)
                for one in results:
                    good = one.status == 200
                    never = "cancelled" if batch.cancelled.is_set() else "expired"
                    (output if good else errors).write(f"{json.dumps(_line(told['id'], one, never))}\n")
                    if one.status:
                        told["request_counts"]["completed" if good else "failed"] += 1
        return "cancelled" if batch.cancelled.is_set() else "expired" if expired else "completed"

    def _keep_files(self, batch: HeldBatch) -> None:
        """Offer the two files, those that have a line."""
        for kind in ("output", "error"):
            path = self._out(batch.told, kind)
            if path.stat().st_size:
                name = f"{batch.told['id']}_{kind}.jsonl"
                batch.told[f"{kind}_file_id"] = self._files.add(path, filename=name, purpose="batch_output")

    def _out(self, told: dict[str, Any], kind: str) -> Path:
        return self._files.folder / f"{told['id']}.{kind}"


def _enter(batch: HeldBatch, status: str) -> None:
    batch.told[f"{status}_at"] = int(time.time())
    batch.told["status"] = status


def _told(batch_id: str, request: dict[str, Any]) -> dict[str, Any]:
    now = int(time.time())
    moments = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
    return {
        "id": batch_id, "object": "batch", "endpoint": request["endpoint"], "errors": None,
        "input_file_id": request["input_file_id"], "completion_window": "24h", "status": "validating",
        "output_file_id": None, "error_file_id": None, "created_at": now, "expires_at": now + 86_400,
        **{f"{moment}_at": None for moment in moments},
        "request_counts": {"total": 0, "completed": 0, "failed": 0}, "metadata": request.get("metadata"),
    }  # fmt: skip


def _pages(source: Path) -> Iterator[list[dict[str, Any]]]:
    with source.open(encoding="utf-8") as lines:
        while page := [json.loads(line) for line in islice(lines, PAGE)]:
            yield page


def _validated(source: Path, endpoint: str) -> tuple[list[dict[str, Any]], int]:
    """Return the faults of an input file, and how many lines it has."""
    errors: list[dict[str, Any]] = []
    seen: set[str] = set()
    models: set[str] = set()
    number = inputs = 0
    with source.open(encoding="utf-8") as lines:
        for number, text in enumerate(lines, 1):
            fault, line = _fault(text, endpoint, seen, models)
            if fault is not None and len(errors) < _MOST_ERRORS:
                errors.append({"code": fault[0], "message": fault[1], "param": None, "line": number})
            given = line.get("body", {}).get("input") if endpoint == EMBEDDINGS and fault is None else None
            inputs += len(given) if isinstance(given, list) else 1
    whole = None
    if number == 0:
        whole = ("empty_file", "The input file is empty.")
    elif number > _MOST_LINES or (endpoint == EMBEDDINGS and inputs > _MOST_LINES):
        whole = ("too_many_tasks", f"The batch has more than the {_MOST_LINES} requests allowed.")
    if whole is not None:
        errors.insert(0, {"code": whole[0], "message": whole[1], "param": None, "line": None})
    return errors, number


def _fault(
    text: str, endpoint: str, seen: set[str], models: set[str]
) -> tuple[tuple[str, str] | None, dict[str, Any]]:  # fmt: skip
    try:
        line = json.loads(text)
    except ValueError:
        return ("invalid_json_line", "This line is not parseable as valid JSON."), {}
    custom_id, body = line.get("custom_id"), line.get("body")
    if not isinstance(custom_id, str) or not custom_id:
        return ("missing_required_parameter", "Missing required parameter: 'custom_id'."), line
    if custom_id in seen:
        return ("duplicate_custom_id", f"The custom_id '{custom_id}' appears more than once."), line
    seen.add(custom_id)
    if line.get("method") != "POST":
        return ("invalid_method", "The method must be 'POST'."), line
    if line.get("url") != endpoint:
        return ("mismatched_url", f"The URL provided for this request does not match the batch's {endpoint}."), line
    if not isinstance(body, dict) or not body.get("model"):
        return ("missing_required_parameter", "Missing required parameter: 'body.model'."), line
    models.add(str(body["model"]))
    if len(models) > 1:
        return ("mismatched_model", "The input file must be of requests to a single model."), line
    return None, line


def _line(batch_id: str, result: Result, never_run: str) -> dict[str, Any]:
    name = f"batch_req_{batch_id}_{result.custom_id}"
    if result.status == 0:
        code, message = _NEVER_RUN[never_run]
        error = {"code": code, "message": message}
        return {"id": name, "custom_id": result.custom_id, "response": None, "error": error}
    response = {"status_code": result.status, "request_id": f"req_{result.custom_id}", "body": result.body}
    return {"id": name, "custom_id": result.custom_id, "response": response, "error": None}
