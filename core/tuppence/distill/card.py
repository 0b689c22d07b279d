"""A model card: what a model was made of, how good it proved, what it cost, and what a person must still fill in.

Written from facts that others hand over; what nobody said is told as such.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuppence.distill.errors import DistillError
from tuppence.distill.trainers import Trained

CARD = "README.md"
_UNSAID = "not stated: fill in before the model is handed on"


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured number with its confidence interval."""

    value: float
    low: float
    high: float
    rows: int
    """That it was measured on."""
    confidence: float = 0.95


def write_card(
    folder: Path, trained: Trained, *, provenance: Path | None = None, measured: Mapping[str, Interval] | None = None,
    license: str = "",  # noqa: A002 (what it is called)
) -> Path:  # fmt: skip
    """Write the card of a model into its folder and return its place; raises `DistillError` where that cannot be.

    `provenance` is the sidecar of the data set, `measured` what the model was found to do on held-out rows, by name.
    """
    told = _provenance(provenance)
    lines = [
        "---", f"base_model: {trained.base}", f"license: {license or 'unknown'}", "---", "", f"# {trained.model}", "",
        f"Trained from `{trained.base}` in {trained.seconds:,.0f} s.", "", "| | |", "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in _facts(trained, told, license)), "",
        *_measurements(measured or {}), *_data(told),
    ]  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        half = folder / f"{CARD}.part"
        half.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
        return half.replace(folder / CARD)
    except OSError as error:
        raise DistillError(f"{folder} cannot be written ({error.strerror or error}): name a writable folder") from error


def _facts(trained: Trained, told: Mapping[str, Any], license: str) -> list[tuple[str, str]]:  # noqa: A002
    facts = [
        ("data", f"`{trained.data_hash}`"),
        ("cost of training", "unpriced" if trained.usd is None else f"${trained.usd:f}"),
        ("licence of the base", license or _UNSAID),
    ]
    if told:
        teacher = told["teacher"]
        facts += [
            ("teacher", f"{teacher['model']} (tier `{teacher['tier']}`); its provider's terms on training: {_UNSAID}"),
            ("redaction of the data", told["redaction"] or "none"),
        ]
    return facts + [(name, f"{value:.4g}") for name, value in sorted(trained.metrics.items())]


def _measurements(measured: Mapping[str, Interval]) -> list[str]:
    if not measured:
        return ["Not evaluated.", ""]
    rows = [
        f"| {name} | {one.value:.4g} | {one.low:.4g} to {one.high:.4g} ({one.confidence:.0%}) | {one.rows:,} |"
        for name, one in measured.items()
    ]
    return ["## On held-out rows", "", "| measure | value | interval | rows |", "| --- | --- | --- | --- |", *rows, ""]


def _data(told: Mapping[str, Any]) -> list[str]:
    if not told:
        return []
    sides = ", ".join(f"{one['lines']:,} {side}" for side, one in told["files"].items())
    dropped = ", ".join(f"{calls:,} {reason}" for reason, calls in told["dropped"].items()) or "nothing"
    return [
        "## Data", "", f"Calls of the site `{told['site']}`: {told['calls']:,}, of them {sides}.",
        f"Left out: {dropped}.", f"Template `{told['template']['hash']}`, changed {told['template']['changes']} times.",
        f"Split: {told['split']['rule']}.",
    ]  # fmt: skip


def _provenance(sidecar: Path | None) -> Mapping[str, Any]:
    if sidecar is None:
        return {}
    try:
        told: Mapping[str, Any] = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DistillError(
            f"{sidecar} is no provenance of a data set ({error}): name the one that was exported"
        ) from error
    return told
