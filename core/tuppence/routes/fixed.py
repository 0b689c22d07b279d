"""Routes that do not look at the request."""

from __future__ import annotations

from dataclasses import dataclass

from tuppence.effects import Choice
from tuppence.errors import ConfigError, RequestError
from tuppence.request import Request
from tuppence.routes.compose import Composable
from tuppence.routes.rungs import start_from
from tuppence.tiers import Tier


@dataclass(frozen=True, slots=True)
class StartAt(Composable):
    """The ladder from one tier upward; nothing to say where that tier is not offered."""

    name: str

    def __call__(self, _request: Request, ladder: tuple[Tier, ...]) -> Choice | None:
        return start_from(ladder, self.name, "fixed")

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.name})


@dataclass(frozen=True, slots=True)
class Only(Composable):
    """Some tiers and no others, so that nothing else is ever asked."""

    wanted: tuple[str, ...]

    def __call__(self, _request: Request, ladder: tuple[Tier, ...]) -> Choice:
        kept = tuple(tier for tier in ladder if tier.name in self.wanted)
        if not kept:
            raise RequestError(
                f"only {list(self.wanted)} may answer, and none of them is offered: the tiers here are "
                f"{[tier.name for tier in ladder]}; name one of these, or change the route before"
            )
        return Choice(kept, f"only {', '.join(tier.name for tier in kept)}")

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.wanted)

    @property
    def guards(self) -> bool:
        return True


def start_at(name: str) -> StartAt:
    """Start at the tier called `name`; a call may still climb from there."""
    return StartAt(name)


def only(*names: str) -> Only:
    """Let none but the named tiers answer: no escalation and no fail-over beyond them.

    Raises `RequestError` where none of them is offered. A guard: it cannot stand behind `|`.
    """
    if not names:
        raise ConfigError("only() names no tier, so that nobody could answer: name at least one, only('local')")
    return Only(names)
