"""A learned route starts at the cheapest tier that is expected to lose little, says why, and takes a newer model over
without a restart.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tuppence.errors import ConfigError
from tuppence.routes import by_data_class, start_at
from tuppence.routes.learned import LOOK_EVERY_S, LearnedRoute, ModelFile, learned
from tuppence.signals.learned_route import EmbeddingWeights, LearnedRouteModel, Term, Trait, read_route_model
from tuppence.tiers import Tier

from .ladder import LADDER, LARGE, asked, chosen

MODEL = LearnedRouteModel(
    ("small", "local", "large"), 500, (1.0, 2.0, 3.0),
    {"words": Trait(2.0, 0.5, (-1.5, -0.5, 0.0))},
    {"prove": Term(3.0, (-3.0, -2.0, 0.0)), "hello": Term(2.0, (2.0, 1.0, 0.0))},
    {"chat": (2.0, 1.0, 0.0), "law": (-4.0, -3.0, 0.0)},
)  # fmt: skip
"""Right with .73, .88 and .95 where nothing else is known; long questions, proofs and law are for the large tier."""
PLAIN = "one two three four five six"


@pytest.mark.parametrize(
    ("text", "task", "threshold", "start"),
    [
        (PLAIN, "", 0.3, "small"),
        (PLAIN, "", 0.1, "local"),
        (PLAIN, "", 0.01, "large"),
        (PLAIN, "chat", 0.1, "small"),
        (PLAIN, "law", 0.3, "large"),
        (PLAIN, "unheard of", 0.3, "small"),
        ("Prove " + PLAIN, "", 0.5, "local"),
        ("Hello", "", 0.0, "small"),
        ("word " * 300, "", 0.3, "large"),
        ("", "", 0.3, "small"),
    ],
)
def test_it_starts_where_little_is_lost(text: str, task: str, threshold: float, start: str) -> None:
    """By the question's length, words and task, against the threshold; the call may climb from there."""
    names = [tier.name for tier in LADDER]
    found = chosen(learned(MODEL, threshold=threshold), asked(text, **({"task": task} if task else {})))
    assert found == names[names.index(start) :]


def test_it_says_why() -> None:
    """The loss that is expected, and what speaks for the strongest tier (+) or for the cheaper one (-)."""
    choice = learned(MODEL, threshold=0.3)(asked("hello " + PLAIN, task="chat"), LADDER)
    assert choice is not None
    assert choice.reason == "starts at small: loss -0.04 expected ('hello' -2.00, task 'chat' -2.00)"
    high = learned(MODEL, threshold=0.3)(asked(PLAIN, task="law"), LADDER)
    assert high is not None
    assert high.reason == "starts at large: small would lose 0.90, local 0.67 (task 'law' +3.00, size -0.05)"


def test_the_loss_is_against_the_strongest_tier_offered() -> None:
    """Where a guard takes tiers away, the rest is compared; tiers of which nothing was learned are no start."""
    route = by_data_class() >> learned(MODEL, threshold=0.05)
    assert chosen(route, asked(PLAIN, data_class="private")) == ["local"]
    new = Tier("new")
    assert chosen(learned(MODEL, threshold=0.3), asked(PLAIN), (new, *LADDER)) == ["small", "local", "large"]
    assert chosen(learned(MODEL, threshold=0.05) | start_at("new"), asked(PLAIN), (*LADDER, new)) == ["new"]
    assert chosen(learned(MODEL, threshold=0.3), asked(PLAIN), (LARGE,)) == ["large"]
    assert learned(MODEL, threshold=0.3)(asked(PLAIN), ()) is None


