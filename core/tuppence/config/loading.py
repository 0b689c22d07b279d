"""From a file to a checked configuration, and from that to what models and policies take.

Everything that can be wrong is found here, at once and with its line, so that a program that starts is one whose policy
works. Never builds a native model: the integrations do that, each its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tuppence.assembly import open_cache, open_limits, open_planner
from tuppence.config.budgeting import budget_faults, budgets_of
from tuppence.config.building import (
    Misbuilt,
    OpenWatch,
    check_of,
    guard_of,
    ledger_of,
    misplaced_judge,
    recorder_of,
    recorder_parts,
    route_of,
    tiers_named,
    unknown_tier,
)
from tuppence.config.caching import cache_of, parts_of, tier_named
from tuppence.config.certifying import certificate_faults, certified_parts
from tuppence.config.faults import faults_of, path
from tuppence.config.lane_schema import lane_of
from tuppence.config.schema import Settings, TierSettings
from tuppence.config.shape_schema import ShapeSettings
from tuppence.config.shaping import shaper_of, summarisers_named
from tuppence.config.source import Fault, Loc, Source, read
from tuppence.config.tiers import TierSpec, servers_of, tier_of
from tuppence.errors import ConfigError
from tuppence.policy import Policy, Retries
from tuppence.routes.compose import is_guard
from tuppence.routes.experiment import Watch
from tuppence.spend.budgets import Budgets

_Specs = tuple[TierSpec, ...]


_AS_THEY_STAND = (
    "threshold", "max_usd_per_call", "on_exhausted", "baseline", "mode", "version", "prompt_cache", "limits",
)  # fmt: skip
"""Settings that the file and the policy's options say alike."""


@dataclass(frozen=True, slots=True)
class Config:
    """A checked file."""

    path: Path
    settings: Settings
    tiers: tuple[TierSpec, ...]
    """Cheapest first."""
    judges: tuple[TierSpec, ...]

    def options(self) -> dict[str, Any]:
        """Return what the file says as keyword arguments of `ChatTuppence` and `TuppenceLLM`, without the models.

        What the file leaves out is left out here, so that the model's own default holds. Opens the cache, the recorder
        and the budgets; raises `CacheError`, `RecordingError` or `BudgetError` where one cannot be opened.
        """
        said, options = self.settings, self._of_policy(watch=self._experiment_log)
        if "ledger" in said.model_fields_set:
            options["ledger"] = ledger_of(said.ledger, self.path.parent)
        if said.record is not None:
            options["record"] = recorder_of(said.record, self.path.parent)
        if said.budgets is not None:
            options["budgets"] = self.budgets()
        if said.lane is not None:
            options["lane"] = lane_of(said.lane, self.path.parent)
        return options

    def budgets(self) -> Budgets | None:
        """Open the budgets, where there are any; raises `BudgetError` where their counters cannot be opened."""
        said = self.settings.budgets
        return None if said is None else budgets_of(said, self.path.parent)

    def _experiment_log(self, name: str) -> Watch:
        # Late: a file without an experiment does not load what judges one.
        from tuppence.evidence.experiments import ExperimentLog

        return ExperimentLog(self.path.parent / Path(name).expanduser())

    def _of_policy(self, *, watch: OpenWatch | None = None) -> dict[str, Any]:
        """Return what decides calls, and nothing of what writes them down."""
        said, given = self.settings, self.settings.model_fields_set
        options: dict[str, Any] = {name: getattr(said, name) for name in _AS_THEY_STAND if name in given}
        if said.route is not None:
            options["route"] = route_of(said.route, ("route",), watch=watch)
        if said.shape:
            options["shape"] = tuple(shaper_of(one, ("shape", i)) for i, one in enumerate(said.shape))
        if said.guards:
            options["guards"] = tuple(guard_of(one, ("guards", i)) for i, one in enumerate(said.guards))
        if "check" in given:
            options["check"] = None if said.check is None else check_of(said.check, ("check",))
        if said.certificate is not None:
            options |= certified_parts(said.certificate, self.path.parent)
        if said.cache is not None:
            options["cache"] = cache_of(said.cache, self.path.parent)
        if said.retries is not None:
            options["retries"] = _retries(said)
        return options

    def policy(self) -> Policy:
        """Make the policy by itself, for the core's own drivers and for replay: it records nothing, is held to no
        budgets, and the ledger is yours to open.
        """
        options = self._of_policy()
        options["cache"] = open_cache(options.get("cache", True))
        options["prefix"] = open_planner(options.pop("prompt_cache", None))
        options["limits"] = open_limits(options.pop("limits", None), None)
        tiers, judges = (tuple(spec.tier for spec in specs) for specs in (self.tiers, self.judges))
        return Policy(tiers=tiers, judges=judges, **options)


