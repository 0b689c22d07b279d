"""Files that take the rows which the database would not: one JSON line a row, complete or not there at all.

A spill file must never be deleted before its rows are in the ledger, and a file that another user of the
machine put into the temporary folder must never be believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tuppence.errors import LedgerError
from tuppence.spend.ledger.rows import Batch, Row


def _places(ledger: Path) -> Iterator[tuple[Path, str]]:
    """Yield the folders that may hold spill files of this ledger, and how their names begin."""
    yield ledger.parent, f"{ledger.name}.spill-"
    # The temporary folder is everybody's: the name says which ledger is meant.
    digest = hashlib.blake2b(os.fsencode(ledger.resolve()), digest_size=8).hexdigest()
    yield Path(tempfile.gettempdir()), f"tuppence-{digest}.spill-"


def spill(ledger: Path, batch: Batch) -> Path:
    """Write the rows next to the ledger, or else into the temporary folder; return the file."""
    lines = [_line(table, row) for table, rows in batch.rows.items() for row in rows]
    failures = []
    with suppress(OSError):
        ledger.parent.mkdir(parents=True, exist_ok=True)
    for folder, prefix in _places(ledger):
        path = folder / f"{prefix}{os.getpid()}-{os.urandom(6).hex()}.jsonl"
        try:
            _write_whole(path, lines)
        except OSError as error:
            failures.append(f"{path}: {error}")
        else:
            return path
    raise LedgerError(
        f"{len(lines)} rows of the ledger {ledger} could not even be put into a file ({'; '.join(failures)}) and "
        "end with this process: free disk space before the next run"
    )


def _line(table: str, row: Row) -> str:
    from tuppence.spend.ledger.repairs import repaired
    from tuppence.spend.ledger.tables import columns

    named = zip((column.name for column in columns(table)), repaired(table, row), strict=True)
    return json.dumps({"table": table, "row": dict(named)}) + "\n"


def _write_whole(path: Path, lines: list[str]) -> None:
    # Renamed when complete: a reader never finds half a file.
    part = path.with_suffix(".part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def found(ledger: Path) -> list[Path]:
    """Return the spill files of this ledger that belong to this user, oldest first."""
    files = []
    for folder, prefix in _places(ledger):
        try:
            files += [
                (entry.stat().st_mtime, Path(entry.path))
                for entry in os.scandir(folder)
                if entry.name.startswith(prefix)
                and entry.name.endswith(".jsonl")
                and entry.is_file(follow_symlinks=False)
                and (os.name == "nt" or entry.stat().st_uid == os.geteuid())
            ]
        except OSError:
            # A folder that cannot be listed holds nothing that could be read.
            continue
    return [path for _, path in sorted(files)]


def read(path: Path) -> Batch:
    """Read the rows of a spill file; raise `LedgerError` naming the line that is not one."""
    from tuppence.spend.ledger.repairs import repaired
    from tuppence.spend.ledger.tables import columns

    batch = Batch()
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = json.loads(line)
                    table = record["table"]
                    row = tuple(record["row"].get(column.name) for column in columns(table))
                    batch.rows[table].append(repaired(table, row))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise LedgerError(
                        f"{path}, line {number} is not a ledger row ({error!r}): mend or remove that line"
                    ) from error
    except (OSError, UnicodeError) as error:
        raise LedgerError(f"the spilled rows in {path} cannot be read ({error}): they stay there") from error
    return batch
