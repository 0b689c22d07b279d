"""The configured whole: which tiers and judges there are and how a call goes through them. Plain data; the order of
steps is in `flow`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from tuppence.cache import ExactCache
from tuppence.cache.prefix import PrefixPlanner
from tuppence.checks import And, default_check
from tuppence.effects import Check, Failed, Recorder, Route, Shaper
from tuppence.errors import ConfigError, RequestError
from tuppence.logical import RecentCalls
from tuppence.prices import PicoUSD
from tuppence.prune.output import OutputLimits
from tuppence.tiers import Tier, check_places

if TYPE_CHECKING:
    from tuppence.spend.budgets import Budgets

Mode = Literal["optimise", "observe", "off"]
OnExhausted = Literal["best_draft", "error"]

_PICO_PER_USD = 10**12


@dataclass(frozen=True, slots=True)
class Retries:
    """How often the same tier is asked again, and how much one logical call may amplify."""

    per_tier: int = 2
    """Retries of a passing failure (429, 5xx, timeout, lost connection) before the next tier is asked."""
    max_attempts: int = 8
    """Provider calls that one logical call may make in all, judges included."""
    validation: int = 0
    """How often the last tier is asked again when the check rejects its answer."""
    base_s: float = 0.5
    cap_s: float = 8.0
    """Back-off doubles from `base_s` up to here."""
    max_wait_s: float = 20.0
    """A provider that asks for a longer wait than this (Retry-After) is left for the next tier."""

    def __post_init__(self) -> None:
        for name in ("per_tier", "validation", "base_s", "cap_s", "max_wait_s"):
            if getattr(self, name) < 0:
                raise ConfigError(f"retries.{name} is {getattr(self, name)}: it must be 0 or more")
        if self.max_attempts < 1:
            raise ConfigError(f"retries.max_attempts is {self.max_attempts}: it must be at least 1")

    def wait_s(self, failure: Failed, *, retries: int, attempts: int, jitter: float) -> float | None:
        """Seconds to wait before asking the same tier again, or None to move on.

        Back-off is exponential with "equal jitter" (half fixed, half random; AWS Architecture Blog, "Exponential
        Backoff And Jitter", 2015); `jitter` in [0, 1) comes from the call, so that a replay waits the same.
        """
        if not failure.passing or failure.delivered or retries >= self.per_tier or attempts >= self.max_attempts:
            return None
        if failure.retry_after_s is not None:
            return failure.retry_after_s if failure.retry_after_s <= self.max_wait_s else None
        full = min(self.cap_s, self.base_s * 2**retries)
        return float(full / 2 + full / 2 * jitter)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a policy stands to the certificate that its check comes from."""

    certificate: str
    """Which certificate: its id."""
    outside: tuple[str, ...] = ()
    """Every way in which the policy runs outside it; empty where the promise holds."""
    falls_back: bool = False
    """The strongest tier answers every call instead."""

    @property
    def words(self) -> str:
        return "; ".join(self.outside)


class CertifiedCheck(Check, Protocol):
    """A check that a certificate is about. A check around it that only rejects more names it as `stricter_than`."""

    def bound_to(self, policy: Policy, /) -> CertifiedCheck:
        """Return the check as it serves `policy`."""
        ...

    def standing_in(self, policy: Policy, /) -> Standing:
        """Hold `policy`, of which this is the check, against the certificate."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that decides a call, fixed; make variants with `override`."""

    tiers: tuple[Tier, ...]
    """Cheapest first; the last is the strongest, the one that all fail over to and savings are measured against."""
    judges: tuple[Tier, ...] = ()
    """Tiers that only checks ask: judges and second opinions; never on the ladder."""
    route: Route | None = None
    guards: tuple[Route, ...] = ()
    """Routes that may only take tiers away and whose failure stops the call (private data, tenants)."""
    shape: tuple[Shaper, ...] = ()
    """Each shortens what the one before it left of the request; they run after the exact cache has been asked."""
    limits: OutputLimits | None = field(default=None, compare=False)
    """How long answers may be, as those before them were; None sets no limit."""
    check: Check | None = field(default_factory=default_check)
    threshold: float = 0.5
    """Score from which a checked reply is accepted."""
    cache: ExactCache | None = None
    prefix: PrefixPlanner | None = field(default=None, compare=False)
    """Plans how each call uses its provider's prefix cache; None leaves that to the callers."""
    record: Recorder | None = field(default=None, compare=False)
    """Keeps calls with their texts; None keeps nobody's."""
    retries: Retries = field(default_factory=Retries)
    max_usd_per_call: Decimal | None = None
    budgets: Budgets | None = field(default=None, compare=False)
    """What calls may cost together; None limits nothing."""
    baseline: str = ""
    """Name of the tier or judge that savings are measured against, such as what you used before; empty: the strongest
    tier."""
    on_exhausted: OnExhausted = "best_draft"
    """When no tier's answer passed, or the money ended: return the best draft so far, or raise."""
    mode: Mode = "optimise"
    version: str = ""
    """Your name for this policy and its prompts: a new one starts a new cache. Empty: a hash of the models."""
    surface: str = ""
    """Which integration's objects the replies are: entries of one are of no use to another."""
    recent: RecentCalls = field(default_factory=RecentCalls, compare=False)
    redundant: bool = field(init=False, compare=False)
    """Some tier stands in for another."""
    strongest: Tier = field(init=False, compare=False)
    compared_with: Tier = field(init=False, compare=False)
    """The baseline."""
    max_pico_per_call: PicoUSD | None = field(init=False, compare=False)
    scope: str = field(init=False, compare=False)
    """What of the policy can change an answer: part of every cache key."""
    standing: Standing | None = field(init=False, compare=False)
    """None where the check comes from no certificate."""

    def __post_init__(self) -> None:
        _validate(self)
        models = [t for t in self.tiers if t.answer is None]
        described = _described(self)
        digest = hashlib.blake2b(described.encode(), digest_size=6).hexdigest()
        limit = self.max_usd_per_call
        object.__setattr__(self, "version", self.version or digest)
        last = models[-1] if models else self.tiers[-1]
        object.__setattr__(self, "redundant", any(t.stands_in_for for t in self.tiers))
        object.__setattr__(self, "strongest", self.tier(last.place))
        object.__setattr__(self, "compared_with", self.tier(self.baseline) if self.baseline else self.strongest)
        object.__setattr__(self, "max_pico_per_call", None if limit is None else int(limit * _PICO_PER_USD))
        object.__setattr__(self, "scope", f"{self.version}/{digest}")
        object.__setattr__(self, "check", _bound(self.check, self))
        certified = _certified(self.check)
        object.__setattr__(self, "standing", None if certified is None else certified.standing_in(self))

    def tier(self, name: str) -> Tier:
        """Return the tier or judge called `name`; raise `RequestError` naming those there are."""
        return _found(name, (*self.tiers, *self.judges), self)

    def rung(self, name: str) -> Tier:
        """Return the tier of the ladder called `name`, which a judge never is; raise `RequestError` without one."""
        return _found(name, self.tiers, self)

    def override(self, **changes: Any) -> Policy:
        """Return a copy with `changes`; an unknown name raises `ConfigError`."""
        known = {name for name, f in self.__dataclass_fields__.items() if f.init}
        unknown = changes.keys() - known
        if unknown:
            raise ConfigError(f"a policy has no {sorted(unknown)}: it can be overridden in {sorted(known)}")
        return replace(self, **changes)


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def _described(policy: Policy) -> str:
    """Write down what of a policy decides answers, the same in every process."""
    tiers, judges = (
        [(t.name, t.provider, t.model, t.additions) for t in asked] for asked in (policy.tiers, policy.judges)
    )
    described = (policy.surface, tiers, judges, policy.check, policy.threshold, policy.shape, policy.limits is None)
    return _ADDRESS.sub("", repr(described))


def _bound(check: Check | None, policy: Policy) -> Check | None:
    """Tell a certified check which policy it serves."""
    if isinstance(check, And):
        first, second = _bound(check.first, policy), _bound(check.second, policy)
        return check if first is None or second is None else And(first, second)
    return cast(CertifiedCheck, check).bound_to(policy) if hasattr(check, "bound_to") else check


def _certified(check: Check | None) -> CertifiedCheck | None:
    """Find the certified check in one that only rejects more than that does."""
    if isinstance(check, And):
        return _certified(check.first) or _certified(check.second)
    if hasattr(check, "standing_in"):
        return cast(CertifiedCheck, check)
    inner: Check | None = getattr(check, "stricter_than", None)
    return None if inner is None else _certified(inner)


def _found(name: str, among: tuple[Tier, ...], policy: Policy) -> Tier:
    for tier in among:
        if tier.name == name:
            return tier
    raise RequestError(f"there is no tier {name!r}: {_those_there_are(policy)}")


def _those_there_are(policy: Policy) -> str:
    judges = f" and the judges, which only checks ask, {[t.name for t in policy.judges]}" if policy.judges else ""
    return f"the tiers are {[t.name for t in policy.tiers]}{judges}"


def _validate(policy: Policy) -> None:
    if not policy.tiers:
        raise ConfigError("the policy has no tiers: give at least one model")
    repeated = _repeated(t.name for t in (*policy.tiers, *policy.judges))
    if repeated:
        raise ConfigError(f"two tiers or judges are called {repeated!r}: give each its own name")
    if not 0.0 <= policy.threshold <= 1.0:
        raise ConfigError(f"threshold is {policy.threshold}: scores lie between 0 and 1")
    if getattr(policy.route, "guards", False):
        raise ConfigError("route holds a guard, and a route that breaks is gone round: put the guard into guards=(...)")
    for at, shaper in enumerate(policy.shape):
        if isinstance(shaper, type) or not callable(shaper):
            raise ConfigError(f"shape[{at}] is {shaper!r}: give a shaper, such as TidyPrompt()")
    _validate_names(policy)
    check_places(policy.tiers, _tiers_named(policy.route))
    limit = policy.max_usd_per_call
    if limit is not None and not (limit.is_finite() and limit > 0):
        raise ConfigError(f"max_usd_per_call is {limit}: it must be a positive amount of dollars, or None")
    if policy.mode not in ("optimise", "observe", "off"):
        raise ConfigError(f"mode is {policy.mode!r}: it is one of 'optimise', 'observe', 'off'")
    if policy.on_exhausted not in ("best_draft", "error"):
        raise ConfigError(f"on_exhausted is {policy.on_exhausted!r}: it is 'best_draft' or 'error'")


def _validate_names(policy: Policy) -> None:
    """Find names that stand for nothing. Judges are asked by checks and kept by guards; no route leads to one."""
    rungs = {t.name for t in policy.tiers}
    known = rungs | {t.name for t in policy.judges}
    if policy.baseline and policy.baseline not in known:
        raise ConfigError(
            f"baseline is {policy.baseline!r}, but {_those_there_are(policy)}: correct the name, or add the model that "
            "savings are measured against to judges, where nothing asks it"
        )
    unknown = _tiers_named(policy.route) - rungs
    if unknown:
        raise ConfigError(
            f"the route names {sorted(unknown)}, but {_those_there_are(policy)}: correct the name, or add the tier"
        )
    unknown = _tiers_named(*policy.guards, *policy.shape, policy.check, policy.cache) - known
    if unknown:
        raise ConfigError(
            f"a cache, guard, shaper or check names {sorted(unknown)}, but {_those_there_are(policy)}: correct the "
            "name, or add the model to judges"
        )


def _tiers_named(*parts: Route | Check | Shaper | ExactCache | None) -> frozenset[str]:
    return frozenset().union(*(getattr(part, "names", frozenset()) for part in parts))


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


_switched_off = os.environ.get("TUPPENCE_OFF", "").lower() in ("1", "true", "yes", "on")


def switch_off() -> None:
    """Turn every optimisation of this process off: all calls go to the strongest tier, and are still accounted.

    The environment variable `TUPPENCE_OFF=1` does the same from the start. Guards stay on.
    """
    global _switched_off
    _switched_off = True


def switch_on() -> None:
    """Undo `switch_off`."""
    global _switched_off
    _switched_off = False


def switched_off() -> bool:
    return _switched_off


def effective_mode(policy: Policy) -> Mode:
    return "off" if _switched_off else policy.mode