def load_config(path: str | Path) -> Config:
    """Read and check the file at `path`; raise one `ConfigError` with a line for everything that is wrong.

    Imports the functions that the file names. Paths in it are relative to its own folder.
    """
    source = read(Path(path), str(path))
    if source.data is None:
        raise ConfigError(f"{source.name} is empty: a configuration has at least tiers")
    settings, faults = _settings(source)
    faults += source.faults
    if settings is not None:
        tiers, judges, more = _checked(settings, source, Path(path).parent)
        # What was left out of a tier, because it was wrong, is not missing from it.
        wrong = {fault.loc[:2] for fault in faults}
        faults += [fault for fault in more if fault.loc[:2] not in wrong]
    if faults or settings is None:
        raise source.error(faults)
    return Config(Path(path).absolute(), settings, tiers, judges)


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
    if holder is None or key in ("tiers", "judges"):
        return False
    del holder[key]
    return True


def _checked(settings: Settings, source: Source, folder: Path) -> tuple[_Specs, _Specs, list[Fault]]:
    """Build everything once, and list what cannot be built."""
    seen: dict[str, int] = {}
    tiers, faults = _specs("tiers", settings.tiers, source, seen)
    judges, more = _specs("judges", settings.judges, source, seen)
    faults += more
    faults += _out_of_place(settings)
    parts: list[tuple[Any, Loc]] = [(one, ("guards", i)) for i, one in enumerate(settings.guards)]
    for index, one in enumerate(settings.shape):
        faults += _off_the_ladder(one, ("shape", index), settings) or _unbuildable(one, ("shape", index))
    parts += [(part, (name,)) for name in ("route", "check") if (part := getattr(settings, name)) is not None]
    for part, loc in parts:
        faults += _strangers(tiers_named(part, loc), loc, settings) or _unbuildable(part, loc)
    faults += _strangers(tier_named(settings.cache), ("cache",), settings)
    if settings.cache is not None and settings.cache.semantic is not None:
        faults += _unbuildable(settings.cache.semantic, ("cache",))
    if settings.record is not None:
        faults += _unbuildable(settings.record, ("record",))
    faults += budget_faults(settings.budgets)
    faults += certificate_faults(settings.certificate, settings.model_fields_set, folder)
    try:
        _retries(settings)
    except ConfigError as error:
        faults.append(Fault(("retries",), str(error)))
    return tiers, judges, faults


def _strangers(named: Iterable[tuple[Loc, str]], loc: Loc, settings: Settings) -> list[Fault]:
    """Find names that stand for nothing. Judges are asked by checks and kept by guards; no route leads to one."""
    tiers, judges = ([one.name for one in listed] for listed in (settings.tiers, settings.judges))
    faults: list[Fault] = []
    for at, name in named:
        if loc == ("route",) and name in judges:
            faults.append(misplaced_judge(at, name, tiers))
        elif name not in (*tiers, *judges):
            faults.append(unknown_tier(at, name, tiers if loc == ("route",) else tiers + judges))
    return faults


def _out_of_place(settings: Settings) -> list[Fault]:
    """Find stand-ins that do not stand right behind the tier that they stand in for."""
    faults: list[Fault] = []
    place = ""
    for index, one in enumerate(settings.tiers):
        if one.stands_in_for and one.stands_in_for != place:
            loc: Loc = ("tiers", index, "stands_in_for")
            faults.append(
                Fault(loc, f"{path(loc)} is {one.stands_in_for!r}: put it right behind the tier of that name")
            )
        place = one.stands_in_for or one.name
    for index, one in enumerate(settings.judges):
        if one.stands_in_for:
            loc = ("judges", index, "stands_in_for")
            faults.append(Fault(loc, f"{path(loc)} means nothing for a judge: remove it"))
    return faults


def _off_the_ladder(shape: ShapeSettings, loc: Loc, settings: Settings) -> list[Fault]:
    tiers = [one.name for one in settings.tiers]
    return [unknown_tier(at, name, tiers) for at, name in summarisers_named(shape, loc) if name not in tiers]


def _unbuildable(part: Any, loc: Loc) -> list[Fault]:
    try:
        if loc == ("cache",):
            parts_of(part)
        elif loc == ("record",):
            recorder_parts(part)
        elif loc[0] == "shape":
            shaper_of(part, loc)
        elif loc == ("check",):
            check_of(part, loc)
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


def _specs(
    key: str, settings: Sequence[TierSettings], source: Source, seen: dict[str, int]
) -> tuple[_Specs, list[Fault]]:
    """Make the models of one list; `seen` are the names so far, with the line of each."""
    specs: list[TierSpec] = []
    faults: list[Fault] = []
    for index, one in enumerate(settings):
        loc: Loc = (key, index)
        line, _ = source.place(loc)
        if one.name in seen:
            faults.append(
                Fault(
                    (*loc, "name"),
                    f"two tiers or judges are called {one.name!r} (first in line {seen[one.name]}): rename one",
                )
            )
        seen.setdefault(one.name, line)
        servers = servers_of(one)
        made = tier_of(one, loc, servers)
        if isinstance(made, list):
            faults += made
            continue
        specs.append(
            TierSpec(
                tier=made, kind=one.kind, base_url=one.base_urls[0] if one.base_urls else one.base_url,
                servers=servers, api_key_env=one.api_key_env, params=one.params,
                where=f"{source.name}:{line}",
            )
        )  # fmt: skip
    return tuple(specs), faults


def _retries(settings: Settings) -> Retries:
    said = settings.retries
    return Retries() if said is None else Retries(**said.model_dump(exclude_none=True))
