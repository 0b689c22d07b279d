"""Has traffic drifted from what was certified? A test of live scores that may be looked at after every call, for ever.

A certificate is about traffic like the labels. Live answers have no labels, but they have scores and traits, and
those of the labels are known: their mean and standard deviation. What is tested is whether the live mean is still near.

    z = (value - mean) / std, cut at -5 and 5
    null hypothesis: |E z| <= b,  b = 0.1 + 2.5 / sqrt(n)

0.1 standard deviations are let pass, since no traffic is the same for ever, and so much may be cut off with the tails
(by Chebyshev at most 1 / (4 * 5)). 2.5 / sqrt(n) is what the reference itself, of n labels, may be off. Bets are placed
on either side, with stakes from small to large, and on every hundredth value as the begin of the change:

    e_i = 1 + L (z_i - b)  or  1 + L (-z_i - b)                   its expectation is at most 1
    E_t = mean over sides and stakes of: sum over starts s of  w_s e_(s+1) ... e_t,   the sum of all w_s is 1

E is a non-negative supermartingale that begins at 1: it ever reaches 1 / alpha with probability at most alpha (Ville).
The bets are those of I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", JRSS-B
86 (2024); mixing over starts follows J. Shin, A. Ramdas and A. Rinaldo, "E-detectors" (2022), as in `judging.drift`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tuppence.errors import ConfigError
from tuppence.evidence.certificate.file import Reference
from tuppence.evidence.certificate.ladder import FloatArray

_CUT = 5.0
_TOLERANCE = 0.1
_REFERENCE_ERRORS = 2.5
_EVERY = 100
"""Values between two possible begins of a change. Not the caller's looks, or the verdict would depend on them."""
_SHOWN = 200
# Each doubles the last: a small stake sees a small shift, a large one sees a large shift soon.
_STAKES = np.array([0.01, 0.02, 0.04, 0.08, 0.16])


def reference(values: Sequence[float] | FloatArray) -> Reference:
    """Describe the values of a score or trait on the labels."""
    seen = np.asarray(values, dtype=np.float64)
    if not len(seen):
        raise ConfigError("a reference needs values: give those that the labels have")
    return Reference(float(seen.mean()), float(seen.std()), len(seen))


class DriftWatch:
    """Watches one score as it comes in; an alarm stays. Not for several threads at once."""

    def __init__(self, reference: Reference, *, alpha: float = 0.05) -> None:
        if not 0.0 < alpha < 1.0:
            raise ConfigError(f"alpha is {alpha}: it is the probability of a false alarm, between 0 and 1")
        self._reference, self._alpha = reference, alpha
        # Columns: betting that the mean is higher, with each stake, then that it is lower.
        self._running = np.zeros(2 * len(_STAKES))
        self._waiting = 1.0
        self.seen = 0
        self.evidence = 1.0
        """The e-value; there is an alarm from 1 / alpha on."""
        self.alarmed_at: int | None = None
        """How many values had been seen when the alarm came; None while there is none."""

    def add(self, values: Sequence[float] | FloatArray) -> bool:
        """Take values in their order, any number at a time; return whether traffic has drifted by now.

        Raises `ConfigError` for values that are no numbers.
        """
        new = np.asarray(values, dtype=np.float64)
        if not np.isfinite(new).all():
            raise ConfigError("a live score is not a finite number: leave out calls without one")
        while len(new):
            room = _EVERY - self.seen % _EVERY
            block, new = new[:room], new[room:]
            if room == _EVERY:
                self._stake()
            self._bet(block)
        return self.alarmed_at is not None

    def _stake(self) -> None:
        """Put a part of what waits on a change that begins here: 1/2, 1/6, 1/12, ... of the whole."""
        start = self.seen // _EVERY + 1
        self._running += 1.0 / (start * (start + 1))
        self._waiting = 1.0 / (start + 1)

    def _bet(self, block: FloatArray) -> None:
        path = self._running * np.cumprod(self._factors(block), axis=0)
        evidence = path.mean(axis=1) + self._waiting
        over = np.flatnonzero(evidence >= 1.0 / self._alpha)
        if self.alarmed_at is None and len(over):
            self.alarmed_at = self.seen + int(over[0]) + 1
        # Bounded, for what is certain need not overflow.
        self._running, self.evidence = np.minimum(path[-1], 1e100), float(evidence[-1])
        self.seen += len(block)

    def _factors(self, block: FloatArray) -> npt.NDArray[np.float64]:
        known = self._reference
        # A score that never varied: whatever differs from it is as far away as can be.
        spread = max(known.std, 1e-9 * max(1.0, abs(known.mean)))
        z = np.clip((block - known.mean) / spread, -_CUT, _CUT)[:, None]
        near = _TOLERANCE + _REFERENCE_ERRORS / math.sqrt(known.n)
        stakes = np.minimum(_STAKES, 0.9 / (_CUT + near))
        return np.concatenate((1.0 + stakes * (z - near), 1.0 + stakes * (-z - near)), axis=1)


@dataclass(frozen=True, slots=True)
class Drifted:
    """One score that is no longer what it was on the labels."""

    name: str
    reference: float
    live: float
    """Mean of the last values before the alarm, 200 at most."""
    after: int
    """Values until the alarm."""

    @property
    def words(self) -> str:
        """The finding as a sentence."""
        return (
            f"traffic has drifted: the mean of {self.name} was {self.reference:.3g} on the labels that certified, and "
            f"{self.live:.3g} over the calls before the alarm, which came after {self.after:,}. Label some of the "
            "traffic and calibrate again"
        )


def drifted(
    known: Mapping[str, Reference], live: Mapping[str, Sequence[float] | FloatArray], *, alpha: float = 0.05
) -> list[Drifted]:
    """Test all live values since the certificate began, oldest first, against what the labels had.

    The probability of any false alarm, over all names and all looks, is at most `alpha`. Names without a reference, and
    references without live values, are passed over.
    """
    watched = [name for name in known if name in live and len(live[name])]
    found = []
    for name in watched:
        # Shared over all references, not those that happen to be watched: more may come to be.
        watch = DriftWatch(known[name], alpha=alpha / len(known))
        watch.add(live[name])
        at = watch.alarmed_at
        if at is not None:
            found.append(Drifted(name, known[name].mean, float(np.mean(live[name][max(0, at - _SHOWN) : at])), at))
    return found
