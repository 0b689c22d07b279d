"""What a configuration file may say of shortening what is sent."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tuppence.config.shapes import Nothing, OneOf, Strict
from tuppence.config.values import Count, Natural, Reference


class ClearingSettings(Strict):
    """Old results of tools."""

    keep_turns: Count | None = None


class WindowSettings(Strict):
    """Which turns stay."""

    keep_turns: Count | None = None
    relevant_turns: Natural | None = None
    neighbours: Natural | None = None
    summariser: str | None = None
    """A tier that sums up what is left out."""


class HistorySettings(Strict):
    """What may be done to a history."""

    clearing: ClearingSettings | None = Field(default_factory=ClearingSettings)
    window: WindowSettings | None = None


class ShapeSettings(OneOf):
    """One way to shorten what is sent."""

    what: ClassVar[str] = "shaper"
    alternatives: ClassVar[str] = ": make each an item of the list"

    history: HistorySettings | None = None
    tidy: Nothing | None = None
    custom: Reference | None = None
