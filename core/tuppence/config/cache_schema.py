"""What a configuration file may say of a cache. Shapes and ranges only: `caching` says what it means."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from tuppence.assembly import semantic_place
from tuppence.config.shapes import Strict
from tuppence.config.values import NotNegative, Positive, Probability, Reference, Seconds, Share


def _semantic_word(value: Any) -> Any:
    """Read `semantic:` alone, and `semantic: true`, as all that is shipped."""
    if value is False:
        return None
    return {} if value is None or value is True else value


class SemanticSettings(Strict):
    """What a cache serves to questions that are like one it has."""

    threshold: Probability | None = None
    max_wrong_share: Share | None = None
    delta: Share | None = None
    audit_share: Share | None = None
    examples: bool | None = None
    verified_by: str | None = None
    embedder: Reference | None = None
    redact: Reference | None = None

    @model_validator(mode="after")
    def _one_way(self) -> SemanticSettings:
        said = self.model_fields_set
        if {"threshold", "max_wrong_share"} <= said:
            raise ValueError("threshold is fixed and max_wrong_share learns one from audits: keep one")
        idle = sorted(said & {"delta", "audit_share", "examples"})
        if idle and "max_wrong_share" not in said:
            raise ValueError(f"{' and '.join(idle)} needs audits, which only max_wrong_share asks for: add it")
        return self


class CacheSettings(Strict):
    """Where exact repeats are kept, and whether questions like them are served too."""

    store: Annotated[str, Field(min_length=1)] = "memory"
    ttl_s: Seconds | None = None
    max_entries: Positive | None = None
    max_bytes: Positive | None = None
    max_share_per_tenant: Share | None = None
    tool_turns: bool | None = None
    sampled: bool | None = None
    require_tenant: bool | None = None
    wait_s: NotNegative | None = None
    semantic: Annotated[SemanticSettings | None, BeforeValidator(_semantic_word)] = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return {"store": "memory" if value else "off"}
        if not isinstance(value, str):
            return value
        place = semantic_place(value)
        return {"store": value} if place is None else {"store": place, "semantic": True}

    @model_validator(mode="after")
    def _has_a_place(self) -> CacheSettings:
        if self.store == "off" and self.semantic is not None:
            raise ValueError("store is off, so there is nothing to be semantic: give it a place, or leave semantic out")
        bounded = self.max_entries is not None or self.max_bytes is not None
        if self.max_share_per_tenant is not None and "://" in self.store and not bounded:
            raise ValueError("max_share_per_tenant is a part of max_entries or max_bytes: in a Redis, add one")
        return self
