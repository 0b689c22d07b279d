"""How well answers can be told apart among a question's neighbours: a kernel ridge regression from meaning to answer.

Unlike a count of votes it knows that ten neighbours who say the same in the same words are one witness, that a far one
says little even where no other speaks, and, by leaving each neighbour out in turn, how often it is right hereabouts.
It must stay a function of the neighbours alone, so that every store and process decides alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuppence.cache.entries import Neighbour

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Table = npt.NDArray[np.float64]

__all__ = ["Evidence", "weigh"]

SHARPNESS = 3.0
"""e^(3 x (cosine - 1)) is what two questions have in common, .3 at cosine .6. Chosen in streams of other intents than
the benchmark's; 6 served less at an equal false share, the bare cosine about as much."""
RIDGE = 0.3
"""What a neighbour shares with nothing, its own chance: no answer is believed for one neighbour's sake."""
_FAINT = 0.05  # a lead below it is none


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the neighbours of a question say for one answer."""

    say: float
    """The regression at the question: 0 is unheard of, 1 is certain."""
    rival: float
    """The same for the strongest other answer, at least 0."""
    lead: float
    """ln of how far it is ahead of that one."""
    intrusion: float
    """How far at most it is ahead at a question that is left out and has another answer; 0 where none has: an answer
    that everything got was never put to the test."""
    alone: float
    """Share of the neighbours whose answer no other has."""


def weigh(neighbours: Sequence[Neighbour], answers: Sequence[int]) -> list[Evidence]:
    """Return the evidence for each answer, in their order; `answers` gives the number of each neighbour's, from 0."""
    import numpy as np

    own = np.array(answers)
    has = np.zeros((len(own), own.max() + 1))
    has[np.arange(len(own)), own] = 1.0
    vectors = np.stack([neighbour.entry.vector for neighbour in neighbours]).astype(np.float64)
    common = np.exp(SHARPNESS * (vectors @ vectors.T - 1.0))
    np.fill_diagonal(common, 1.0 + RIDGE)
    inverse = np.linalg.inv(common)
    weights = inverse @ has
    asked = np.exp(SHARPNESS * (np.array([neighbour.similarity for neighbour in neighbours]) - 1.0))
    # What a ridge regression says of a point without it follows from the fit with it (Allen's PRESS, 1974).
    left_out = has - weights / inverse.diagonal()[:, None]
    return _evidence((asked @ weights).tolist(), left_out, has)


def _evidence(says: list[float], left_out: Table, has: Table) -> list[Evidence]:
    """`says` has a number for each answer; `left_out` and `has` are (neighbours, answers)."""
    import numpy as np

    right = (left_out * has).sum(axis=1, keepdims=True)
    elsewhere = np.where(has > 0.0, -np.inf, left_out - right)
    intrusions = elsewhere.max(axis=0).tolist() if len(says) > 1 else [0.0]
    alone = float((has.sum(axis=0) == 1.0).sum()) / len(has)
    found = []
    for at, (say, intrusion) in enumerate(zip(says, intrusions, strict=True)):
        rival = max([0.0, *says[:at], *says[at + 1 :]])
        found.append(Evidence(say, rival, math.log(_FAINT + max(0.0, say - rival)), intrusion, alone))
    return found
