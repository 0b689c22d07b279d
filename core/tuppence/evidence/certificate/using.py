"""A certificate in use: the check and the threshold that were certified, given to a policy, and the policy held against
the certificate as soon as it is built, and again with whatever one call changes.

A policy that runs outside its certificate is never stopped: it says so, or lets the strongest tier answer.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from tuppence.attempts import Verdict
from tuppence.checks.compose import Composable
from tuppence.checks.learned import Learned, LearnedModel, learned
from tuppence.effects import Plan, Route
from tuppence.errors import ConfigError
from tuppence.evidence.certificate.file import Certificate, read_certificate
from tuppence.evidence.certificate.order import order_of, same
from tuppence.evidence.certificate.standing import stands
from tuppence.policy import Standing
from tuppence.request import Reply, Request

if TYPE_CHECKING:
    from tuppence.policy import Policy

Outside = Literal["note", "strongest"]
"""What a policy does outside its certificate: go on and say so, or let the strongest tier answer every call."""

_CHECK_SUFFIX = ".check.json"


def check_path(certificate: str | os.PathLike[str]) -> Path:
    """Return where the learned check of a certificate lies: `certificate.json`, `certificate.check.json`."""
    return Path(certificate).with_suffix(_CHECK_SUFFIX)


def certificate_id(certificate: Certificate) -> str:
    """Hash all that a certificate says: what the ledger calls it by."""
    return hashlib.blake2b(repr(certificate).encode(), digest_size=6).hexdigest()


def certified(path: str | os.PathLike[str], *, outside: Outside = "note") -> dict[str, Any]:
    """Return the certified check and threshold as keyword arguments: `ChatTuppence(tiers=[...], **certified(path))`.

    And a route, where the tiers are asked in another order than the one in which they were given to calibrate. They fit
    `TuppenceLLM`, `wrap` and `Policy` too. The learned check is read from `check_path(path)`. A policy that runs
    outside the certificate warns when it is built, and each of its calls says so; with `outside="strongest"` the
    strongest tier answers them. Raises `ConfigError` where a file cannot be read.
    """
    if outside not in get_args(Outside):
        raise ConfigError(f"outside is {outside!r}: it is one of {', '.join(map(repr, get_args(Outside)))}")
    certificate = read_certificate(path)
    check = learned(check_path(path))
    order = order_of(certificate)
    return {
        "check": InUse(certificate, certificate_id(certificate), check, check.version, outside),
        "threshold": certificate.threshold,
        **({} if order is None else {"route": order}),
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Bound:
    """What is known once the policy is."""

    check: Learned
    """The learned check, by the names that the policy's tiers have."""
    route: Route | None
    """The policy's own, which a single call may replace."""
    helper_missing: bool


@dataclass(frozen=True, slots=True)
class InUse(Composable):
    """The learned check of a certificate; it knows for which policies it was certified."""

    certificate: Certificate = field(repr=False)
    id: str = field(repr=False)
    learned: Learned = field(repr=False)
    version: str
    """Of what was learned."""
    outside: Outside = field(repr=False)
    bound: _Bound | None = field(default=None, repr=False)

    @property
    def names(self) -> frozenset[str]:
        # A helper that the policy lacks is a way to run outside, not a policy that cannot be built.
        return frozenset() if self.bound is None or self.bound.helper_missing else self.bound.check.names

    def __call__(self, request: Request, reply: Reply) -> Verdict | Plan[Verdict]:
        return (self.learned if self.bound is None else self.bound.check)(request, reply)

    def bound_to(self, policy: Policy) -> InUse:
        """Take the names that the policy's tiers have; warn, the first time, where it runs outside the certificate."""
        known = _renamed(self.learned.model, _names(self.certificate, policy))
        tiers = {tier.name for tier in (*policy.tiers, *policy.judges)}
        missing = known.helper is not None and known.helper not in tiers
        route = policy.route if self.bound is None else self.bound.route
        check = self.learned if known is self.learned.model else Learned(known)
        bound = replace(self, bound=_Bound(check, route, missing))
        if self.bound is None:
            _warn(bound.standing_in(policy))
        return bound

    def standing_in(self, policy: Policy) -> Standing:
        """Hold the policy against the certificate. Who brings a route of their own for one call is heard."""
        found = tuple(stands(self.certificate, policy, check=self))
        own_route = self.bound is not None and policy.route != self.bound.route
        return Standing(self.id, found, bool(found) and self.outside == "strongest" and not own_route)


def _warn(standing: Standing) -> None:
    if not standing.outside:
        return
    then = "the strongest tier answers every call" if standing.falls_back else "its promise does not hold"
    warnings.warn(
        f"the policy runs outside its certificate, and {then}: {standing.words}. Correct the policy, or certify it "
        "with `tuppence calibrate`",
        stacklevel=5,
    )


def _names(certificate: Certificate, policy: Policy) -> dict[str, str]:
    """Say what the policy calls the tiers that the certificate names: outcomes may go by models' names."""
    known = (*policy.tiers, *policy.judges)
    return {
        one.name: tier.name
        for one in (*certificate.tiers, *certificate.helpers)
        for tier in reversed(known)
        if same(one, tier)
    }


def _renamed(model: LearnedModel, names: Mapping[str, str]) -> LearnedModel:
    if all(old == new for old, new in names.items()):
        return model
    stages = tuple(
        replace(
            stage, tier=names.get(stage.tier, stage.tier), other=stage.other and names.get(stage.other, stage.other)
        )
        for stage in model.stages
    )
    helper = model.helper and names.get(model.helper, model.helper)
    return replace(model, tiers=tuple(names.get(one, one) for one in model.tiers), helper=helper, stages=stages)
