"""Start where a learned model expects to lose little: the cheapest tier whose answer is about as probably right as the
strongest one's. Reads the model's file again when it changes, and never lets a broken file stop a call.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tuppence.effects import Choice
from tuppence.errors import ConfigError
from tuppence.request import Request
from tuppence.routes.compose import Composable
from tuppence.signals.learned_route import LearnedRouteModel, read_route_model
from tuppence.tiers import Tier

if TYPE_CHECKING:
    from tuppence.embed import Embedder

LOOK_EVERY_S = 1.0
"""The file is looked at no more often than this."""


class ModelFile:
    """A learned model and the file that it came from, which may be replaced at any time. Safe for many threads."""

    __slots__ = ("_clock", "_lock", "_look_at", "_seen", "fault", "model", "path")

    def __init__(self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = Path(path)
        self.fault = ""
        """Why a newer file is not in use; empty where the newest one is."""
        self._clock = clock
        self._lock = threading.Lock()
        # Looked at before it is read: a file that is replaced in between is then read twice, and not missed.
        self._seen = _identity(self.path)
        self.model = read_route_model(self.path)
        self._look_at = clock() + LOOK_EVERY_S

    def __reduce__(self) -> tuple[type[ModelFile], tuple[Path]]:
        """Travel as a path: the other process reads its own file."""
        return ModelFile, (self.path,)

    def current(self) -> LearnedRouteModel:
        """Return the newest model that can be read."""
        # Who finds the lock taken goes on with the model at hand: somebody else is reading.
        if self._clock() >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self.model

    def _look(self) -> None:
        self._look_at = self._clock() + LOOK_EVERY_S
        found = _identity(self.path)
        if found == self._seen:
            return
        self._seen = found
        try:
            self.model, self.fault = read_route_model(self.path), ""
        except ConfigError as error:
            self.fault = str(error)


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Say which file lies there; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@dataclass(frozen=True, slots=True)
class LearnedRoute(Composable):
    """Starts at the cheapest tier whose expected loss is within the threshold; nothing to say of tiers not learned."""

    source: LearnedRouteModel | ModelFile
    threshold: float
    embedder: Embedder | None = field(default=None, repr=False)

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice | None:
        model = self.model
        places = {name: place for place, name in enumerate(model.tiers)}
        if not ladder or ladder[-1].name not in places:
            return None
        strongest = places[ladder[-1].name]
        found = model.read(request.question, request.tags.get("task", ""), self._vector(model, request.question))
        lost: list[str] = []
        speaks = ""
        for index, tier in enumerate(ladder[:-1]):
            place = places.get(tier.name)
            if place is None:
                continue
            loss, speaks = found.loss(place, strongest), found.speaks(place, strongest)
            if loss <= self.threshold:
                return Choice(ladder[index:], self._reason(f"{tier.name}: loss {loss:.2f} expected", speaks))
            lost.append(f"{tier.name}{'' if lost else ' would lose'} {loss:.2f}")
        why = f"{ladder[-1].name}: {', '.join(lost) or 'nothing is known of others'}"
        return Choice(ladder[-1:], self._reason(why, speaks))

    @property
    def model(self) -> LearnedRouteModel:
        """What decides at the moment."""
        return self.source.current() if isinstance(self.source, ModelFile) else self.source

    @property
    def version(self) -> str:
        """A hash of what was learned."""
        return self.model.version

    @property
    def fault(self) -> str:
        """Why a newer file is not in use; empty where the newest one is."""
        return self.source.fault if isinstance(self.source, ModelFile) else ""

    def _vector(self, model: LearnedRouteModel, text: str) -> Sequence[float] | None:
        if model.embedding is None or self.embedder is None or self.embedder.name != model.embedding.embedder:
            return None
        vector: Sequence[float] = self.embedder.embed([text])[0].tolist()
        return vector

    def _reason(self, why: str, speaks: str) -> str:
        """Say why; `speaks` tells what sets the last tier looked at apart from the strongest."""
        kept = f"; the newer file is not in use: {self.fault}" if self.fault else ""
        return f"starts at {why}{f' ({speaks})' if speaks else ''}{kept}"


def learned(
    model: LearnedRouteModel | str | os.PathLike[str], *, threshold: float, embedder: Embedder | None = None
) -> LearnedRoute:
    """Start at the cheapest tier that is expected to lose at most `threshold` against the strongest one offered.

    A loss is a difference of probabilities to be right: 0.02 is one answer in fifty. A path is looked at again at most
    once a second, so that a newer model takes over without a restart; one that cannot be read is named in the reason,
    and the old one decides. `embedder` is the one that the model was trained with, some milliseconds a call. Raises
    `ConfigError` for a file without a model, a threshold outside [0, 1], and an embedder that the model was not trained
    with or lacks.
    """
    if not 0.0 <= threshold <= 1.0:
        raise ConfigError(f"threshold is {threshold}: an expected loss lies between 0 and 1, such as 0.02")
    source = model if isinstance(model, LearnedRouteModel) else ModelFile(model)
    route = LearnedRoute(source, threshold, embedder)
    learnt = route.model.embedding
    wanted, given = None if learnt is None else learnt.embedder, None if embedder is None else embedder.name
    if wanted != given:
        raise ConfigError(
            f"the model was trained with the embedder {wanted!r} and gets {given!r}: give it the same, or train it anew"
        )
    return route
