"""Put checks together: `a & b` is as good as the worse of the two, `a | b` as the better. Never decides what is enough:
that is the policy's threshold.

A composite is a plan only where a part is one, so that checks which ask nobody stay a plain function call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuppence.attempts import Verdict
from tuppence.effects import Check, Plan
from tuppence.errors import ConfigError
from tuppence.request import Reply, Request


class Composable:
    """Gives a check `&` and `|`; a plain function on either side will do."""

    __slots__ = ()

    @property
    def names(self) -> frozenset[str]:
        """The tiers that this check asks: a policy can say at once that one does not exist."""
        return frozenset()

    def __and__(self: Check, other: Check) -> And:
        return And(self, other)

    def __rand__(self: Check, other: Check) -> And:
        return And(other, self)

    def __or__(self: Check, other: Check) -> Or:
        return Or(self, other)

    def __ror__(self: Check, other: Check) -> Or:
        return Or(other, self)


@dataclass(frozen=True, slots=True)
class And(Composable):
    """The lower score of two checks; the second is skipped where the first gives 0."""

    first: Check
    second: Check

    def __call__(self, request: Request, reply: Reply) -> Verdict | Plan[Verdict]:
        verdict = self.first(request, reply)
        if not isinstance(verdict, Verdict):
            return _then(verdict, self._continue, request, reply)
        return self._continue(verdict, request, reply)

    def _continue(self, verdict: Verdict, request: Request, reply: Reply) -> Verdict | Plan[Verdict]:
        if verdict.score <= 0.0:
            return verdict
        other = self.second(request, reply)
        return _lower(verdict, other) if isinstance(other, Verdict) else _with(verdict, other, _lower)

    @property
    def names(self) -> frozenset[str]:
        return _names_of(self.first) | _names_of(self.second)

    def opens(self, request: Request, text: str) -> bool:
        """Open once both parts would."""
        return _opens(self.first, request, text) and _opens(self.second, request, text)


@dataclass(frozen=True, slots=True)
class Or(Composable):
    """The higher score of two checks; the second is skipped where the first gives 1."""

    first: Check
    second: Check

    def __call__(self, request: Request, reply: Reply) -> Verdict | Plan[Verdict]:
        verdict = self.first(request, reply)
        if not isinstance(verdict, Verdict):
            return _then(verdict, self._continue, request, reply)
        return self._continue(verdict, request, reply)

    def _continue(self, verdict: Verdict, request: Request, reply: Reply) -> Verdict | Plan[Verdict]:
        if verdict.score >= 1.0:
            return verdict
        other = self.second(request, reply)
        return _higher(verdict, other) if isinstance(other, Verdict) else _with(verdict, other, _higher)

    @property
    def names(self) -> frozenset[str]:
        return _names_of(self.first) | _names_of(self.second)

    def opens(self, request: Request, text: str) -> bool:
        """Open once either part would."""
        return _opens(self.first, request, text) or _opens(self.second, request, text)


def tier_name(tier: object, *, asked_by: str) -> str:
    """Return the name of a tier that a check asks; raise `ConfigError` for anything but a name."""
    if not isinstance(tier, str) or not tier:
        raise ConfigError(
            f"{asked_by} got {tier!r} ({type(tier).__name__}): give a tier's name, {asked_by}('judge'), and the model "
            "itself to the policy, as one of its tiers or judges"
        )
    return tier


def _names_of(check: Check) -> frozenset[str]:
    found: frozenset[str] = getattr(check, "names", frozenset())
    return found


def _lower(first: Verdict, second: Verdict) -> Verdict:
    return second if second.score <= first.score else first


def _higher(first: Verdict, second: Verdict) -> Verdict:
    return second if second.score > first.score else first


def _then(
    first: Plan[Verdict],
    follow: Callable[[Verdict, Request, Reply], Verdict | Plan[Verdict]],
    request: Request,
    reply: Reply,
) -> Plan[Verdict]:
    verdict = yield from first
    following = follow(verdict, request, reply)
    return following if isinstance(following, Verdict) else (yield from following)


def _with(verdict: Verdict, second: Plan[Verdict], pick: Callable[[Verdict, Verdict], Verdict]) -> Plan[Verdict]:
    return pick(verdict, (yield from second))


def _opens(check: Check, request: Request, text: str) -> bool:
    opens = getattr(check, "opens", None)
    return opens is not None and bool(opens(request, text))
