"""What a configuration file may say of a certificate, and what comes of it: the check and the threshold that were
certified. Whether the policy still runs inside the certificate is `evidence.certificate`'s to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tuppence.config.shapes import Strict
from tuppence.config.source import Fault, Loc
from tuppence.errors import ConfigError

_AT: Loc = ("certificate",)
_SET = ("check", "threshold")
"""What a certificate always says itself."""

# As in `evidence.certificate.using`, which a file without a certificate does not load.
Outside = Literal["note", "strongest"]


class CertificateSettings(Strict):
    """Which certificate the policy runs under, and what it does outside."""

    path: Annotated[str, Field(min_length=1)]
    outside: Outside = "note"

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


def certified_parts(settings: CertificateSettings, folder: Path) -> dict[str, Any]:
    """Return the certified check and threshold; a path is relative to the file's folder. Raises `ConfigError`."""
    # Late: a file without a certificate does not load what reads one.
    from tuppence.evidence.certificate.using import certified

    return certified(folder / Path(settings.path).expanduser(), outside=settings.outside)


def certificate_faults(settings: CertificateSettings | None, said: Collection[str], folder: Path) -> Iterator[Fault]:
    """Find what a certificate cannot stand beside, and one that cannot be read; `said` are the file's own keys."""
    if settings is None:
        return
    sets: Collection[str] = _SET
    try:
        sets = certified_parts(settings, folder)
    except ConfigError as error:
        yield Fault(_AT, str(error))
    for key in sets:
        if key in said:
            yield Fault((key,), f"{key} stands beside a certificate, which sets it: remove {key}, or the certificate")
