"""The order in which a certified ladder is climbed, where it is not the one in which the policy names its tiers."""

from __future__ import annotations

from dataclasses import dataclass

from tuppence.effects import Choice
from tuppence.evidence.certificate.file import Certificate, TierRecord
from tuppence.request import Request
from tuppence.tiers import Tier


@dataclass(frozen=True, slots=True)
class CertifiedOrder:
    """A route that asks the certified tiers, and in the order that was certified."""

    tiers: tuple[TierRecord, ...]
    version: str

    def __call__(self, _request: Request, ladder: tuple[Tier, ...]) -> Choice:
        found = [tier for one in self.tiers for tier in ladder if same(one, tier)]
        return Choice(tuple(found), f"certified order: {', '.join(tier.name for tier in found)}")

    def __str__(self) -> str:
        return f"the certified order {self.version}"


def order_of(certificate: Certificate) -> CertifiedOrder | None:
    """Return the route that a certificate is about; None where the tiers are asked as the policy names them."""
    version = certificate.route_version
    return CertifiedOrder(certificate.tiers, version) if version else None


def same(one: TierRecord, tier: Tier) -> bool:
    """Say whether a tier is a certified one: by its model, or by its name where only that was recorded."""
    if one.provider is not None and tier.provider is not None and one.provider != tier.provider:
        return False
    return one.model == tier.model if one.model else one.name in (tier.name, tier.model)
