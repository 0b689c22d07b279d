"""Make routes, guards and checks of what a file says. Every fault is told at its place in the file.

What the pieces do is theirs to say; nothing here decides a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar, cast

from tuppence import checks, routes
from tuppence.checks.compose import Composable as ComposableCheck
from tuppence.config.faults import did_you_mean, path
from tuppence.config.references import imported
from tuppence.config.schema import CheckSettings, ExperimentSettings, GuardSettings, RecordSettings, RouteSettings
from tuppence.config.shapes import Strict
from tuppence.config.source import Fault, Loc
from tuppence.effects import Check, Route
from tuppence.errors import ConfigError
from tuppence.recording import Recorder
from tuppence.routes.compose import Composable as ComposableRoute
from tuppence.routes.experiment import Watch

T = TypeVar("T")

STRONGEST = "strongest"
"""The last tier, whatever its name."""


class Misbuilt(Exception):
    """A part that cannot be built; carries the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


OpenWatch = Callable[[str], Watch]
"""Opens what an experiment's calls are written down in, by the name that the file gives it."""


def route_of(settings: RouteSettings, loc: Loc, *, watch: OpenWatch | None = None) -> Route:
    """Build a route; raises `Misbuilt`. Without `watch` its experiments assign, and nothing is written down."""
    name, value = settings.chosen
    here = (*loc, name)
    if name in ("first_of", "within"):
        parts = [route_of(part, (*here, index), watch=watch) for index, part in enumerate(value)]
        return made(here, lambda: reduce(routes.Either if name == "first_of" else routes.Then, parts))
    if name == "sticky":
        inner = route_of(value.route, (*here, "route"), watch=watch)
        return made(here, lambda: routes.sticky(inner, **stated(value, "max_sessions")))
    if name == "among":
        return routes.among(*value)
    if name == "experiment":
        return _experiment(value, here, watch)
    if name == "by_task":
        tasks = {
            task: routes.TaskPolicy(None if one.start == STRONGEST else one.start, one.threshold)
            for task, one in value.items()
        }
        return made(here, lambda: routes.by_task(tasks))
    if name == "custom":
        return _custom_route(value, here)
    return made(here, lambda: _simple_route(name, value))


def _experiment(value: ExperimentSettings, loc: Loc, watch: OpenWatch | None) -> Route:
    treatment = route_of(value.treatment, (*loc, "treatment"), watch=watch)
    control = None if value.control is None else route_of(value.control, (*loc, "control"), watch=watch)
    given = stated(value, "share", "by")
    if value.log is not None and watch is not None:
        given["watch"] = watch(value.log)
    return made(loc, lambda: routes.Experiment(value.name, treatment=treatment, control=control, **given))


def _simple_route(name: str, value: Any) -> Route:
    if name == "start_at":
        return routes.start_at(value)
    if name == "by_keywords":
        return routes.by_keywords(value)
    if name == "by_complexity":
        return routes.by_complexity(**stated(value, "bands"))
    return routes.by_size(**stated(value, "small_words", "large_words"))


def _custom_route(reference: str, loc: Loc) -> Route:
    found = imported_at(reference, loc)
    return cast(Route, found) if isinstance(found, ComposableRoute) else made(loc, lambda: routes.custom(found))


def guard_of(settings: GuardSettings, loc: Loc) -> Route:
    """Build a guard; raises `Misbuilt`."""
    name, value = settings.chosen
    here = (*loc, name)
    if name == "only":
        return routes.only(*value)
    if name == "custom":
        return _custom_route(value, here)
    given = stated(value, "private", "public")
    if value.classify is not None:
        given["classify"] = imported_at(value.classify, (*here, "classify"))
    return made(here, lambda: routes.by_data_class(**given))


