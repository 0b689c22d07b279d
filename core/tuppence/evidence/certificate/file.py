"""The certificate as a file: readable JSON that a policy's configuration points to. Written whole or not at all.

Holds what was promised, for which models, prompts and learned numbers, and what the traffic looked like; no text of
anybody's request.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuppence.errors import ConfigError
from tuppence.evidence.certificate.verdicts import Certified, Labels, Latency, Saving, Span

if TYPE_CHECKING:
    from tuppence.tiers import Tier

FORMAT = "tuppence-certificate/1"


@dataclass(frozen=True, slots=True)
class TierRecord:
    """A tier as it was when it was certified."""

    name: str
    """What the outcomes call it: a tier's name or its model."""
    model: str = ""
    """Name by which the provider bills it; empty where the outcomes did not say."""
    provider: str | None = None
    prompt: str | None = None
    """Hash of the text that only this tier's prompts get: empty for none, None where unknown."""

    @property
    def said(self) -> str:
        """The tier as it is called in messages."""
        return f"{self.name} ({self.model})" if self.model and self.model != self.name else self.name


@dataclass(frozen=True, slots=True)
class Reference:
    """What a score or a trait was on the labels that certified."""

    mean: float
    std: float
    n: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std >= 0.0 and self.n >= 1):
            raise ConfigError(
                f"a reference has mean {self.mean}, std {self.std} and n {self.n}: give finite numbers, a std of 0 or "
                "more and at least one value"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A promise, and what it is bound to."""

    created_at: datetime
    target: float
    delta: float
    threshold: float
    tiers: tuple[TierRecord, ...]
    """In the order in which they are asked; the last is the strongest."""
    helpers: tuple[TierRecord, ...]
    """Models that are asked for an opinion only."""
    learned_version: str
    """Hash of the numbers that the policy's check learned."""
    route_version: str
    """The order in which the tiers are asked, where it is not the policy's own; empty where the policy has no route."""
    policy_version: str
    """The policy's and its prompts' version; empty where nobody named one."""
    labels: Labels
    quality_ratio: Span
    saving: Saving
    latency: Latency | None
    log_wealth: float
    reference: Mapping[str, Reference]
    """What scores and traits were like on the labels, to tell drift by."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it whole or not at all; raises `ConfigError` where it cannot be written."""
        _replace(Path(path), json.dumps(_told(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def issue(
    verdict: Certified, *, tiers: Sequence[Tier | str], learned_version: str, route_version: str = "",
    helpers: Sequence[Tier | str] = (),
    policy_version: str = "", reference: Mapping[str, tuple[float, float, int] | Reference] | None = None,
    created_at: datetime | None = None,
) -> Certificate:  # fmt: skip
    """Make a certificate of a verdict; names in place of tiers where nothing but the outcomes is known.

    `reference` gives the (mean, std, n) of each score and trait on the labels. Raises `ConfigError` without tiers.
    """
    if not tiers:
        raise ConfigError("a certificate has no tiers: give those that the policy climbs, the strongest last")
    known = {
        name: one if isinstance(one, Reference) else Reference(*one) for name, one in (reference or {}).items()
    }  # fmt: skip
    return Certificate(
        created_at=(created_at or datetime.now(UTC)).replace(microsecond=0), target=verdict.target,
        delta=verdict.delta, threshold=verdict.threshold, tiers=tuple(map(_record, tiers)),
        helpers=tuple(map(_record, helpers)), learned_version=learned_version, route_version=route_version,
        policy_version=policy_version, labels=verdict.labels, quality_ratio=verdict.quality_ratio,
        saving=verdict.saving, latency=verdict.latency, log_wealth=verdict.log_wealth, reference=known,
    )  # fmt: skip


def prompt_of(tier: Tier) -> str:
    """Hash the text that only this tier's prompts get; empty where there is none."""
    if tier.additions is None:
        return ""
    return hashlib.blake2b(repr(tier.additions).encode(), digest_size=6).hexdigest()


def read_certificate(path: str | os.PathLike[str]) -> Certificate:
    """Read a certificate; raises `ConfigError` naming the file, what is wrong with it, and the fix."""
    again = "make it again with `tuppence calibrate`"
    try:
        body = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        why = f"the certificate {path} cannot be read ({error.strerror})"
        raise ConfigError(f"{why}: correct the path, or {again}") from error
    except ValueError as error:
        raise ConfigError(f"the certificate {path} is not JSON ({error}): {again}") from error
    found = body.get("format") if isinstance(body, dict) else None
    if found != FORMAT:
        raise ConfigError(f"the certificate {path} has the format {found!r}, and {FORMAT!r} is read here: {again}")
    try:
        return _read(body)
    except KeyError as error:
        raise ConfigError(f"the certificate {path} has no {error.args[0]!r}: {again}") from error
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"the certificate {path} holds a value that cannot be ({error}): {again}") from error


# -- to JSON


def _told(one: Certificate) -> dict[str, Any]:
    body: dict[str, Any] = {"format": FORMAT, **asdict(one)}
    body |= {
        "created_at": one.created_at.isoformat(), "threshold": _number(one.threshold),
        "quality_ratio": _span(one.quality_ratio), "saving": _saving(one.saving),
        "log_wealth_needed": math.log(1.0 / one.delta),
    }  # fmt: skip
    return body


def _saving(one: Saving) -> dict[str, Any]:
    return {
        "usd_per_call": f"{one.per_call:f}", "usd_per_call_low": f"{one.low:f}", "usd_per_call_high": f"{one.high:f}",
        "usd_per_1000_calls": f"{one.per_1000:f}", "share": _span(one.share),
        "strongest_usd_per_call": f"{one.strongest_per_call:f}",
    }  # fmt: skip


def _span(one: Span) -> dict[str, Any]:
    return {field.name: _number(getattr(one, field.name)) for field in fields(one)}


def _number(value: float) -> float | str:
    """JSON knows no infinity."""
    return value if math.isfinite(value) else str(value)


# -- from JSON


def _read(body: Mapping[str, Any]) -> Certificate:
    saving, waits = body["saving"], body["latency"]
    mean, low, high = (Decimal(saving[f"usd_per_call{end}"]) for end in ("", "_low", "_high"))
    certificate = Certificate(
        created_at=datetime.fromisoformat(body["created_at"]), target=float(body["target"]),
        delta=float(body["delta"]), threshold=float(body["threshold"]), tiers=_records(body["tiers"]),
        helpers=_records(body["helpers"]), learned_version=str(body["learned_version"]),
        route_version=str(body["route_version"]), policy_version=str(body["policy_version"]),
        labels=Labels(int(body["labels"]["train"]), int(body["labels"]["certify"])),
        quality_ratio=_spanned(body["quality_ratio"]),
        saving=Saving(mean, low, high, _spanned(saving["share"]), Decimal(saving["strongest_usd_per_call"])),
        latency=None if waits is None else Latency(float(waits["mean_ms"]), float(waits["p95_ms"])),
        log_wealth=float(body["log_wealth"]),
        reference={name: Reference(**one) for name, one in body["reference"].items()},
    )  # fmt: skip
    for name, part in (("target", certificate.target), ("delta", certificate.delta)):
        if not 0.0 < part < 1.0:
            raise ValueError(f"{name} is {part}, and lies between 0 and 1")
    if not certificate.tiers:
        raise ValueError("tiers is empty")
    return certificate


def _records(found: Sequence[Mapping[str, Any]]) -> tuple[TierRecord, ...]:
    return tuple(TierRecord(one["name"], one["model"], one["provider"], one["prompt"]) for one in found)


def _spanned(found: Mapping[str, Any]) -> Span:
    return Span(float(found["value"]), float(found["low"]), float(found["high"]))


def _record(tier: Tier | str) -> TierRecord:
    if isinstance(tier, str):
        return TierRecord(tier)
    return TierRecord(tier.name, tier.model, tier.provider, prompt_of(tier))


def _replace(path: Path, text: str) -> None:
    """Write beside the file and put it in its place: a reader sees the old one or the new one."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise ConfigError(
            f"the certificate {path} cannot be written ({error.strerror}): name a file in a writable folder"
        ) from error
