"""Where a ledger is: a file on this machine, or the address of a PostgreSQL database.

An address may hold a password, which must never reach a message.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from tuppence.errors import LedgerError

if TYPE_CHECKING:
    from sqlalchemy import URL

_SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")


def is_address(place: object) -> bool:
    """Say whether this is the address of a database, and not the name of a file."""
    return isinstance(place, str) and place.startswith(_SCHEMES)


def file_of(place: str | Path) -> Path | None:
    """Return the ledger's file, None where it is an address; raise `LedgerError` for an address of something else."""
    if is_address(place):
        return None
    if isinstance(place, str) and "://" in place:
        # As a file's name it would put a password into a folder. Only the scheme: what follows may hold one.
        raise LedgerError(
            f"an address that begins with {place.partition('://')[0]}:// is no place for a ledger: give a file's name, "
            f"or an address that begins with one of {', '.join(_SCHEMES)}"
        )
    return Path(place).expanduser().absolute()


def address(text: str) -> URL:
    """Read the address of a PostgreSQL database, to be opened by psycopg; raise `LedgerError` where it is none, or
    where psycopg is missing.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    form = "postgresql://user:password@host:5432/database"
    if not is_address(text):
        raise LedgerError(f"a ledger's address begins with one of {', '.join(_SCHEMES)}: give {form}")
    try:
        url = make_url(text)
        if "@" in (url.host or ""):
            # The end of a password, taken for a host's beginning.
            raise ValueError
    except (ArgumentError, ValueError):
        # Without the cause, which may quote the password.
        raise LedgerError(
            f"an address that begins with {text.partition('://')[0]}:// cannot be read: give {form}, with %40 for an @ "
            "in the password"
        ) from None
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise LedgerError(f"{shown(url)} needs psycopg ({error}): pip install 'tuppence[postgres]'") from error
    return url.set(drivername="postgresql+psycopg")


def shown(url: URL) -> str:
    """Spell an address for messages: who, where, which database and schema, and nothing else of it."""
    who = f"{url.username}@" if url.username else ""
    where = f"{url.host or ''}{f':{url.port}' if url.port else ''}"
    return f"postgresql://{who}{where}/{url.database or ''}"


def shown_place(place: str | Path) -> str:
    """Spell a place for messages."""
    return shown(address(str(place))) if is_address(place) else str(place)


def must_exist(place: str | Path) -> None:
    """Raise `LedgerError` where a file is not there: what works on a ledger makes none."""
    path = file_of(place)
    if path is not None and not path.is_file():
        raise LedgerError(f"there is no ledger at {path}: give the path of one, or make a call with the ledger on")


def file_here(place: str | Path) -> Path:
    """Return the file on this machine that stands for a ledger: itself, or one that is named for its address.

    What is kept beside a ledger lies beside this file, which need not be there.
    """
    path = file_of(place)
    return path if path is not None else named_for(address(str(place)))


def named_for(url: URL) -> Path:
    """Return the file that stands for a database."""
    return platformdirs.user_data_path("tuppence", appauthor=False) / f"ledger-{_digest(url)}.postgres"


def _digest(url: URL) -> str:
    """Name an address in a few letters, the same whatever its password."""
    named: tuple[Any, ...] = (url.username, url.host, url.port, url.database, url.query.get("options"))
    return hashlib.blake2b(repr(named).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
