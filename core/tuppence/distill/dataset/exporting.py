"""A data set on disk: one file a side, and beside them a sidecar that says where every row came from.

Files appear whole or not at all, and their names are always the same: a folder holds one data set in one form.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tuppence.distill.dataset.dataset import Dataset
from tuppence.distill.dataset.duplicates import BANDS, PERMUTATIONS, SAME, TOGETHER
from tuppence.distill.dataset.forms import LINES, Form
from tuppence.distill.dataset.row import Json, as_line
from tuppence.distill.dataset.splitting import NAMES, SplitName
from tuppence.distill.errors import DistillError
from tuppence.distill.trainers import TrainingData

SIDECAR = "provenance.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    folder: Path
    files: Mapping[SplitName, Path]
    """Of the sides that have rows."""
    lines: Mapping[SplitName, int]
    data_hash: str
    """Of all files; the same rows in the same form have the same."""

    @property
    def provenance(self) -> Path:
        return self.folder / SIDECAR

    @property
    def training(self) -> TrainingData:
        """What a trainer takes; raises `DistillError` where there is nothing to train on."""
        if "train" not in self.files:
            raise DistillError(f"{self.folder} has no rows to train on: record more traffic, or filter less")
        return TrainingData(self.files["train"], self.files.get("validation"), self.data_hash)


def export(data: Dataset, folder: str | os.PathLike[str], *, form: Form = "openai") -> Exported:
    """Write a data set; raises `DistillError` where the folder cannot be written."""
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        written = {side: _write(data, place / f"{side}.jsonl", side, form) for side in NAMES}
    except OSError as error:
        raise DistillError(f"{place} cannot be written ({error.strerror or error}): name a writable folder") from error
    kept = {side: told for side, told in written.items() if told[0]}
    data_hash = hashlib.sha256("\n".join(f"{side}:{told[1]}" for side, told in kept.items()).encode()).hexdigest()
    made = Exported(
        place, {side: place / f"{side}.jsonl" for side in kept}, {s: t[0] for s, t in kept.items()}, data_hash
    )
    told = json.dumps(_provenance(data, form, made, {s: t[1] for s, t in kept.items()}), indent=2, ensure_ascii=False)
    _replace(made.provenance, f"{told}\n".encode("utf-8", "backslashreplace"))
    return made


def exported(folder: str | os.PathLike[str]) -> Exported:
    """Read what `export` wrote; raises `DistillError` where there is none, or a file is not what it was."""
    place = Path(folder)
    try:
        told = json.loads((place / SIDECAR).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DistillError(f"{place} holds no data set ({error}): make one with `tuppence distill dataset`") from error
    for side, one in told["files"].items():
        if not (place / one["name"]).is_file() or _sha256(place / one["name"]) != one["sha256"]:
            raise DistillError(f"{place / one['name']} is not what {SIDECAR} says: export the data set ({side}) again")
    files = {side: place / one["name"] for side, one in told["files"].items()}
    return Exported(place, files, {side: one["lines"] for side, one in told["files"].items()}, told["data_hash"])


def _write(data: Dataset, file: Path, side: SplitName, form: Form) -> tuple[int, str]:
    """Write one side and return how many lines it has, and their hash; a side without lines has no file."""
    half, lines, seen = file.with_suffix(".part"), 0, hashlib.sha256()
    with half.open("wb") as out:
        for row in data.rows(side):
            for told in LINES[form](row):
                line = as_line(told) + b"\n"
                out.write(line)
                seen.update(line)
                lines += 1
    if lines:
        half.replace(file)
    else:
        half.unlink()
        file.unlink(missing_ok=True)
    return lines, seen.hexdigest()


def _replace(file: Path, content: bytes) -> None:
    half = file.with_suffix(".part")
    half.write_bytes(content)
    half.replace(file)


def _provenance(data: Dataset, form: Form, made: Exported, hashes: Mapping[SplitName, str]) -> Json:
    template, told = data.template, data.made
    return {
        "tuppence.dataset": VERSION, "tuppence": _installed("tuppence"), "site": data.name, "form": form,
        "data_hash": made.data_hash,
        "files": {
            side: {"name": file.name, "lines": made.lines[side], "sha256": hashes[side]}
            for side, file in made.files.items()
        },
        "sources": [{"name": one.name, "sha256": one.sha256} for one in told.sources],
        "teacher": {"tier": told.teacher, "model": data.traffic.model}, "filters": told.filters.as_json(),
        "redaction": told.redaction, "calls": data.traffic.calls, "dropped": dict(data.dropped),
        "template": {
            "hash": template.name, "question": template.question.text, "changes": template.changes,
            "versions": [
                {"hash": one.name, "first_at": one.first_at, "last_at": one.last_at, "calls": one.calls}
                for one in template.versions
            ],
        },
        "split": told.shares.as_json(),
        "duplicates": {
            "by": f"rensa {_installed('rensa')}, MinHash of pieces of 5 letters", "permutations": PERMUTATIONS,
            "bands": BANDS, "one_cluster_from": TOGETHER, "left_out_from": SAME,
        },
    }  # fmt: skip


def _installed(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
