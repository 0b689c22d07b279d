"""How many labels a promise takes before it can be made of anything: a floor to say early, not an estimate."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tuppence.errors import ConfigError
from tuppence.evidence.outcomes import Outcomes


def least_labels(target: float, delta: float) -> int:
    """Return the fewest labelled questions that can certify `target` with probability 1 - `delta`.

    On a question where the policy is as good as the strongest tier, wealth grows by a factor below 1 / target (the
    highest stake of the betting test, `certificate.betting`), and 1 / delta is needed: n >= log(delta) / log(target).
    Real policies need several times as many, and others to learn from. Raises `ConfigError` outside (0, 1).
    """
    for name, part in (("target", target), ("delta", delta)):
        if not 0.0 < part < 1.0:
            raise ConfigError(f"{name} is {part}: it lies between 0 and 1")
    return math.ceil(math.log(delta) / math.log(target))


def usable(rows: Iterable[Outcomes], tiers: Iterable[str]) -> int:
    """Count the questions on which all of `tiers` were asked, graded and priced: only those can certify."""
    asked = tuple(tiers)
    return sum(all(_is_whole(row, name) for name in asked) for row in rows)


def _is_whole(row: Outcomes, name: str) -> bool:
    outcome = row.by_model.get(name)
    return outcome is not None and outcome.score is not None and outcome.pico_usd is not None
