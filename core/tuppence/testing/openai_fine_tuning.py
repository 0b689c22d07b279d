"""OpenAI's fine-tuning jobs: files are looked through as documented, and every look at a job takes it a step further.

No model is trained: a job ends with the name of one, which answers as any scripted model does.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuppence.testing.generation import Rejected
from tuppence.testing.openai_files import FilesApi, listed
from tuppence.testing.script import tokens_of

if TYPE_CHECKING:
    from tuppence.testing.batches import Asked, Body

_PATH = "/v1/fine_tuning/jobs"
_STEPS = {"validating_files": "queued", "queued": "running", "running": "succeeded"}
_TRAINABLE = ("gpt-", "ft:gpt-")
_LEAST = 10
_EPOCHS = 3
_SECONDS = 60


class FineTuningApi:
    """`/v1/fine_tuning/jobs`."""

    def __init__(self, files: FilesApi) -> None:
        self._files = files
        self._jobs: dict[str, dict[str, Any]] = {}
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def answer(self, asked: Asked) -> Body | None:
        if not asked.path.startswith(_PATH):
            return None
        parts = [part for part in asked.path.removeprefix(_PATH).split("/") if part]
        with self._lock:
            if not parts:
                return self._create(asked.request) if asked.command == "POST" else self._list(asked)
            job = self._jobs.get(parts[0])
            if job is None:
                raise Rejected(f"Could not find fine tune: {parts[0]}", status=404, code="fine_tune_not_found")
            if parts[1:] == ["events"]:
                return _page(self._events[job["id"]], asked)
            if parts[1:] == ["cancel"]:
                self._end(job, "cancelled")
            elif asked.command == "GET":
                self._go_on(job)
            return dict(job)

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        if not request["model"].startswith(_TRAINABLE):
            raise Rejected(
                f"Model {request['model']} is not available for fine-tuning or does not exist.",
                code="model_not_available",
            )
        files = [request["training_file"], *filter(None, [request.get("validation_file")])]
        if any(self._files.find(one)["purpose"] != "fine-tune" for one in files):
            raise Rejected("The file's purpose must be 'fine-tune'.", code="invalid_file_purpose")
        name = f"ftjob-{len(self._jobs) + 1:06d}"
        epochs = _asked_epochs(request)
        job = {
            "id": name, "object": "fine_tuning.job", "created_at": int(time.time()), "model": request["model"],
            "status": "validating_files", "training_file": files[0], "validation_file": request.get("validation_file"),
            "metadata": request.get("metadata"), "seed": request.get("seed") or 0, "suffix": request.get("suffix"),
            "organization_id": "org-scripted", "result_files": [], "error": None, "fine_tuned_model": None,
            "finished_at": None, "trained_tokens": None, "hyperparameters": {"n_epochs": epochs},
        }  # fmt: skip
        self._jobs[name], self._events[name] = job, []
        self._tell(job, f"Created fine-tuning job: {name}")
        return dict(job)

    def _list(self, asked: Asked) -> dict[str, Any]:
        wanted = {
            name.removeprefix("metadata[").removesuffix("]"): value
            for name, value in asked.query.items()
            if name.startswith("metadata[")
        }
        jobs = [one for one in self._jobs.values() if wanted.items() <= (one["metadata"] or {}).items()]
        return _page(jobs, asked)

    def _go_on(self, job: dict[str, Any]) -> None:
        """Take a job to its next state; what is wrong with its files is found while they are validated."""
        following = _STEPS.get(job["status"])
        if following is None:
            return
        fault = self._fault(job) if job["status"] == "validating_files" else None
        if fault is not None:
            job["error"] = {"code": "invalid_training_file", "param": "training_file", "message": fault}
            self._end(job, "failed")
        elif following == "succeeded":
            self._succeed(job)
        else:
            job["status"] = following
            self._tell(job, f"Fine-tuning job is {following}")

    def _succeed(self, job: dict[str, Any]) -> None:
        lines = _lines(self._files.path(job["training_file"]))
        steps = len(lines) * int(job["hyperparameters"]["n_epochs"])
        for step in (1, steps):
            metrics = {"step": step, "total_steps": steps, "train_loss": 2.0 / step}
            self._tell(job, f"Step {step}/{steps}: training loss={2.0 / step:.2f}", metrics)
        job["trained_tokens"] = sum(len(tokens_of(line)) for line in lines) * int(job["hyperparameters"]["n_epochs"])
        job["fine_tuned_model"] = f"ft:{job['model']}:scripted:{job['suffix'] or ''}:{job['id'][-6:]}"
        self._end(job, "succeeded")

    def _end(self, job: dict[str, Any], status: str) -> None:
        job["status"], job["finished_at"] = status, job["created_at"] + _SECONDS
        self._tell(job, f"The job has {status}")

    def _tell(self, job: dict[str, Any], message: str, metrics: dict[str, Any] | None = None) -> None:
        events = self._events[job["id"]]
        events.append(
            {
                "id": f"ftevent-{len(events) + 1:06d}", "object": "fine_tuning.job.event", "level": "info",
                "created_at": job["created_at"], "message": message, "data": metrics,
                "type": "message" if metrics is None else "metrics",
            }
        )  # fmt: skip

    def _fault(self, job: dict[str, Any]) -> str | None:
        lines = _lines(self._files.path(job["training_file"]))
        if len(lines) < _LEAST:
            return f"Training file has {len(lines)} example(s), but must have at least {_LEAST} examples"
        for number, line in enumerate(lines, 1):
            try:
                messages = json.loads(line)["messages"]
            except (ValueError, KeyError, TypeError):
                return f"Invalid file format. Line {number} is not an object with messages."
            if not any(message.get("role") == "assistant" for message in messages):
                return f"Line {number}: at least one message must be from the assistant."
        return None


def _asked_epochs(request: dict[str, Any]) -> int:
    method = request.get("method") or {}
    given = (method.get("supervised") or {}).get("hyperparameters") or request.get("hyperparameters") or {}
    epochs = given.get("n_epochs", "auto")
    return _EPOCHS if epochs == "auto" else int(epochs)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def _page(items: list[dict[str, Any]], asked: Asked) -> dict[str, Any]:
    """Return a page of a list, the newest first."""
    return listed(items[::-1], after=asked.query.get("after"), limit=int(asked.query.get("limit", "20")))
