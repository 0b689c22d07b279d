"""OpenAI's Files API as far as batches need it: upload, list, look at, read, delete; the bytes stay on disk."""

from __future__ import annotations

import mmap
import re
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuppence.testing.batch_shelf import page_of
from tuppence.testing.generation import Rejected

if TYPE_CHECKING:
    from tuppence.testing.batches import Asked, Body

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_NAMES = re.compile(rb'name="([^"]*)"(?:; filename="([^"]*)")?')
_MOST_BYTES = 200_000_000
"""Of a file for the Batch API."""


class FilesApi:
    """`/v1/files`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def answer(self, asked: Asked) -> Body | None:
        if not asked.path.startswith("/v1/files"):
            return None
        _, _, name = asked.path.removeprefix("/v1").partition("/files")
        parts = [part for part in name.split("/") if part]
        if not parts:
            return self._upload(asked) if asked.command == "POST" else self._list(asked)
        file = self.find(parts[0])
        if parts[1:] == ["content"]:
            return self.path(parts[0])
        if asked.command == "DELETE":
            with self._lock:
                del self._files[parts[0]]
            return {"id": parts[0], "object": "file", "deleted": True}
        return file

    def find(self, file_id: str) -> dict[str, Any]:
        """Return a file's object; raises `Rejected` where there is none."""
        with self._lock:
            if file_id not in self._files:
                raise Rejected(f"No such File object: {file_id}", status=404)
            return self._files[file_id]

    def path(self, file_id: str) -> Path:
        return self.folder / file_id

    def add(self, source: Path, *, filename: str, purpose: str) -> str:
        """Take a file in, and return its id."""
        with self._lock:
            file_id = f"file-{len(self._files) + 1:06d}"
            made = {
                "id": file_id, "object": "file", "bytes": source.stat().st_size, "created_at": int(time.time()),
                "filename": filename, "purpose": purpose, "status": "processed", "expires_at": None,
            }  # fmt: skip
            source.replace(self.path(file_id))
            self._files[file_id] = made
        return file_id

    def _upload(self, asked: Asked) -> dict[str, Any]:
        boundary = _BOUNDARY.search(asked.content_type)
        if asked.upload is None or boundary is None:
            raise Rejected("Missing required parameter: 'file'.", code="missing_required_parameter")
        fields, filename, data = _parts(asked.upload, boundary[1].encode())
        if filename is None:
            raise Rejected("Missing required parameter: 'file'.", code="missing_required_parameter")
        purpose = fields.get("purpose", "")
        if purpose == "batch" and data.stat().st_size > _MOST_BYTES:
            raise Rejected("The batch file is larger than the 200 MB maximum.", status=400)
        return self.find(self.add(data, filename=filename, purpose=purpose))

    def _list(self, asked: Asked) -> dict[str, Any]:
        with self._lock:
            files = list(self._files.values())
        wanted = [one for one in files if asked.query.get("purpose") in (None, one["purpose"])]
        if asked.query.get("order", "desc") == "desc":
            wanted.reverse()
        return listed(wanted, after=asked.query.get("after"), limit=int(asked.query.get("limit", "10000")))


def listed(items: Sequence[dict[str, Any]], *, after: str | None, limit: int) -> dict[str, Any]:
    """Return one page of files, as OpenAI tells of lists."""
    return {"object": "list", **page_of(items, after=after, limit=limit)}


def _parts(upload: Path, boundary: bytes) -> tuple[dict[str, str], str | None, Path]:
    """Split a multipart body into its fields, and the file in it, which goes to disk."""
    fields: dict[str, str] = {}
    filename, data = None, upload.with_name(f"{upload.name}.part")
    mark = b"--" + boundary
    with upload.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        start = body.find(mark)
        while start >= 0 and (end := body.find(b"\r\n" + mark, start)) >= 0:
            head = body.find(b"\r\n\r\n", start)
            names = _NAMES.search(body[start:head])
            if names is not None and names[2] is not None:
                filename = names[2].decode()
                _copy(file.name, data, head + 4, end)
            elif names is not None:
                fields[names[1].decode()] = body[head + 4 : end].decode()
            start = end + 2
    return fields, filename, data


def _copy(source: str, target: Path, start: int, end: int) -> None:
    with Path(source).open("rb") as read, target.open("wb") as write:
        read.seek(start)
        shutil.copyfileobj(read, write, 1 << 20)
        write.truncate(end - start)
