"""From a file to a checked configuration, and from that to what models and policies take.

Everything that can be wrong is found here, at once and with its line, so that a program that starts is one whose policy
works. Never builds a native model: the integrations do that, each its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tuppence.assembly import open_cache
from tuppence.config.building import (
    Misbuilt,
    cache_of,
    check_of,
    guard_of,
    ledger_of,
    route_of,
    tiers_named,
    unknown_tier,
)
from tuppence.config.faults import faults_of
from tuppence.config.schema import Settings
from tuppence.config.source import Fault, Loc, Source, read
from tuppence.config.tiers import TierSpec, tier_of
from tuppence.errors import ConfigError
from tuppence.policy import Policy, Retries
from tuppence.routes.compose import is_guard
from tuppence.tiers import Tier


@dataclass(frozen=True, slots=True)
class Config:
    """A checked file."""

    path: Path
    settings: Settings
    tiers: tuple[TierSpec, ...]
    """Cheapest first."""

    def options(self, tiers: Iterable[Tier] | None = None) -> dict[str, Any]:
        """Return what the file says as keyword arguments of `ChatTuppence` and `TuppenceLLM`, without the tiers.

        What the file leaves out is left out here, so that the model's own default holds. `tiers` are the integration's
        own, which judges are then taken from. Opens the cache; raises `CacheError` where it cannot be opened.
        """
        said, given = self.settings, self.settings.model_fields_set
        by_name = {tier.name: tier for tier in tiers or (spec.tier for spec in self.tiers)}
        options: dict[str, Any] = {
            name: getattr(said, name)
            for name in ("threshold", "max_usd_per_call", "on_exhausted", "mode", "version")
            if name in given
        }
        if said.route is not None:
            options["route"] = route_of(said.route, ("route",))
        if said.guards:
            options["guards"] = tuple(guard_of(one, ("guards", i)) for i, one in enumerate(said.guards))
        if "check" in given:
            options["check"] = None if said.check is None else check_of(said.check, ("check",), by_name)
        if said.cache is not None:
            options["cache"] = cache_of(said.cache, self.path.parent)
        if "ledger" in given:
            options["ledger"] = ledger_of(said.ledger, self.path.parent)
        if said.retries is not None:
            options["retries"] = _retries(said)
        return options

    def policy(self) -> Policy:
        """Make the policy by itself, for the core's own drivers; the ledger is then yours to open."""
        options = self.options()
        options.pop("ledger", None)
        options["cache"] = open_cache(options.get("cache", True))
        return Policy(tiers=tuple(spec.tier for spec in self.tiers), **options)


def load_config(path: str | Path) -> Config:
    """Read and check the file at `path`; raise one `ConfigError` with a line for everything that is wrong.

    Imports the functions that the file names. Paths in it are relative to its own folder.
    """
    source = read(Path(path), str(path))
    if source.data is None:
        raise ConfigError(f"{source.name} is empty: a configuration has at least tiers")
    settings, faults = _settings(source)
    faults += source.faults
    tiers: tuple[TierSpec, ...] = ()
    if settings is not None:
        tiers, more = _checked(settings, source)
        # What was left out of a tier, because it was wrong, is not missing from it.
        wrong = {fault.loc[:2] for fault in faults}
        faults += [fault for fault in more if fault.loc[:2] not in wrong]
    if faults or settings is None:
        raise source.error(faults)
    return Config(Path(path).absolute(), settings, tiers)


def _settings(source: Source) -> tuple[Settings | None, list[Fault]]:
    """Validate shapes. What is wrong is left out and the rest tried again, so that its faults are found too."""
    data, faults = source.data, list[Fault]()
    while True:
        try:
            return Settings.model_validate(data), faults
        except ValidationError as error:
            found = faults_of(error, Settings)
        data = deepcopy(data)
        removed = [_without(data, fault.loc) for fault in found]
        if not faults:
            faults = found
        if not any(removed):
            return None, faults


def _without(data: Any, loc: Loc) -> bool:
    """Take what stands at `loc` out of `data`; say whether it could be.

    An item of a list goes with its whole list, for without it all that follow would have other places.
    """
    holder, key = None, None
    for part in loc:
        if isinstance(data, dict) and part in data:
            holder, key = data, part
        elif not (isinstance(data, list) and isinstance(part, int)):
            break
        data = data[part]
    if holder is None or key == "tiers":
        return False
    del holder[key]
    return True


def _checked(settings: Settings, source: Source) -> tuple[tuple[TierSpec, ...], list[Fault]]:
    """Build everything once, and list what cannot be built."""
    tiers, faults = _tiers(settings, source)
    known = [one.name for one in settings.tiers]
    parts: list[tuple[Any, Loc]] = [(one, ("guards", i)) for i, one in enumerate(settings.guards)]
    parts += [(part, (name,)) for name in ("route", "check") if (part := getattr(settings, name)) is not None]
    by_name = {spec.tier.name: spec.tier for spec in tiers}
    for part, loc in parts:
        strange = [unknown_tier(at, name, known) for at, name in tiers_named(part, loc) if name not in known]
        faults += strange
        if not strange and len(by_name) == len(known):
            faults += _unbuildable(part, loc, by_name)
    try:
        _retries(settings)
    except ConfigError as error:
        faults.append(Fault(("retries",), str(error)))
    return tiers, faults


def _unbuildable(part: Any, loc: Loc, tiers: dict[str, Tier]) -> list[Fault]:
    try:
        if loc == ("check",):
            check_of(part, loc, tiers)
        elif loc == ("route",):
            if is_guard(route_of(part, loc)):
                return [
                    Fault(loc, "the route holds a guard, which a route that breaks would undo: put it under guards")
                ]
        else:
            guard_of(part, loc)
    except Misbuilt as wrong:
        return [wrong.fault]
    return []


def _tiers(settings: Settings, source: Source) -> tuple[tuple[TierSpec, ...], list[Fault]]:
    specs: list[TierSpec] = []
    faults: list[Fault] = []
    first: dict[str, int] = {}
    for index, one in enumerate(settings.tiers):
        loc: Loc = ("tiers", index)
        line, _ = source.place(loc)
        if one.name in first:
            faults.append(
                Fault(
                    (*loc, "name"), f"two tiers are called {one.name!r} (first in line {first[one.name]}): rename one"
                )
            )
        first.setdefault(one.name, line)
        made = tier_of(one, loc)
        if isinstance(made, list):
            faults += made
            continue
        specs.append(
            TierSpec(
                tier=made, kind=one.kind, base_url=one.base_url, api_key_env=one.api_key_env, params=one.params,
                where=f"{source.name}:{line}",
            )
        )  # fmt: skip
    return tuple(specs), faults


def _retries(settings: Settings) -> Retries:
    said = settings.retries
    return Retries() if said is None else Retries(**said.model_dump(exclude_none=True))
