"""Put a trained model to work behind its teacher, and take it back: one file says what stands, for every program.

The file is looked at on each call, so that a wider share or a roll-back holds at once in all programs that read it, and
after a restart too. A file that cannot be read sends everybody to the teacher: this room must never cost an answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tuppence.attempts import Result
from tuppence.checks import sequence_probability
from tuppence.distill.errors import DistillError
from tuppence.distill.evaluation.words import Words, read_words
from tuppence.distill.seconded import second_opinion
from tuppence.distill.trainers import Trained
from tuppence.effects import Check, Choice
from tuppence.prices import Rate, token_rate
from tuppence.request import Request
from tuppence.routes import Experiment
from tuppence.routes.experiment import Watch, among
from tuppence.selfhost import AdapterClient
from tuppence.tiers import Tier

FORMAT = "tuppence-deployment/1"
_CERTAIN = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What stands where."""

    model: str
    """Name to ask the server for, and of the tier."""
    url: str
    """The server's, without `/v1`."""
    adapter: str | None
    """Folder that was loaded; None for a merged model, which its server was started with."""
    data_hash: str
    threshold: float
    """Confidence from which an answer is kept."""
    share: float
    """Part of the units that meet the trained model; 1 for all, 0 after a roll-back."""
    usd_per_mtok_input: str
    """Dollars for a million tokens, such as the amortised price of the server."""
    usd_per_mtok_output: str
    created_at: str
    second: str | None = None
    """Version of the classifier on words that lies beside the file; None: the model's confidence alone decides."""
    rolled_back_at: str | None = None

    @property
    def base_url(self) -> str:
        """The server's address for SDK clients."""
        return f"{self.url}/v1"

    @property
    def rate(self) -> Rate:
        """What its tokens cost."""
        return token_rate(
            input=self.usd_per_mtok_input, output=self.usd_per_mtok_output, version=f"deployment/{self.model}"
        )


def deploy(
    trained: Trained, state: str | Path, *, url: str, threshold: float, usd_per_mtok: tuple[str, str],
    share: float = 0.1, words: Words | None = None, merged: bool = False, api_key: str | None = None,
) -> Deployment:  # fmt: skip
    """Load the adapter into the vLLM server at `url` and write down in `state` that it stands.

    `threshold` is that of `calibrate`, `words` the classifier that `Seconded` answers were calibrated with, which is
    kept beside the file. `usd_per_mtok` is the price of tokens in and out. With `merged` the server serves the merged
    model under that name already, and nothing is loaded. Called again it goes on where it was stopped.
    Raises `DistillError` for a file that another deployment stands in, `SelfHostError` where the server refuses.
    """
    path = Path(state).expanduser().absolute()
    if not 0.0 < share <= 1.0:
        raise DistillError(f"share is {share}: give the part of the users that meet the model, above 0 and at most 1")
    if not merged and trained.adapter is None:
        raise DistillError(f"{trained.model} has no adapter to load: a provider's model is a tier by its name")
    if path.exists() and (stands := read_deployment(path)).rolled_back_at is None and stands.model != trained.model:
        raise DistillError(f"{path} says that {stands.model} stands: roll it back first, or name another file")
    adapter = None if merged or trained.adapter is None else str(Path(trained.adapter).resolve())
    made = Deployment(
        model=trained.model, url=url.rstrip("/").removesuffix("/v1"), adapter=adapter, data_hash=trained.data_hash,
        threshold=threshold, share=share, usd_per_mtok_input=usd_per_mtok[0], usd_per_mtok_output=usd_per_mtok[1],
        created_at=_now(), second=None if words is None else words.version,
    )  # fmt: skip
    _ = made.rate  # a price that is none is refused before anything is done
    if adapter is not None:
        AdapterClient(made.url, api_key=api_key).load(made.model, adapter)
    if words is not None:
        _put(_beside(path), words.text)
    _write(path, made)
    return made


def rollback(state: str | Path, *, api_key: str | None = None) -> Deployment:
    """Send everybody to the teacher, then unload the adapter; done again, it does what is left to do.

    In this order, so that no call is sent to what is not there. Raises `DistillError` for a file that says nothing,
    `SelfHostError` where the server cannot be told: nobody is sent there by then.
    """
    path = Path(state).expanduser().absolute()
    found = read_deployment(path)
    gone = found if found.rolled_back_at is not None else replace(found, share=0.0, rolled_back_at=_now())
    _write(path, gone)
    if found.adapter is not None:
        adapters = AdapterClient(found.url, api_key=api_key)
        if found.model in adapters.names():
            adapters.unload(found.model)
    return gone


