"""What a rule found, before it is told to anybody."""

from __future__ import annotations

from dataclasses import dataclass

from tuppence.spend.alerts.facts import Key


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is off."""

    rule: str
    scope: str
    """What the state knows it by."""
    about: str
    """What a person knows it by: a scope, or the user that stands out."""
    hours: int
    """How long it has been off, as far as the windows tell."""
    value: float
    usual: float
    """Both in the unit of the rule."""
    keys: tuple[Key, ...]
    """Whose money it is about."""
    surprise: float
    """Standard deviations; infinite where there is no noise in it."""

    @property
    def key(self) -> str:
        return f"{self.rule}/{self.scope}"