class Clock:
    """A clock that only moves when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def watched(path: Path) -> tuple[LearnedRoute, Clock]:
    clock = Clock()
    return LearnedRoute(ModelFile(path, clock=clock), 0.3), clock


def test_a_newer_file_takes_over(tmp_path: Path) -> None:
    """After a second at the latest, and without a look at the file before that."""
    path = tmp_path / "route.json"
    MODEL.save(path)
    route, clock = watched(path)
    replace(MODEL, intercepts=(-9.0, -9.0, 3.0)).save(path)
    clock.now = LOOK_EVERY_S / 2
    assert chosen(route, asked(PLAIN)) == ["small", "local", "large"]
    clock.now = LOOK_EVERY_S
    assert chosen(route, asked(PLAIN)) == ["large"]


BROKEN = {
    "no JSON": "{",
    "another kind of file": json.dumps({"format": "tuppence-check/4"}),
    "no object": "[]",
    "nothing": "",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_an_unreadable_newer_file_is_noted_and_not_used(tmp_path: Path, content: str) -> None:
    """The old model decides on, the reason names the fault, and a good file ends it."""
    path = tmp_path / "route.json"
    MODEL.save(path)
    route, clock = watched(path)
    path.write_text(content)
    clock.now += LOOK_EVERY_S
    choice = route(asked(PLAIN), LADDER)
    assert choice is not None and choice.ladder[0].name == "small"
    assert "holds no learned route" in choice.reason and str(path) in choice.reason
    MODEL.save(path)
    clock.now += LOOK_EVERY_S
    choice = route(asked(PLAIN), LADDER)
    assert choice is not None and "holds no learned route" not in choice.reason


def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    """The model at hand decides, and the fault is told."""
    path = tmp_path / "route.json"
    MODEL.save(path)
    route, clock = watched(path)
    path.unlink()
    clock.now += LOOK_EVERY_S
    assert chosen(route, asked(PLAIN)) == ["small", "local", "large"]
    assert "FileNotFoundError" in route.fault


def _edited(body: dict[str, Any]) -> dict[str, Any]:
    body["intercepts"][0] += 1.0
    return body


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_edited, "was changed after it was written"),
        (lambda body: {**body, "intercepts": [1.0]}, "1 weights for 3 tiers"),
        (lambda body: {**body, "shape": {"colour": body["shape"]["words"]}}, "colour"),
        (lambda body: {**body, "format": "other"}, "its format is 'other'"),
        (lambda body: {**body, "terms": None}, "holds no learned route"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    """At the start nothing is known that could decide instead."""
    path = tmp_path / "route.json"
    MODEL.save(path)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(ConfigError, match=message):
        learned(path, threshold=0.1)


def test_words_of_any_script_are_kept(tmp_path: Path) -> None:
    """Readable as they are, and halves of characters too."""
    path = tmp_path / "route.json"
    odd = replace(MODEL, terms={word: Term(1.0, (1.0, 1.0, 1.0)) for word in ("証明", "größer", "\ud800", '"')})
    odd.save(path)
    assert read_route_model(path) == odd
    assert "証明".encode() in path.read_bytes()


def test_a_file_reads_as_it_was_written(tmp_path: Path) -> None:
    """Equal in all, under the same version; one number more or less is another version."""
    path = tmp_path / "route.json"
    MODEL.save(path)
    assert read_route_model(path) == MODEL
    assert json.loads(path.read_text())["version"] == MODEL.version == learned(path, threshold=0.1).version
    assert replace(MODEL, labels=501).version != MODEL.version


class Fixed:
    """An embedder with one vector for everything."""

    def __init__(self, name: str) -> None:
        self.name = name

    def embed(self, texts: Sequence[str]) -> Any:
        np = pytest.importorskip("numpy")
        return np.array([[1.0, 0.0]] * len(texts), np.float32)

    async def aembed(self, texts: Sequence[str]) -> Any:
        return self.embed(texts)


WITH_MEANING = replace(MODEL, embedding=EmbeddingWeights("fixed", (0.5, 0.5), ((-8.0, 0.0), (-8.0, 0.0), (0.0, 0.0))))


def test_an_embedder_adds_the_meaning() -> None:
    """Where the model was trained with one; it is the same one or none that it must be given."""
    assert chosen(learned(WITH_MEANING, threshold=0.3, embedder=Fixed("fixed")), asked(PLAIN)) == ["large"]
    for model, embedder in ((WITH_MEANING, None), (WITH_MEANING, Fixed("other")), (MODEL, Fixed("fixed"))):
        with pytest.raises(ConfigError, match="trained with the embedder"):
            learned(model, threshold=0.3, embedder=embedder)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_thresholds_are_losses(threshold: float) -> None:
    """Between nothing and everything."""
    with pytest.raises(ConfigError, match="threshold is"):
        learned(MODEL, threshold=threshold)


def test_a_route_travels(tmp_path: Path) -> None:
    """To another process, with its file."""
    path = tmp_path / "route.json"
    MODEL.save(path)
    for route in (learned(MODEL, threshold=0.3), learned(path, threshold=0.3)):
        assert chosen(pickle.loads(pickle.dumps(route)), asked(PLAIN)) == ["small", "local", "large"]


def test_a_look_at_the_file_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand calls within a second look at it no more than once."""
    path = tmp_path / "route.json"
    MODEL.save(path)
    route, clock = watched(path)
    looks = []
    real = os.stat
    monkeypatch.setattr(Path, "stat", lambda self, **kwargs: looks.append(self) or real(self, **kwargs))
    clock.now = LOOK_EVERY_S
    for _ in range(1_000):
        route.model  # noqa: B018 - reading it is what may look
    assert len(looks) == 1
