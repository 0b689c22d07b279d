"""Put the page where it is looked at: whole or not at all, once or again and again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from tuppence.errors import LedgerError, TuppenceError
from tuppence.spend.page.document import page
from tuppence.spend.page.facts import read_facts
from tuppence.spend.page.sections import Added, Facts


def write_page(
    place: str | Path,
    path: str | Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    where: Mapping[str, str] | None = None,
    added: Added | None = None,
) -> None:
    """Write the page of a ledger, a file or an address, into the file `path`.

    It is about the attempts that started in [since, until) and carry all tags of `where`. Raises `LedgerError` where
    the ledger cannot be read and `TuppenceError` where the file cannot be written.
    """
    replace_page(path, read_facts(place, since=since, until=until, where=where), added)


def watch_page(
    path: str | Path,
    read: Callable[[], tuple[Facts, Added]],
    *,
    every_s: int,
    tell: Callable[[str], None],
) -> None:
    """Write the page anew every so many seconds until Ctrl-C, then once more, as one that does not load itself anew.

    A ledger that is away for a while is told of and tried again; at the start it raises.
    """
    facts, added = read()
    try:
        while True:
            replace_page(path, facts, added, reload_s=every_s)
            # By the second: a Ctrl-C in the moment before a pause is only seen after it.
            for _ in range(every_s):
                time.sleep(1)
            try:
                facts, added = read()
            except LedgerError as error:
                tell(f"{error}; trying again in {every_s} s")
    except KeyboardInterrupt:
        replace_page(path, facts, added)


def replace_page(path: str | Path, facts: Facts, added: Added | None = None, *, reload_s: int | None = None) -> None:
    """Write the file so that whoever opens it finds the old page or the new one, never a part."""
    path, text = Path(path), page(facts, added, reload_s=reload_s)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise TuppenceError(f"{path} cannot be written ({error.strerror}): name a file in a writable folder") from error
