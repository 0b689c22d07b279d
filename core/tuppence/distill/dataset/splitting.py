"""Rows on sides that know nothing of each other: what is tested on came later, and asks what was not learned.

Sides follow each other in time. A later row whose cluster has a row on an earlier side is on none: it would be judged
by what was learned by heart.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tuppence.distill.errors import DistillError

SplitName = Literal["train", "validation", "calibration", "test"]
NAMES: tuple[SplitName, ...] = get_args(SplitName)
"""In the order of time."""
LEFT_OUT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What part of the rows each side gets, before those are left out that are like an earlier side's."""

    validation: float = 0.1
    """To see when learning stops to help."""
    calibration: float = 0.1
    """To choose a confidence threshold on."""
    test: float = 0.2
    """To judge by, once."""

    def __post_init__(self) -> None:
        given = (self.validation, self.calibration, self.test)
        if not all(0 <= one < 1 for one in given) or sum(given) >= 1:
            raise DistillError(
                f"validation, calibration and test are {given}: give parts of 1 that leave something to train on"
            )

    def as_json(self) -> dict[str, object]:
        return {
            "validation": self.validation, "calibration": self.calibration, "test": self.test,
            "rule": "sides follow each other in time; a row whose cluster is on an earlier side is on none",
        }  # fmt: skip


def split(times: Sequence[float], clusters: Sequence[int], shares: Shares) -> array[int]:
    """Return the side of each row, as its place in `NAMES`, or `LEFT_OUT`; rows come in the order of time.

    Rows of one moment are never parted. Clusters are numbers from 0 on.
    """
    edges = _edges(times, shares)
    sides, first = array("b"), array("b", [LEFT_OUT]) * (max(clusters, default=-1) + 1)
    side = 0
    for at, cluster in zip(times, clusters, strict=True):
        while side < len(edges) and at >= edges[side]:
            side += 1
        if first[cluster] == LEFT_OUT:
            first[cluster] = side
        sides.append(side if first[cluster] == side else LEFT_OUT)
    return sides


def _edges(times: Sequence[float], shares: Shares) -> list[float]:
    """Return the moments at which validation, calibration and test begin."""
    later = (shares.validation + shares.calibration + shares.test, shares.calibration + shares.test, shares.test)
    # Rounded first: 0.1 + 0.1 + 0.2 is a little more than 0.4.
    places = [len(times) - math.ceil(round(share * len(times), 6)) for share in later]
    return [times[place] if place < len(times) else math.inf for place in places]
