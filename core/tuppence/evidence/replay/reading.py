"""From a file to rows that can be replayed, whichever form it has: recorded traffic keeps its requests and replies as
they were, all else is outcomes. Feedback grades what the user was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from tuppence.evidence.outcomes.labels import Labeller, from_feedback
from tuppence.evidence.outcomes.reading import read_feedback, read_outcomes, read_traffic
from tuppence.evidence.outcomes.sampling import is_traffic
from tuppence.evidence.outcomes.sources import opened
from tuppence.evidence.replay.recorded import Recorded, recorded

_BYTES = 1 << 20


def read_rows(
    path: Path, *, scale: tuple[float, float] = (0.0, 1.0), dataset: str | None = None, labels: Path | None = None
) -> Iterator[Recorded | None]:
    """Yield the rows of a file for `replay`; None for a recorded call that only a cache answered.

    `scale` and `dataset` are those of `read_outcomes`. `labels` is a file of feedback; recorded traffic may hold its
    own in between. Raises `OutcomesError` naming file, line and value.
    """
    holds_traffic = is_traffic(path)
    told = [read_feedback(one, scale=scale) for one in (path if holds_traffic else None, labels) if one is not None]
    label: Labeller | None = from_feedback(one for source in told for one in source) if told else None
    source = read_traffic(path) if holds_traffic else read_outcomes(path, scale=scale, dataset=dataset)
    return (_labelled(recorded(row), label) for row in source)


def count_lines(path: Path) -> int:
    """Count the lines of a file, unzipped: about how many rows it has, for a progress bar."""
    with opened(path) as file:
        return sum(block.count(b"\n") for block in iter(partial(file.read, _BYTES), b""))


def _labelled(row: Recorded | None, label: Labeller | None) -> Recorded | None:
    return row if row is None or label is None else replace(row, outcomes=label(row.outcomes))
