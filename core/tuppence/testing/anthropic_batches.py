"""Anthropic's Message Batches: in progress, canceling, ended; results in one stream, in no order, of four kinds."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuppence.testing.batch_shelf import BatchShelf, HeldBatch
from tuppence.testing.batches_run import LineRunner, Result
from tuppence.testing.generation import Rejected

if TYPE_CHECKING:
    from tuppence.testing.batches import Asked, Body, Gate

_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MOST_LINES = 100_000
_PAGE = 500


class MessageBatches:
    """`/v1/messages/batches`."""

    def __init__(
        self, folder: Path, runner: LineRunner, gate: Gate, begin: Callable[[Callable[[], None]], None]
    ) -> None:
        self._folder = folder
        self._runner = runner
        self._gate = gate
        self._begin = begin
        self._shelf = BatchShelf("msgbatch")

    def answer(self, asked: Asked) -> Body | None:
        if not asked.path.startswith("/v1/messages/batches"):
            return None
        parts = [part for part in asked.path.removeprefix("/v1/messages/batches").split("/") if part]
        if not parts:
            return self._create(asked) if asked.command == "POST" else self._list(asked)
        batch = self._shelf.find(parts[0])
        if batch is None:
            raise Rejected(f"message_batch: {parts[0]} was not found", status=404)
        if parts[1:] == ["results"]:
            return self._results(batch)
        if parts[1:] == ["cancel"]:
            self._cancel(batch)
        return dict(batch.told)

    def _create(self, asked: Asked) -> dict[str, Any]:
        lines = asked.request.get("requests")
        _check(lines)
        assert isinstance(lines, list)
        batch = self._shelf.make(lambda batch_id: _told(batch_id, len(lines)))
        batch_id = batch.told["id"]
        with self._path(batch_id, "input").open("w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(line)}\n" for line in lines)
        told = dict(batch.told)
        results_url = f"{asked.base_url}/v1/messages/batches/{batch_id}/results"
        self._begin(lambda: self._run(batch, results_url))
        return told

    def _list(self, asked: Asked) -> dict[str, Any]:
        return self._shelf.page(after=asked.query.get("after_id"), limit=int(asked.query.get("limit", "20")))

    def _results(self, batch: HeldBatch) -> Path:
        if batch.told["processing_status"] != "ended":
            raise Rejected("The batch has not ended: its results are not available yet.")
        return self._path(batch.told["id"], "results")

    def _cancel(self, batch: HeldBatch) -> None:
        if batch.told["processing_status"] == "ended":
            raise Rejected("The batch has ended and cannot be canceled.")
        batch.told |= {"processing_status": "canceling", "cancel_initiated_at": _now()}
        batch.cancelled.set()

    # -- running

    def _run(self, batch: HeldBatch, results_url: str) -> None:
        if not self._gate.passed(batch.cancelled):
            return
        told = batch.told
        # As documented: lines count as processing until the whole batch has ended.
        counts = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
        shuffle = random.Random(told["id"]).shuffle
        source, target = self._path(told["id"], "input"), self._path(told["id"], "results")
        with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as results:
            while page := [json.loads(line) for line in islice(lines, _PAGE)]:
                told_lines = self._run_page(batch, page)
                shuffle(told_lines)
                for line in told_lines:
                    counts[line["result"]["type"]] += 1
                    results.write(f"{json.dumps(line)}\n")
        source.unlink()
        batch.told = {
            **told, "processing_status": "ended", "ended_at": _now(), "request_counts": counts,
            "results_url": results_url,
        }  # fmt: skip

    def _run_page(self, batch: HeldBatch, page: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if batch.cancelled.is_set():
            return [{"custom_id": line["custom_id"], "result": {"type": "canceled"}} for line in page]
        asked = [(line["custom_id"], line["params"]) for line in page]
        return [_line(one) for one in self._runner.run(batch.told["id"], "/v1/messages", asked)]

    def _path(self, batch_id: str, kind: str) -> Path:
        return self._folder / f"{batch_id}.{kind}"


def _check(lines: Any) -> None:
    """Refuse what the API refuses when a batch is made; what is in `params` is checked when a line is run."""
    if not isinstance(lines, list) or not lines:
        raise Rejected("requests: List should have at least 1 item after validation")
    if len(lines) > _MOST_LINES:
        raise Rejected(f"requests: List should have at most {_MOST_LINES} items after validation")
    seen = set()
    for index, line in enumerate(lines):
        custom_id = line.get("custom_id")
        if not isinstance(custom_id, str) or not _CUSTOM_ID.fullmatch(custom_id):
            raise Rejected(f"requests.{index}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
        if custom_id in seen:
            raise Rejected(f"requests.{index}.custom_id: must be unique, {custom_id} is not")
        seen.add(custom_id)
        if not isinstance(line.get("params"), dict):
            raise Rejected(f"requests.{index}.params: Field required")


def _told(batch_id: str, lines: int) -> dict[str, Any]:
    return {
        "id": batch_id, "type": "message_batch", "processing_status": "in_progress",
        "request_counts": {"processing": lines, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
        "ended_at": None, "created_at": _now(), "expires_at": _now(timedelta(hours=24)), "archived_at": None,
        "cancel_initiated_at": None, "results_url": None,
    }  # fmt: skip


def _now(later: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) + later).isoformat().replace("+00:00", "Z")


def _line(result: Result) -> dict[str, Any]:
    if result.status == 0:
        told: dict[str, Any] = {"type": "expired"}
    elif result.status == 200:
        told = {"type": "succeeded", "message": result.body}
    else:
        told = {"type": "errored", "error": result.body}
    return {"custom_id": result.custom_id, "result": told}
