"""A certificate beside what the ledger says since it was made: is the saving there, does it hold, has traffic drifted?

Reads the ledger and judges; changes nothing. Quality itself cannot be seen in a ledger: that takes labels, or a judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tuppence.evidence.certificate.file import Certificate, TierRecord
from tuppence.evidence.certificate.using import certificate_id
from tuppence.spend.certificate_calls import Asked, CertificateCalls, certificate_calls

if TYPE_CHECKING:
    from tuppence.evidence.certificate.drifting import Drifted


@dataclass(frozen=True, slots=True)
class LiveCertificate:
    """A certificate, and how the calls under it went."""

    path: Path
    certificate: Certificate
    live: CertificateCalls
    strange: tuple[str, ...]
    """Every way in which those who answered are not those that were certified."""
    watched: Mapping[str, int]
    """How many live values of each score were tested for drift."""
    drifted: tuple[Drifted, ...]

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why its promise may not hold for the traffic that there is; empty where nothing speaks against it."""
        outside = ("some calls ran outside it",) if self.live.outside else ()
        less = ("it saves less than was promised",) if self.saves_less else ()
        return (*outside, *self.strange, *(one.words for one in self.drifted), *less)

    @property
    def saves_less(self) -> bool:
        """Whether the measured saving is clearly below the promised one: the intervals of the two do not meet."""
        between = self.live.saved_between
        return between is not None and between[1] < self.certificate.saving.share.low

    @property
    def outside_share(self) -> float | None:
        """Share of the period's calls under it that ran outside it; None without any."""
        return self.live.outside / self.live.calls if self.live.calls else None


def live_certificate(
    path: str | Path, certificate: Certificate, ledger: str | Path, *, since: datetime | None = None,
    until: datetime | None = None,
) -> LiveCertificate:  # fmt: skip
    """Hold a certificate, read from `path`, against the ledger: savings of [since, until), models and drift since it
    was made.

    Raises `LedgerError` for a file that is not a ledger, and `ConfigError` where there are scores to test and no numpy.
    """
    made = certificate.created_at
    live = certificate_calls(ledger, certificate_id(certificate), made=made, since=since, until=until)
    records = {asked[0]: record for asked in live.asked if (record := _record(certificate, asked)) is not None}
    scores = {
        name: found for tier, found in live.scores.items()
        if tier in records and (name := f"score.{records[tier].name}") in certificate.reference
    }  # fmt: skip
    return LiveCertificate(
        Path(path), certificate, live, tuple(_strange(certificate, live)),
        {name: len(found) for name, found in scores.items()}, _drifted(certificate, scores) if scores else (),
    )  # fmt: skip


def _drifted(certificate: Certificate, scores: Mapping[str, list[float]]) -> tuple[Drifted, ...]:
    # Late: it loads numpy.
    from tuppence.evidence.certificate.drifting import drifted

    return tuple(drifted(certificate.reference, scores))


def _record(certificate: Certificate, asked: Asked) -> TierRecord | None:
    """Find the certified tier or helper that gave an answer: outcomes may go by tiers' names or by models'."""
    records = (*certificate.tiers, *certificate.helpers)
    return next((one for one in records if one.name in asked or (one.model and one.model == asked[1])), None)


def _strange(certificate: Certificate, live: CertificateCalls) -> Iterator[str]:
    for (tier, model), count in live.asked.items():
        if _record(certificate, (tier, model)) is None:
            yield f"{count:,} answers came from {tier} ({model}), which was not certified"
    certified = {name for one in (*certificate.tiers, *certificate.helpers) for name in (one.name, one.model)}
    for tier in sorted({tier for tier, _ in live.asked}):
        before = {model for name, model in live.asked_before if name == tier}
        fresh = {model for name, model in live.asked if name == tier} - before - certified
        if before and fresh:
            # A provider may put another model behind a name that stays: what it says of itself then changes.
            said, said_before = ", ".join(sorted(fresh)), ", ".join(sorted(before))
            yield f"{tier} is answered by {said} since the certificate was made, and was by {said_before} before"
