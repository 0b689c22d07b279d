"""Does a policy run inside its certificate? Names every way in which it does not, in words. Changes nothing: what is to
be done about it is for the policy's owner to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuppence.evidence.certificate.file import Certificate, prompt_of
from tuppence.evidence.certificate.order import same

if TYPE_CHECKING:
    from tuppence.effects import Check
    from tuppence.policy import Policy
    from tuppence.tiers import Tier


def stands(certificate: Certificate, policy: Policy, *, check: Check | None = None) -> list[str]:
    """Return every way in which `policy` runs outside `certificate`; empty where the promise holds.

    What the certificate does not record (a prompt's version that nobody named) cannot be compared. `check` is compared
    in place of the policy's own: a check that holds a policy against its certificate may do so before it is in it.
    """
    return [
        *_tiers(certificate, policy),
        *_helpers(certificate, policy),
        *_prompts(certificate, policy),
        *_check(certificate, policy, check or policy.check),
        *_climb(certificate, policy),
    ]


def _tiers(certificate: Certificate, policy: Policy) -> list[str]:
    certified, live = certificate.tiers, policy.tiers
    if len(certified) == len(live) and all(same(one, tier) for one, tier in zip(certified, live, strict=True)):
        return []
    missing = [one.said for one in certified if not any(same(one, tier) for tier in live)]
    strange = [_called(tier) for tier in live if not any(same(one, tier) for one in certified)]
    if certificate.route_version:
        # The route asks the certified tiers, in their order, and no others.
        strange = []
    if missing or strange:
        return [
            *(f"the tier {name} was certified and is not in the policy" for name in missing),
            *(f"the tier {name} of the policy was not certified" for name in strange),
        ]
    if certificate.route_version:
        return []
    stand, stood = ", ".join(map(_called, live)), ", ".join(one.said for one in certified)
    return [f"the tiers stand in another order: {stand}; certified was {stood}"]


def _helpers(certificate: Certificate, policy: Policy) -> list[str]:
    known = (*policy.tiers, *policy.judges)
    return [
        f"the helper {one.said} was certified and is not among the policy's judges"
        for one in certificate.helpers
        if not any(same(one, tier) for tier in known)
    ]


def _prompts(certificate: Certificate, policy: Policy) -> list[str]:
    found = []
    if certificate.policy_version and certificate.policy_version != policy.version:
        found.append(
            f"the policy's version is {policy.version!r}, certified was {certificate.policy_version!r}: prompts may "
            "have changed"
        )
    for one in (*certificate.tiers, *certificate.helpers):
        for tier in (*policy.tiers, *policy.judges):
            if one.prompt is not None and same(one, tier) and one.prompt != prompt_of(tier):
                found.append(f"the text that the tier {one.said} adds to its prompts has changed")
    return found


def _check(certificate: Certificate, policy: Policy, check: Check | None) -> list[str]:
    version = getattr(check, "version", None)
    if version is None:
        return [f"the policy's check is not the learned one that was certified (version {certificate.learned_version})"]
    if version != certificate.learned_version:
        return [f"the learned check has version {version}, certified was {certificate.learned_version}"]
    if policy.threshold != certificate.threshold:
        return [f"the threshold is {policy.threshold:g}, certified was {certificate.threshold:g}"]
    return []


def _climb(certificate: Certificate, policy: Policy) -> list[str]:
    """Find what else decides who answers: a route, or a limit that ends a climb before the strongest tier."""
    found = []
    route, certified = policy.route, certificate.route_version
    if route is None and certified:
        found.append(f"the route {certified} was certified, and the policy has none")
    if route is not None and (not certified or getattr(route, "version", None) != certified):
        found.append(f"the policy's route ({route}) is not what was certified ({certified or 'no route'})")
    if policy.max_usd_per_call is not None:
        found.append(f"max_usd_per_call ({policy.max_usd_per_call}) may end a climb before the strongest tier is asked")
    if policy.budgets is not None:
        found.append("a budget may end a climb before the strongest tier is asked")
    return found


def _called(tier: Tier) -> str:
    return f"{tier.name} ({tier.model})" if tier.model and tier.model != tier.name else tier.name
