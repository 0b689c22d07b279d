"""`shape:` and `limits:` in a configuration file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tuppence.config import Config, load_config
from tuppence.effects import Shaped
from tuppence.errors import ConfigError
from tuppence.prune.history import Clearing, HistoryShaper, Window
from tuppence.prune.output import OutputLimits
from tuppence.prune.prompts import TidyPrompt
from tuppence.request import NO_EDITS, Request
from tuppence.tiers import Tier

TIER = (
    "tiers:\n  - {name: m, class: openai_compatible, model: m-1, base_url: 'http://localhost:1/v1', price: unpriced}\n"
)

Load = Callable[[str], Config]


def shaper(_request: Request, _tiers: tuple[Tier, ...]) -> Shaped:
    """A user's own, that a file may name."""
    return Shaped(NO_EDITS, "mine")


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str) -> Config:
        path = tmp_path / "tuppence.yaml"
        path.write_text(TIER + text, encoding="utf-8")
        return load_config(path)

    return load


def test_shapers_in_their_order(load: Load) -> None:
    """A bare word takes a shaper as it comes."""
    tidy, history = load("shape: [tidy, history]").policy().shape
    assert isinstance(tidy, TidyPrompt)
    assert isinstance(history, HistoryShaper)
    assert history.pruner.policy.strategies == (Clearing(),)


def test_what_a_history_keeps(load: Load) -> None:
    """The window before the clearing; what the file leaves out is the shaper's own default."""
    text = "shape:\n  - history: {window: {keep_turns: 4}, clearing: {keep_turns: 3}}\n"
    (history,) = load(text).policy().shape
    assert isinstance(history, HistoryShaper)
    assert history.pruner.policy.strategies == (Window(keep_turns=4), Clearing(keep_turns=3))


def test_a_window_with_notes(load: Load) -> None:
    """By a tier of the ladder, at its price."""
    policy = load("shape:\n  - history: {window: {summariser: m}}\n").policy()
    (history,) = policy.shape
    assert isinstance(history, HistoryShaper)
    assert history.names == {"m"}


def test_a_history_without_clearing(load: Load) -> None:
    """Results are then only written shorter as they arrive."""
    (history,) = load("shape:\n  - history: {clearing: null}\n").policy().shape
    assert isinstance(history, HistoryShaper)
    assert history.pruner.policy.strategies == ()


def test_limits(load: Load) -> None:
    """On, off, and left out."""
    assert isinstance(load("limits: true").policy().limits, OutputLimits)
    assert load("limits: false").policy().limits is None
    assert load("").policy().limits is None
    assert "limits" not in load("").options()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("shape: [histroy]", "histroy"),
        ("shape:\n  - history: {window: {keep_turns: 0}}", "keep_turns"),
        ("shape:\n  - history: {window: {summariser: n}}", "shape[0].history.window.summariser names tier 'n'"),
        ("shape:\n  - {tidy: {}, history: {}}", "a shaper has one name"),
        ("shape:\n  - custom: nowhere_at_all:shaper", "nowhere_at_all"),
    ],
)
def test_a_mistake_is_told_with_its_line(load: Load, text: str, complaint: str) -> None:
    """Before anything runs."""
    with pytest.raises(ConfigError, match=r"tuppence\.yaml:\d+") as refused:
        load(text)
    assert complaint in str(refused.value)
