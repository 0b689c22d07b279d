"""Open the cache that a file describes: exact, or semantic behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from tuppence.assembly import audit_log, similar_store
from tuppence.cache import Calibration, ExactCache, SemanticCache
from tuppence.cache.replies import Redact
from tuppence.cache.stores.opening import MEMORY, Place, bounded_store, is_address
from tuppence.config.building import imported_at, made, stated
from tuppence.config.cache_schema import CacheSettings, SemanticSettings
from tuppence.config.source import Loc
from tuppence.embed import Embedder
from tuppence.embed.minilm import MiniLM

_AT: Loc = ("cache", "semantic")
_BOUNDS = frozenset({"max_entries", "max_bytes", "max_share_per_tenant"})
"""Settings of the store, not of the cache."""


def cache_of(settings: CacheSettings, folder: Path) -> ExactCache | None:
    """Open the cache; a path is relative to the file's folder. Raises `CacheError` where it cannot be opened."""
    if settings.store == "off":
        return None
    place: Place = settings.store
    if place != MEMORY and not is_address(place):
        place = folder / Path(settings.store).expanduser()
    options = {name: getattr(settings, name) for name in settings.model_fields_set - _BOUNDS - {"store", "semantic"}}
    # Parts before stores: what is misbuilt is said before a file is made.
    parts = None if settings.semantic is None else parts_of(settings.semantic)
    store = bounded_store(place, **stated(settings, *_BOUNDS))
    if settings.semantic is None or parts is None:
        return ExactCache(store, **options)
    similar = similar_store(place, **stated(settings, "max_entries", "max_bytes"))
    return SemanticCache(
        similar=similar, store=store, calibration=_calibration(settings.semantic, place), **parts, **options
    )


def parts_of(settings: SemanticSettings) -> dict[str, Any]:
    """Make what needs no store: embedder, redaction, threshold, verifier; raises `Misbuilt`."""
    parts = stated(settings, "threshold", "verified_by")
    if settings.redact is not None:
        parts["redact"] = cast(Redact, imported_at(settings.redact, (*_AT, "redact")))
    make = MiniLM if settings.embedder is None else imported_at(settings.embedder, (*_AT, "embedder"))
    embedder: Embedder = made((*_AT, "embedder") if settings.embedder else _AT, make)
    return {"embedder": embedder, **parts}


def tier_named(settings: CacheSettings | None) -> Iterator[tuple[Loc, str]]:
    """Find the tier that a cache asks, and where it is named."""
    if settings is not None and settings.semantic is not None and settings.semantic.verified_by is not None:
        yield (*_AT, "verified_by"), settings.semantic.verified_by


def _calibration(settings: SemanticSettings, place: Place) -> Calibration | None:
    if settings.max_wrong_share is None:
        return None
    log = audit_log(place, examples=bool(settings.examples))
    return Calibration(log=log, **stated(settings, "max_wrong_share", "delta", "audit_share"))
