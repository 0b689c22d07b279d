"""The shapers that a configuration file asks for."""

from __future__ import annotations

from collections.abc import Iterator

from tuppence.config.building import imported_at, made, stated
from tuppence.config.shape_schema import HistorySettings, ShapeSettings
from tuppence.config.source import Loc
from tuppence.effects import Shaper
from tuppence.prune.history import Clearing, HistoryPolicy, HistoryPruner, HistoryShaper, Strategy, Summariser, Window
from tuppence.prune.prompts import TidyPrompt


def shaper_of(settings: ShapeSettings, loc: Loc) -> Shaper:
    """Build a shaper; raises `Misbuilt`."""
    name, value = settings.chosen
    if name == "custom":
        shaper: Shaper = imported_at(value, (*loc, name))
        return shaper
    if name == "tidy":
        return TidyPrompt()
    return made((*loc, name), lambda: _history(value))


def _history(settings: HistorySettings) -> Shaper:
    strategies: list[Strategy] = []
    if settings.window is not None:
        given = stated(settings.window, "keep_turns", "relevant_turns", "neighbours")
        if settings.window.summariser is not None:
            given["summariser"] = Summariser(settings.window.summariser)
        strategies.append(Window(**given))
    if settings.clearing is not None:
        strategies.append(Clearing(**stated(settings.clearing, "keep_turns")))
    return HistoryShaper(HistoryPruner(HistoryPolicy(strategies=tuple(strategies))))


def summarisers_named(settings: ShapeSettings, loc: Loc) -> Iterator[tuple[Loc, str]]:
    """Find the tier that a history's window names, and where: one of the ladder, whose prices shapers are told."""
    history = settings.history
    if history is not None and history.window is not None and history.window.summariser is not None:
        yield (*loc, "history", "window", "summariser"), history.window.summariser
