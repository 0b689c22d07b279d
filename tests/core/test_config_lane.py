"""A configuration file says where calls wait for batch prices, which of them, and how long."""

from pathlib import Path
from typing import Any

import pytest

from tuppence.config import load_config
from tuppence.errors import ConfigError


def lane(folder: Path, text: str) -> Any:
    file = folder / "tuppence.yaml"
    tier = "{name: small, class: vllm, model: m, base_url: 'http://h/v1', price: unpriced}"
    file.write_text(f"tiers:\n  - {tier}\n{text}\n")
    return load_config(file).options().get("lane")


def test_a_path_is_a_lane_beside_the_file(tmp_path: Path) -> None:
    """A word is enough; without one there is no lane."""
    assert lane(tmp_path, "") is None
    assert lane(tmp_path, "lane: lane.sqlite").queue.place == tmp_path / "lane.sqlite"


def test_a_rule_on_tags_says_which_calls_wait(tmp_path: Path) -> None:
    """And for how long at most."""
    made = lane(tmp_path, "lane: {queue: lane.sqlite, when: {task: [nightly, weekly]}, deadline_s: 3600}")
    assert made.deadline_of(None, None, {"task": "weekly"}) == 3600
    assert made.deadline_of(None, None, {"task": "chat"}) is None


@pytest.mark.parametrize("wrong", ["{when: {task: nightly}}", "{queue: q, deadline_s: 0}", "{queue: q, wait: 3}"])
def test_what_cannot_be_meant_is_named(tmp_path: Path, wrong: str) -> None:
    """With its line."""
    with pytest.raises(ConfigError, match=r"tuppence\.yaml:3:.*lane"):
        lane(tmp_path, f"lane: {wrong}")