def widen(state: str | Path, share: float) -> Deployment:
    """Give the model this share of the units; who met it before goes on meeting it. Raises `DistillError`."""
    path = Path(state).expanduser().absolute()
    found = read_deployment(path)
    if found.rolled_back_at is not None or not 0.0 < share <= 1.0:
        raise DistillError(f"{found.model} cannot have a share of {share}: it must stand, and a share is a part of 1")
    made = replace(found, share=share)
    _write(path, made)
    return made


def read_deployment(state: str | Path) -> Deployment:
    """Read what stands; raises `DistillError` for a file that says nothing."""
    try:
        told = json.loads(Path(state).expanduser().read_text("utf-8"))
        if told.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        return Deployment(**told)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DistillError(
            f"{state} says nothing of a deployment ({type(error).__name__}: {error}): name the file that "
            "`tuppence distill deploy` wrote"
        ) from error


def deployed(state: str | Path, *, by: str = "user", watch: Watch | None = None) -> dict[str, Any]:
    """Return check, threshold and route for `wrap`, `ChatTuppence` and `TuppenceLLM`, as keyword arguments.

    The trained model is the first of two or more tiers, named as the deployment says. A unit is what the tag `by`
    names. `watch=ExperimentLog(...)` keeps both arms for `tuppence experiment report`, which says when to ship or stop.
    Raises `DistillError` for a file that says nothing, and where the classifier beside it is not the one it names.
    """
    path = Path(state).expanduser().absolute()
    found = read_deployment(path)
    return {
        "check": _check(path, found), "threshold": found.threshold,
        "route": Canary(found.model, path, by=by, watch=watch),
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Canary:
    """The trained model first for the share of the units that the file says; everybody else meets the other tiers."""

    model: str
    path: Path
    _: KW_ONLY
    by: str = "user"
    watch: Watch | None = field(default=None, compare=False, repr=False)
    seen: list[tuple[int, float]] = field(default_factory=lambda: [(-1, 0.0)], compare=False, repr=False)
    """When the file was written that was read last, and its share."""

    def __call__(self, request: Request, ladder: tuple[Tier, ...]) -> Choice:
        share = self.share()
        if share >= _CERTAIN:
            return Choice(ladder, f"{self.model} stands for everybody")
        others = tuple(tier for tier in ladder if tier.name != self.model) or ladder
        if share <= 0.0:
            return Choice(others, f"{self.model} is rolled back")
        return self._experiment(share, others)(request, ladder)

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.model})

    def learn(self, request: Request, result: Result) -> None:
        """Hand the call to the watch, by the share that is in force."""
        share = self.share()
        if 0.0 < share < _CERTAIN:
            self._experiment(share, ()).learn(request, result)

    def share(self) -> float:
        """Read the share, anew where the file has changed; 0 where it cannot be read."""
        try:
            written = os.stat(self.path).st_mtime_ns
            if written != self.seen[0][0]:
                self.seen[0] = (written, read_deployment(self.path).share)
        except (OSError, DistillError):
            return 0.0
        return self.seen[0][1]

    def _experiment(self, share: float, others: tuple[Tier, ...]) -> Experiment:
        control: Callable[..., Choice | None] = among(*(tier.name for tier in others)) if others else _as_it_is
        return Experiment(
            f"deploy {self.model}", treatment=_as_it_is, control=control, share=share, by=self.by, watch=self.watch
        )


def _as_it_is(_request: Request, _ladder: tuple[Tier, ...]) -> Choice | None:
    return None


def _check(path: Path, found: Deployment) -> Check:
    if found.second is None:
        return sequence_probability()
    beside = _beside(path)
    try:
        words = read_words(beside.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DistillError(f"{beside} cannot be read ({error}): deploy {found.model} again") from error
    if words.version != found.second:
        raise DistillError(f"{beside} is not what {found.model} was calibrated with: deploy it again")
    return second_opinion(words)


def _beside(path: Path) -> Path:
    return path.with_suffix(".words.json")


def _write(path: Path, deployment: Deployment) -> None:
    _put(path, json.dumps({"format": FORMAT, **asdict(deployment)}, indent=1) + "\n")


def _put(path: Path, text: str) -> None:
    half = path.with_name(f"{path.name}.part")
    try:
        half.write_text(text, "utf-8")
        os.replace(half, path)
    except OSError as error:
        raise DistillError(f"{path} cannot be written ({error.strerror}): name a file in a writable folder") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
