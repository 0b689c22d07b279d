"""From a file to rows with their line numbers: JSON lines, a JSON list or a CSV table, zipped or not, told apart by
what is in the file. Holds one row in memory, never the file.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from tuppence.evidence.outcomes.rows import OutcomesError

log = logging.getLogger("tuppence.outcomes")

Row = Mapping[str, Any]

MARK = b'{"tuppence.'
"""How every line begins that is appended by many processes; inside a JSON text its quotation mark would be escaped."""

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 20
# One element of a JSON list; more is no row of anything, but a list that is not closed.
_LONGEST = 256 << 20
# The opening bracket counts as what stands between elements: it is skipped like a comma.
_BETWEEN = re.compile(r"[\s,\[]*")
# The csv module refuses cells above 128 KiB, and a prompt may be longer.
_LONGEST_CELL = 64 << 20


def rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield (line number, row); raise `OutcomesError` for a file that cannot be read, or a line that is none.

    A last line that is cut off is passed over with a warning, and so is what a process that was killed left in the
    middle of a file that others went on writing.
    """
    try:
        with opened(path) as file:
            start = file.peek(_CHUNK).lstrip()[:4]
            if start.startswith(b"{"):
                yield from _lines(path, file)
            elif start.startswith(b"["):
                with _text(file, None) as text:
                    yield from _listed(path, text)
            elif start == _PARQUET:
                raise OutcomesError(f"{path} is Parquet: write it as JSON lines or CSV first, for example with duckdb")
            elif start:
                with _text(file, "") as text:
                    yield from _cells(path, text)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OutcomesError(f"{path} is zipped and cut short ({error}): copy or write it again") from error
    except UnicodeDecodeError as error:
        raise OutcomesError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error
    except OSError as error:
        raise OutcomesError(f"{path} cannot be read ({error.strerror or error}): name an existing file") from error


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file for its bytes, unzipped where it is a gzip file, without a byte order mark."""
    with ExitStack() as files:
        file: Any = files.enter_context(path.open("rb", _CHUNK))
        if file.peek(2)[:2] == _GZIP:
            unzipped: Any = files.enter_context(gzip.GzipFile(fileobj=file))
            file = files.enter_context(io.BufferedReader(unzipped, _CHUNK))
        if file.peek(3)[:3] == _BOM:
            file.read(3)
        yield file


@contextmanager
def _text(file: io.BufferedReader, newline: str | None) -> Iterator[io.TextIOWrapper]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline=newline)
    try:
        yield text
    finally:
        # Else it would close the file, which is not its own.
        text.detach()


def _lines(path: Path, file: IO[bytes]) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(file, 1):
        if line.isspace():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            row = _rest(path, number, line, error)
            if row is None:
                continue
        if not isinstance(row, dict):
            raise OutcomesError(f"{path}:{number}: {line[:60]!r} is no JSON object: give one a line")
        yield number, row


def _rest(path: Path, number: int, line: bytes, error: Exception) -> Row | None:
    """Return the whole row behind a torn one; None for a last line that is torn. Raises for any other line."""
    start = line.find(MARK, 1)
    while start > 0:
        try:
            row: Row = json.loads(line[start:])
        except ValueError:
            start = line.find(MARK, start + 1)
        else:
            log.warning("%s:%d: passed over what a killed process had begun to write", path, number)
            return row
    if line.endswith(b"\n"):
        raise OutcomesError(
            f"{path}:{number}: {line[:60]!r} is no JSON ({error}): give one object a line, or a list"
        ) from error
    log.warning("%s:%d: passed over the last line, which is cut off", path, number)
    return None


def _listed(path: Path, text: IO[str]) -> Iterator[tuple[int, Row]]:
    decode = json.JSONDecoder().raw_decode
    buffer, line, at = text.read(_CHUNK), 1, 0
    while True:
        begin = _BETWEEN.match(buffer, at).end()  # type: ignore[union-attr]
        line += buffer.count("\n", at, begin)
        if buffer.startswith("]", begin):
            return
        try:
            row, at = decode(buffer, begin)
        except (ValueError, RecursionError) as error:
            rest = buffer[begin:]
            more = text.read(max(_CHUNK, len(rest))) if len(rest) < _LONGEST else ""
            if not more:
                raise OutcomesError(
                    f"{path}:{line}: {rest[:60]!r} is no element of a JSON list ({error}): mend the file there"
                ) from error
            buffer, at = rest + more, 0
            continue
        if not isinstance(row, dict):
            raise OutcomesError(f"{path}:{line}: {str(row)[:60]!r} is no JSON object: give a list of objects")
        yield line, row
        line += buffer.count("\n", begin, at)


def _cells(path: Path, text: IO[str]) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    table = csv.DictReader(text, strict=True)
    try:
        for row in table:
            yield table.line_num, row
    except csv.Error as error:
        raise OutcomesError(f"{path}:{table.line_num + 1}: no CSV ({error}): mend the row there") from error