def check_of(settings: CheckSettings, loc: Loc) -> Check:
    """Build a check; raises `Misbuilt`."""
    name, value = settings.chosen
    here = (*loc, name)
    if name in ("all", "any"):
        parts = [check_of(part, (*here, index)) for index, part in enumerate(value)]
        return reduce(checks.And if name == "all" else checks.Or, parts)
    if name == "custom":
        found = imported_at(value, here)
        return cast(Check, found) if isinstance(found, ComposableCheck) else checks.custom(found)
    if name == "agrees_with":
        return checks.agrees_with(value)
    if name == "judged_by":
        return checks.judged_by(value.tier, **stated(value, "rubric", "params"))
    if name == "self_confidence":
        return made(here, lambda: checks.self_confidence(**stated(value, "field", "out_of")))
    if name == "matches_schema":
        model = None if value.model is None else imported_at(value.model, (*here, "model"))
        return made(here, lambda: checks.matches_schema(value.json_schema if model is None else model))
    if name == "default":
        return checks.default_check()
    plain: Callable[[], Check] = getattr(checks, name)
    return plain()


def tiers_named(settings: RouteSettings | GuardSettings | CheckSettings, loc: Loc) -> Iterator[tuple[Loc, str]]:
    """Find every tier that a route, guard or check names, and where."""
    name, value = settings.chosen
    here = (*loc, name)
    if name in ("first_of", "within", "all", "any"):
        for index, part in enumerate(value):
            yield from tiers_named(part, (*here, index))
    elif name == "sticky":
        yield from tiers_named(value.route, (*here, "route"))
    elif name == "experiment":
        yield from tiers_named(value.treatment, (*here, "treatment"))
        if value.control is not None:
            yield from tiers_named(value.control, (*here, "control"))
    elif name in ("start_at", "agrees_with"):
        yield here, value
    elif name in ("only", "among"):
        yield from (((*here, index), tier) for index, tier in enumerate(value))
    elif name == "judged_by":
        yield (*here, "tier"), value.tier
    elif name == "by_keywords":
        yield from (((*here, keyword), tier) for keyword, tier in value.items())
    elif name == "by_task":
        for task, one in value.items():
            if one.start not in (None, STRONGEST):
                yield (*here, task, "start"), one.start


def unknown_tier(loc: Loc, name: str, known: list[str]) -> Fault:
    return Fault(
        loc,
        f"{path(loc)} names tier {name!r}, which there is not: {did_you_mean(name, known)}there are {', '.join(known)}",
    )


def misplaced_judge(loc: Loc, name: str, tiers: list[str]) -> Fault:
    return Fault(
        loc,
        f"{path(loc)} names {name!r}, a judge, which never answers: name one of {', '.join(tiers)}, or make it a tier",
    )


def ledger_of(word: str, folder: Path) -> bool | str | Path:
    """Say what a model's `ledger` option should be: a path is relative to the file's folder, an address stays one."""
    if "://" in word:
        return word
    return {"off": False, "default": True}.get(word, folder / Path(word).expanduser())


def recorder_of(settings: RecordSettings, folder: Path) -> Recorder:
    """Open the recorder; a path is relative to the file's folder. Raises `RecordingError` where it cannot be opened."""
    return Recorder(folder / Path(settings.path).expanduser(), **recorder_parts(settings))


def recorder_parts(settings: RecordSettings) -> dict[str, Any]:
    """Make what needs no file; raises `Misbuilt`."""
    parts = stated(settings, "share", "require_tenant")
    if settings.redact is not None:
        parts["redact"] = imported_at(settings.redact, ("record", "redact"))
    return parts


def stated(settings: Strict, *names: str) -> dict[str, Any]:
    """Take the settings that the file states, so that the pieces' own defaults hold for the rest."""
    return {name: value for name in names if (value := getattr(settings, name)) is not None}


def imported_at(reference: str, loc: Loc) -> Any:
    found = imported(reference, loc)
    if isinstance(found, Fault):
        raise Misbuilt(found)
    return found


def made(loc: Loc, make: Callable[[], T]) -> T:
    try:
        return make()
    except ConfigError as error:
        raise Misbuilt(Fault(loc, f"{path(loc)}: {error}")) from error
