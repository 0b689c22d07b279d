"""Certificates: what a policy promises on the user's own traffic, how sure that is, and what ends it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuppence.evidence.certificate.drifting import Drifted, DriftWatch, drifted, reference
    from tuppence.evidence.certificate.economics import Dominated, dominated, hopeless
    from tuppence.evidence.certificate.file import Certificate, Reference, TierRecord, issue, read_certificate
    from tuppence.evidence.certificate.ladder import Ladder
    from tuppence.evidence.certificate.objective import Objective, Prefer
    from tuppence.evidence.certificate.standing import stands
    from tuppence.evidence.certificate.testing import certify
    from tuppence.evidence.certificate.using import InUse, certificate_id, certified
    from tuppence.evidence.certificate.verdicts import (
        Certified,
        Labels,
        Latency,
        NoSaving,
        NotCertifiable,
        Saving,
        Span,
        Trial,
        Verdict,
    )

# Where each name lives. Loaded when first asked for: to read a certificate and hold a policy against it needs no numpy.
_HOMES = {
    "Certificate": "file", "Certified": "verdicts", "Dominated": "economics", "DriftWatch": "drifting",
    "Drifted": "drifting", "InUse": "using", "Labels": "verdicts", "Ladder": "ladder", "Latency": "verdicts",
    "NoSaving": "verdicts", "NotCertifiable": "verdicts", "Objective": "objective", "Prefer": "objective",
    "Reference": "file", "Saving": "verdicts", "Span": "verdicts", "TierRecord": "file", "Trial": "verdicts",
    "Verdict": "verdicts", "certificate_id": "using", "certified": "using", "certify": "testing",
    "dominated": "economics", "drifted": "drifting", "hopeless": "economics", "issue": "file",
    "read_certificate": "file", "reference": "drifting", "stands": "standing",
}  # fmt: skip

__all__ = [
    "Certificate",
    "Certified",
    "Dominated",
    "DriftWatch",
    "Drifted",
    "InUse",
    "Labels",
    "Ladder",
    "Latency",
    "NoSaving",
    "NotCertifiable",
    "Objective",
    "Prefer",
    "Reference",
    "Saving",
    "Span",
    "TierRecord",
    "Trial",
    "Verdict",
    "certificate_id",
    "certified",
    "certify",
    "dominated",
    "drifted",
    "hopeless",
    "issue",
    "read_certificate",
    "reference",
    "stands",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
